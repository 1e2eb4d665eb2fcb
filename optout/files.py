"""Files that are either whole or not there, and that only their owner can read."""

from __future__ import annotations

import os
from pathlib import Path

_DIRECTORY_MODE = 0o700
_FILE_MODE = 0o600


def make_dir(path: Path) -> Path:
    """Create a folder (and its parents) for the owner alone; returns it."""
    for missing in [each for each in reversed(path.parents) if not each.exists()]:
        # `parents=True` would give these the mode that everybody can read.
        missing.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
    path.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
    return path


def write_atomic(path: Path, data: bytes) -> None:
    """Put `data` at `path` so that a crash leaves the old file or the new, never a half.

    The name is durable only after `sync_dir` of the folder; several files can share one.
    """
    temporary = path.with_name(path.name + ".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def sync_dir(path: Path) -> None:
    """Make renames in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
