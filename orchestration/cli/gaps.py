"""`optout gaps`: every change whose record in its own system is missing or incomplete."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from optout.project import Project
from optout.rules.trail import GapKind
from orchestration.cli.common import EXIT_MISSED, EXIT_OK, Invocation, echo_json, iso, published
from orchestration.cli.reveal import addresses_of

_COLUMNS = ("kind", "system", "field", "contact_key", "at", "source", "missing")
_SHOWN_ROWS = 50


@click.command(name="gaps")
@click.option("--kind", type=click.Choice([k.value for k in GapKind]))
@click.option("--system", help="Only this system.")
@click.option("--json", "as_program", is_flag=True, help="One JSON object a line.")
@click.option("--csv", "csv_file", type=click.Path(path_type=Path, dir_okay=False, writable=True))
@click.option("--reveal", is_flag=True, help="Show addresses; this is recorded.")
@click.pass_obj
def command(
    invocation: Invocation,
    kind: str | None,
    system: str | None,
    as_program: bool,
    csv_file: Path | None,
    reveal: bool,
) -> int:
    """Show the gaps of the audit trail as of the last night, oldest first. Exit code 1 where there
    is any."""
    project = invocation.project()
    if system:
        project.settings.system(system)
    rows = list(read_gaps(project, kind, system))
    if reveal:
        keys = {row["contact_key"] for row in rows if row["contact_key"]}
        known = addresses_of(project, keys, "gaps")
        rows = [{**row, "address": known.get(row["contact_key"])} for row in rows]
    if csv_file:
        _write_csv(csv_file, rows, [*_COLUMNS, "address"] if reveal else list(_COLUMNS))
    if as_program:
        for row in rows:
            echo_json(row)
    elif not csv_file:
        _echo(rows, reveal)
    return EXIT_MISSED if rows else EXIT_OK


def read_gaps(project: Project, kind: str | None, system: str | None) -> Iterator[dict[str, Any]]:
    """The gaps in the contract's shape. `field` is a category or `global`, null where nobody can
    tell; `missing` the required field of `missing_required_field`, else null."""
    source: AbstractContextManager[Any] = published(project)
    with source as con:
        cursor = con.execute(
            """
            SELECT kind, system, field, contact_key::VARCHAR, occurred_at, source, missing
            FROM audit.trail_gap
            WHERE ($kind IS NULL OR kind = $kind) AND ($system IS NULL OR system = $system)
            ORDER BY occurred_at NULLS LAST, system, kind, field, contact_key, missing, gap_id
            """,
            {"kind": kind, "system": system},
        )
        while batch := cursor.fetchmany(10_000):
            for row in batch:
                told = dict(zip(_COLUMNS, row, strict=True))
                yield told | {"at": iso(told["at"])}


def _write_csv(path: Path, rows: list[dict[str, Any]], fields: list[str]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        writer.writerows(rows)
    click.echo(f"{len(rows):,} rows written to {path}", err=True)


def _echo(rows: list[dict[str, Any]], reveal: bool) -> None:
    console = Console(width=max(120, Console().width), highlight=False)
    if not rows:
        console.print("Every known change is recorded completely.")
        return
    summary = Table("System", "Kind", "Gaps")
    counts = Counter((row["system"], row["kind"]) for row in rows)
    for (system, kind), count in sorted(counts.items()):
        summary.add_row(system, kind, f"{count:,}")
    console.print(summary)
    table = Table(
        "System", "Kind", "Field", "Address" if reveal else "Contact key", "At", "Source", "Missing"
    )
    for row in rows[:_SHOWN_ROWS]:
        person = (row["address"] or "unknown") if reveal else row["contact_key"]
        table.add_row(
            row["system"], row["kind"], row["field"] or "unknown", person or "",
            row["at"] or "unknown", row["source"], row["missing"] or "",
        )  # fmt: skip
    console.print(table)
    if len(rows) > _SHOWN_ROWS:
        console.print(f"... and {len(rows) - _SHOWN_ROWS:,} more: use --csv or --json.")
