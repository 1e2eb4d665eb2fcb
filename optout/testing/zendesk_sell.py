"""A Sell account, its records and its streams: what the tests of the hub share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from optout.http.client import HttpClient
from optout.model import Categories, Source, State
from optout.records import Reading
from optout.sandbox.acts import Act, Person
from optout.sandbox.server import Sandbox
from optout.sandbox.zendesk_sell.twin import ZendeskSellTwin
from optout.testing.outputs import MemoryOutput
from optout.vendors.base import Context, ReadRequest, Stream
from optout.vendors.zendesk_sell.connector import ZendeskSell

CATEGORIES = Categories(("product_updates", "educational", "promotional", "events"))
PROMO = CATEGORIES.bit("promotional")
EVENTS = CATEGORIES.bit("events")
TOKEN = "s" * 64
NIGHT = date(2026, 3, 10)
CUTOFF = datetime(2026, 3, 10, 2, tzinfo=UTC)
BEFORE = CUTOFF - timedelta(days=30)
"""When records are made, unless told otherwise."""
YESTERDAY = CUTOFF - timedelta(hours=20)
"""When people act, unless told otherwise."""


@dataclass
class Hub:
    """The twin behind HTTP, and connectors for it."""

    sandbox: Sandbox
    twin: ZendeskSellTwin

    def connector(self, **settings: Any) -> ZendeskSell:
        """A connector with further settings."""
        config = ZendeskSell.Config(
            name="hub",
            vendor="zendesk_sell",
            base_url=self.sandbox.base_url("zendesk_sell"),
            token_env="SELL_TOKEN",  # noqa: S106
            **settings,
        )
        token = settings.pop("token", TOKEN)
        options = replace(ZendeskSell.http_options(config, token), limits=())
        http = HttpClient(
            "hub", config.base_url, options, secrets=(token,), sleep=lambda seconds: None
        )
        return ZendeskSell(Context(config, token, CATEGORIES, http))

    def streams(self) -> tuple[Stream, ...]:
        """The streams of a connector without further settings."""
        connector = self.connector()
        return connector.streams(connector.config)

    def read(
        self,
        stream: str,
        *,
        out: MemoryOutput | None = None,
        nights: int = 0,
        since: datetime | None = None,
        state: Mapping[str, Any] | None = None,
        connector: ZendeskSell | None = None,
        **settings: Any,
    ) -> MemoryOutput:
        """Read one stream, some nights later, to its end (or to the exception that it raises)."""
        out = out or MemoryOutput()
        at = CUTOFF + timedelta(days=nights)
        request = ReadRequest(at.date(), at, since, state or {}, at)
        (connector or self.connector(**settings)).read(stream, request, out)
        return out

    def person(self, name: str, *, country: str | None = "DE") -> Person:
        """The person of a name, at an address of that name."""
        return Person(0, f"{name}@example.org", name.title(), "Roy", country)

    def add(self, name: str, states: Mapping[str, State] | None = None, **more: Any) -> int:
        """Add a contact (a lead with `lead=True`) of that name; its id."""
        at = more.pop("at", BEFORE)
        country = more.pop("country", "DE")
        return self.twin.add_record(self.person(name, country=country), states or {}, at, **more)

    def put(self, record_id: int, values: Mapping[str, Any], kind: str = "contact") -> None:
        """Write fields as the vendor's UI would, past every validation."""
        record = self.twin.store.records[kind, record_id]
        self.twin.store.update(record, YESTERDAY, values=values)


def act(at: datetime = YESTERDAY, source: Source = Source.EMAIL_LINK, **more: Any) -> Act:
    """Somebody's act: by the link of a message, yesterday, unless told otherwise."""
    return Act(at=at, source=source, **more)


def by_id(out: MemoryOutput) -> dict[str, Reading]:
    """The readings by record."""
    return {r.record_id: r for r in out.of(Reading)}


def only(out: MemoryOutput, record_id: int) -> Reading:
    """The reading of one record."""
    return by_id(out)[str(record_id)]


def fill(hub: Hub, number: int) -> list[int]:
    """So many contacts: opted in, opted out and never asked in turn; their ids."""
    states = (State.OPTED_IN, State.OPTED_OUT, State.NOT_SET)
    return [hub.add(f"p{i}", {"promotional": states[i % 3]}) for i in range(number)]


def drained(hub: Hub, nights: int = 0, state: Any = None, **more: Any) -> MemoryOutput:
    """A night of the stream `sync`."""
    return hub.read("sync", nights=nights, state=state, **more)


def rename(hub: Hub, name: str, to: str, kind: str = "contact") -> None:
    """Give a custom field another name, as an administrator may."""
    hub.twin.store.definition(kind, name).name = to
