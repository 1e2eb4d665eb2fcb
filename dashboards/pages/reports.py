"""The archive of finished reports, and of the pages of earlier nights."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from dashboards import words
from dashboards.blocks import Block, Column, Empty, Section, Table
from dashboards.data import Published
from dashboards.frame import Frame
from dashboards.page import Page, Places, section

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{4}-Q[1-4]|\d{4}-W\d{2}|\d{4}-\d{2}")
_SHOWN_ROWS = 300
_ENDINGS = (".html", ".pdf", ".csv", ".json")


def build(data: Published, places: Places) -> Sequence[Section]:
    """The sections of the page."""
    return [
        section(
            "archive",
            "Reports",
            lambda: _archive(data, places),
            lead="Each states its period, which sources were complete, what could not be "
            "compared, and the head of the chain.",
        ),
        section(
            "nights",
            "Pages of earlier nights",
            lambda: _nights(data),
            lead="As they were built, unchanged.",
        ),
    ]


def _archive(data: Published, places: Places) -> list[Block]:
    files = _files(places.reports, data)
    if not files:
        return [Empty("No report was written yet.", "Write one with", "optout report daily")]
    rows = [
        (
            _period(file),
            words.title(
                file.parent.name if file.parent != places.reports else file.stem.split("-")[0]
            ),
            (f"../../{file.relative_to(places.reports.parent).as_posix()}", file.name),
        )
        for file in files[:_SHOWN_ROWS]
        if places.reports
    ]
    columns = (
        Column("period", "Period"),
        Column("kind", "Report"),
        Column("file", "File", "link"),
    )
    frame = Frame.of([c.name for c in columns], rows)
    return [Table("reports-table", "Newest first", columns, frame, total=len(files))]


def _files(folder: Path | None, data: Published) -> list[Path]:
    """Reports up to the night, newest period first; a night's page lists what was there then."""
    if folder is None or not folder.exists():
        return []
    found = [f for f in folder.rglob("*") if f.suffix in _ENDINGS and f.is_file()]
    night = data.night.isoformat()
    known = [f for f in found if _period(f)[:10] <= night or "-W" in f.name or "-Q" in f.name]
    return sorted(known, key=lambda f: (_period(f), f.as_posix()), reverse=True)


def _period(file: Path) -> str:
    match = _DATE.search(file.name) or _DATE.search(file.as_posix())
    return match[0] if match else words.NO_VALUE


def _nights(data: Published) -> list[Block]:
    columns = (Column("night", "Night", "night"), Column("pages", "Pages", "link"))
    rows = [
        (row["night"], (f"../{row['night']}/index.html", f"{row['night']}/index.html"))
        for row in data.frame("nights")
        if row["night"] != data.night
    ]
    rows.reverse()
    frame = Frame.of([c.name for c in columns], rows)
    return [Table("earlier", "Newest first", columns, frame, empty="This is the first night.")]


PAGE = Page(
    "reports",
    "Reports",
    "Where is what was reported before?",
    "Reference",
    build,
)
