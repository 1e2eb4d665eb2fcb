"""What can happen in the sandbox world, in words that no vendor owns.

The world (`optout.sandbox.world`) decides who does what and knows the truth; a twin turns each act
into the native state that the real vendor would hold, and serves it over HTTP exactly as the
vendor does, traps included. Times are aware UTC datetimes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from random import Random
from threading import RLock
from typing import ClassVar

from starlette.routing import Route

from optout.http.client import Limit
from optout.model import Source, State


@dataclass(frozen=True)
class Person:
    """One synthetic person; addresses are under example.org/.net/.com only."""

    id: int
    address: str
    first_name: str
    last_name: str
    country: str | None = None


@dataclass(frozen=True)
class Mailing:
    """A campaign as the world plans it."""

    id: str
    name: str
    category: str | None
    """None: transactional."""
    sent_at: datetime
    from_name: str = "Example Shop"
    from_address: str = "news@shop.example.org"
    reply_to: str = "help@shop.example.org"
    has_unsubscribe: bool = True
    has_postal_address: bool = True


@dataclass(frozen=True)
class Act:
    """The circumstances of one preference change."""

    at: datetime
    source: Source
    campaign_id: str | None = None
    ip: str | None = "198.51.100.7"
    user_agent: str | None = "Mozilla/5.0 (sandbox)"
    reason: str | None = None


@dataclass(frozen=True)
class HistoryFault:
    """How the hub's own history entry of a change is spoilt (rule 7's kinds of gap)."""

    kind: str
    """change_without_entry | missing_required_field | broken_chain | unparsable | phantom |
    no_history."""
    field: str | None = None
    """What is missing; `cut`, of `unparsable`: the field was cut off within the entry."""


@dataclass(frozen=True)
class Governance:
    """The hub's consent fields of a new contact."""

    method: str | None = "explicit"
    basis: str | None = "express"
    basis_date: date | None = None
    basis_ref: str | None = None


class Twin(ABC):
    """One vendor's API with its native state. Thread-safe: the server and the world share it
    under `self.lock` (set by the server)."""

    vendor: ClassVar[str]
    base_path: ClassVar[str] = ""
    """What follows `/<vendor>` in the base URL (`/3.0`); part of the routes' paths."""
    limits: ClassVar[tuple[Limit, ...]] = ()
    """The vendor's limits, kept by the server."""
    endpoint_limits: ClassVar[Mapping[str, tuple[Limit, ...]]] = {}
    """Route path → limits of its own, instead of `limits`."""
    limit_style: ClassVar[str] = ""
    """How the vendor says 429: sendgrid | klaviyo | hubspot | mailchimp | sell."""

    def __init__(self, categories: Sequence[str], *, token: str, rng: Random) -> None:
        self.categories = tuple(categories)
        self.token = token
        self.rng = rng
        self.lock = RLock()
        """Held by the server around every handler, and by the world while it acts."""
        self.now: datetime | None = None
        """The sandbox clock, moved by the world; stamps of API-side effects use it."""

    # --- for the configuration -------------------------------------------------------------
    @abstractmethod
    def category_map(self) -> Mapping[str, Sequence[str]]:
        """Category → native stores, as it is written into optout.toml."""

    @abstractmethod
    def routes(self) -> list[Route]:
        """Starlette routes below this twin's prefix (`/<vendor>`), strict as the vendor's."""

    # --- acts ---------------------------------------------------------------------------------
    @abstractmethod
    def add(self, person: Person, states: Mapping[str, State], at: datetime) -> None:
        """The system gets to know a person (import or sync): no act of the person."""

    @abstractmethod
    def opt_out(self, address: str, category: str | None, act: Act) -> None:
        """The address opts out here (None: of everything), leaving the traces the vendor leaves."""

    @abstractmethod
    def opt_in(self, address: str, category: str | None, act: Act) -> None:
        """The address opts in here; lifts what the vendor would lift."""

    @abstractmethod
    def change_address(self, old: str, new: str, at: datetime) -> None:
        """The record's address is edited, as far as the vendor allows it."""

    @abstractmethod
    def delete(self, address: str, at: datetime) -> None:
        """The record is removed the way the vendor removes it (suppressions may survive)."""

    # --- mail (ESPs; the hub leaves these as they are) ------------------------------------------
    def send(self, mailing: Mailing, addresses: Sequence[str]) -> None:  # noqa: B027
        """A campaign goes to these addresses whatever their state (the world decides)."""

    def click(self, address: str, mailing_id: str, at: datetime) -> None:  # noqa: B027
        """The person clicked."""

    def bounce(self, address: str, mailing_id: str | None, at: datetime) -> None:  # noqa: B027
        """A hard bounce: undeliverable from now on."""

    def complain(self, address: str, mailing_id: str, at: datetime) -> None:  # noqa: B027
        """A spam complaint."""

    def silently_mailable(self, address: str, category: str | None, at: datetime) -> None:  # noqa: B027
        """An import or restore makes the address mailable again without an act of the person:
        the vendor's traces (if any) say so."""

    def holds(self, address: str) -> bool:
        """Whether the system has a record of the address."""
        raise NotImplementedError


@dataclass
class HubExtras:
    """What only the hub can be told, for `HubTwin` acts."""

    fault: HistoryFault | None = None
    lead: bool = False
    governance: Governance = field(default_factory=Governance)


class HubTwin(Twin):
    """The hub: contacts and leads with preference fields, governance and history."""

    @abstractmethod
    def add_record(
        self,
        person: Person,
        states: Mapping[str, State],
        at: datetime,
        *,
        global_out: bool = False,
        lead: bool = False,
        governance: Governance | None = None,
        fault: HistoryFault | None = None,
    ) -> int:
        """A contact or lead; several may share an address. Returns the record id. `no_history`
        leaves out the entry of its beginning."""

    @abstractmethod
    def set_preference(
        self,
        address: str,
        category: str | None,
        state: State,
        act: Act,
        *,
        fault: HistoryFault | None = None,
        record_id: int | None = None,
        at_recorded: datetime | None = None,
    ) -> None:
        """A field changes on every record of the address (or on one), with its history entry
        (spoilt by `fault`)."""

    @abstractmethod
    def restore(self, address: str, category: str | None, state: State, at: datetime) -> None:
        """A bulk edit or integration overwrites the field without touching the governance fields
        or history (how opt-outs get lost)."""
