"""`optout consent`: what marketing mail to each person could rest on, and until when."""

from __future__ import annotations

from collections.abc import Iterator

import click

from optout.nightly import latest_night
from optout.project import Project
from optout.rules.consent import ConsentStatus
from optout.warehouse.consent import repermission_list
from orchestration.cli.common import EXIT_MISSED, EXIT_OK, Invocation, echo_json, published
from orchestration.cli.rows import (
    Listing,
    Output,
    Row,
    Summary,
    category_option,
    known_place,
    output_options,
    streamed,
)

_FIELDS = (
    "contact_key", "category", "status", "basis", "expires_on", "last_safe_day", "days_left",
    "jurisdiction",
)  # fmt: skip
_COLUMNS = {
    "status": "Status", "jurisdiction": "Jurisdiction", "category": "Category",
    "contact_key": "Contact key", "basis": "Basis", "last_safe_day": "Last safe day",
    "days_left": "Days left",
}  # fmt: skip


@click.command(name="consent")
@click.option("--status", type=click.Choice([s.value for s in ConsentStatus]))
@category_option
@click.option("--jurisdiction", help="Only this country (ISO code), or `unknown`.")
@click.option(
    "--repermission",
    is_flag=True,
    help="Only who may still be asked: consent ends within 60 days, mailable, not opted out.",
)
@click.option("--forecast", is_flag=True, help="How many consents end, week by week.")
@output_options
@click.pass_obj
def command(
    invocation: Invocation,
    /,
    status: str | None,
    category: str | None,
    jurisdiction: str | None,
    repermission: bool,
    forecast: bool,
    output: Output,
) -> int:
    """Show consents of people whose country asks for one (or is unknown), the most urgent first.
    Exit code 1 where the last night saw mail go out without a consent to rest on."""
    project = invocation.project()
    known_place(project, None, category)
    if forecast:
        _show_forecast(project, output.as_program)
        return EXIT_OK
    rows = read_consents(project, status, category, jurisdiction)
    if repermission:
        asked = _askable(project)
        rows = (row for row in rows if (row["contact_key"], row["category"]) in asked)
    nothing = "Nobody's consent is to be shown."
    listing = Listing("consent", _FIELDS, ("status", "jurisdiction"), _COLUMNS, nothing)
    for _ in listing.write(project, rows, output):
        pass
    return _exit_code(project)


def read_consents(
    project: Project,
    status: str | None = None,
    category: str | None = None,
    jurisdiction: str | None = None,
) -> Iterator[Row]:
    """Consents in the contract's shape, one a person and category. A category that the person has
    opted out of is shown, too: what the mail could rest on is another question."""
    with published(project) as con:
        cursor = con.execute(
            """
            SELECT c.contact_key::VARCHAR, k.category, c.status, c.basis, c.expires_on,
                   c.last_safe_day, c.days_left, c.jurisdiction
            FROM audit.consent AS c
            CROSS JOIN mart.category AS k
            WHERE ($status IS NULL OR c.status = $status)
              AND ($category IS NULL OR k.category = $category)
              AND ($jurisdiction IS NULL OR c.jurisdiction = $jurisdiction)
            ORDER BY c.status = 'ok', c.status NOT IN ('expired', 'not_proven'), c.status,
                     c.days_left, c.contact_key, k.bit
            """,
            {"status": status, "category": category, "jurisdiction": jurisdiction},
        )
        for row in streamed(cursor):
            yield _shaped(dict(zip(_FIELDS, row, strict=True)))


def _shaped(row: Row) -> Row:
    days = ("expires_on", "last_safe_day")
    return row | {name: row[name] and row[name].isoformat() for name in days}


def _askable(project: Project) -> set[tuple[str, str]]:
    with published(project) as con:
        return {(str(each.contact_key), each.category) for each in repermission_list(con)}


def _show_forecast(project: Project, as_program: bool) -> None:
    with published(project) as con:
        rows = con.execute(
            "SELECT week_from, basis, jurisdiction, people FROM audit.consent_forecast ORDER BY ALL"
        ).fetchall()
    names = ("week_from", "basis", "jurisdiction", "people")
    columns = {"week_from": "Week from", "basis": "Basis", "jurisdiction": "Jurisdiction",
               "people": "People"}  # fmt: skip
    summary = Summary(("week_from",), columns, "No consent ends within a year.")
    for values in rows:
        row = dict(zip(names, values, strict=True)) | {"week_from": values[0].isoformat()}
        if as_program:
            echo_json(row)
        summary.take(row)
    if not as_program:
        summary.show()


def _exit_code(project: Project) -> int:
    with published(project) as con:
        found = latest_night(con)
        missed = con.execute(
            "SELECT 1 FROM mart.metric_daily WHERE night = $night AND status = 'missed'"
            " AND metric = 'sends_without_consent' LIMIT 1",
            {"night": found[0] if found else None},
        ).fetchone()
    return EXIT_MISSED if missed else EXIT_OK
