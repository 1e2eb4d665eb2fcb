"""What a Sell account holds: records with custom fields, and the log of everything that changed.

Native shapes are those of the fact sheet on Sell (`docs/vendors.md`): UTC stamps of
whole seconds, custom fields keyed by display name in v2 and given as an array in the Firehose.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from typing import Any

STATE_WORDS = ("opted_in", "opted_out", "not_set")
BASES = ("express", "purchase", "contract", "inquiry", "membership", "grandfathered")
KINDS = ("contact", "lead")

GLOBAL = "email_opt_out_global"
LAST_UPDATED = "email_pref_last_updated"
SOURCE = "email_pref_update_source"
REASON = "email_pref_update_reason"
CONSENT_IP = "email_pref_consent_ip"
CONSENT_METHOD = "email_pref_consent_method"
HISTORY = "email_pref_history"
BASIS = "consent_basis"
BASIS_DATE = "consent_basis_date"
BASIS_REF = "consent_basis_ref"


def stamp(at: datetime) -> str:
    """ISO 8601 UTC with second resolution, as in all of Sell's samples."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Definition:
    """A custom field as an administrator made it in Sell; it can be renamed, the id stays."""

    id: int
    name: str
    type: str
    choices: tuple[str, ...] = ()


@dataclass
class Record:
    """One contact or lead; `revision` is the account's counter at its last change."""

    kind: str
    id: int
    attributes: dict[str, Any]
    custom: dict[int, Any]
    """Definition id → value: a renamed field keeps its values."""
    created_at: datetime
    updated_at: datetime
    revision: int = 0
    sequence: int = 0
    is_deleted: bool = False

    @property
    def email(self) -> str | None:
        """The one address of the record."""
        return self.attributes.get("email")

    def copy(self) -> Record:
        """A state that later changes leave alone."""
        return replace(self, attributes=dict(self.attributes), custom=dict(self.custom))


@dataclass(frozen=True)
class Event:
    """One entry of the Firehose; `before` is None for a creation."""

    id: str
    type: str
    cause: str
    at: datetime
    after: Record
    before: Record | None


@dataclass
class Store:
    """Contacts and leads under one counter of revisions."""

    categories: tuple[str, ...]
    rng: Random
    definitions: dict[str, list[Definition]] = field(default_factory=dict)
    records: dict[tuple[str, int], Record] = field(default_factory=dict)
    """Deleted records stay, marked, so that Sync and the Firehose can tell of them."""
    events: list[Event] = field(default_factory=list)
    revision: int = 0
    _by_email: defaultdict[str, dict[tuple[str, int], Record]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    _last_id: int = 1000

    def __post_init__(self) -> None:
        first = 1
        for kind in KINDS:
            self.definitions[kind] = _definitions(self.categories, first)
            first += 100

    # --- custom fields ----------------------------------------------------------------------------
    def definition(self, kind: str, name: str) -> Definition:
        """The definition with this display name; KeyError if there is none."""
        for each in self.definitions[kind]:
            if each.name == name:
                return each
        raise KeyError(name)

    def by_ids(self, kind: str, values: Mapping[str, Any]) -> dict[int, Any]:
        """Values keyed by name → keyed by definition id; KeyError for an unknown name."""
        return {self.definition(kind, name).id: value for name, value in values.items()}

    def value(self, record: Record, name: str) -> Any:
        """A record's value of a field, None where unset."""
        return record.custom.get(self.definition(record.kind, name).id)

    # --- records ----------------------------------------------------------------------------------
    def live(self, kind: str) -> Iterator[Record]:
        """All records of a kind that are not deleted, by id."""
        return (r for (k, _), r in self.records.items() if k == kind and not r.is_deleted)

    def of_address(self, address: str) -> list[Record]:
        """The contacts and leads with an address, whatever its letter case."""
        return list(self._by_email[address.strip().lower()].values())

    def create(
        self, kind: str, attributes: Mapping[str, Any], values: Mapping[str, Any], at: datetime
    ) -> Record:
        """A new record; `values` by field name."""
        self._last_id += 1
        record = Record(kind, self._last_id, dict(attributes), self.by_ids(kind, values), at, at)
        self.records[kind, record.id] = record
        self._index(record)
        self._log("created", record, None, at)
        return record

    def update(
        self,
        record: Record,
        at: datetime,
        *,
        attributes: Mapping[str, Any] | None = None,
        values: Mapping[str, Any] | None = None,
        cause: str = "interaction",
    ) -> None:
        """Change what is given; nothing else."""
        custom = self.by_ids(record.kind, values or {})
        before = record.copy()
        self._by_email[(record.email or "").lower()].pop((record.kind, record.id), None)
        record.attributes.update(attributes or {})
        record.custom.update(custom)
        record.updated_at = at
        self._index(record)
        self._log("updated", record, before, at, cause)

    def delete(self, record: Record, at: datetime) -> None:
        """Final: only Sync and the Firehose tell of it."""
        before = record.copy()
        self._by_email[(record.email or "").lower()].pop((record.kind, record.id), None)
        record.is_deleted = True
        record.updated_at = at
        self._log("deleted", record, before, at)

    def _index(self, record: Record) -> None:
        if record.email:
            self._by_email[record.email.lower()][record.kind, record.id] = record

    def _log(
        self,
        what: str,
        record: Record,
        before: Record | None,
        at: datetime,
        cause: str = "interaction",
    ) -> None:
        self.revision += 1
        record.revision = self.revision
        record.sequence += 1
        event_id = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
        self.events.append(Event(event_id, what, cause, at, record.copy(), before))


def _definitions(categories: tuple[str, ...], first: int) -> list[Definition]:
    kinds: list[tuple[str, str, tuple[str, ...]]] = [
        (GLOBAL, "bool", ()),
        *((f"email_pref_{category}", "list", STATE_WORDS) for category in categories),
        (LAST_UPDATED, "string", ()),
        (SOURCE, "string", ()),
        (REASON, "text", ()),
        (CONSENT_IP, "string", ()),
        (CONSENT_METHOD, "list", ("explicit", "implicit", "grandfathered")),
        (HISTORY, "text", ()),
        (BASIS, "list", BASES),
        (BASIS_DATE, "date", ()),
        (BASIS_REF, "string", ()),
        ("next_review", "datetime", ()),
        ("known_via", "string", ()),
    ]
    return [
        Definition(first + i, name, type_, choices)
        for i, (name, type_, choices) in enumerate(kinds)
    ]
