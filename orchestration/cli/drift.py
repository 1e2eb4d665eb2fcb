"""`optout drift`: every cell that is not what is expected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import click

from optout.model import DriftClass
from optout.nightly import latest_night
from optout.project import Project
from orchestration.cli.common import EXIT_MISSED, EXIT_OK, Invocation, iso, published
from orchestration.cli.rows import (
    Listing,
    Output,
    category_option,
    known_place,
    output_options,
    streamed,
    system_option,
)

_INFORMATION = (DriftClass.MISSING_HERE, DriftClass.NOT_COMPARABLE)
_FIELDS = (
    "class", "system", "category", "contact_key", "expected", "actual", "reason", "store",
    "opened_at", "age_nights", "decided_by_system", "decided_by_occurred_at", "decided_by_source",
)  # fmt: skip
_COLUMNS = {
    "class": "Class", "system": "System", "category": "Category", "contact_key": "Contact key",
    "expected": "Expected", "actual": "Actual", "reason": "Reason", "age_nights": "Nights",
}  # fmt: skip


@click.command(name="drift")
@click.option("--class", "drift_class", type=click.Choice([c.value for c in DriftClass]))
@system_option
@category_option
@output_options
@click.pass_obj
def command(
    invocation: Invocation,
    /,
    drift_class: str | None,
    system: str | None,
    category: str | None,
    output: Output,
) -> int:
    """Show open drift as of the last night. Exit code 1 where somebody is wrongly mailable,
    an opt-out is lost or somebody is wrongly blocked."""
    project = invocation.project()
    known_place(project, system, category)
    rows = read_drift(project, drift_class, system, category)
    nothing = "No drift is open."
    listing = Listing("drift", _FIELDS, ("class", "system"), _COLUMNS, nothing, _flat)
    is_missed = False
    for row in listing.write(project, rows, output):
        is_missed = is_missed or row["class"] not in _INFORMATION
    return EXIT_MISSED if is_missed else EXIT_OK


def read_drift(
    project: Project, drift_class: str | None, system: str | None, category: str | None
) -> Iterator[dict[str, Any]]:
    """Open drift rows in the contract's shape, worst class first."""
    with published(project) as con:
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
        for row in streamed(cursor):
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
