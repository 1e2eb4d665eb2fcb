"""A clock that nobody waits for, people, and readings: what the tests of Klaviyo share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from optout.model import Source, State
from optout.records import Reading
from optout.sandbox.acts import Act, Person
from optout.sandbox.klaviyo.state import Suppression
from optout.sandbox.klaviyo.twin import KlaviyoTwin
from optout.testing.outputs import MemoryOutput
from optout.vendors.base import ReadRequest
from optout.vendors.klaviyo.connector import Klaviyo

CUTOFF = datetime(2026, 10, 2, 2, tzinfo=UTC)
AT = CUTOFF - timedelta(hours=10)
"""When people act, unless told otherwise."""
CATEGORIES = ("product_updates", "promotional")
ALL, PRODUCT, PROMOTIONAL = 3, 1, 2
"""Masks of the categories."""
TOKEN = "pk_test"  # noqa: S105
Connect = Callable[..., Klaviyo]
"""Makes a connector of the given settings for the twin."""


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        """Seconds since some moment."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds


def request(**options: Any) -> ReadRequest:
    """The question of a night: in full, unless told otherwise."""
    return ReadRequest(night=CUTOFF.date(), cutoff=CUTOFF, **{"since": None, **options})


def read(connector: Klaviyo, stream: str, asked: ReadRequest | None = None) -> MemoryOutput:
    """Read one stream to its end (or to the exception that it raises)."""
    out = MemoryOutput()
    connector.read(stream, asked or request(), out)
    return out


def address(number: int) -> str:
    """The address of a person's number."""
    return f"p{number}@example.org"


def people(twin: KlaviyoTwin, count: int, **states: State) -> None:
    """So many profiles in the given states, else opted in to the promotional category."""
    for number in range(1, count + 1):
        person = Person(number, address(number), "Pat", "Doe")
        twin.add(person, states or {"promotional": State.OPTED_IN}, AT)


def act(source: Source, hours: float = 1, campaign: str | None = None) -> Act:
    """Somebody's act, some hours after `AT`."""
    return Act(AT + timedelta(hours=hours), source, campaign_id=campaign)


def list_of(twin: KlaviyoTwin, category: str) -> str:
    """The list that a category is mapped to."""
    (list_id,) = twin.category_map()[category]
    return list_id


def of_profile(out: MemoryOutput, number: int = 1) -> Reading:
    """The one reading of a person's profile."""
    (found,) = [
        row for row in out.of(Reading) if row.store == "profile" and row.address == address(number)
    ]
    return found


def of_list(out: MemoryOutput) -> list[Reading]:
    """The readings of lists."""
    return [row for row in out.of(Reading) if row.store.startswith("list:")]


def suppress(twin: KlaviyoTwin, *reasons: str, list_id: str | None = None) -> None:
    """Suppress the first person for these reasons: globally, or for one list."""
    profile = twin.profile(address(1))
    assert profile is not None  # noqa: S101
    held = profile.list_suppressions if list_id else profile.suppressions
    held += [Suppression(reason, AT, list_id) for reason in reasons]
