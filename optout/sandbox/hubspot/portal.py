"""The native state of the HubSpot twin: what a portal holds, and how it shows it as JSON.

Preferences are keyed by the address, contacts by an id of their own: deleting a contact leaves the
statuses of its addresses, and a new contact with the same address meets them again. The status of
a type and the portal-wide status are two facts that do not write into each other.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID

PORTAL_ID = 62_515
APP_ID = 113
APP_NAME = "Batch"
BEGINNING = datetime(2024, 1, 2, tzinfo=UTC)
"""When the portal and its subscription types were made."""


def millis(at: datetime) -> int:
    """Epoch milliseconds, the unit of the v1 endpoints and of CRM search."""
    return int(at.timestamp() * 1000)


def iso(at: datetime) -> str:
    """The form of the v3 and v4 endpoints."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class SubscriptionType:
    """A kind of mail that people subscribe to; belongs to one business unit."""

    id: int
    name: str
    unit: int = 0
    is_active: bool = True
    is_internal: bool = False

    def shown(self) -> dict[str, Any]:
        """The definition as v3 and v4 both show it."""
        return {
            "id": str(self.id), "name": self.name, "description": f"Mail about {self.name}",
            "purpose": "Marketing", "communicationMethod": "Email", "isActive": self.is_active,
            "isDefault": False, "isInternal": self.is_internal, "businessUnitId": self.unit,
            "createdAt": iso(BEGINNING), "updatedAt": iso(BEGINNING),
        }  # fmt: skip


@dataclass(frozen=True)
class Status:
    """What is said of one address, for one type or for all."""

    word: str
    at: datetime
    source: str = ""
    legal_basis: str | None = None


@dataclass
class Contact:
    """A CRM record; `properties` are texts, as HubSpot keeps them."""

    id: int
    properties: dict[str, str | None]
    created: datetime
    updated: datetime
    archived_at: datetime | None = None
    history: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def addresses(self) -> list[str]:
        """The primary address and the additional ones, lower-case."""
        extra = (self.properties.get("hs_additional_emails") or "").split(";")
        every = [self.properties.get("email") or "", *extra]
        return [each.lower() for each in every if each]

    def put(self, name: str, value: str | None, at: datetime, source: str = "CRM_UI") -> None:
        """Set a property with its history; the record counts as modified."""
        self.properties[name] = value
        self.updated = max(self.updated, at)
        entry = {"value": value or "", "timestamp": iso(at), "sourceType": source}
        self.history.setdefault(name, []).insert(0, entry)

    def value(self, name: str) -> str | None:
        """A property's text, the ones that HubSpot derives included."""
        derived = {
            "hs_object_id": str(self.id),
            "createdate": iso(self.created),
            "lastmodifieddate": iso(self.updated),
        }
        return derived.get(name, self.properties.get(name))

    def shown(self, names: Iterable[str], history: Iterable[str] = ()) -> dict[str, Any]:
        """The record with the named properties; an unset one is null."""
        result: dict[str, Any] = {
            "id": str(self.id), "properties": {name: self.value(name) for name in names},
            "createdAt": iso(self.created), "updatedAt": iso(self.updated),
            "archived": self.archived_at is not None,
        }  # fmt: skip
        if self.archived_at is not None:
            result["archivedAt"] = iso(self.archived_at)
        kept = {name: self.history.get(name, []) for name in history}
        return result | ({"propertiesWithHistory": kept} if kept else {})


@dataclass
class Email:
    """A marketing e-mail; its campaign is another object with an id of its own."""

    id: int
    campaign_id: int
    mailing_id: str
    shown: dict[str, Any]
    counters: dict[str, int] = field(default_factory=dict)

    def count(self, name: str) -> None:
        """One more in the statistics."""
        self.counters[name] = self.counters.get(name, 0) + 1


class Feed:
    """Records in order of time, served newest first in closed windows, as v1 does."""

    def __init__(self) -> None:
        self._keys: list[tuple[int, int]] = []
        self._records: dict[tuple[int, int], dict[str, Any]] = {}

    def put(self, at_ms: int, record: dict[str, Any]) -> None:
        """Add a record; it may be older than others."""
        key = (at_ms, len(self._keys))
        bisect.insort(self._keys, key)
        self._records[key] = record

    def page(
        self, start: int, end: int, before: tuple[int, int] | None, limit: int, wanted: Any = None
    ) -> tuple[list[dict[str, Any]], tuple[int, int] | None]:
        """Records from `end` back to `start`, both included, that are older than the position
        `before`; and the position to go on from, None at the end."""
        place = bisect.bisect_right(self._keys, (end, 1 << 60))
        if before is not None:
            place = min(place, bisect.bisect_left(self._keys, before))
        found: list[dict[str, Any]] = []
        last: tuple[int, int] | None = None
        for key in reversed(self._keys[:place]):
            if key[0] < start:
                break
            record = self._records[key]
            if wanted is not None and not wanted(record):
                continue
            if len(found) == limit:
                return found, last
            found.append(record)
            last = key
        return found, None


