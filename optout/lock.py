"""One night at a time: a lock file that says who holds it and dies with its holder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import orjson

from optout.errors import LockedError
from optout.files import make_dir, storage

_FILE = "run.lock"
_HELD: set[Path] = set()
"""Locks of this process: a step within a locked run must not wait for its own run."""


@contextmanager
def run_lock(data_dir: Path, what: str, now: datetime) -> Iterator[None]:
    """Hold the installation's lock; raises LockedError that names the holder.

    The kernel releases the lock when the process ends, however it ends. Taking it again within
    the process that holds it is allowed.
    """
    path = make_dir(data_dir).resolve() / _FILE
    if path in _HELD:
        yield
        return
    with storage(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _take(descriptor, path)
        note = {"pid": os.getpid(), "what": what, "since": now.isoformat(timespec="seconds")}
        with storage(path):
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, orjson.dumps(note), 0)
        _HELD.add(path)
        yield
    finally:
        _HELD.discard(path)
        os.close(descriptor)


def _take(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise LockedError(
            f"another run is at work ({_holder(path)})", mend="Wait until it has ended"
        ) from None


def _holder(path: Path) -> str:
    try:
        note = orjson.loads(path.read_bytes())
        return f"process {note['pid']}, {note['what']}, since {note['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "holder unknown"
