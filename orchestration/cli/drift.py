"""`optout drift`: every cell that is not what is expected."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from optout.errors import UsageError
from optout.model import DriftClass
from optout.nightly import latest_night
from optout.project import Project
from orchestration.cli.common import EXIT_MISSED, EXIT_OK, Invocation, echo_json, iso, published
from orchestration.cli.reveal import addresses_of

_INFORMATION = (DriftClass.MISSING_HERE, DriftClass.NOT_COMPARABLE)
_SHOWN_ROWS = 50


@click.command(name="drift")
@click.option("--class", "drift_class", type=click.Choice([c.value for c in DriftClass]))
@click.option("--system", help="Only this system.")
@click.option("--category", help="Only this category.")
@click.option("--json", "as_program", is_flag=True, help="One JSON object a line.")
@click.option("--csv", "csv_file", type=click.Path(path_type=Path, dir_okay=False, writable=True))
@click.option("--reveal", is_flag=True, help="Show addresses; this is recorded.")
@click.pass_obj
def command(
    invocation: Invocation,
    drift_class: str | None,
    system: str | None,
    category: str | None,
    as_program: bool,
    csv_file: Path | None,
    reveal: bool,
) -> int:
    """Show open drift as of the last night. Exit code 1 where somebody is wrongly mailable,
    an opt-out is lost or somebody is wrongly blocked."""
    project = invocation.project()
    if system:
        project.settings.system(system)
    if category and category not in project.settings.categories:
        names = ", ".join(project.settings.categories)
        raise UsageError(f"there is no category '{category}'", mend=f"Use one of: {names}")
    rows = list(read_drift(project, drift_class, system, category))
    if reveal:
        known = addresses_of(project, {r["contact_key"] for r in rows}, "drift")
        rows = [{**r, "address": known.get(r["contact_key"])} for r in rows]
    if csv_file:
        _write_csv(csv_file, rows, reveal)
    if as_program:
        for row in rows:
            echo_json(row)
    elif not csv_file:
        _echo(rows, reveal)
    return EXIT_MISSED if any(r["class"] not in _INFORMATION for r in rows) else EXIT_OK


def read_drift(
    project: Project, drift_class: str | None, system: str | None, category: str | None
) -> Iterator[dict[str, Any]]:
    """Open drift rows in the contract's shape, worst class first."""
    source: AbstractContextManager[Any] = published(project)
    with source as con:
        found = latest_night(con)
        if found is None:
            return
        cursor = con.execute(
            """
            SELECT class, system, category, contact_key::VARCHAR, expected, actual, reason, store,
                   opened_at, opened_night, decided_system, decided_at, decided_source
            FROM audit.drift
            WHERE closed_night IS NULL
              AND ($class IS NULL OR class = $class)
              AND ($system IS NULL OR system = $system)
              AND ($category IS NULL OR category IS NULL OR category = $category)
            ORDER BY class, system, category, opened_night, contact_key
            """,
            {"class": drift_class, "system": system, "category": category},
        )
        mapped = {c.name: tuple(c.categories) for c in project.settings.esp}
        while batch := cursor.fetchmany(10_000):
            for row in batch:
                yield from _cells(_shaped(row, found[0]), mapped, category)


def _cells(
    row: dict[str, Any], mapped: Mapping[str, tuple[str, ...]], wanted: str | None
) -> Iterator[dict[str, Any]]:
    """A row that holds for every category of its system is stored once and told cell by cell."""
    if row["category"] is not None or row["system"] not in mapped:
        yield row
        return
    for category in mapped[row["system"]]:
        if wanted in (None, category):
            yield {**row, "category": category}


def _shaped(row: tuple[Any, ...], night: date) -> dict[str, Any]:
    name, system, category, key, expected, actual, reason, store, opened, first, by, at, source = (
        row
    )
    decided = None if by is None else {"system": by, "occurred_at": iso(at), "source": source}
    return {
        "class": name,
        "system": system,
        "category": category,
        "contact_key": key,
        "expected": expected,
        "actual": actual,
        "reason": reason,
        "store": store,
        "opened_at": iso(opened),
        "age_nights": (night - first).days,
        "decided_by": decided,
    }


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    decided = row["decided_by"] or {}
    flat = {k: v for k, v in row.items() if k != "decided_by"}
    return flat | {
        "decided_by_system": decided.get("system"),
        "decided_by_occurred_at": decided.get("occurred_at"),
        "decided_by_source": decided.get("source"),
    }


def _write_csv(path: Path, rows: list[dict[str, Any]], reveal: bool) -> None:
    fields = [
        "class", "system", "category", "contact_key", "expected", "actual", "reason", "store",
        "opened_at", "age_nights", "decided_by_system", "decided_by_occurred_at",
        "decided_by_source",
    ]  # fmt: skip
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*fields, "address"] if reveal else fields)
        writer.writeheader()
        writer.writerows(_flat(row) for row in rows)
    click.echo(f"{len(rows):,} rows written to {path}", err=True)


def _echo(rows: list[dict[str, Any]], reveal: bool) -> None:
    console = Console(width=max(120, Console().width), highlight=False)
    if not rows:
        console.print("No drift is open.")
        return
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        place = (row["class"], row["system"])
        counts[place] = counts.get(place, 0) + 1
    summary = Table("Class", "System", "Cells")
    for (name, system), count in sorted(counts.items()):
        summary.add_row(name, system, f"{count:,}")
    console.print(summary)
    who = "Address" if reveal else "Contact key"
    table = Table("Class", "System", "Category", who, "Expected", "Actual", "Reason", "Nights")
    for row in rows[:_SHOWN_ROWS]:
        person = (row["address"] or "unknown") if reveal else row["contact_key"]
        table.add_row(
            row["class"], row["system"], row["category"] or "all", person, row["expected"] or "",
            row["actual"] or "", row["reason"] or "", str(row["age_nights"]),
        )  # fmt: skip
    console.print(table)
    if len(rows) > _SHOWN_ROWS:
        console.print(f"... and {len(rows) - _SHOWN_ROWS:,} more: use --csv or --json.")
