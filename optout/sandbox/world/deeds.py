"""What happens in the world, as data: planned, performed on the twins, and replayed by the oracle.

A deed says what one system was told of one person. The same list of deeds drives the twins
(`optout.sandbox.world.stage`) and the truth (`optout.sandbox.truth`), which never look at each
other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from optout.model import Source, State
from optout.sandbox.acts import Governance, HistoryFault, Mailing

HUB = "zendesk_sell"
MAILCHIMP = "mailchimp"
SENDGRID = "sendgrid"
KLAVIYO = "klaviyo"
HUBSPOT = "hubspot"
ESPS = (MAILCHIMP, SENDGRID, KLAVIYO, HUBSPOT)
SYSTEMS = (HUB, *ESPS)
"""System names are the vendors' names: the sandbox has one account of each."""


class What(StrEnum):
    """Kinds of deeds."""

    RECORD = "record"
    """The hub gets a contact or lead."""
    ADD = "add"
    """An ESP gets to know the person."""
    OUT = "out"
    """An opt-out is written: by the person, an agent, or the company's sync."""
    IN = "in"
    """An opt-in is written, likewise."""
    SILENT = "silent"
    """Made mailable again by an import or a bulk edit, without an act of the person."""
    GARBLE = "garble"
    """The hub's field gets a word that nobody knows."""
    MOVE = "move"
    """The address is edited."""
    DELETE = "delete"
    BOUNCE = "bounce"
    COMPLAIN = "complain"
    CLICK = "click"


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that one system was told; `who` is the normalised address."""

    at: datetime
    system: str
    what: What
    who: str
    address: str
    """As it is typed in that system."""
    category: str | None = None
    """None: everything."""
    source: Source = Source.SYNC
    states: Mapping[str, State] | None = None
    record: int | None = None
    """The world's number of a hub record; None: every record of the person."""
    is_lead: bool = False
    first_name: str = ""
    last_name: str = ""
    country: str | None = None
    governance: Governance | None = None
    fault: HistoryFault | None = None
    recorded_at: datetime | None = None
    """When the hub wrote it down, if later than `at`."""
    campaign: str | None = None
    new_who: str = ""
    new_address: str = ""

    @property
    def done_at(self) -> datetime:
        """When the system was told."""
        return self.recorded_at or self.at


@dataclass(frozen=True)
class Sent:
    """A mailing of one ESP and whom it went to."""

    system: str
    mailing: Mailing
    who: tuple[str, ...]
    addresses: tuple[str, ...]