class Portal:
    """Everything that one HubSpot account holds."""

    def __init__(self, categories: Sequence[str], ids: Random) -> None:
        self._ids = ids
        self.types = {10: SubscriptionType(10, "One to One")}
        for number, name in enumerate(categories, start=11):
            self.types[number] = SubscriptionType(number, name.replace("_", " ").title())
        self.statuses: dict[str, dict[int, Status]] = {}
        self.wide: dict[str, Status] = {}
        self.unit_wide: dict[tuple[str, int], Status] = {}
        self.contacts: dict[int, Contact] = {}
        self.emails: dict[int, Email] = {}
        self.by_mailing: dict[str, Email] = {}
        self.timeline = Feed()
        self.events = Feed()
        self.sent_by: dict[tuple[str, int], dict[str, Any]] = {}
        self._by_address: dict[str, int] = {}
        self._indexed: dict[int, list[str]] = {}
        self._next_contact = 101

    # --- contacts -----------------------------------------------------------------------------
    def contact(self, address: str) -> Contact | None:
        """The living contact that has the address, first or additional."""
        found = self._by_address.get(address.lower())
        return self.contacts[found] if found is not None else None

    def make_contact(self, properties: dict[str, str | None], at: datetime) -> Contact:
        """A new contact; the address's statuses, if any, are met again."""
        contact = Contact(self._next_contact, {}, at, at)
        self._next_contact += 1
        self.contacts[contact.id] = contact
        for name, value in properties.items():
            contact.put(name, value, at, "IMPORT")
        self.index(contact)
        self.mirror(contact.addresses[0], at)
        return contact

    def index(self, contact: Contact) -> None:
        """Let the contact be found by its addresses."""
        for address in self._indexed.pop(contact.id, []):
            if self._by_address.get(address) == contact.id:
                del self._by_address[address]
        if contact.archived_at is None:
            self._indexed[contact.id] = contact.addresses
            for address in contact.addresses:
                self._by_address[address] = contact.id

    def mirror(self, address: str, at: datetime) -> None:
        """Copy the portal-wide status into the property of the contact whose address it is."""
        contact = self.contact(address)
        if contact is None or contact.addresses[0] != address.lower():
            return
        status = self.wide.get(address.lower())
        value = "true" if status and status.word == "UNSUBSCRIBED" else None
        if contact.properties.get("hs_email_optout") != value:
            contact.put("hs_email_optout", value, at, "EMAIL")

    # --- statuses -----------------------------------------------------------------------------
    def shown_status(self, address: str, kind: SubscriptionType) -> dict[str, Any]:
        """One type's status in v4; the address is repeated in lower case."""
        status = self.statuses.get(address.lower(), {}).get(kind.id)
        status = status or Status("NOT_SPECIFIED", BEGINNING)
        shown = {
            "subscriptionId": kind.id, "subscriptionName": kind.name, "channel": "EMAIL",
            "subscriberIdString": address.lower(), "status": status.word,
            "source": status.source, "timestamp": iso(status.at), "businessUnitId": kind.unit,
        }  # fmt: skip
        if status.legal_basis is not None:
            shown["legalBasis"] = status.legal_basis
        return shown

    def shown_statuses(self, address: str, unit: int | None) -> list[dict[str, Any]]:
        """The statuses of all active types (of one business unit)."""
        return [
            self.shown_status(address, kind)
            for kind in self.types.values()
            if kind.is_active and unit in (None, kind.unit)
        ]

    def shown_wide(self, address: str, unit: int | None) -> list[dict[str, Any]]:
        """The portal-wide status and those of business units; none tells its source."""
        address = address.lower()
        found: list[tuple[str, int, Status]] = []
        found.append(("PORTAL_WIDE", 0, self.wide.get(address, Status("NOT_SPECIFIED", BEGINNING))))
        found += [
            ("BUSINESS_UNIT_WIDE", number, status)
            for (whose, number), status in self.unit_wide.items()
            if whose == address and unit in (None, number)
        ]
        return [
            {"subscriberIdString": address, "channel": "EMAIL", "wideStatusType": kind,
             "status": status.word, "timestamp": iso(status.at), "businessUnitId": number}
            for kind, number, status in found
        ]  # fmt: skip

    # --- feeds --------------------------------------------------------------------------------
    def event(self, kind: str, address: str, at: datetime, **more: Any) -> dict[str, Any]:
        """An e-mail event; its identity is the pair (id, created)."""
        number = str(UUID(int=self._ids.getrandbits(128), version=4))
        record = {
            "id": number, "created": millis(at), "type": kind, "recipient": address.lower(),
            "portalId": PORTAL_ID, "appId": APP_ID, "appName": APP_NAME,
            **{name: value for name, value in more.items() if value is not None},
        }  # fmt: skip
        self.events.put(record["created"], record)
        return {"id": number, "created": record["created"]}

    def tell(
        self, address: str, at: datetime, changes: list[dict[str, Any]], cause: Any = None
    ) -> None:
        """One timeline item. A change has its own timestamp only where no event caused it."""
        stamp = {"causedByEvent": cause} if cause else {"timestamp": millis(at)}
        item: dict[str, Any] = {
            "timestamp": millis(at), "portalId": PORTAL_ID, "recipient": address.lower(),
            "changes": [{"portalId": PORTAL_ID, **change, **stamp} for change in changes],
        }  # fmt: skip
        self.timeline.put(item["timestamp"], item)
