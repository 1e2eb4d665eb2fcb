"""`optout gaps`: every change whose record in its own system is missing or incomplete."""

from __future__ import annotations

from collections.abc import Iterator

import click

from optout.project import Project
from optout.rules.trail import GapKind
from orchestration.cli.common import EXIT_MISSED, EXIT_OK, Invocation, iso, published
from orchestration.cli.rows import (
    Listing,
    Output,
    Row,
    known_place,
    output_options,
    streamed,
    system_option,
)

_COLUMNS = {
    "kind": "Kind", "system": "System", "field": "Field", "contact_key": "Contact key", "at": "At",
    "source": "Source", "missing": "Missing",
}  # fmt: skip
_FIELDS = tuple(_COLUMNS)


@click.command(name="gaps")
@click.option("--kind", type=click.Choice([k.value for k in GapKind]))
@system_option
@output_options
@click.pass_obj
def command(invocation: Invocation, /, kind: str | None, system: str | None, output: Output) -> int:
    """Show the gaps of the audit trail as of the last night, oldest first. Exit code 1 where there
    is any."""
    project = invocation.project()
    known_place(project, system, None)
    nothing = "Every known change is recorded completely."
    listing = Listing("gaps", _FIELDS, ("system", "kind"), _COLUMNS, nothing, shown=_shown)
    count = sum(1 for _ in listing.write(project, read_gaps(project, kind, system), output))
    return EXIT_MISSED if count else EXIT_OK


def read_gaps(project: Project, kind: str | None, system: str | None) -> Iterator[Row]:
    """The gaps in the contract's shape. `field` is a category or `global`, null where nobody can
    tell; `missing` the required field of `missing_required_field`, else null."""
    with published(project) as con:
        cursor = con.execute(
            """
            SELECT kind, system, field, contact_key::VARCHAR, occurred_at, source, missing
            FROM audit.trail_gap
            WHERE ($kind IS NULL OR kind = $kind) AND ($system IS NULL OR system = $system)
            ORDER BY occurred_at NULLS LAST, system, kind, field, contact_key, missing, gap_id
            """,
            {"kind": kind, "system": system},
        )
        for row in streamed(cursor):
            told = dict(zip(_FIELDS, row, strict=True))
            yield told | {"at": iso(told["at"])}


def _shown(row: Row) -> Row:
    """Null is an answer: nobody can tell."""
    return row | {name: row[name] or "unknown" for name in ("field", "at")}
