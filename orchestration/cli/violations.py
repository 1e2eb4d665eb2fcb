"""`optout violations`: every send after an opt-out that covered it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import click
from duckdb import DuckDBPyConnection

from optout.nightly import latest_night
from optout.project import Project
from orchestration.cli.common import (
    EXIT_MISSED,
    EXIT_OK,
    Invocation,
    iso,
    parse_date,
    published,
)
from orchestration.cli.rows import (
    Listing,
    Output,
    Row,
    category_option,
    known_place,
    output_options,
    streamed,
    system_option,
)

GRADES = ("warning", "breach", "legal_breach")
_FIELDS = (
    "system", "category", "contact_key", "opted_out_at", "sent_at", "campaign", "grade",
    "beyond_strict", "strict_deadline", "legal_deadline",
)  # fmt: skip
_COLUMNS = {
    "grade": "Grade", "system": "System", "category": "Category", "contact_key": "Contact key",
    "opted_out_at": "Opted out", "sent_at": "Sent", "strict_deadline": "Strict deadline",
}  # fmt: skip


@click.command(name="violations")
@click.option("--grade", type=click.Choice(GRADES), help="Only this grade.")
@system_option
@category_option
@click.option("--since", help="Only sends on or after this date (UTC).")
@output_options
@click.pass_obj
def command(
    invocation: Invocation,
    /,
    grade: str | None,
    system: str | None,
    category: str | None,
    since: str | None,
    output: Output,
) -> int:
    """Show sends after an opt-out: a warning after its receipt, a breach after the strict deadline,
    a legal breach after the legal one. Exit code 1 where there is any."""
    project = invocation.project()
    known_place(project, system, category)
    rows = read_violations(project, grade, system, category, parse_date(since))
    nothing = "No send after an opt-out was found."
    listing = Listing("violations", _FIELDS, ("grade", "system"), _COLUMNS, nothing)
    count = sum(1 for _ in listing.write(project, rows, output))
    for why in _unseen(project):
        click.echo(f"not judged: {why}", err=True)
    return EXIT_MISSED if count else EXIT_OK


def read_violations(
    project: Project,
    grade: str | None = None,
    system: str | None = None,
    category: str | None = None,
    since: date | None = None,
) -> Iterator[Row]:
    """Violations in the contract's shape, the gravest first, then the latest."""
    with published(project) as con:
        cursor = con.execute(
            """
            SELECT system, category, contact_key::VARCHAR, opted_out_at, sent_at, campaign_id,
                   grade, beyond_strict, strict_deadline, legal_deadline
            FROM audit.violation
            WHERE ($grade IS NULL OR grade = $grade)
              AND ($system IS NULL OR system = $system)
              AND ($category IS NULL OR category = $category)
              AND ($since IS NULL OR sent_at >= $since)
            ORDER BY grade = 'warning', grade = 'breach', sent_at DESC, system, contact_key,
                     event_key
            """,
            {"grade": grade, "system": system, "category": category, "since": since},
        )
        for row in streamed(cursor):
            yield _shaped(dict(zip(_FIELDS, row, strict=True)))


def _shaped(row: Row) -> Row:
    return row | {
        "opted_out_at": iso(row["opted_out_at"]),
        "sent_at": iso(row["sent_at"]),
        "strict_deadline": row["strict_deadline"].isoformat(),
        "legal_deadline": row["legal_deadline"].isoformat(),
    }


def _unseen(project: Project) -> Iterator[str]:
    """Systems of which the last night cannot say what they sent."""
    with published(project) as con:
        found = latest_night(con)
        if found is not None:
            yield from _notes(con, found[0])


def _notes(con: DuckDBPyConnection, night: date) -> list[str]:
    rows = con.execute(
        "SELECT note FROM mart.metric_daily WHERE night = $night AND metric = 'violations'"
        " AND status = 'unknown' AND system IS NOT NULL AND category IS NULL AND note IS NOT NULL"
        " ORDER BY system",
        {"night": night},
    ).fetchall()
    return list(dict.fromkeys(row[0] for row in rows))
