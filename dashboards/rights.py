"""What a person's rights ask of pages that were built already: to be taken out of them, and to bear
another key. Rows stand on a line of their own, in pages as in CSV files.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from optout.files import sync_dir, write_atomic

_ENDINGS = (".html", ".csv")


def forget(site: Path, keys: Collection[str]) -> int:
    """Take every row about these contact keys out of all nights; returns how many rows went.

    Running it again finds nothing. Counts and figures stay: they are about nobody.
    """
    removed = 0

    def without(lines: list[str]) -> list[str]:
        nonlocal removed
        kept = [line for line in lines if not any(key in line for key in keys)]
        removed += len(lines) - len(kept)
        return kept

    _rewrite(site, without)
    return removed


def rename(site: Path, keys: Mapping[str, str]) -> int:
    """Give contact keys their new names in all nights; returns how many rows bore one."""
    changed = 0

    def renamed(lines: list[str]) -> list[str]:
        nonlocal changed
        result = []
        for line in lines:
            fresh = line
            for old, new in keys.items():
                fresh = fresh.replace(old, new)
            changed += fresh != line
            result.append(fresh)
        return result

    _rewrite(site, renamed)
    return changed


def _rewrite(site: Path, change: Callable[[list[str]], list[str]]) -> None:
    for folder in _builds(site):
        for file in sorted(folder.iterdir()):
            if file.suffix not in _ENDINGS:
                continue
            lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
            fresh = change(lines)
            if fresh != lines:
                write_atomic(file, "".join(fresh).encode())
        sync_dir(folder)


def _builds(site: Path) -> Iterator[Path]:
    if site.is_dir():
        found = (p for p in site.iterdir() if p.is_dir() and not p.is_symlink())
        yield from sorted(p for p in found if p.name != "assets")
