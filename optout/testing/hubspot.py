"""A HubSpot account, readings of it and people in it: what the tests of HubSpot share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from optout.model import Categories, State
from optout.records import Reading
from optout.sandbox.acts import Person
from optout.sandbox.hubspot.twin import HubSpotTwin
from optout.testing.outputs import MemoryOutput
from optout.vendors.base import ReadRequest
from optout.vendors.hubspot.connector import HubSpot

TOKEN = "pat-eu1-3f9a77c2-not-real"  # noqa: S105
NAMES = ("product_updates", "educational", "promotional")
CATEGORIES = Categories(NAMES)
PRODUCT, EDUCATIONAL, PROMOTIONAL = (CATEGORIES.bit(name) for name in NAMES)
START = datetime(2026, 10, 1, 8, tzinfo=UTC)
CUTOFF = datetime(2026, 10, 20, 2, tzinfo=UTC)
RowT = TypeVar("RowT")
ADA = "ada@example.org"
Connect = Callable[..., HubSpot]
"""Makes a connector of the given settings for the twin."""


def at(**delta: float) -> datetime:
    """A time after `START`, by the words of `timedelta`."""
    return START + timedelta(**delta)


def person(number: int, address: str | None = None) -> Person:
    """The person of a number, with the address of that number unless another is given."""
    return Person(number, address or f"p{number}@example.org", "Pat", "Doe")


def night(since: datetime | None = None, cutoff: datetime = CUTOFF) -> ReadRequest:
    """The question of a night that is read ten minutes after its cut-off."""
    return ReadRequest(cutoff.date(), cutoff, since, now=cutoff + timedelta(minutes=10))


def read(connector: HubSpot, stream: str, since: datetime | None = None) -> MemoryOutput:
    """Read one stream to its end (or to the exception that it raises)."""
    out = MemoryOutput()
    connector.read(stream, night(since), out)
    return out


def distinct(out: MemoryOutput, kind: type[RowT]) -> list[RowT]:
    """The rows as the loading counts them: an address may be met twice, as contact and as
    recipient, and says the same both times."""
    return list(dict.fromkeys(out.of(kind)))


def reading(out: MemoryOutput, address: str, store: str = "statuses") -> Reading:
    """The one reading of an address in a store."""
    found = [r for r in distinct(out, Reading) if r.address == address and r.store == store]
    assert len(found) == 1, f"{len(found)} readings"  # noqa: S101
    return found[0]


def fill(twin: HubSpotTwin, count: int) -> None:
    """So many contacts who said yes to the promotional type, a minute apart."""
    for number in range(1, count + 1):
        twin.add(person(number), {"promotional": State.OPTED_IN}, at(minutes=number))
