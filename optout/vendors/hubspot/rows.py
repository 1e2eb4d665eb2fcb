"""HubSpot's words, stamps and identities, and its contacts as rows: pure functions.

`hubspot_statuses` and `hubspot_feeds` hold the rows of the other records.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from optout.address import BadAddress, normalise
from optout.model import Categories, Source, State
from optout.records import Finding, Reading, Row

STATES: Mapping[str, State] = {
    "SUBSCRIBED": State.OPTED_IN,
    "UNSUBSCRIBED": State.OPTED_OUT,
    "NOT_SPECIFIED": State.NOT_SET,
}
"""The three words of v4; the timeline uses the same."""
CONTACT_PROPERTIES = (
    "email", "hs_additional_emails", "hs_email_optout", "hs_email_bounce",
    "hs_email_hard_bounce_reason_enum", "lastmodifieddate",
)  # fmt: skip

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WORD = re.compile(r"[A-Za-z_ ]{1,40}")

_OTHERS: tuple[tuple[frozenset[str], Source], ...] = (
    (frozenset({"import", "imported"}), Source.IMPORT),
    (frozenset({"api"}), Source.API),
    (frozenset({"integration", "sync", "workflow", "automation"}), Source.SYNC),
    (frozenset({"spam", "bounce", "hubspot"}), Source.VENDOR),
    (frozenset({"user", "crm", "manual", "manually", "customer", "agent"}), Source.MANUAL),
    (frozenset({"form", "forms"}), Source.FORM),
)
"""Words of the free text `source` → what it means. They go before the personal ones: a
'preferences API' is an API."""


@dataclass(frozen=True)
class TypeBook:
    """Which subscription types feed which categories, and to which business unit they belong."""

    categories: Categories
    masks: Mapping[int, int]
    """Type id → mask of the categories that it feeds."""
    pseudonym: Callable[[str], str]
    """The id of an address's row among the statuses, which have none of their own."""
    units: Mapping[int, int] = field(default_factory=dict)
    """Type id → business unit."""
    expected: frozenset[int] = frozenset()
    """Mapped types whose status every address must have in a batch answer."""

    @classmethod
    def of(
        cls,
        categories: Categories,
        mapped: Mapping[str, Sequence[str]],
        pseudonym: Callable[[str], str],
    ) -> TypeBook:
        """By the configuration: category → type ids."""
        masks = categories.by_store(mapped)
        return cls(categories, {int(kind): mask for kind, mask in masks.items()}, pseudonym)

    def of_unit(self, unit: int) -> int:
        """The categories that the types of one business unit feed."""
        mask = 0
        for kind, categories in self.masks.items():
            if self.units.get(kind) == unit:
                mask |= categories
        return mask


def moment(value: Any) -> datetime | None:
    """An ISO text (v3, v4) or epoch milliseconds (v1, texts of properties); None if neither."""
    if isinstance(value, bool) or value in (None, ""):
        return None
    try:
        if isinstance(value, int) or str(value).isdigit():
            return _EPOCH + timedelta(milliseconds=int(value))
        at = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError):
        return None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def millis(at: datetime) -> int:
    """Epoch milliseconds."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def as_raw(record: Any) -> str:
    """The vendor's record as JSON text."""
    return orjson.dumps(record).decode()


def shown_word(value: Any) -> str:
    """A vendor's word, fit for a finding; anything else by its type."""
    if isinstance(value, str) and _WORD.fullmatch(value):
        return value
    return f"a value of type {type(value).__name__}"


def channel_of(text: Any) -> str | None:
    """The vendor's own word for a source. Free text may name a colleague by address, so that only
    plain words pass; the rest is in the raw record."""
    return text if isinstance(text, str) and _WORD.fullmatch(text) else None


def source_of(text: Any, legal_basis: Any = None) -> tuple[Source, bool]:
    """What v4's free text tells, and whether the person acted; in doubt the person did not.

    A form counts as the person's act only together with the legal basis of consent: HubSpot
    writes forms filled in by integrations in the same way.
    """
    words = set(re.findall(r"[a-z]+", str(text or "").lower()))
    for marks, source in _OTHERS:
        if words & marks:
            return source, source is Source.FORM and legal_basis == "CONSENT_WITH_NOTICE"
    if words & {"link", "unsubscribe"}:
        return Source.EMAIL_LINK, True
    if words & {"preference", "preferences", "recipient"}:
        return Source.PREFERENCE_CENTER, True
    return Source.UNKNOWN, False


def number_of(value: Any) -> int | None:
    """An id, which v4 gives as a number and the e-mails as a text."""
    return int(value) if str(value).isdigit() else None


def addresses_of(contact: Mapping[str, Any]) -> list[str]:
    """The contact's address and the additional ones; each has statuses of its own."""
    properties = contact["properties"]
    extra = str(properties.get("hs_additional_emails") or "").split(";")
    every = [str(properties.get("email") or ""), *extra]
    return list(dict.fromkeys(each.strip().lower() for each in every if each.strip()))


def askable(address: str) -> bool:
    """Whether HubSpot could answer for the text: one bad input refuses its whole batch."""
    try:
        normalise(address)
    except BadAddress:
        return False
    return True


def contact_rows(
    contact: Mapping[str, Any], book: TypeBook, *, deleted: bool = False
) -> Iterator[Row]:
    """One reading an address. The bounce and the mirror of the portal-wide status are those of
    the primary address."""
    categories = book.categories
    properties, number = contact["properties"], str(contact["id"])
    primary = str(properties.get("email") or "").strip().lower()
    raw = as_raw(contact)
    addresses = addresses_of(contact)
    if not addresses:
        yield Finding("no_address", "contacts", number, "email", raw=raw)
        return
    for address in addresses:
        is_primary = address == primary
        bounced = is_primary and bool(properties.get("hs_email_hard_bounce_reason_enum"))
        word = str((properties.get("hs_email_optout") if is_primary else None) or "false").lower()
        unclear = categories.all if word not in ("true", "false") else 0
        row_id = number if is_primary else f"{number}:{book.pseudonym(address)}"
        if unclear:
            yield Finding(
                "unknown_value", "contacts", row_id, "hs_email_optout", shown_word(word),
                address, unclear, raw,
            )  # fmt: skip
        yield Reading(
            "contacts", row_id, address,
            # The mirror may be ahead of the status that was read beside it: both count.
            outs=categories.all if word == "true" else 0,
            global_out=word == "true",
            blocks=categories.all if bounced else 0,
            undeliverable=bounced, unclear=unclear, present=not deleted, deleted=deleted,
            created_at=moment(contact.get("createdAt")),
            modified_at=moment(contact.get("updatedAt")), raw=raw,
        )  # fmt: skip
