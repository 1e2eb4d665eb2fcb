"""`[policy.detection]` of optout.toml: when a rise of opt-outs is a spike."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from optout.rules.detection import DetectionRules


class DetectionTable(BaseModel):
    """`[policy.detection]`: one budget of false pages, and what is too small to matter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    false_pages_per_year: float = Field(default=1.0, gt=0, le=365)
    """Of all series and all detectors together."""
    series: int = Field(default=20, ge=1)
    """How many series share it; where more are judged, so many as there are."""
    baseline_nights: int = Field(default=90, ge=28)
    """The newest complete nights without a finding, up to a fortnight ago."""
    minimum_baseline_nights: int = Field(default=20, ge=8)
    """Below so many there is too little to tell."""
    minimum_deliveries: int = Field(default=500, ge=1)
    minimum_effect: float = Field(default=1.5, ge=1)
    """How many times the expected rate a spike is at least."""
    minimum_slow_effect: float = Field(default=1.25, ge=1)
    """The same of a rise over a fortnight."""
    minimum_excess: int = Field(default=10, ge=0)
    """Opt-outs more than expected."""
    named_domain_contacts: int = Field(default=50, ge=10)
    """A mailbox domain with fewer contacts is `other`: its name would point at people."""

    def rules(self, series: int = 0) -> DetectionRules:
        """The thresholds, where so many series are judged."""
        return DetectionRules(
            false_pages_per_year=self.false_pages_per_year,
            series=max(self.series, series),
            baseline_nights=self.baseline_nights,
            min_baseline_nights=self.minimum_baseline_nights,
            min_deliveries=self.minimum_deliveries,
            min_effect=self.minimum_effect,
            min_slow_effect=self.minimum_slow_effect,
            min_excess=self.minimum_excess,
        )
