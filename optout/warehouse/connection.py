"""Opens the one DuckDB file: migrated, locked, quiet, and with errors that people understand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

from optout.errors import LockedError, OptoutError, StorageError, WarehouseError
from optout.files import make_dir, storage

FILE = "optout.duckdb"
_CONFIG: dict[str, Any] = {
    # One configuration for every connection of a process: DuckDB refuses a second, different one.
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
_FULL = re.compile(
    r"no space left|file too large|quota exceeded|out of disk|failed to offload|max_temp_directory",
    re.I,
)
_MEMORY = re.compile(r"could not allocate|failed to allocate", re.I)
_DENIED = re.compile(r"permission denied|read-only file system", re.I)
_OF_THE_FILE = (duckdb.IOException, duckdb.FatalException, duckdb.SerializationException)
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_LEAST_MEMORY = 192
_MEMORY_A_THREAD = 96
_MIGRATION = re.compile(r"^(\d{4})_\w+\.sql$")


class Warehouse:
    """The database of one installation. One writer at a time; readers use the published copy."""

    def __init__(self, data_dir: Path, *, memory_limit: str | None = None) -> None:
        self.path = data_dir / FILE
        self._memory_limit = memory_limit

    @contextmanager
    def writer(self) -> Iterator[DuckDBPyConnection]:
        """A read-write connection on the newest schema; LockedError, WarehouseError."""
        make_dir(self.path.parent)
        is_new = not self.path.exists()
        con = self._connect(read_only=False)
        try:
            if is_new:
                with storage(self.path):
                    self.path.chmod(0o600)
            with explained(self.path):
                self._prepare(con)
                migrate(con)
                yield con
        finally:
            con.close()

    @contextmanager
    def reader(self) -> Iterator[DuckDBPyConnection]:
        """A read-only connection; raises WarehouseError where no night was ever loaded."""
        if not self.path.exists():
            raise WarehouseError("there is no warehouse yet", mend="Run `optout run` first")
        con = self._connect(read_only=True)
        try:
            with explained(self.path):
                self._prepare(con)
                yield con
        finally:
            con.close()

    def _connect(self, *, read_only: bool) -> DuckDBPyConnection:
        try:
            return duckdb.connect(str(self.path), read_only=read_only, config=_CONFIG)
        except duckdb.Error as error:
            raise _told(error, self.path) from None

    def _prepare(self, con: DuckDBPyConnection) -> None:
        con.execute("SET TimeZone = 'UTC'")
        con.execute("SET enable_progress_bar = false")
        con.execute("SET preserve_insertion_order = false")
        if self._memory_limit:
            con.execute("SET memory_limit = $limit", {"limit": self._memory_limit})


def migrate(con: DuckDBPyConnection) -> None:
    """Bring the schema to the newest version, each step in a transaction of its own."""
    con.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY)")
    row = con.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()
    current = row[0] if row else 0
    known = migrations()
    if current > max(known):
        raise WarehouseError(
            f"the warehouse has schema version {current}, this program knows {max(known)}",
            mend="Use the newer version of optout that wrote it",
        )
    for version in sorted(v for v in known if v > current):
        con.execute("BEGIN")
        con.execute(known[version])
        con.execute("INSERT INTO schema_version VALUES ($version)", {"version": version})
        con.execute("COMMIT")


def migrations() -> dict[int, str]:
    """Version → SQL of every migration, oldest first."""
    found: dict[int, str] = {}
    for file in files("optout.warehouse").joinpath("migrations").iterdir():
        match = _MIGRATION.match(file.name)
        if match:
            found[int(match[1])] = file.read_text(encoding="utf-8")
    return dict(sorted(found.items()))


@contextmanager
def transaction(con: DuckDBPyConnection) -> Iterator[None]:
    """All or nothing."""
    con.execute("BEGIN")
    try:
        yield
    except BaseException:
        con.execute("ROLLBACK")
        raise
    con.execute("COMMIT")


@contextmanager
def bounded(con: DuckDBPyConnection, megabytes: int) -> Iterator[None]:
    """Let DuckDB hold no more than this: it writes the rest beside its file and reads it again.

    A lower limit that was set before stays. Every thread needs room of its own to work in, so that
    the bound grows with the processors.
    """
    beside = con.cursor()  # settings can be put back even where the transaction of `con` failed
    before, threads = _setting(beside, "memory_limit"), int(_setting(beside, "threads"))
    megabytes = max(megabytes, _LEAST_MEMORY, _MEMORY_A_THREAD * threads)
    if _bytes(before) <= megabytes * 10**6:
        yield
        return
    beside.execute("SET memory_limit = $limit", {"limit": f"{megabytes}MB"})
    try:
        yield
    finally:
        number, unit = before.split()  # cut to one decimal: without half of one it would sink
        beside.execute("SET memory_limit = $limit", {"limit": f"{float(number) + 0.05:.2f} {unit}"})


def _setting(con: DuckDBPyConnection, name: str) -> str:
    row = con.execute("SELECT current_setting($name)", {"name": name}).fetchone()
    return str(row[0]) if row else ""


def _bytes(size: str) -> float:
    """As DuckDB prints sizes: `18.7 GiB`."""
    number, unit = size.split()
    return float(number) * float(1024 ** _UNITS.index(unit))


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raise in words what DuckDB says of its file and of memory: full disk, damage, too little.
    Its other errors pass, as they are errors of ours."""
    try:
        yield
    except duckdb.Error as error:
        known = isinstance(error, (*_OF_THE_FILE, duckdb.OutOfMemoryException))
        text = str(error)
        if known or _FULL.search(text) or _MEMORY.search(text) or _is_damage(error):
            raise _told(error, path) from None
        raise


def _is_damage(error: duckdb.Error) -> bool:
    """A wrong checksum has no class of its own."""
    return "corrupt" in str(error).lower()


def _told(error: duckdb.Error, path: Path) -> OptoutError:
    text = str(error)
    if _FULL.search(text):
        return StorageError(
            f"there is no space left to write {path.name}",
            mend="Make room and run the night again: what was read is kept",
        )
    if _DENIED.search(text):
        return StorageError(
            f"{path.name} cannot be used: it, or its folder, may not be written",
            mend="Give the data folder to the user that runs optout, on a disk that can be written",
        )
    if isinstance(error, duckdb.OutOfMemoryException) or _MEMORY.search(text):
        return StorageError(
            "the night needs more memory than DuckDB may take",
            mend="Raise engine.memory in optout.toml, or use a larger machine, and run the night "
            "again: what was read is kept",
        )
    # "block" is in the words for damage.
    if "set lock" in text:
        holder = re.search(r"PID (\d+)", text)
        who = f"process {holder[1]}" if holder else "another process"
        return LockedError(f"{path.name} is being written by {who}", mend="Wait until it has ended")
    if isinstance(error, _OF_THE_FILE) or _is_damage(error):
        return WarehouseError(
            f"{path.name} cannot be opened: it is damaged, unreadable or of another version",
            mend="Restore it from a back-up; the landing files allow a replay",
        )
    return WarehouseError(f"{path.name} cannot be opened ({type(error).__name__})")
