"""`[alerts]`, `[[alerts.route]]` and `[alerts.channel.<name>]` of optout.toml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from optout.alerts.rule import Severity

_Url = Annotated[str, Field(pattern=r"^https?://\S+$")]
_Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PagerDutyChannel(_Table):
    """Events API v2."""

    kind: Literal["pagerduty"]
    routing_key_env: _Variable
    base_url: _Url = "https://events.pagerduty.com"
    """EU accounts: https://events.eu.pagerduty.com."""


class SlackChannel(_Table):
    """A bot (`token_env` and `channel`: one message an alert, its thread kept up to date), or an
    incoming webhook (`webhook_env`: messages only)."""

    kind: Literal["slack"]
    token_env: _Variable | None = None
    channel: str | None = None
    webhook_env: _Variable | None = None
    base_url: _Url = "https://slack.com/api/"

    @model_validator(mode="after")
    def _one_way_in(self) -> SlackChannel:
        if bool(self.webhook_env) == bool(self.token_env and self.channel):
            raise ValueError("takes either token_env with channel, or webhook_env")
        return self


class EmailChannel(_Table):
    """SMTP. Without TLS only to this machine."""

    kind: Literal["email"]
    host: str
    port: int = Field(default=587, ge=1, le=65535)
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    ca_file: str | None = None
    """A private certificate authority, as a PEM file."""
    user: str | None = None
    password_env: _Variable | None = None
    sender: str = Field(alias="from")
    to: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _never_in_clear(self) -> EmailChannel:
        if self.tls == "none" and self.host not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("tls = 'none' is possible to this machine only; use starttls")
        if bool(self.user) != bool(self.password_env):
            raise ValueError("user and password_env belong together")
        return self


class WebhookChannel(_Table):
    """A POST signed with HMAC-SHA-256 over time stamp and body (docs/operations.md)."""

    kind: Literal["webhook"]
    url: _Url
    secret_env: _Variable


class AppriseChannel(_Table):
    """Microsoft Teams and the long tail: any URL that the library apprise knows."""

    kind: Literal["apprise"]
    url_env: _Variable


class FileChannel(_Table):
    """One JSON object a line; relative paths count from the data folder."""

    kind: Literal["file"]
    path: str = "alerts.jsonl"


class ConsoleChannel(_Table):
    """Standard error, for dry runs."""

    kind: Literal["console"]


Channel = Annotated[
    PagerDutyChannel | SlackChannel | EmailChannel | WebhookChannel | AppriseChannel
    | FileChannel | ConsoleChannel,
    Field(discriminator="kind"),
]  # fmt: skip


class RouteTable(_Table):
    """`[[alerts.route]]`: the first one that matches decides. What is left out matches all."""

    severity: tuple[Severity, ...] = ()
    rule: tuple[str, ...] = ()
    system: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    channels: tuple[str, ...] = Field(min_length=1)
    owner: str = ""


class ThresholdTable(_Table):
    """`[alerts.thresholds]`: when a rule speaks."""

    mass_move_people: int = Field(default=20, ge=1)
    mass_move_share: float = Field(default=0.001, gt=0, lt=1)
    drift_growth_nights: int = Field(default=3, ge=2)
    late_share: float = Field(default=0.001, gt=0, lt=1)
    """The allowed share of opt-outs that took more than 24 hours (1 - 99.9 %)."""
    rate_limited_share: float = Field(default=0.05, gt=0, lt=1)
    stale_hours: int = Field(default=26, ge=1)


class AlertsTable(_Table):
    """`[alerts]`. Without a channel, everything goes into `alerts.jsonl` in the data folder."""

    environment: str = "production"
    dashboard_url: _Url | None = None
    dagster_url: _Url | None = None
    runbook_url: str = "docs/runbooks"
    heartbeat_env: _Variable | None = None
    """The variable with the URL that a dead man's switch watches; such URLs are secrets."""
    repeat_page_hours: int = Field(default=24, ge=1)
    repeat_ticket_hours: int = Field(default=7 * 24, ge=1)
    keep_sent_days: int = Field(default=90, ge=7)
    """How long the text of a notice is kept once it was sent and its alert is over; what happened
    to an alert (its history) is kept for good."""
    channel: Mapping[str, Channel] = Field(default_factory=dict)
    route: tuple[RouteTable, ...] = ()
    thresholds: ThresholdTable = ThresholdTable()

    @model_validator(mode="after")
    def _known_channels(self) -> AlertsTable:
        known = set(self.channels)
        for route in self.route:
            for name in route.channels:
                if name not in known:
                    names = ", ".join(sorted(known))
                    raise ValueError(f"a route names the channel '{name}'; there are: {names}")
        return self

    @property
    def channels(self) -> Mapping[str, Channel]:
        """The configured channels in their order, which is also the order of falling back."""
        return self.channel or {"file": FileChannel(kind="file")}
