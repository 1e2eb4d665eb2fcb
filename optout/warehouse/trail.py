"""How complete the trail of changes is: `audit.trail_change`, `audit.trail_gap`, and its figures.

The whole trail that is kept is judged every night, so that evidence which comes late falls into
its place; what was found stays found, also of records that are gone since.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date
from typing import Any, NamedTuple

from duckdb import DuckDBPyConnection

from optout.model import MetricStatus
from optout.rules.trail import FIELD_FEED, HISTORY_FEED, LATE, SKEW, TOLERANCE
from optout.warehouse.coverage import Coverage
from optout.warehouse.metric_rows import MetricRow, replace_figures
from optout.warehouse.reconcile import ReconcilePolicy, policy_coverage
from optout.warehouse.script import query, run

COMPLETENESS = "audit_trail_completeness"
GAPS = "trail_gaps"
TARGET = "= 100 %"
_WORK_TABLES = (
    "system", "field", "told", "dated", "unit", "pair", "version", "seen", "attached", "sight",
    "aside", "esp_moved", "esp_step", "esp_word", "esp_night", "esp_first", "esp_seen", "before",
    "written", "place", "next",
    "phantom", "covered", "contradicted", "unread", "link", "broken", "lacking", "entry_unread",
    "stands_for",
    "history",
)  # fmt: skip


def judge_trail(
    con: DuckDBPyConnection, night: date, *, policy: ReconcilePolicy
) -> tuple[str, ...]:
    """Write the trail's changes and gaps of every system that was read completely; returns these.

    Runs in the caller's transaction; running it again changes nothing. What was found of other
    systems stays as it was. A backfilled night, or one that a later run has overtaken, judges
    nothing. Raises UsageError for a night that was never begun.
    """
    covered = policy_coverage(con, night, policy)
    names = (policy.hub, *policy.systems)
    judged = tuple(name for name in names if covered.is_complete(name))
    if covered.is_backfill or not covered.is_latest or not judged:
        return ()
    values = {
        "skew": SKEW,
        "tolerance": TOLERANCE,
        "late": LATE,
        "history_feed": HISTORY_FEED,
        "feed": FIELD_FEED,
        "all": policy.categories.all,
        "cutoff": covered.cutoff,
    }
    _prepare(con, policy, judged)
    for name in ("trail_units", "trail_seen_hub", "trail_seen_esp", "trail_order"):
        run(con, name, **values)
    # Without a phantom the entry before it is the last one, and may be a phantom as well.
    while query(con, "trail_contradicted", **values)[0][0]:
        pass
    run(con, "trail_judged", **values)
    for name in _WORK_TABLES:
        con.execute(f"DROP TABLE trail_{name}")
    return judged


def _prepare(con: DuckDBPyConnection, policy: ReconcilePolicy, judged: Collection[str]) -> None:
    con.execute("CREATE OR REPLACE TEMP TABLE trail_system (system VARCHAR, is_hub BOOLEAN)")
    con.executemany(
        "INSERT INTO trail_system VALUES (?, ?)", [(name, name == policy.hub) for name in judged]
    )
    con.execute("CREATE OR REPLACE TEMP TABLE trail_field (category VARCHAR, bit INTEGER)")
    names = policy.categories.names
    bits: list[tuple[str | None, int]] = [(name, policy.categories.bit(name)) for name in names]
    con.executemany("INSERT INTO trail_field VALUES (?, ?)", [*bits, (None, 0)])


class _Tally(NamedTuple):
    """What was counted of one system."""

    changes: int
    complete: int
    gaps: int
    unjudged: int


def measure_trail(con: DuckDBPyConnection, night: date, *, policy: ReconcilePolicy) -> None:
    """Replace the night's rows of the trail in `mart.metric_daily` and `mart.trail_daily`, after
    `judge_trail`, in the caller's transaction.

    A night that a later run has overtaken keeps what was measured then.
    """
    covered = policy_coverage(con, night, policy)
    if not covered.is_latest:
        return
    rows = _rows(covered, policy, _tallies(con))
    replace_figures(con, night, (COMPLETENESS, GAPS), rows)
    con.execute("DELETE FROM mart.trail_daily WHERE night = $night", {"night": night})
    if not covered.is_backfill:
        run(con, "mart_trail_daily", night=night)
        for system in _incomplete(covered, policy):
            con.execute(
                "DELETE FROM mart.trail_daily WHERE night = $night AND system = $system",
                {"night": night, "system": system},
            )


def _tallies(con: DuckDBPyConnection) -> dict[str, _Tally]:
    found: Collection[Any] = query(con, "mart_audit_trail_completeness")
    return {system: _Tally(*(int(n) for n in counts)) for system, *counts in found}


def _incomplete(covered: Coverage, policy: ReconcilePolicy) -> list[str]:
    names = (policy.hub, *policy.systems)
    return [name for name in names if not covered.is_complete(name)]


def _rows(
    covered: Coverage, policy: ReconcilePolicy, tallies: Mapping[str, _Tally]
) -> Iterator[MetricRow]:
    """Per system, and over all of them."""
    missing = _incomplete(covered, policy)
    nothing = _Tally(0, 0, 0, 0)
    names = (policy.hub, *policy.systems)
    for name in names:
        yield from _figures(covered, name, tallies.get(name, nothing), covered.why_unknown(name))
    known = [tallies[name] for name in names if name in tallies and name not in missing]
    total = _Tally(*(sum(column) for column in zip(*known, strict=True))) if known else nothing
    yield from _figures(covered, None, total, covered.why_unknown(), covered.doubt(names))


def _figures(
    covered: Coverage,
    system: str | None,
    tally: _Tally,
    why: str | None,
    doubt: str | None = None,
) -> Iterator[MetricRow]:
    """The promise and the count of gaps of one system, or (None) over all. With a doubt the promise
    can be missed but not met, and the count is not known."""
    unknown = MetricRow(covered.night, COMPLETENESS, system, target=TARGET, note=why or doubt)
    if why is not None:
        yield unknown
        yield unknown._replace(metric=GAPS, target=None)
        return
    counted = unknown._replace(
        numerator=tally.complete, denominator=tally.changes, not_comparable=tally.unjudged
    )
    is_met = tally.complete == tally.changes
    if not tally.changes:
        yield counted._replace(note="; ".join(n for n in ("no change is known", doubt) if n))
    elif is_met and doubt:
        yield counted
    else:
        status = MetricStatus.MET if is_met else MetricStatus.MISSED
        yield counted._replace(value=tally.complete / tally.changes, status=status.value)
    gaps = unknown._replace(metric=GAPS, target=None)
    if doubt:
        yield gaps
    else:
        shown = MetricStatus.SHOWN.value
        yield gaps._replace(value=float(tally.gaps), numerator=tally.gaps, status=shown)
