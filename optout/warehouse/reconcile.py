"""What each person's preference should be tonight, and every cell where a system disagrees.

The rules are those of `optout.rules`; here they are set-based SQL (`sql/audit_*.sql`) over packed
masks. Of one person in one system all readings are joined by a single `bit_or` over a 64-bit word:

    ESP   sends | blocks << 12 | outs << 24 | ins << 36 | unclear << 48 | present << 60
    hub   ins | outs << 12 | unclear << 24 | owed << 36 | lifted << 48 | present << 60

(`owed`: has to be opted out by rule 3, `lifted`: was, until the person came back). So each ESP
costs one grouping and one join with the hub. People in whom everything agrees are counted by what
they show; only the others are unfolded into cells.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from duckdb import DuckDBPyConnection

from optout.model import Categories
from optout.rules.resolution import DEFAULT_WINDOW
from optout.warehouse.coverage import Coverage, coverage
from optout.warehouse.script import run

_WORK_TABLES = (
    "category", "system", "judged", "hub", "weak_row", "weak", "superseded", "out", "scope", "in",
    "span", "standing", "decided", "attempt", "reason", "lifting", "hub_said", "aside",
    "person_group", "cell", "odd", "difference", "cause", "in_flight", "verdict", "conflict",
)  # fmt: skip


@dataclass(frozen=True)
class ReconcilePolicy:
    """What the rules need to know of the configuration."""

    categories: Categories
    hub: str
    systems: Mapping[str, int]
    """ESP → mask of the categories that are mapped to it."""
    window: timedelta = DEFAULT_WINDOW
    """Within it an opt-in and an opt-out are simultaneous."""
    streams: Mapping[str, Collection[str]] = field(default_factory=dict)
    """System → the streams that it must have read; where absent, those that it ever read."""


@dataclass(frozen=True)
class Reconciled:
    """What a night's reconciliation did."""

    night: date
    judged: tuple[str, ...]
    """Systems whose cells were judged; empty where the hub was not read completely."""
    opened: int = 0
    confirmed: int = 0
    closed: int = 0


def policy_coverage(con: DuckDBPyConnection, night: date, policy: ReconcilePolicy) -> Coverage:
    """How completely the hub and the ESPs of the policy were read."""
    return coverage(con, night, (policy.hub, *policy.systems), policy.streams)


def reconcile(con: DuckDBPyConnection, night: date, *, policy: ReconcilePolicy) -> Reconciled:
    """Write `audit.expected`, `audit.drift` and `audit.cell_count` of the night.

    Runs in the caller's transaction; running it again changes nothing. A backfilled night, or one
    that a later run has overtaken, is left as it is: its snapshot cannot be seen any more. Only
    systems that were read completely are judged, and none where the hub was not: their open drifts
    stay open, untouched. Raises UsageError for a night that was never begun.
    """
    covered = policy_coverage(con, night, policy)
    if covered.is_backfill or not covered.is_latest:
        return Reconciled(night, ())
    judged = _judged(covered, policy)
    _prepare(con, policy, judged)
    _expect(con, covered, policy)
    run(con, "audit_undo", night=night)
    _judge(con, covered, policy, judged)
    _clear(con)
    return _outcome(con, night, judged)


def _judged(covered: Coverage, policy: ReconcilePolicy) -> tuple[str, ...]:
    if not covered.has_state(policy.hub):
        return ()
    return (policy.hub, *(s for s in policy.systems if covered.has_state(s)))


def _prepare(con: DuckDBPyConnection, policy: ReconcilePolicy, judged: Collection[str]) -> None:
    """The policy as small tables: categories with their bits, systems with their masks."""
    con.execute("CREATE OR REPLACE TEMP TABLE rec_category (category VARCHAR, bit INTEGER)")
    con.execute("CREATE OR REPLACE TEMP TABLE rec_system (system VARCHAR, mask INTEGER)")
    con.execute("CREATE OR REPLACE TEMP TABLE rec_judged (system VARCHAR)")
    names = policy.categories.names
    con.executemany(
        "INSERT INTO rec_category VALUES (?, ?)",
        [(name, policy.categories.bit(name)) for name in names],
    )
    masks = {policy.hub: policy.categories.all, **policy.systems}
    con.executemany("INSERT INTO rec_system VALUES (?, ?)", list(masks.items()))
    if judged:
        con.executemany("INSERT INTO rec_judged VALUES (?)", [(name,) for name in judged])
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE rec_person_group (
            system VARCHAR, contact_key UUID, word BIGINT, hub_word BIGINT,
            withheld INTEGER, weak INTEGER, people BIGINT
        )
        """
    )


def _expect(con: DuckDBPyConnection, covered: Coverage, policy: ReconcilePolicy) -> None:
    """Rule 3 for everyone, from whatever is known tonight."""
    values = {"cutoff": covered.cutoff, "window": policy.window}
    run(con, "audit_hub", hub=policy.hub)
    run(con, "audit_weak", all=policy.categories.all)
    run(con, "audit_changes", **values)
    run(con, "audit_expected", **values)


def _judge(
    con: DuckDBPyConnection, covered: Coverage, policy: ReconcilePolicy, judged: Collection[str]
) -> None:
    """Rules 5 and 8 for every ESP that may be judged, then the life of each drift."""
    for system, mask in policy.systems.items():
        if system in judged:
            run(con, "audit_cells", system=system, mask=mask)
    values = {"hub": policy.hub, "cutoff": covered.cutoff, "night": covered.night}
    for name in (
        "audit_unfold",
        "audit_verdicts",
        "audit_in_flight",
        "audit_conflicts",
        "audit_drift",
    ):
        run(con, name, **values)


def _outcome(con: DuckDBPyConnection, night: date, judged: tuple[str, ...]) -> Reconciled:
    row = con.execute(
        """
        SELECT count(*) FILTER (opened_night = $night),
               count(*) FILTER (seen_night = $night AND opened_night < $night),
               count(*) FILTER (closed_night = $night)
        FROM audit.drift
        """,
        {"night": night},
    ).fetchone()
    opened, confirmed, closed = row or (0, 0, 0)
    return Reconciled(night, judged, opened, confirmed, closed)


def _clear(con: DuckDBPyConnection) -> None:
    """After a failure there is nothing to clear: the caller's rollback takes the tables with it."""
    for name in _WORK_TABLES:
        con.execute(f"DROP TABLE IF EXISTS temp.rec_{name}")
