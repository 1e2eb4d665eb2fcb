"""Where reports lie: `<data_dir>/reports/<kind>/<period>/`, each with the data it was made from.

`report.json` is the report; everything else beside it is rendered from that, and again when a
person is taken out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import orjson

from optout.errors import WarehouseError
from optout.files import make_dir, sync_dir, write_atomic
from optout.reports.document import Report, Row, Table, from_plain
from optout.reports.render_html import html
from optout.reports.render_pdf import pdf
from optout.reports.render_tables import csv_of, json

FOLDER = "reports"
DATA = "report.json"


def write(report: Report, root: Path) -> Path:
    """Write all formats under `root`; returns the folder. A report that stands there already is
    replaced, file by file, its data last."""
    folder = make_dir(root / report.kind / report.period)
    _render(report, folder)
    return folder


def folders(data_dir: Path) -> Iterator[Path]:
    """The folders of all reports that were written, oldest path first."""
    yield from sorted(path.parent for path in (data_dir / FOLDER).glob(f"*/*/{DATA}"))


def read(folder: Path) -> Report:
    """The report of a folder; raises WarehouseError where its data is damaged."""
    try:
        return from_plain(orjson.loads((folder / DATA).read_bytes()))
    except (orjson.JSONDecodeError, KeyError, TypeError):
        place = "/".join(folder.parts[-3:])
        raise WarehouseError(
            f"the report {place}/{DATA} is damaged", mend="Write it again with `optout report`"
        ) from None


def forget(folder: Path, is_about: Callable[[str], bool]) -> int:
    """Take a person out of a report and render it anew; returns how many rows."""
    report = read(folder)
    changed = {t.id: _without(t, is_about) for t in report.tables()}
    count = sum(len(t.rows) - len(changed[t.id].rows) for t in report.tables())
    if count:
        _render(report.with_tables(changed), folder)
    return count


def rename(folder: Path, keys: Mapping[str, str]) -> int:
    """Give contact keys in a report their new names; returns how many stood there."""
    report = read(folder)
    count = 0
    changed = {}
    for table in report.tables():
        rows = tuple(_renamed(row, keys) for row in table.rows)
        count += sum(a != b for a, b in zip(rows, table.rows, strict=True))
        changed[table.id] = replace(table, rows=rows)
    if count:
        _render(report.with_tables(changed), folder)
    return count


def _render(report: Report, folder: Path) -> None:
    write_atomic(folder / "report.html", html(report))
    write_atomic(folder / "report.pdf", pdf(report))
    for table in report.tables():
        write_atomic(folder / f"{table.id}.csv", csv_of(table))
    write_atomic(folder / DATA, json(report))
    sync_dir(folder)


def _without(table: Table, is_about: Callable[[str], bool]) -> Table:
    rows = tuple(
        row
        for row in table.rows
        if not any(is_about(value) for value in row.values() if isinstance(value, str))
    )
    return replace(table, rows=rows, erased=table.erased + len(table.rows) - len(rows))


def _renamed(row: Row, keys: Mapping[str, str]) -> Row:
    return {
        name: keys.get(value, value) if isinstance(value, str) else value
        for name, value in row.items()
    }
