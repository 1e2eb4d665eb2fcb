"""Files that are either whole or not there, and that only their owner can read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES, EDQUOT, EFBIG, ENOSPC, EPERM, EROFS
from pathlib import Path

from optout.errors import StorageError

_DIRECTORY_MODE = 0o700
_FILE_MODE = 0o600


_NO_SPACE = frozenset({ENOSPC, EDQUOT, EFBIG})
_NO_RIGHT = frozenset({EACCES, EPERM, EROFS})


@contextmanager
def storage(path: Path) -> Iterator[None]:
    """Raise a StorageError, which names `path` and the mend, where the operating system refuses.

    Not around requests: their errors are of the same family.
    """
    try:
        yield
    except OSError as error:
        raise storage_error(path, error) from None


def storage_error(path: Path, error: OSError) -> StorageError:
    """The refusal in a person's words."""
    place = "/".join(path.parts[-4:])
    if error.errno in _NO_SPACE:
        mend = "Make room and run the night again: what was read is kept"
        return StorageError(f"there is no space left to write {place}", mend=mend)
    reason = error.strerror or type(error).__name__
    if error.errno in _NO_RIGHT:
        mend = "Give the data folder to the user that runs optout, on a disk that can be written"
        return StorageError(f"{place} cannot be used ({reason})", mend=mend)
    mend = "Mend the disk or the folder and run the night again"
    return StorageError(f"{place} cannot be used ({reason})", mend=mend)


def make_dir(path: Path) -> Path:
    """Create a folder (and its parents) for the owner alone; returns it; raises StorageError."""
    with storage(path):
        for missing in [each for each in reversed(path.parents) if not each.exists()]:
            # `parents=True` would give these the mode that everybody can read.
            missing.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
        path.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
    return path


def write_atomic(path: Path, data: bytes) -> None:
    """Put `data` at `path` so that a crash leaves the old file or the new, never a half.

    The name is durable only after `sync_dir` of the folder; several files can share one.
    Raises StorageError.
    """
    temporary = path.with_name(path.name + ".tmp")
    with storage(path):
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


def sync_dir(path: Path) -> None:
    """Make renames in a folder durable; raises StorageError."""
    with storage(path):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
