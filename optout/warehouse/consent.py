"""What mail to each person could rest on tonight, and what went out without it.

`sql/consent_*.sql` computes `optout.rules.consent` for everyone whose country asks for a consent
that can be shown, or whose country is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from duckdb import DuckDBPyConnection

from optout.rules.regimes import ConsentRule, Unit
from optout.warehouse.clocks import ClockPolicy, clock_coverage, fill, prepare, today_in
from optout.warehouse.coverage import Coverage
from optout.warehouse.script import query, run

_WORK_TABLES = (
    "category", "system", "domain", "country", "consent_place", "consent_rule", "consent_record",
    "consent_person", "consent_worth", "consent",
)  # fmt: skip
_MONTHS = {Unit.YEARS: 12, Unit.MONTHS: 1}


class Expiring(NamedTuple):
    """Somebody who may still be asked for an express consent, because mail is still allowed."""

    contact_key: UUID
    category: str
    basis: str
    last_safe_day: date
    days_left: int
    jurisdiction: str


def consents(con: DuckDBPyConnection, night: date, *, policy: ClockPolicy) -> None:
    """Write `audit.consent`, `audit.consent_forecast`, and the night's `audit.unconsented_send`,
    after `reconcile` and in the caller's transaction.

    A backfilled night, or one that a later run has overtaken, leaves all as it is.
    """
    covered = clock_coverage(con, night, policy)
    if covered.is_backfill or not covered.is_latest:
        return
    prepare(con, policy)
    _judges(con, covered, policy)
    run(con, "consent_status", night=night, hub=policy.hub, all=policy.categories.all)
    run(con, "consent_sends", night=night, cutoff=covered.cutoff, since=last_cutoff(con, covered))
    for name in _WORK_TABLES:
        con.execute(f"DROP TABLE IF EXISTS clk_{name}")


def last_cutoff(con: DuckDBPyConnection, covered: Coverage) -> datetime:
    """The cut-off of the night before this one that was run; the beginning of time if none was."""
    row = con.execute(
        "SELECT max(cutoff_at) FROM core.night WHERE kind = 'run' AND night < $night",
        {"night": covered.night},
    ).fetchone()
    return row[0] if row and row[0] is not None else datetime(1970, 1, 1)  # noqa: DTZ001


def repermission_list(con: DuckDBPyConnection, days: int = 60) -> Iterator[Expiring]:
    """Whose consent ends within so many days and who is not opted out, by category and day.

    Only people whom some system would mail today: asking by mail is itself mail. Reads the
    published copy or the warehouse as the last night left them.
    """
    for row in query(con, "consent_repermission", days=days):
        yield Expiring(*row)


def _judges(con: DuckDBPyConnection, covered: Coverage, policy: ClockPolicy) -> None:
    """Which regime asks for consent in which country, and what a basis is worth there."""
    found = con.execute("SELECT DISTINCT country FROM clk_country WHERE country IS NOT NULL")
    places = []
    for country in (None, *sorted(row[0] for row in found.fetchall())):
        zone = policy.regimes.zone(country, policy.zone)
        today = today_in(zone, covered)
        for regime in policy.regimes.consent_regimes(country):
            places.append((country or "", regime, today, str(zone)))
    columns = "country VARCHAR, regime VARCHAR, today DATE, zone VARCHAR"
    fill(con, "clk_consent_place", columns, places)
    rules = [
        (rule.regime, rule.basis, method, rule.is_open_ended, _months(rule))
        for rule in policy.regimes.consents
        for method in rule.methods or (None,)
    ]
    columns = "regime VARCHAR, basis VARCHAR, method VARCHAR, is_open_ended BOOLEAN, months INTEGER"
    fill(con, "clk_consent_rule", columns, rules)


def _months(rule: ConsentRule) -> int | None:
    return None if rule.unit is None else rule.amount * _MONTHS[rule.unit]
