"""What notebooks begin with: one night of the published copy, open until the kernel ends."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import date
from pathlib import Path

from dashboards.data import Published, open_published
from dashboards.frame import Frame

_OPEN = ExitStack()


def night(day: date | str | None = None, path: Path | None = None) -> Published:
    """The last published night, or another: of `path`, else of OPTOUT_PUBLISHED, else of the
    optout.toml of this folder or the one above. Raises UsageError where there is none."""
    if isinstance(day, str):
        day = date.fromisoformat(day)
    return _OPEN.enter_context(open_published(path, night=day))


def counted(frame: Frame, *by: str, value: str = "") -> Frame:
    """How many rows (or the sum of `value`) there are for each combination, the most first."""
    totals: dict[tuple[object, ...], int] = {}
    for row in frame:
        key = tuple(row[name] for name in by)
        totals[key] = totals.get(key, 0) + (row[value] if value else 1)
    ranked = sorted(totals.items(), key=lambda item: (-item[1], str(item[0])))
    return Frame.of((*by, value or "rows"), [(*key, total) for key, total in ranked])
