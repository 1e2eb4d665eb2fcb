"""What each person's preference should be tonight, and every cell where a system disagrees.

The rules are those of `optout.rules`; here they are set-based SQL (`sql/audit_*.sql`) over packed
masks. Of one person in one system all readings are joined by a single `bit_or` over a word; with
k categories:

    ESP   sends | blocks << k | outs << 2k | ins << 3k | unclear << 4k | present << 5k
    hub   owed | lifted << k | outs << 2k | ins << 3k | unclear << 4k | present << 5k

(`owed`: has to be opted out by rule 3, `lifted`: was, until the person came back.) As many systems
as fit share one 64-bit integer, so that one grouping by person sets them all side by side, without
a join. The pairs of words that occur are few: each pair is judged once, people in whom everything
agrees are counted by it, and only the others are looked at one by one.

"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from duckdb import DuckDBPyConnection

from optout.engine.duck import DuckEngine
from optout.engine.session import Engine, Session
from optout.model import Categories
from optout.rules.resolution import DEFAULT_WINDOW
from optout.warehouse import incremental
from optout.warehouse.connection import bounded
from optout.warehouse.coverage import Coverage, coverage
from optout.warehouse.incremental import Basis
from optout.warehouse.script import run
from optout.warehouse.words import PEOPLE_A_PASS, Layout, join_words, megabytes_for, pair, people

_DUCKDB = DuckEngine()
_ALL_AT_ONCE = 1 << 62
_VERDICTS = ("audit_verdicts", "audit_in_flight", "audit_conflicts")
_WORK_TABLES = (
    "category", "system", "judged", "weak_row", "weak", "superseded", "out", "scope", "in", "span",
    "decided", "attempt", "reason", "lifting", "aside", "place", "word", "group", "cell", "odd",
    "person", "reading", "cause", "in_flight", "verdict", "conflict", "affected", "near_row",
    "near", "near_change", "total",
)  # fmt: skip
_WORK_VIEWS = ("pair", "difference", "observation", "change")


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
    affected: int | None = None
    """People that were looked at because something changed; None: everybody."""


def policy_coverage(con: DuckDBPyConnection, night: date, policy: ReconcilePolicy) -> Coverage:
    """How completely the hub and the ESPs of the policy were read."""
    return coverage(con, night, (policy.hub, *policy.systems), policy.streams)


def reconcile(
    con: DuckDBPyConnection,
    night: date,
    *,
    policy: ReconcilePolicy,
    people_a_pass: int = PEOPLE_A_PASS,
    everybody_below: int = incremental.WORTH_IT,
    engine: Engine = _DUCKDB,
) -> Reconciled:
    """Write `audit.expected`, `audit.drift` and `audit.cell_count` of the night.

    Runs in the caller's transaction; running it again changes nothing. A backfilled night, or one
    that a later run has overtaken, is left as it is: its snapshot cannot be seen any more. Only
    systems that were read completely are judged, and none where the hub was not: their open drifts
    stay open, untouched. `people_a_pass` bounds memory, with less people than `everybody_below`
    all are judged anew every night, `engine` says where the statements run; none of them changes an
    answer. Raises UsageError for a night that was never begun.
    """
    covered = policy_coverage(con, night, policy)
    if covered.is_backfill or not covered.is_latest:
        return Reconciled(night, ())
    judged = _judged(covered, policy)
    systems = [name for name in policy.systems if name in judged]
    layout = Layout.of(len(policy.categories.names), (policy.hub, *systems))
    values = {
        **layout.values,
        "hub": policy.hub,
        "window": policy.window,
        "cutoff": covered.cutoff,
        "night": night,
    }
    rules = incremental.fingerprint(
        policy.categories.names, policy.hub, sorted(policy.systems.items()), policy.window, judged
    )
    basis = None
    if engine.keeps_basis and people(con) >= everybody_below:
        basis = incremental.basis_of(con, night, covered.cutoff, rules)
    incremental.forget(con)
    with bounded(con, megabytes_for(people(con))), engine.session(con) as work:
        judge = _Judge(work, policy, layout, values, engine.people_a_pass or people_a_pass)
        _prepare(work, policy, judged)
        affected = judge.affected(basis) if basis else None
        if affected is None:
            judge.everybody()
        if engine.keeps_basis:
            incremental.keep(work, values, rules)
        _clear(work)
    return replace(_outcome(con, night, judged), affected=affected)


@dataclass(frozen=True)
class _Judge:
    """Rule 3 for everyone, rules 5 and 8 for ESPs that may be judged, and the life of drifts."""

    con: Session
    policy: ReconcilePolicy
    layout: Layout
    values: Mapping[str, Any]
    people_a_pass: int

    def everybody(self) -> None:
        """Look at each person."""
        for name in ("audit_prepare", "audit_everybody"):
            run(self.con, name)
        self._expect()
        self._count(self.people_a_pass, sign=1)
        self._find()
        run(self.con, "audit_drift", **self.values)

    def affected(self, basis: Basis) -> int | None:
        """Look at those of whom something changed and count them; None: everybody has to be
        looked at."""
        con, values = self.con, self.values
        affected = incremental.narrow(con, basis)
        if affected is None:
            return None
        for name in ("audit_prepare", "incremental_before"):
            run(con, name)
        for name in ("audit_weak", "audit_aside"):
            run(con, name, **values)
        self._count(_ALL_AT_ONCE, sign=-1)
        run(con, "incremental_now")
        self._expect()
        self._count(_ALL_AT_ONCE, sign=1)
        if not incremental.add_up(con):
            return None
        self._find()
        run(con, "incremental_unchanged", **values, **basis.values)
        run(con, "audit_drift", **values)
        return affected

    def _expect(self) -> None:
        for name in ("audit_weak", "audit_changes", "audit_expected", "audit_undo", "audit_aside"):
            run(self.con, name, **self.values)

    def _count(self, people_a_pass: int, sign: int) -> None:
        """The people that are looked at, by their words; those that are taken away as less than
        none."""
        join_words(self.con, self.layout, self.values, people_a_pass)
        for system in self.layout.esps:
            self._pair(system)
            run(self.con, "audit_groups", system=system, sign=sign)

    def _find(self) -> None:
        """The verdicts of the people that are looked at."""
        run(self.con, "audit_cells", **self.values)
        for system in self.layout.esps:
            self._pair(system)
            run(self.con, "audit_people", system=system)
        self._pair(self.policy.hub)
        for name in _VERDICTS:
            run(self.con, name, **self.values)

    def _pair(self, system: str) -> None:
        self.con.execute(pair(self.layout, self.policy.hub, system))


def _judged(covered: Coverage, policy: ReconcilePolicy) -> tuple[str, ...]:
    if not covered.has_state(policy.hub):
        return ()
    return (policy.hub, *(s for s in policy.systems if covered.has_state(s)))


def _prepare(con: Session, policy: ReconcilePolicy, judged: Collection[str]) -> None:
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


def _clear(con: Session) -> None:
    """After a failure there is nothing to clear: the caller's rollback takes the tables with it."""
    for name in _WORK_VIEWS:
        con.execute(f"DROP VIEW IF EXISTS temp.rec_{name}")
    for name in _WORK_TABLES:
        con.execute(f"DROP TABLE IF EXISTS temp.rec_{name}")
