"""`[policy.clocks]`, `[policy.consent]`, `[policy.audience]`, `[policy.regimes]` of optout.toml."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from optout.rules.regimes import (
    Counting,
    Reading,
    Regimes,
    Rule,
    Unit,
    builtin_regimes,
    parse_rule,
)


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ClocksTable(_Table):
    """`[policy.clocks]`: windows and thresholds of the figures about time and mail."""

    processing_days: int = Field(default=30, ge=1)
    """How far back the processing times of a night's figure reach."""
    target_hours: int = Field(default=24, ge=1)
    """The 95th percentile has to stay below it."""
    limit_hours: int = Field(default=48, ge=1)
    """No opt-out may take longer."""
    frequent_changes: int = Field(default=5, ge=2)
    """So many changes of one person within `frequent_days` are flagged."""
    frequent_days: int = Field(default=30, ge=1)
    complaint_days: int = Field(default=7, ge=1)
    complaint_minimum: int = Field(default=1000, ge=1)
    """Below so many deliveries a complaint rate says nothing."""
    sender_domains: tuple[str, ...] = ()
    """Domains that From and Reply-To may have; empty: any."""

    @field_validator("sender_domains")
    @classmethod
    def _lower(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(domain.strip().lower().removeprefix("@") for domain in value)


class ConsentTable(_Table):
    """`[policy.consent]`: the company's own wish, apart from any law."""

    sunset_after_months: int | None = Field(default=None, ge=1)
    """Stop mailing after so long without a click, purchase or login; None: no such rule."""


class AudienceTable(_Table):
    """`[policy.audience]`: who counts as unengaged."""

    unengaged_days: int = Field(default=180, ge=1)
    """No click, purchase or login for so long; opens never count."""


class RuleTable(_Table):
    """One `[[policy.regimes.rules]]`: a rule that is added, or makes one of ours stricter."""

    regime: str
    rule_id: str = Field(pattern=r"^[a-z0-9_]+$")
    kind: Literal["opt_out", "request", "mechanism", "complaint"] = "opt_out"
    start_event: Literal["occurred_at", "received_at", "sent_at"] = "received_at"
    unit: Unit
    amount: int = Field(ge=0)
    counting: Counting = Counting.DAY_AFTER
    reading: Reading = Reading.BOTH
    calendar: str = Field(default="none", pattern=r"^([A-Z]{2}|local|none)$")
    sources: tuple[str, ...] = ()
    severity: Literal["law", "contract"] = "law"
    mark: str = "the company's own"
    source: str = Field(min_length=1)
    checked_on: date

    @model_validator(mode="after")
    def _is_a_limit(self) -> RuleTable:
        if self.kind == "opt_out" and self.unit is Unit.PERCENT:
            raise ValueError("an opt-out is honoured within a time, not a percentage")
        return self

    @property
    def rule(self) -> Rule:
        """The rule itself."""
        fields: dict[str, Any] = self.model_dump()
        return parse_rule(fields)


class RegimesTable(_Table):
    """`[policy.regimes]`: only adds and tightens."""

    rules: tuple[RuleTable, ...] = ()

    @model_validator(mode="after")
    def _only_tightens(self) -> RegimesTable:
        self.apply(builtin_regimes())
        return self

    def apply(self, regimes: Regimes) -> Regimes:
        """The regimes with these rules; ValueError for one that is looser."""
        return regimes.tightened(table.rule for table in self.rules)
