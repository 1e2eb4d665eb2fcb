"""Klaviyo's own words, and what they mean here.

Reasons are those of the specification of revision 2026-07-15, with the older spellings that its
texts and guides still use. The vendor lists no values of `method`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from optout.model import PERSONAL_SOURCES, Source

OPT_OUT = frozenset({"UNSUBSCRIBE", "USER_SUPPRESSED", "USER_INITIATED"})
UNDELIVERABLE = frozenset({"HARD_BOUNCE", "BOUNCE", "INVALID_EMAIL"})
SPAM = frozenset({"SPAM_COMPLAINT", "SPAM_REPORT"})
STAFF = frozenset({"USER_SUPPRESSED", "USER_INITIATED"})

_METHODS: Mapping[str, Source] = {
    "PREFERENCE_PAGE": Source.PREFERENCE_CENTER,
    "PREFERENCES_PAGE": Source.PREFERENCE_CENTER,
    "MANAGE_PREFERENCES": Source.PREFERENCE_CENTER,
    "HOSTED_PAGE": Source.PREFERENCE_CENTER,
    "CONSENT_PAGE": Source.PREFERENCE_CENTER,
    "SUBSCRIBE_PAGE": Source.PREFERENCE_CENTER,
    "UNSUBSCRIBE_PAGE": Source.EMAIL_LINK,
    "UNSUBSCRIBE_LINK": Source.EMAIL_LINK,
    "LIST_UNSUBSCRIBE": Source.EMAIL_LINK,
    "EMAIL_LINK": Source.EMAIL_LINK,
    "FORM": Source.FORM,
    "KLAVIYO_FORM": Source.FORM,
    "SIGNUP_FORM": Source.FORM,
    "BACK_IN_STOCK": Source.FORM,
    "CHECKOUT": Source.FORM,
    "API": Source.API,
    "CLIENT_API": Source.API,
    "MANUAL": Source.MANUAL,
    "MANUAL_ADD": Source.MANUAL,
    "IMPORT": Source.IMPORT,
    "MANUAL_IMPORT": Source.IMPORT,
    "CSV_IMPORT": Source.IMPORT,
    "SHOPIFY": Source.SYNC,
    "INTEGRATION": Source.SYNC,
}
"""A word that is not here is of unknown source, so that an opt-in of that kind lifts nothing."""


def source_of(method: object) -> Source:
    """The source that the vendor's word for a method stands for."""
    if not isinstance(method, str):
        return Source.UNKNOWN
    return _METHODS.get(re.sub(r"[^A-Z0-9]+", "_", method.upper()).strip("_"), Source.UNKNOWN)


def actor_of(source: Source) -> str | None:
    """Who acted, as far as the source tells."""
    if source in PERSONAL_SOURCES or source is Source.FORM:
        return "person"
    return {Source.MANUAL: "agent", Source.API: "api", Source.SYNC: "api"}.get(source)


def moment(text: object) -> datetime | None:
    """A stamp of the vendor's as aware UTC; None where it is none."""
    if not isinstance(text, str) or not text:
        return None
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def is_true(value: object) -> bool:
    """`double_optin` is a boolean in the specification and the text "True" in the guides."""
    return value is True or (isinstance(value, str) and value.lower() == "true")


@dataclass(frozen=True)
class Held:
    """What a set of suppressions comes to."""

    outs: bool = False
    unknown: bool = False
    undeliverable: bool = False
    complained: bool = False

    @classmethod
    def of(cls, reasons: set[str]) -> Held:
        """The sum of some reasons; what is none of the known ones is told as unknown."""
        return cls(
            outs=bool(reasons & OPT_OUT),
            unknown=bool(reasons - OPT_OUT - UNDELIVERABLE - SPAM),
            undeliverable=bool(reasons & UNDELIVERABLE),
            complained=bool(reasons & SPAM),
        )


def text(value: object) -> str | None:
    """Text that is there; None for anything else."""
    return value if isinstance(value, str) and value else None


def enum_word(value: object) -> str:
    """A vendor's enum word, fit to be shown: anything that does not look like one is not."""
    word = str(value)
    return word if re.fullmatch(r"[A-Za-z0-9_ -]{1,40}", word) else "not a word"


def raw_json(record: object) -> str:
    """The vendor's record as it is kept beside our reading of it."""
    return orjson.dumps(record).decode()
