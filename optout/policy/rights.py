"""`[[identity.retired]]` and `[policy.retention]` of optout.toml."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RetiredKey(_Table):
    """One `[[identity.retired]]`, oldest first: a key that no longer makes contact keys.

    It stays for recognising erased people when a vendor sends them again; the oldest one still
    names records (`optout.address.Keyer.pseudonym`).
    """

    key_id: str = Field(pattern=r"^[a-z0-9_-]{1,20}$")
    key_env: str


class RetentionTable(_Table):
    """`[policy.retention]`: days that each layer is kept; None: without end.

    Recorded changes are not here: an opt-out has no end date, and its proof has none either.
    """

    landing_days: int | None = Field(default=400, ge=35)
    """What vendors said, night by night. More than a vendor's longest look-back and a quarter's
    audit; older nights cannot be replayed."""
    mail_days: int | None = Field(default=1_100, ge=190)
    """Sends, opens, clicks: three years, the time in which a mailing can be complained of. What a
    violation rests on is kept, and what engagement is judged by (hence at least half a year)."""
    observation_days: int | None = Field(default=1_100, ge=35)
    """What systems said before they said something else."""
    drift_days: int | None = Field(default=1_100, ge=100)
    """Differences that are over."""
    finding_days: int | None = Field(default=400, ge=100)
    metric_days: int | None = Field(default=2_600, ge=400)
    """Figures about everybody; about nobody."""
    report_days: int | None = Field(default=2_600, ge=400)
    disclosure_days: int | None = Field(default=1_100, ge=400)
    """Who looked whom up."""
