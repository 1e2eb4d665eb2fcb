"""The promises about time, mail and consent, every night (`docs/metrics.md`).

What depends on a source that was not read completely is unknown; so is a count of sends where a
vendor gave no evidence of them. Bounds stay bounds: a promise is met only if its upper bound keeps
it, and missed only if its lower bound breaks it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from math import isinf
from typing import Any

from duckdb import DuckDBPyConnection

from optout.model import MetricStatus
from optout.warehouse.clocks import ClockPolicy, clock_coverage
from optout.warehouse.coverage import Coverage
from optout.warehouse.metric_rows import MetricRow, keeps_figures, replace_figures
from optout.warehouse.script import query

PROCESSING = ("opt_out_processing_p50", "opt_out_processing_p95", "opt_out_processing_max")
FROM_SENDS = ("violations", "violations_beyond_deadline", "sends_without_consent")
"""Counts that need to know what was sent; none may be."""
NONE_MAY_BE = (*FROM_SENDS, "overdue_opt_outs", "campaign_faults")
SHOWN = (
    "open_opt_outs", "global_opt_outs", "consent_ending_7", "consent_ending_30",
    "consent_ending_60", "consent_expired", "consent_not_proven", "frequent_changers",
)  # fmt: skip
COMPLAINTS = "complaint_rate"
SUNSET = "sunset"
CLOCK_METRICS = (*PROCESSING, *NONE_MAY_BE, *SHOWN, COMPLAINTS, SUNSET)
"""Every metric that `measure_clocks` writes."""
_PER_SYSTEM = frozenset({*NONE_MAY_BE, "open_opt_outs"})
_PER_CATEGORY = frozenset(FROM_SENDS)
_CAMPAIGN_DAYS = 30


def measure_clocks(con: DuckDBPyConnection, night: date, *, policy: ClockPolicy) -> None:
    """Replace the night's rows of `CLOCK_METRICS` in `mart.metric_daily`, after `clocks`,
    `consents` and `audience`, in the caller's transaction. A night that a later run has overtaken
    keeps what was measured then."""
    covered = clock_coverage(con, night, policy)
    if keeps_figures(con, covered, CLOCK_METRICS):
        return
    judge = _Judge(covered, policy, send_evidence(con, night, policy))
    rows = [*judge.processing(con), *judge.counts(con), *judge.complaints(con)]
    replace_figures(con, night, CLOCK_METRICS, rows)


def send_evidence(
    con: DuckDBPyConnection, night: date, policy: ClockPolicy
) -> Mapping[str, str | None]:
    """ESP → why tonight nobody knows what it sent; None: it told."""
    found = con.execute(
        "SELECT system, stream FROM core.source_read"
        " WHERE night = $night AND is_complete AND NOT is_skipped",
        {"night": night},
    ).fetchall()
    read = {tuple(row) for row in found}
    return {system: _why_no_evidence(system, policy, read) for system in policy.systems}


def _why_no_evidence(
    system: str, policy: ClockPolicy, read: Collection[tuple[Any, ...]]
) -> str | None:
    streams = policy.send_streams.get(system) or ()
    if not streams:
        return f"{system} does not tell to whom it sent"
    missing = [s for s in streams if (system, s) not in read]
    return f"{system} gave no send log tonight ({', '.join(missing)})" if missing else None


@dataclass(frozen=True)
class _Judge:
    """Turns figures into rows."""

    covered: Coverage
    policy: ClockPolicy
    evidence: Mapping[str, str | None]

    # --- processing times -------------------------------------------------------------------------
    def processing(self, con: DuckDBPyConnection) -> Iterator[MetricRow]:
        """p50, p95 and max in hours, over all systems and for each."""
        since = self.covered.cutoff - timedelta(days=self.policy.clocks.processing_days)
        found = query(con, "processing_times", since=since, cutoff=self.covered.cutoff)
        by_system = {row[0]: row[1:] for row in found}
        for system in (None, self.policy.hub, *self.policy.systems):
            told = by_system.get(system, (None,) * 6 + (0, 0, 0, 0))
            exact, compared, unseen, unbounded = told[6:]
            for metric, low, high in zip(PROCESSING, told[0:6:2], told[1:6:2], strict=True):
                row = self._row(metric, system, None, self._target(metric))
                note = f"real times: {exact} of {compared}; still open: {unbounded}"
                row = row._replace(
                    numerator=exact, denominator=compared, not_comparable=unseen,
                    low=low, high=None if high is None or isinf(high) else high, note=note,
                )  # fmt: skip
                yield self._timed(row, low, high)

    def _target(self, metric: str) -> str | None:
        clocks = self.policy.clocks
        targets = {
            PROCESSING[1]: f"< {clocks.target_hours} h",
            PROCESSING[2]: f"<= {clocks.limit_hours} h",
        }
        return targets.get(metric)

    def _timed(self, row: MetricRow, low: float | None, high: float | None) -> MetricRow:
        why = self._why_unknown(row.system)
        if why is not None:
            return row._replace(note=why, low=None, high=None)
        if low is None or high is None:
            return row._replace(note=f"nothing to compare; {row.note}")
        if row.target is None:
            shown = MetricStatus.SHOWN.value
            return row if isinf(high) else row._replace(value=high, status=shown)
        clocks = self.policy.clocks
        is_p95 = row.metric == PROCESSING[1]
        is_met = high < clocks.target_hours if is_p95 else high <= clocks.limit_hours
        is_missed = low >= clocks.target_hours if is_p95 else low > clocks.limit_hours
        if is_missed:
            return row._replace(value=low, status=MetricStatus.MISSED.value)
        doubt = self._doubt(row.system)
        if is_met and not doubt:
            return row._replace(value=high, status=MetricStatus.MET.value)
        return row._replace(note=f"{doubt or 'the bounds do not decide'}; {row.note}")

    # --- counts -----------------------------------------------------------------------------------
    def counts(self, con: DuckDBPyConnection) -> Iterator[MetricRow]:
        """Violations, open items, consents: how many."""
        covered = self.covered
        found = query(
            con,
            "clock_counts",
            night=covered.night,
            cutoff=covered.cutoff,
            all=self.policy.categories.all,
            campaigns_since=covered.cutoff - timedelta(days=_CAMPAIGN_DAYS),
        )
        counted = {(m, s, c): (number, unknown) for m, s, c, number, unknown in found}
        metrics = [*NONE_MAY_BE, *SHOWN]
        if self.policy.consent.sunset_after_months is not None:
            metrics.append(SUNSET)
        for metric in metrics:
            for system, category in self._scopes(metric):
                number, unknown = counted.get((metric, system, category), (0, 0))
                yield self._counted(metric, system, category, number, unknown)

    def _scopes(self, metric: str) -> Iterator[tuple[str | None, str | None]]:
        yield None, None
        for system, mask in self.policy.systems.items():
            if metric in _PER_SYSTEM:
                yield system, None
            if metric in _PER_CATEGORY:
                for category in self.policy.categories.of(mask):
                    yield system, category

    def _counted(
        self, metric: str, system: str | None, category: str | None, number: int, unknown: int
    ) -> MetricRow:
        target = "= 0" if metric in NONE_MAY_BE else None
        row = self._row(metric, system, category, target)
        why = self._why_unknown(system) or self._unsent(metric, system)
        if why is not None and (system is not None or not number or self._why_unknown(None)):
            return row._replace(note=why, not_comparable=unknown)
        doubt = "; ".join(t for t in (self._doubt(system), self._unsent(metric, system)) if t)
        row = row._replace(numerator=number, not_comparable=unknown, note=doubt or None)
        if target is None:
            is_known = not doubt or system is not None
            return row._replace(value=number, status="shown") if is_known else row
        if number:
            return row._replace(value=number, status=MetricStatus.MISSED.value)
        return row if doubt else row._replace(value=0, status=MetricStatus.MET.value)

    def _unsent(self, metric: str, system: str | None) -> str | None:
        """Which ESPs could not say what they sent."""
        if metric not in FROM_SENDS:
            return None
        wanted = self.evidence if system is None else {system: self.evidence.get(system)}
        return "; ".join(why for why in wanted.values() if why) or None

    # --- complaints -------------------------------------------------------------------------------
    def complaints(self, con: DuckDBPyConnection) -> Iterator[MetricRow]:
        """Complaints per delivery."""
        days = self.policy.clocks.complaint_days
        since = self.covered.cutoff - timedelta(days=days)
        found = query(con, "complaint_counts", since=since, cutoff=self.covered.cutoff)
        counted = {system: (people, mails) for system, people, mails in found}
        for system in (None, *self.policy.systems):
            people, mails = counted.get(system, (0, 0))
            yield self._complained(system, people or 0, mails or 0)

    def _complained(self, system: str | None, people: int, mails: int) -> MetricRow:
        row = self._row(COMPLAINTS, system, None, "< 0.1 %")
        why = self._why_unknown(system) or self._unsent("violations", system)
        if why is None and system is None:
            why = self._doubt(None)
        if why is not None:
            return row._replace(note=why)
        row = row._replace(numerator=people, denominator=mails)
        if mails < self.policy.clocks.complaint_minimum:
            least = self.policy.clocks.complaint_minimum
            return row._replace(note=f"fewer than {least:,} deliveries say nothing")
        limit = "at or above 0.3 %, where mailbox providers stop taking mail"
        is_met = people * 1000 < mails
        return row._replace(
            value=people / mails,
            status=(MetricStatus.MET if is_met else MetricStatus.MISSED).value,
            note=limit if people * 1000 >= 3 * mails else None,
        )

    # --- what is known ----------------------------------------------------------------------------
    def _why_unknown(self, system: str | None) -> str | None:
        return self.covered.why_unknown(self.policy.hub, system)

    def _doubt(self, system: str | None) -> str | None:
        return self.covered.doubt(self.policy.systems, system)

    def _row(
        self, metric: str, system: str | None, category: str | None, target: str | None
    ) -> MetricRow:
        return MetricRow(self.covered.night, metric, system, category, target=target)
