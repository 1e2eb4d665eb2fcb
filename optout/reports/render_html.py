"""A report as one HTML file: no script, nothing loaded from elsewhere, prints on A4."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, select_autoescape

from optout.reports import words
from optout.reports.document import Column, Report

MOST_ROWS = 300
"""Of a table on a page; all of them stand in the CSV beside it."""


def html(report: Report) -> bytes:
    """The page, UTF-8."""
    page = _environment().get_template("report.html.j2").render(report=report, most=MOST_ROWS)
    return page.encode()


@cache
def _environment() -> Environment:
    from jinja2 import FunctionLoader

    def load(name: str) -> str:
        return files("optout.reports").joinpath("templates", name).read_text(encoding="utf-8")

    made = Environment(
        loader=FunctionLoader(load),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"cell": cell, "is_number": is_number, "verdict": VERDICT}
    return made


VERDICT = {
    "met": "All promises were kept",
    "missed": "Promises were missed",
    "unknown": "Not everything could be measured",
}


def cell(row: dict[str, Any], column: Column) -> str:
    """One value as text."""
    return words.shown(row.get(column.name), column.kind, row)


def is_number(column: Column) -> bool:
    """Whether its values stand on the right."""
    return column.kind in ("count", "change", "share", "hours", "value")
