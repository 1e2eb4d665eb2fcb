"""What is said of each series in a night: one row of `audit.spike`.

Of several tests that fire, the shortest speaks: what shows in one night is a spike, also when it
lasts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from optout.policy.detection import DetectionTable
from optout.rules.detection import WINDOWS, SpikeKind
from optout.rules.scanners import SCAN_TIME, Rush, is_scanner
from optout.rules.spikes import Nights, Verdicts
from optout.rules.spikes_tail import Floats


class Series(NamedTuple):
    """What is counted together."""

    dimension: str
    system: str
    key: str


class SpikeRow(NamedTuple):
    """One row of `audit.spike`, in its order."""

    night: date
    kind: str
    dimension: str
    system: str
    key: str
    since: date
    window_nights: int
    opt_outs: int
    deliveries: int
    expected: float | None = None
    rate: float | None = None
    p_value: float | None = None
    alpha: float | None = None
    threshold: int | None = None
    ratio: float | None = None
    note: str | None = None


@dataclass(frozen=True)
class Batch:
    """Series that are judged together."""

    series: list[Series]
    nights: Nights
    is_campaign: bool = False
    """Rows are campaigns, columns earlier campaigns instead of nights."""


@dataclass(frozen=True)
class Writer:
    """Turns verdicts into rows: one a series."""

    night: date
    batch: Batch
    verdicts: Verdicts
    table: DetectionTable
    rushes: Mapping[Series, Rush]
    said: Mapping[Series, tuple[str, date]]

    def rows(self, thresholds: Mapping[int, Floats]) -> list[SpikeRow]:
        """The rows of every series of the batch that has something to judge."""
        result = []
        for i, series in enumerate(self.batch.series):
            row = self._row(i, series, thresholds)
            kind, since = self.said.get(series, ("", self.night))
            result.append(row._replace(since=since if kind == row.kind else self.night))
        return result

    def _row(self, i: int, series: Series, thresholds: Mapping[int, Floats]) -> SpikeRow:
        tests = self.verdicts.tests
        plain = SpikeRow(
            self.night, SpikeKind.TOO_LITTLE_TO_TELL, *series, self.night, 1,
            int(self.batch.nights.opt_outs[i, -1]), int(self.batch.nights.deliveries[i, -1]),
        )  # fmt: skip
        fired = [t for t in tests if t.fires[i]]
        tested = [t for t in tests if t.is_tested[i]]
        if not tested:
            return plain._replace(note=self._too_little(i))
        dead = int(self.verdicts.dead_nights[i])
        test = next((t for t in tests if t.window == dead), (fired or tested)[0])
        expected, size = float(test.prediction.expected[i]), int(test.prediction.size[i])
        row = plain._replace(
            kind=SpikeKind.NORMAL.value,
            window_nights=test.window,
            opt_outs=int(test.opt_outs[i]),
            deliveries=size,
            expected=expected,
            rate=float(test.opt_outs[i]) / size,
            p_value=float(test.p_value[i]),
            alpha=float(test.alpha[i]),
            threshold=int(thresholds[test.window][i]),
            ratio=float(test.opt_outs[i]) / expected,
        )
        if dead:
            note = f"not one opt-out where about {expected:.0f} were to be expected"
            chance = float(self.verdicts.dead_p_value[i])
            return row._replace(
                kind=SpikeKind.DEAD_FEED.value, p_value=chance, threshold=None, note=note
            )
        return self._rise(row, series) if fired else row

    def _rise(self, row: SpikeRow, series: Series) -> SpikeRow:
        is_tonight = row.window_nights == WINDOWS[0] or self.batch.is_campaign
        kind = SpikeKind.SPIKE if is_tonight else SpikeKind.SLOW_RISE
        rush = self.rushes.get(series)
        threshold = row.threshold or 0
        if rush is not None and is_scanner(rush, opt_outs=row.opt_outs, threshold=threshold):
            note = (
                f"likely automatic: {rush.soon} of {rush.all} opt-outs at {rush.name} came within"
                f" {SCAN_TIME.seconds // 60} minutes of delivery; they are honoured all the same"
            )
            return row._replace(kind=SpikeKind.SCANNER.value, note=note)
        return row._replace(kind=kind.value)

    def _too_little(self, i: int) -> str:
        have = int(self.verdicts.baseline.nights[i])
        if have < self.table.minimum_baseline_nights:
            unit = "earlier campaigns" if self.batch.is_campaign else "nights to learn from"
            return f"{have} {unit}, {self.table.minimum_baseline_nights} are needed"
        return f"fewer than {self.table.minimum_deliveries} deliveries"
