"""What the commands that list rows share: filters, addresses on request, JSON, CSV, a table."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click
from duckdb import DuckDBPyConnection
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


system_option = click.option("--system", help="Only this system.")
category_option = click.option("--category", help="Only this category.")


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--json`, `--csv` and `--reveal`, handed to the command as its `output`."""

    @wraps(command)
    def with_output(
        *args: Any, as_program: bool, csv_file: Path | None, reveal: bool, **options: Any
    ) -> Any:
        return command(*args, output=Output(as_program, csv_file, reveal), **options)

    path = click.Path(path_type=Path, dir_okay=False, writable=True)
    decorated: Callable[..., Any] = with_output
    for option in (
        click.option("--reveal", is_flag=True, help="Show addresses; this is recorded."),
        click.option("--csv", "csv_file", type=path, help="Write them to this file."),
        click.option("--json", "as_program", is_flag=True, help="One JSON object a line."),
    ):
        decorated = option(decorated)
    return decorated


def known_place(project: Project, system: str | None, category: str | None) -> None:
    """Refuse a system or category that is not configured; raises OptoutError."""
    if system:
        project.settings.system(system)
    if category and category not in project.settings.categories:
        names = ", ".join(project.settings.categories)
        raise UsageError(f"there is no category '{category}'", mend=f"Use one of: {names}")


def streamed(cursor: DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    """The rows of an answer that may be larger than memory."""
    while batch := cursor.fetchmany(10_000):
        yield from batch


@dataclass(frozen=True)
class Listing:
    """What a command's rows look like."""

    purpose: str
    """Recorded with who asked for addresses."""
    fields: Sequence[str]
    """The columns of the CSV file."""
    by: Sequence[str]
    """What people see counted."""
    columns: Mapping[str, str]
    """Key of a row → heading, of what people see."""
    nothing: str
    """What they are told where there is no row."""
    flat: Callable[[Row], Row] = dict
    """Makes a row fit into the file's columns."""
    shown: Callable[[Row], Row] = dict
    """Makes a row fit for people."""

    def write(self, project: Project, rows: Iterable[Row], output: Output) -> Iterator[Row]:
        """Pass the rows on while they are written as wanted, and at their end show people the
        summary; must be read to the end."""
        if output.reveal:
            rows = _revealed(project, rows, self.purpose)
        summary = Summary(self.by, self.columns, self.nothing)
        for row in _written(rows, output, self):
            summary.take(self.shown(row))
            yield row
        if not output.as_program and not output.csv_file:
            summary.show()


def _revealed(project: Project, rows: Iterable[Row], purpose: str) -> list[Row]:
    """The rows with `address` beside each key; who asked is recorded first."""
    found = list(rows)
    known = addresses_of(project, {row["contact_key"] for row in found} - {None}, purpose)
    return [{**row, "address": known.get(row["contact_key"])} for row in found]


def _written(rows: Iterable[Row], output: Output, listing: Listing) -> Iterator[Row]:
    """Pass the rows on while they are written as JSON lines, and to the file."""
    if output.csv_file is None:
        for row in rows:
            if output.as_program:
                echo_json(row)
            yield row
        return
    count = 0
    columns = [*listing.fields, "address"] if output.reveal else list(listing.fields)
    with output.csv_file.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for row in rows:
            writer.writerow(listing.flat(row))
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
