"""Who may be mailed what, who left, and who was never asked: counts for pages, rows for questions.

Nobody's opt-out is inferred here and nobody's consent ends here: inactivity is shown, and the
company's own sunset rule stands apart (docs/adr/0005).
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from duckdb import DuckDBPyConnection

from optout.warehouse.clocks import ClockPolicy, clock_coverage, prepare
from optout.warehouse.script import run

_WORK_TABLES = ("category", "system", "domain", "country", "person", "active", "day")


def audience(con: DuckDBPyConnection, night: date, *, policy: ClockPolicy) -> None:
    """Write `audit.audience`, `audit.sunset`, `audit.frequent_changer`, `mart.audience_daily`,
    `mart.preference_daily` and `mart.opt_out_rate`, after `clocks` and in the caller's transaction.

    A backfilled night, or one that a later run has overtaken, leaves all as it is.
    """
    covered = clock_coverage(con, night, policy)
    if covered.is_backfill or not covered.is_latest:
        return
    prepare(con, policy)
    cutoff = covered.cutoff
    run(
        con,
        "audience_status",
        night=night,
        cutoff=cutoff,
        hub=policy.hub,
        all=policy.categories.all,
        idle_from=cutoff - timedelta(days=policy.audience.unengaged_days),
        evidence_from=engagement_since(con) or cutoff,
        sunset_months=policy.consent.sunset_after_months,
    )
    run(
        con,
        "audience_rates",
        night=night,
        cutoff=cutoff,
        frequent_days=policy.clocks.frequent_days,
        frequent_changes=policy.clocks.frequent_changes,
    )
    for name in _WORK_TABLES:
        con.execute(f"DROP TABLE IF EXISTS clk_{name}")


def engagement_since(con: DuckDBPyConnection) -> datetime | None:
    """How far back anything is known of what people did with their mail: nobody can be called
    inactive for longer. None: nothing was ever told."""
    row = con.execute("SELECT min(occurred_at) FROM core.mail_event").fetchone()
    found: datetime | None = row[0] if row else None
    return found
