"""A fuse in the process that runs a night: SIGKILL, or a full disk, at its k-th call to the world.

Counted are requests (before they are sent, and when the answer is there), files opened, written
through, renamed and removed in the data folder, and the transactions of both databases.
Nothing of the program is changed for it: the calls are watched from below.

fuse = Fuse(folder, at=17)         # None: count and note only
fuse.install()                     # once, in a process of its own
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from errno import ENOSPC, EROFS
from pathlib import Path
from threading import Lock
from typing import Any

import duckdb
from requests.adapters import HTTPAdapter

KILL, TEAR, FULL, READ_ONLY = "kill", "tear", "full", "read-only"
"""SIGKILL; SIGKILL in the middle of writing what is not on disk yet; from here on, no
space on the device, or a device that cannot be written."""
_ERRORS = {FULL: ENOSPC, READ_ONLY: EROFS}
_FILE_EVENTS = {
    "open": "open",
    "os.rename": "rename",
    "os.remove": "remove",
    "os.mkdir": "mkdir",
    "os.truncate": "truncate",
}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_LASTING = frozenset({"BEGIN", "COMMIT", "ATTACH", "DETACH"})
_READS = frozenset({"SELECT", "WITH", "SET", "PRAGMA", "DESCRIBE"})
_TAKES_SPACE = frozenset({"open", "fsync", "mkdir", "rename"})


class Fuse:
    """Counts the calls of this process; at the `at`-th, from 1, it does `how`."""

    def __init__(
        self, folder: Path, *, at: int | None = None, how: str = KILL, notes: Path | None = None
    ) -> None:
        self._folder = str(folder.resolve())
        self._at = at
        self._how = how
        self._notes = None if notes is None else notes.open("w", buffering=1, encoding="utf-8")
        self._lock = Lock()
        self._lasting: dict[str, int] = {}
        """File → the bytes of it that a crash leaves alone."""
        self.count = 0

    def install(self) -> None:
        """Watch this process until it ends: there is no way back."""
        sys.addaudithook(self._hear)
        os.fsync = self._through(os.fsync)  # type: ignore[assignment]
        HTTPAdapter.send = self._asked(HTTPAdapter.send)  # type: ignore[method-assign]
        connect = duckdb.connect
        duckdb.connect = lambda *args, **options: _Watched(  # type: ignore[assignment]
            connect(*args, **options), self
        )
        fuse = self

        class Watched(sqlite3.Connection):
            def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
                if _verb(sql) in _LASTING:
                    fuse.call(f"sqlite {_verb(sql)}")
                return super().execute(sql, *values)

        connect_small = sqlite3.connect
        sqlite3.connect = lambda *args, **options: connect_small(
            *args, **{**options, "factory": Watched}
        )

    def call(self, what: str, descriptor: int | None = None) -> None:
        """One call to the world is about to happen."""
        with self._lock:
            self.count += 1
            if self._notes is not None:
                self._notes.write(f"{what}\n")
            if self._at is None or self.count < self._at:
                return
            if self._how in _ERRORS:
                if what.split(" ")[0] in _TAKES_SPACE:
                    raise OSError(_ERRORS[self._how], os.strerror(_ERRORS[self._how]))
                return
            if self._how == TEAR and descriptor is not None:
                size = os.fstat(descriptor).st_size
                kept = min(self._lasting.get(_file(descriptor), 0), size)
                os.ftruncate(descriptor, kept + (size - kept) // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        name = _FILE_EVENTS.get(event)
        if name is None or not isinstance(args[0], str | Path):
            return
        if not str(args[0]).startswith(self._folder):
            return
        if name == "open" and not (isinstance(args[2], int) and args[2] & _WRITES):
            return
        self.call(f"{name} {Path(args[0]).name}")
        self._follow(name, args)

    def _follow(self, name: str, args: tuple[Any, ...]) -> None:
        """Know what of a file was there before this process wrote to it."""
        path = Path(os.path.realpath(args[0]))
        if name == "open":
            if not path.exists() or args[2] & os.O_TRUNC:
                self._lasting[str(path)] = 0
            else:
                self._lasting.setdefault(str(path), path.stat().st_size)
        elif name == "remove":
            self._lasting.pop(str(path), None)
        elif name == "rename":
            self._lasting[os.path.realpath(args[1])] = self._lasting.pop(str(path), 0)

    def _through(self, fsync: Callable[[Any], None]) -> Callable[[int], None]:
        def watched(descriptor: int) -> None:
            is_file = not os.path.isdir(f"/proc/self/fd/{descriptor}")  # noqa: PTH112
            self.call("fsync" if is_file else "fsync folder", descriptor if is_file else None)
            fsync(descriptor)
            if is_file:
                self._lasting[_file(descriptor)] = os.fstat(descriptor).st_size

        return watched

    def _asked(self, send: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **options: Any) -> Any:
            self.call("http request")
            answer = send(*args, **options)
            self.call("http answer")
            return answer

        return watched


def _file(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


class _Watched:
    """A DuckDB connection whose lasting steps are counted: begin, commit, and what commits itself.

    What stands between begin and commit leaves nothing behind when it dies, and has one place.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, fuse: Fuse) -> None:
        self._con = con
        self._fuse = fuse
        self._is_open = False

    def execute(self, sql: str, *values: Any) -> Any:
        """Count, then execute."""
        self._count(_verb(sql))
        return self._con.execute(sql, *values)

    def executemany(self, sql: str, *values: Any) -> Any:
        """Count, then execute."""
        self._count(_verb(sql))
        return self._con.executemany(sql, *values)

    def _count(self, verb: str) -> None:
        if verb in _LASTING or not (self._is_open or verb in _READS):
            self._fuse.call(f"duckdb {verb}")
        self._is_open = verb == "BEGIN" or (self._is_open and verb not in ("COMMIT", "ROLLBACK"))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._con, name)


def _verb(sql: str) -> str:
    words = sql.split(maxsplit=1)
    return words[0].upper() if words else ""
