"""An auditor's package: the pages of every night of a period, its figures, rows and reports, with a
list of what is in it. Nobody's address is in any of these files."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from dashboards.build import FOLDER
from dashboards.data import NotMeasured, Published
from optout.errors import UsageError
from optout.files import make_dir, sync_dir
from optout.reports.periods import Period, Span, period_of

QUERIES = {
    "figures.csv": "metrics_period",
    "nights.csv": "sources_period",
    "drift.csv": "drift_period",
    "violations.csv": "violations",
    "trail_gaps.csv": "trail_gaps",
    "chain_heads.csv": "chain_heads",
}
"""Table of the package → the query that fills it."""
_FIXED = (1980, 1, 1, 0, 0, 0)
"""Members bear no clock, so that the same evidence gives the same file."""


@dataclass(frozen=True)
class Package:
    """A finished package."""

    path: Path
    first: date
    last: date
    nights: int
    """Nights of the period whose pages are in it."""
    missing: tuple[date, ...]
    """Nights of the period that were run and whose pages are not there."""
    sha256: str


def quarter(text: str) -> Period:
    """`2026-Q3` as days; raises UsageError."""
    year, _, number = text.partition("-Q")
    if not (year.isdigit() and number in ("1", "2", "3", "4")):
        raise UsageError(f"'{text}' is no quarter", mend="Write it as 2026-Q3")
    return period_of(Span.QUARTER, date(int(year), 3 * int(number), 1))


def package(data: Published, published: Path, target: Path, first: date, last: date) -> Package:
    """Write the package of a period to `target` (a zip file). `published` is the folder of the
    copy and the site; the reports lie beside it."""
    make_dir(target.parent)
    fresh = target.with_name(f".{target.name}.new")
    wanted = [r["night"] for r in data.frame("nights", first=first) if r["night"] <= last]
    folders = {n: published / FOLDER / n.isoformat() for n in wanted}
    present = [n for n in wanted if folders[n].is_dir()]
    listed: dict[str, str] = {}
    try:
        with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in _members(data, published, folders, present, first, last):
                listed[name] = hashlib.sha256(content).hexdigest()
                archive.writestr(_member(name), content)
            told = {
                "period": [first.isoformat(), last.isoformat()],
                "nights_run": len(wanted),
                "nights_with_pages": len(present),
                "chain_head": data.chain_head,
                "files": listed,
            }
            archive.writestr(_member("contents.json"), json.dumps(told, indent=1, sort_keys=True))
        fresh.chmod(0o600)
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)
    sync_dir(target.parent)
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    missing = tuple(n for n in wanted if n not in present)
    return Package(target, first, last, len(present), missing, digest)


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _FIXED)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    return info


def _members(
    data: Published,
    published: Path,
    folders: dict[date, Path],
    present: list[date],
    first: date,
    last: date,
) -> Iterator[tuple[str, bytes]]:
    for night in present:
        for file in sorted(folders[night].iterdir()):
            yield f"pages/{night}/{file.name}", file.read_bytes()
    for file in sorted((published / FOLDER / "assets").glob("*.js")):
        yield f"pages/assets/{file.name}", file.read_bytes()
    yield from _tables(data, published, first, last)
    names = _periods(first, last)
    for file in sorted((published.parent / "reports").glob("*/*/*")):
        if file.parent.name in names:
            yield "/".join(("reports", *file.parts[-3:])), file.read_bytes()


def _tables(
    data: Published, published: Path, first: date, last: date
) -> Iterator[tuple[str, bytes]]:
    scratch = published / ".evidence.csv"
    try:
        for name, query in QUERIES.items():
            try:
                data.export(query, scratch, first=first, last=last)
            except NotMeasured:
                continue
            yield f"tables/{name}", scratch.read_bytes()
    finally:
        scratch.unlink(missing_ok=True)


def _periods(first: date, last: date) -> set[str]:
    """The names of all periods that lie in the days from `first` to `last`."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    found = (period_of(span, day) for span in Span for day in days)
    return {p.name for p in found if first <= p.since and p.until <= last}
