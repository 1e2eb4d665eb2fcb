"""Writes the database file anew: deleted rows stand on in its free blocks until then."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb

from optout.errors import LockedError, WarehouseError
from optout.files import sync_dir


def compact(path: Path) -> None:
    """Replace the file by one that holds the live rows only, at once or not at all.

    Nobody may have it open for writing; raises LockedError, or WarehouseError if the copy does not
    hold what the original does (the original stays).
    """
    fresh = path.with_name(f"{path.name}.fresh")
    _remove(fresh)
    con = duckdb.connect(":memory:")
    try:
        con.execute(f"ATTACH '{_quoted(path)}' AS worn (READ_ONLY)")
        con.execute(f"ATTACH '{_quoted(fresh)}' AS fresh")
        con.execute("COPY FROM DATABASE worn TO fresh")
        if _sizes(con, "worn") != _sizes(con, "fresh"):
            raise WarehouseError(
                f"{path.name} could not be copied whole", mend="Run the command again"
            )
        con.execute("CHECKPOINT fresh")
        con.execute("DETACH fresh")
    except duckdb.IOException:
        raise LockedError(f"{path.name} is in use", mend="Wait until nobody writes it") from None
    finally:
        con.close()
    fresh.chmod(0o600)
    descriptor = os.open(fresh, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.replace(path)
    for stale in (Path(f"{path}.wal"), Path(f"{fresh}.wal")):
        stale.unlink(missing_ok=True)
    sync_dir(path.parent)


def _remove(path: Path) -> None:
    for stale in (path, Path(f"{path}.wal")):
        stale.unlink(missing_ok=True)


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _sizes(con: duckdb.DuckDBPyConnection, database: str) -> dict[str, int]:
    rows = con.execute(
        "SELECT schema_name || '.' || table_name FROM duckdb_tables()"
        " WHERE database_name = $database AND NOT internal",
        {"database": database},
    ).fetchall()
    sizes = {}
    for (name,) in rows:
        found = con.execute(f"SELECT count(*) FROM {database}.{name}").fetchone()  # noqa: S608
        sizes[name] = found[0] if found else -1
    return sizes
