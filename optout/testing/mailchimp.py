"""A Mailchimp account and what is told of its members: what the tests of Mailchimp share."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

from optout.http.client import Answer, HttpClient
from optout.model import Categories, Source, State
from optout.records import Reading
from optout.sandbox.acts import Act, Mailing, Person
from optout.sandbox.mailchimp.state import Audience
from optout.sandbox.mailchimp.twin import MailchimpTwin
from optout.sandbox.server import Sandbox
from optout.testing.outputs import MemoryOutput
from optout.vendors.base import Context, ReadRequest
from optout.vendors.mailchimp.connector import Mailchimp, MailchimpConfig
from optout.vendors.mailchimp.members import Audience as Mapped
from optout.vendors.mailchimp.pages import Paging

NIGHT = datetime(2026, 5, 10, 2, tzinfo=UTC)
"""When the night is read."""
DAY = datetime(2026, 5, 1, 12, tzinfo=UTC)
"""When people act, unless told otherwise."""
MASKS = Categories(("news", "offers", "events"))
NEWS, OFFERS, EVENTS = 1, 2, 4
ALL_IN = dict.fromkeys(MASKS.names, State.OPTED_IN)
ANA, BO, CY = "Ana@Example.org", "bo@example.net", "cy@example.com"
MAPPED = Mapped("l1", EVENTS, {"i1": NEWS, "i2": OFFERS})
"""An audience with one category for the whole of it and one for each of two interests."""


class World:
    """A twin behind a server, with a connector that reads it."""

    def __init__(self) -> None:
        self.twin = MailchimpTwin(MASKS.names, token="key-us1", rng=Random(7))  # noqa: S106, S311
        self.sandbox = Sandbox([self.twin])
        self.reset()

    def reset(self) -> None:
        """An account without members behind the same server, which is slow to stop."""
        lock = self.twin.lock
        MailchimpTwin.__init__(self.twin, MASKS.names, token="key-us1", rng=Random(7))  # noqa: S106, S311
        self.twin.lock, self.twin.now = lock, DAY
        self.sandbox.faults.clear()
        self.sandbox.forget()
        self.sandbox.latency = 0.0
        self.after_get: Callable[[], None] = lambda: None
        self.requests: list[tuple[str, dict[str, Any]]] = []

    @property
    def shop(self) -> Audience:
        """The first audience."""
        return next(iter(self.twin.audiences.values()))

    @property
    def second(self) -> Audience:
        """The second audience."""
        return list(self.twin.audiences.values())[1]

    def connector(self, *, token: str = "key-us1", base: str = "", **config: Any) -> Mailchimp:  # noqa: S107
        """A connector whose requests are kept, with further settings."""
        made = MailchimpConfig(
            name="mailchimp",
            vendor="mailchimp",
            base_url=base or self.sandbox.base_url("mailchimp"),
            token_env="MAILCHIMP_KEY",  # noqa: S106
            categories=config.pop("categories", self.twin.category_map()),
            **config,
        )
        world = self

        class Watched(HttpClient):
            def get(self, path: str, params: Any = None, **more: Any) -> Answer:
                answer = super().get(path, params, **more)
                world.requests.append((path, dict(params or {})))
                world.after_get()
                return answer

        options = Mailchimp.http_options(made, token)
        http = Watched(
            "mailchimp", made.base_url, options, secrets=(token,), sleep=lambda seconds: None
        )
        return Mailchimp(Context(made, token, MASKS, http))

    def read(
        self, stream: str, out: MemoryOutput | None = None, *, since: datetime | None = None,
        state: Any = None, connector: Mailchimp | None = None, now: datetime = NIGHT,
    ) -> MemoryOutput:  # fmt: skip
        """Read one stream to its end (or to the exception that it raises)."""
        out = out or MemoryOutput()
        request = ReadRequest(date(2026, 5, 10), now, since, state or {}, now)
        (connector or self.connector()).read(stream, request, out)
        return out

    def people(self, count: int) -> list[str]:
        """So many members of both audiences, three of them in a second; their addresses."""
        found = [f"p{number}@example.net" for number in range(count)]
        for number, address in enumerate(found):
            at = DAY + timedelta(seconds=number // 3)
            self.twin.add(Person(number, address, "Given", "Family"), ALL_IN, at)
        return found

    def join(self, *addresses: str) -> None:
        """Members of both audiences, opted in to everything."""
        for number, address in enumerate(addresses):
            self.twin.add(Person(number, address, "Given", "Family"), ALL_IN, DAY)


def act(source: Source, hours: float = 1, **more: Any) -> Act:
    """Somebody's act, some hours after `DAY`."""
    return Act(DAY + timedelta(hours=hours), source, **more)


def latest(out: MemoryOutput) -> dict[tuple[str, str], Reading]:
    """What the warehouse keeps: of several readings of a record the latest, then the last."""
    found: dict[tuple[str, str], Reading] = {}
    for reading in out.of(Reading):
        key = reading.store, reading.record_id
        before = found.get(key)
        if before is None or before.modified_at <= reading.modified_at:  # type: ignore[operator]
            found[key] = reading
    return found


def by_address(out: MemoryOutput, audience: Audience) -> dict[str, Reading]:
    """What the warehouse keeps of one audience, by address."""
    return {
        str(r.address): r for (store, _), r in latest(out).items() if store.endswith(audience.id)
    }


def small(connector: Mailchimp, *, workers: int = 1) -> Mailchimp:
    """The connector with pages of twelve that overlap by four: many borders in short lists."""
    connector.paging = Paging(12, 4, workers)  # type: ignore[misc]
    return connector


def truth(world: World) -> dict[tuple[str, str], tuple[str, str, int]]:
    """Address, status and number of true interests of every member, by store and record."""
    return {
        (f"audience:{audience.id}", m.contact_id): (
            m.address, m.status, sum(m.interests.values()) if m.status == "subscribed" else 0,
        )
        for audience in (world.shop, world.second)
        for m in audience.members.values()
    }  # fmt: skip


def told(out: MemoryOutput) -> dict[tuple[str, str], tuple[str, str, int]]:
    """The same as `truth`, as it was read."""
    found = {}
    for key, row in latest(out).items():
        raw = json.loads(row.raw)
        yes = sum(raw["interests"].values()) if raw["status"] == "subscribed" else 0
        found[key] = (str(row.address), raw["status"], yes)
    return found


def busy(world: World) -> None:
    """Two campaigns, with all that can happen to them."""
    world.join(ANA, BO, CY)
    world.twin.send(Mailing("c1", "May", "news", DAY), [ANA, BO, CY])
    world.twin.send(Mailing("c2", "Fair", "events", DAY + timedelta(days=1)), [ANA, BO])
    world.twin.click(BO, "c1", DAY + timedelta(hours=2))
    world.twin.opt_out(ANA, None, act(Source.EMAIL_LINK, campaign_id="c1", reason="Too many"))
    world.twin.opt_out(BO, None, act(Source.SUPPORT_REQUEST, 30))
    world.twin.bounce(CY, "c1", DAY)
