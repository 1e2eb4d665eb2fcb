"""The promises that reconciliation can measure, every night (`docs/metrics.md`).

Each rate is one file, `sql/mart_<metric>.sql`, that gives numerators and denominators by system and
category, by system, and over all; what they are worth is decided here. A figure that depends on a
source which was not read completely is `unknown`, its value NULL: it is never shown as good. A
missed promise stays missed, because more evidence can only make it worse known, not kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from math import sqrt
from typing import NamedTuple

from duckdb import DuckDBPyConnection

from optout.model import DriftClass, MetricStatus
from optout.warehouse.coverage import Coverage
from optout.warehouse.metric_rows import MetricRow, keeps_figures, replace_figures
from optout.warehouse.reconcile import ReconcilePolicy, policy_coverage
from optout.warehouse.script import query

_Z95 = 1.959963984540054


@dataclass(frozen=True)
class Promise:
    """A rate with a target: met if numerator / denominator lies within `floor` and `ceiling`,
    both in thousandths, so that the comparison is one of whole numbers."""

    metric: str
    target: str
    floor: int = 0
    ceiling: int = 1000
    has_interval: bool = False

    def is_met(self, numerator: int, denominator: int) -> bool:
        """Exact: no rounding makes 99.99 % of an opt-out promise kept."""
        return self.floor * denominator <= numerator * 1000 <= self.ceiling * denominator


PROMISES = (
    Promise("opt_out_recall", "= 100 %", floor=1000),
    Promise("sync_accuracy", ">= 99.9 %", floor=999, has_interval=True),
    Promise("over_suppression", "<= 0.1 %", ceiling=1),
)
EXTRACTION = "extraction_complete"
NEITHER = "opt_out_neither"
DRIFT_OPEN = "drift_open"
DISAGREEMENTS = (
    DriftClass.UNHONOURED_OPT_OUT,
    DriftClass.ORPHAN_MAILABLE,
    DriftClass.LOST_OPT_OUT,
    DriftClass.OVER_SUPPRESSED,
)
"""The classes that `drift_open` adds up; the others inform."""

METRICS = (
    *(p.metric for p in PROMISES),
    EXTRACTION,
    NEITHER,
    DRIFT_OPEN,
    *(c.value for c in DriftClass),
)
"""Every metric that `measure` writes."""


class Scope(NamedTuple):
    """What a figure is about; None: over all."""

    system: str | None
    category: str | None


class Figure(NamedTuple):
    """What was counted; a plain count has no denominator."""

    numerator: int
    denominator: int | None = None
    not_comparable: int = 0


def measure(con: DuckDBPyConnection, night: date, *, policy: ReconcilePolicy) -> None:
    """Replace the night's rows of `METRICS` in `mart.metric_daily`, after `reconcile`.

    Runs in the caller's transaction. A night that a later run has overtaken keeps what was
    measured then. Raises UsageError for a night that was never begun.
    """
    covered = policy_coverage(con, night, policy)
    if not keeps_figures(con, covered, METRICS):
        rows = _Judge(covered, policy).rows(_Counts.read(con, night))
        replace_figures(con, night, METRICS, rows)


def wilson(numerator: int, denominator: int) -> tuple[float, float]:
    """The 95 % score interval of a share; `denominator` is positive."""
    share = numerator / denominator
    z2 = _Z95 * _Z95
    scale = 1 + z2 / denominator
    centre = (share + z2 / (2 * denominator)) / scale
    spread = share * (1 - share) / denominator + z2 / (4 * denominator * denominator)
    half = _Z95 * sqrt(spread) / scale
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return (0.0 if numerator == 0 else low), (1.0 if numerator == denominator else high)


@dataclass(frozen=True)
class _Counts:
    """All figures of a night: metric → scope → figure."""

    figures: Mapping[str, Mapping[Scope, Figure]]

    @classmethod
    def read(cls, con: DuckDBPyConnection, night: date) -> _Counts:
        figures: defaultdict[str, dict[Scope, Figure]] = defaultdict(dict)
        for metric in (*(p.metric for p in PROMISES), NEITHER):
            for system, category, top, bottom, unknown in query(con, f"mart_{metric}", night=night):
                if top is None:  # the total over no rows at all
                    continue
                figure = Figure(int(top), None if bottom is None else int(bottom), int(unknown))
                figures[metric][Scope(system, category)] = figure
        for name, system, category, count in query(con, "mart_drift_open"):
            _add(figures[name], system, category, count)
            if name in DISAGREEMENTS:
                _add(figures[DRIFT_OPEN], system, category, count)
        return cls(figures)

    def of(self, metric: str, scope: Scope) -> Figure:
        """A figure, zero where nothing was counted."""
        is_count = metric not in {p.metric for p in PROMISES}
        return self.figures.get(metric, {}).get(scope, Figure(0, None if is_count else 0))


def _add(figures: dict[Scope, Figure], system: str, category: str | None, count: int) -> None:
    for scope in {Scope(system, category), Scope(system, None), Scope(None, None)}:
        figures[scope] = Figure(figures.get(scope, Figure(0)).numerator + count)


class _Judge:
    """Turns figures into rows: value, status and why it is not known."""

    def __init__(self, covered: Coverage, policy: ReconcilePolicy) -> None:
        self.covered = covered
        self.policy = policy

    def rows(self, counts: _Counts) -> Iterator[MetricRow]:
        """Every metric in every scope that it has, whether or not anything was counted."""
        for promise in PROMISES:
            for scope in self._scopes():
                yield self._promised(promise, scope, counts.of(promise.metric, scope))
        for metric in (NEITHER, DRIFT_OPEN, *(c.value for c in DriftClass)):
            for scope in self._scopes(metric):
                yield self._shown(metric, scope, counts.of(metric, scope))
        yield from self._extraction()

    def _scopes(self, metric: str = "") -> Iterator[Scope]:
        """Per ESP and category, per ESP, over all; a person missing is missing in every category,
        and duplicates can be the hub's, too."""
        yield Scope(None, None)
        masks = dict(self.policy.systems)
        if metric == DriftClass.CONFLICTING_DUPLICATES:
            masks[self.policy.hub] = self.policy.categories.all
        for system, mask in masks.items():
            yield Scope(system, None)
            if metric != DriftClass.MISSING_HERE:
                for category in self.policy.categories.of(mask):
                    yield Scope(system, category)

    def _doubt(self, system: str | None) -> str | None:
        """Other ESPs that may hold opt-outs of which nobody else knows."""
        return self.covered.doubt(self.policy.systems, system)

    def _promised(self, promise: Promise, scope: Scope, figure: Figure) -> MetricRow:
        row = self._unknown(promise.metric, scope, promise.target)
        why = self.covered.why_unknown(self.policy.hub, scope.system)
        if why is not None:
            return row._replace(note=why)
        top, bottom = figure.numerator, figure.denominator or 0
        doubt = self._doubt(scope.system)
        row = row._replace(
            numerator=top, denominator=bottom, not_comparable=figure.not_comparable, note=doubt
        )
        if not bottom:
            note = "; ".join(part for part in ("nothing to compare", doubt) if part)
            return row._replace(note=note)
        is_met = promise.is_met(top, bottom)
        if is_met and doubt:
            return row
        low, high = wilson(top, bottom) if promise.has_interval else (None, None)
        status = MetricStatus.MET if is_met else MetricStatus.MISSED
        return row._replace(value=top / bottom, status=status.value, low=low, high=high)

    def _shown(self, metric: str, scope: Scope, figure: Figure) -> MetricRow:
        row = self._unknown(metric, scope, None)
        why = self.covered.why_unknown(self.policy.hub, scope.system)
        doubt = self._doubt(scope.system)
        if why is not None or (scope.system is None and doubt):
            return row._replace(note=why or doubt)
        count = figure.numerator
        shown = MetricStatus.SHOWN.value
        return row._replace(value=float(count), numerator=count, status=shown, note=doubt)

    def _extraction(self) -> Iterator[MetricRow]:
        """Measured of what was read, so that it is known even where everything else is not."""
        streams = self.covered.streams
        total = tuple(sum(part) for part in zip(*streams.values(), strict=True))
        for system, (done, wanted) in ((None, total), *streams.items()):
            row = self._unknown(EXTRACTION, Scope(system, None), "= 100 %")
            if self.covered.is_backfill:
                yield row._replace(note=self.covered.why_unknown())
                continue
            status = MetricStatus.MET if done == wanted else MetricStatus.MISSED
            yield row._replace(
                value=done / wanted, numerator=done, denominator=wanted, status=status.value
            )

    def _unknown(self, metric: str, scope: Scope, target: str | None) -> MetricRow:
        return MetricRow(self.covered.night, metric, scope.system, scope.category, target=target)
