"""The words and thresholds of spike detection; the statistics are in `optout.rules.spikes`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

WINDOWS = (1, 4, 14)
"""Nights whose sums are tested; the longest stays out of the baseline, so that a rise never
teaches itself as normal before it is seen."""
GUARD = WINDOWS[-1]


class SpikeKind(StrEnum):
    """What a night's verdict on a series is."""

    SPIKE = "spike"
    SLOW_RISE = "slow_rise"
    DEAD_FEED = "dead_feed"
    SCANNER = "scanner"
    TOO_LITTLE_TO_TELL = "too_little_to_tell"
    NORMAL = "normal"


@dataclass(frozen=True)
class DetectionRules:
    """Thresholds; the settings table is `[policy.detection]`."""

    false_pages_per_year: float = 1.0
    """Of all series together."""
    series: int = 20
    """How many share it."""
    baseline_nights: int = 90
    min_baseline_nights: int = 20
    """Over-dispersion cannot be told from fewer."""
    min_deliveries: int = 500
    min_effect: float = 1.5
    """Rate over expected rate, of tonight and of four nights."""
    min_slow_effect: float = 1.25
    """Of a fortnight."""
    min_excess: float = 10.0
    """Opt-outs more than expected."""

    @property
    def alpha(self) -> float:
        """The chance of a false page that one series may have in one night."""
        return self.false_pages_per_year / (365.0 * self.series)

    def effect(self, window: int) -> float:
        """The least ratio that a sum of so many nights has to show."""
        return self.min_effect if window < GUARD else self.min_slow_effect
