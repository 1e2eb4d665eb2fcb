"""What a person's rights ask of pages that were built already: to be taken out of them, and to bear
another key. Rows stand on a line of their own, in pages as in CSV files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from optout.files import storage, sync_dir

_ENDINGS = (".html", ".csv")
Change = Callable[[str], str]
"""A line, its end included, into what shall stand there; empty: nothing."""


def forget(site: Path, keys: Collection[str]) -> int:
    """Take every row about these contact keys out of all nights and lists; returns how many rows
    went.

    Running it again finds nothing. Counts and figures stay: they are about nobody.
    """
    return _rewrite(site, lambda line: "" if any(key in line for key in keys) else line)


def rename(site: Path, keys: Mapping[str, str]) -> int:
    """Give contact keys their new names in all nights and lists; returns how many rows bore one."""

    def renamed(line: str) -> str:
        for old, new in keys.items():
            line = line.replace(old, new)
        return line

    return _rewrite(site, renamed)


def _rewrite(site: Path, change: Change) -> int:
    """Returns how many lines are no longer as they were."""
    changed = 0
    for folder in _builds(site):
        files = [file for file in sorted(folder.iterdir()) if file.suffix in _ENDINGS]
        changed += sum(_rewrite_file(file, change) for file in files)
        sync_dir(folder)
    return changed


def _rewrite_file(file: Path, change: Change) -> int:
    """Line by line, because a list of everybody fits no memory; whole or not at all."""
    with file.open(encoding="utf-8", newline="") as lines:
        changed = sum(change(line) != line for line in lines)
    if not changed:
        return 0
    temporary = file.with_name(f"{file.name}.tmp")
    with storage(file):
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with (
            file.open(encoding="utf-8", newline="") as lines,
            os.fdopen(descriptor, "w", encoding="utf-8", newline="") as fresh,
        ):
            fresh.writelines(map(change, lines))
            fresh.flush()
            os.fsync(fresh.fileno())
        temporary.replace(file)
    return changed


def _builds(site: Path) -> Iterator[Path]:
    if site.is_dir():
        found = (p for p in site.iterdir() if p.is_dir() and not p.is_symlink())
        yield from sorted(p for p in found if p.name != "assets")
