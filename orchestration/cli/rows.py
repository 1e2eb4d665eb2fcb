"""What the commands that list rows share: filters, addresses on request, JSON, CSV, a table."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from optout.errors import UsageError
from optout.project import Project
from orchestration.cli.common import echo_json
from orchestration.cli.reveal import addresses_of

Row = dict[str, Any]
SHOWN_ROWS = 50
_KEY_WIDTH = 36


@dataclass(frozen=True)
class Output:
    """How the rows are wanted."""

    as_program: bool = False
    csv_file: Path | None = None
    reveal: bool = False


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--json`, `--csv` and `--reveal`, as the parameters `as_program`, `csv_file`, `reveal`."""
    path = click.Path(path_type=Path, dir_okay=False, writable=True)
    for option in (
        click.option("--reveal", is_flag=True, help="Show addresses; this is recorded."),
        click.option("--csv", "csv_file", type=path, help="Write them to this file."),
        click.option("--json", "as_program", is_flag=True, help="One JSON object a line."),
    ):
        command = option(command)
    return command


def known_place(project: Project, system: str | None, category: str | None) -> None:
    """Refuse a system or category that is not configured; raises OptoutError."""
    if system:
        project.settings.system(system)
    if category and category not in project.settings.categories:
        names = ", ".join(project.settings.categories)
        raise UsageError(f"there is no category '{category}'", mend=f"Use one of: {names}")


def revealed(project: Project, rows: Iterable[Row], purpose: str) -> list[Row]:
    """The rows with `address` beside each key; who asked is recorded first."""
    found = list(rows)
    known = addresses_of(project, {row["contact_key"] for row in found}, purpose)
    return [{**row, "address": known.get(row["contact_key"])} for row in found]


def write_rows(
    rows: Iterable[Row],
    output: Output,
    *,
    fields: Sequence[str],
    flat: Callable[[Row], Row] = dict,
) -> Iterator[Row]:
    """Pass the rows on while they are written as JSON lines, and to the file; `fields` are the
    columns of the file, `flat` makes a row fit into them."""
    if output.csv_file is None:
        for row in rows:
            if output.as_program:
                echo_json(row)
            yield row
        return
    count = 0
    columns = [*fields, "address"] if output.reveal else list(fields)
    with output.csv_file.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for row in rows:
            writer.writerow(flat(row))
            if output.as_program:
                echo_json(row)
            count += 1
            yield row
    click.echo(f"{count:,} rows written to {output.csv_file}", err=True)


class Summary:
    """Counts by the first columns and the first rows, for people; takes rows as they pass."""

    def __init__(self, by: Sequence[str], columns: Mapping[str, str], nothing: str) -> None:
        self._by = by
        self._columns = columns
        """Key of a row → heading; `contact_key` shows the address where there is one."""
        self._nothing = nothing
        self._counts: dict[tuple[str, ...], int] = {}
        self._first: list[Row] = []

    def take(self, row: Row) -> None:
        """Count a row."""
        place = tuple(_text(row[name]) for name in self._by)
        self._counts[place] = self._counts.get(place, 0) + 1
        if len(self._first) < SHOWN_ROWS:
            self._first.append(row)

    def show(self) -> None:
        """Print what was taken."""
        console = Console(width=max(120, Console().width), highlight=False)
        if not self._first:
            console.print(self._nothing)
            return
        summary = Table(*(self._columns[name] for name in self._by), "Rows")
        for place, count in sorted(self._counts.items()):
            summary.add_row(*place, f"{count:,}")
        console.print(summary)
        reveal = "address" in self._first[0]
        headings = [
            "Address" if reveal and name == "contact_key" else heading
            for name, heading in self._columns.items()
        ]
        table = Table()
        for heading, name in zip(headings, self._columns, strict=True):
            width = _KEY_WIDTH if name == "contact_key" else None
            table.add_column(heading, overflow="fold", min_width=width)
        for row in self._first:
            table.add_row(*(_text(_shown(row, name)) for name in self._columns))
        console.print(table)
        more = sum(self._counts.values()) - len(self._first)
        if more:
            console.print(f"... and {more:,} more: use --csv or --json.")


def _shown(row: Row, name: str) -> Any:
    if name == "contact_key" and "address" in row:
        return row["address"] or "unknown"
    if name.endswith("_at") and row[name]:
        return row[name][:16].replace("T", " ")
    return row[name]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
