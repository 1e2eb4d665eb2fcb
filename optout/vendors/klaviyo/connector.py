"""Klaviyo: profiles with consent and suppressions, members of lists, campaigns, events.

Facts are those of the vendor's specification of revision 2026-07-15. Consent is shown only if
asked for, and a lifted suppression shows in no feed; so everything is read each night unless
`full_read_every` says otherwise. A request brings a hundred profiles and 750 a minute are
allowed: a million profiles take a quarter of an hour.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from optout.http.client import Answer, HttpOptions, Limit
from optout.vendors.base import (
    Connector,
    Context,
    Problem,
    ReadRequest,
    Role,
    Stream,
    StreamOutput,
    SystemConfig,
)
from optout.vendors.klaviyo.account import Account
from optout.vendors.klaviyo.check import problems
from optout.vendors.klaviyo.dated import read_campaigns, read_events
from optout.vendors.klaviyo.state import read_members, read_profiles

_TIERS = {
    "/api/accounts": (1, 15),
    "/api/profiles": (75, 750),
    "/api/lists": (75, 750),
    "/api/lists/{id}": (1, 15),  # with the number of its members, the only way it is asked here
    "/api/lists/{id}/profiles": (75, 750),
    "/api/metrics": (10, 150),
    "/api/events": (350, 3500),
    "/api/campaigns": (10, 150),
    "/api/campaign-messages/{id}": (10, 150),
    "/api/flow-messages/{id}": (3, 60),
}
"""Path template → requests in one second and in one minute; each endpoint has its own windows."""

_READERS = {
    "profiles": read_profiles,
    "list_members": read_members,
    "campaigns": read_campaigns,
    "events": read_events,
}


def _refusal(answer: Answer) -> str | None:
    """An answer with an error's body is one, whatever its status says."""
    if isinstance(answer.data, dict) and "errors" in answer.data:
        return "an error told as a success"
    return None


class KlaviyoConfig(SystemConfig):
    """Klaviyo's own keys; `categories` maps to ids of lists."""

    event_days: int = Field(default=90, ge=1)
    """How far back the first read of events and campaigns goes."""
    event_overlap_hours: int = Field(default=48, ge=1)
    """How far each later read reaches back: events can come late, with an older stamp."""


class Klaviyo(Connector):
    """Reads one Klaviyo account."""

    vendor = "klaviyo"
    Config = KlaviyoConfig
    revision = "2026-07-15"
    sends_evidence = True
    send_streams = ("events",)

    config: KlaviyoConfig

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._account = Account(
            http=self.http,
            system=self.config.name,
            categories=self.categories,
            lists=self.categories.by_store(self.config.categories),
            event_days=self.config.event_days,
            event_overlap_hours=self.config.event_overlap_hours,
        )

    @classmethod
    def http_options(cls, config: SystemConfig, token: str) -> HttpOptions:
        """The key, the pinned revision, JSON:API, and the limits of each endpoint."""
        headers = {
            "Authorization": f"Klaviyo-API-Key {token}",
            "revision": str(cls.revision),
            "Accept": "application/vnd.api+json",
        }
        limits = [
            Limit(number, seconds, endpoint=endpoint)
            for endpoint, (burst, steady) in _TIERS.items()
            for number, seconds in ((burst, 1.0), (steady, 60.0))
        ]
        return HttpOptions(headers=headers, limits=tuple(limits), refusal=_refusal)

    @classmethod
    def streams(cls, config: SystemConfig) -> tuple[Stream, ...]:
        """Members in full every night: that somebody left a list shows in no other way."""
        return (
            Stream("profiles", snapshot=True, stores=("profile", "list:")),
            Stream("list_members", snapshot=True, stores=("list:",), always_full=True),
            Stream("campaigns"),
            Stream("events", role=Role.CHANGES),
        )

    def read(self, stream: str, request: ReadRequest, out: StreamOutput) -> None:
        """Read one stream; raises SourceError."""
        _READERS[stream](self._account, request, out)

    def check(self) -> Iterator[Problem]:
        """Key, revision, scopes, lists, metrics, and that consent is shown."""
        return problems(self._account, self.config.categories)
