"""The archive of finished reports, and of the pages of earlier nights."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dashboards import words
from dashboards.blocks import Block, Column, Empty, Section, Table
from dashboards.data import Published
from dashboards.frame import Frame
from dashboards.page import Page, Places, section

_SHOWN_ROWS = 300
_FORMS = {"report.html": "page", "report.pdf": "PDF", "report.json": "JSON"}


def build(data: Published, places: Places) -> Sequence[Section]:
    """The sections of the page."""
    return [
        section(
            "archive",
            "Reports",
            lambda: _archive(places),
            lead="Each states its period, which sources were complete, what could not be "
            "compared, and the head of the chain.",
        ),
        section(
            "nights",
            "Pages of earlier nights",
            lambda: _nights(data, places),
            lead="As they were built.",
        ),
    ]


def _archive(places: Places) -> list[Block]:
    """`<data_dir>/reports/<kind>/<period>/`, as `optout.reports.archive` writes them."""
    folders = sorted(
        (f.parent for f in places.reports.glob("*/*/report.json")) if places.reports else (),
        key=lambda f: (f.name, f.parent.name),
        reverse=True,
    )
    if not folders:
        return [Empty("No report was written yet.", "Write one with", "optout report daily")]
    columns = (
        Column("period", "Period", "name"),
        Column("kind", "Report", "title"),
        Column("files", "Read", "links"),
        Column("tables", "Tables", "links"),
    )
    rows = [
        (
            folder.name,
            folder.parent.name,
            [(_link(folder / f, places), w) for f, w in _FORMS.items() if (folder / f).exists()],
            [(_link(f, places), f.name) for f in sorted(folder.glob("*.csv"))],
        )
        for folder in folders[:_SHOWN_ROWS]
    ]
    frame = Frame.of([c.name for c in columns], rows)
    return [Table("reports-table", "The latest period first", columns, frame, total=len(folders))]


def _link(file: Path, places: Places) -> str:
    """From a page of any night, all of which lie one folder below the site's."""
    start = (places.site or Path()).absolute() / "night"
    return Path(os.path.relpath(file.absolute(), start)).as_posix()


def _nights(data: Published, places: Places) -> list[Block]:
    columns = (
        Column("night", "Night", "night"),
        Column("kind", "Run", "title"),
        Column("pages", "Pages", "links"),
    )
    rows = []
    for row in data.frame("nights"):
        name = row["night"].isoformat()
        if row["night"] == data.night:
            continue
        was_built = places.site is not None and (places.site / name).is_dir()
        said = f"Pages of {words.day(row['night'])}"
        pages = [(f"../{name}/index.html", said)] if was_built else []
        rows.append((row["night"], row["kind"], pages))
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
