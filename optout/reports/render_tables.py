"""A report as JSON, and each of its tables as CSV, with all rows and plain values."""

from __future__ import annotations

import csv
import io

import orjson

from optout.reports.document import Report, Table, as_plain

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def json(report: Report) -> bytes:
    """The report itself: `optout.reports.document.from_plain` reads it back."""
    return orjson.dumps(as_plain(report), option=orjson.OPT_INDENT_2)


def csv_of(table: Table) -> bytes:
    """Header and rows, UTF-8; a table that was not measured says so in one row."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    if table.not_measured:
        writer.writerow(["not_measured"])
        writer.writerow([table.not_measured])
        return out.getvalue().encode()
    names = [column.name for column in table.columns]
    writer.writerow(names)
    for row in table.rows:
        writer.writerow([_safe(row.get(name)) for name in names])
    return out.getvalue().encode()


def _safe(value: object) -> object:
    """A vendor's word must not become a formula in a spreadsheet."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
