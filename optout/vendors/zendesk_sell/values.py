"""How values are written in Sell, and how they are understood whatever the form.

Sell has no opt-out field of its own: everything stands in custom fields, whose forms the vendor's
documents and clients describe differently (a list value is a name or `{id, name}`, an unset one is
null or absent). Every reader here takes any of them and says None only for "nothing there".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

from optout.model import Categories, Source, State

_STATES = frozenset(state.value for state in State)
_OWN_SOURCES = frozenset(source.value for source in Source)
_TRUE = frozenset({"true", "yes", "1", "on", State.OPTED_OUT.value})
_FALSE = frozenset({"false", "no", "0", "off", State.OPTED_IN.value, State.NOT_SET.value})
_SOURCES: Mapping[str, Source] = {
    "unsubscribe_link": Source.EMAIL_LINK,
    "list_unsubscribe": Source.EMAIL_LINK,
    "preference_centre": Source.PREFERENCE_CENTER,
    "preference_page": Source.PREFERENCE_CENTER,
    "support": Source.SUPPORT_REQUEST,
    "web_form": Source.FORM,
    "integration": Source.SYNC,
}
"""Other words for a source; only those that leave no doubt, because a personal source lets an
opt-in lift an opt-out (rule 3)."""
_US_DAY = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?:\s|$)")
_TELLABLE = re.compile(r"[A-Za-z0-9 _./-]{1,40}")


class Unclear(ValueError):
    """A value that is there and cannot be understood; `str` is fit for a finding."""


class SellFields(BaseModel):
    """The display names of the custom fields, in contacts and leads alike; an empty name says that
    the company does not keep this."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    global_opt_out: str = "email_opt_out_global"
    category: str = "email_pref_{category}"
    last_updated: str = "email_pref_last_updated"
    update_source: str = "email_pref_update_source"
    update_reason: str = "email_pref_update_reason"
    consent_ip: str = "email_pref_consent_ip"
    consent_method: str = "email_pref_consent_method"
    history: str = "email_pref_history"
    consent_basis: str = "consent_basis"
    consent_basis_date: str = "consent_basis_date"
    consent_basis_ref: str = "consent_basis_ref"

    @field_validator("category")
    @classmethod
    def _holds_the_category(cls, value: str) -> str:
        if "{category}" not in value:
            raise ValueError("must hold {category}, which becomes the category's name")
        return value


@dataclass(frozen=True)
class Preferences:
    """Which custom field holds which preference."""

    categories: Categories
    fields: SellFields
    by_category: Mapping[str, tuple[str, ...]]
    """Category → the fields that hold it."""
    category_of: Mapping[str, str | None]
    """Field → category, None for the global flag."""
    masks: Mapping[str, int]
    """Field → the categories of which it speaks."""
    roles: Mapping[str, str]
    """What the other fields are for → their names, of those that the company keeps."""

    @classmethod
    def of(
        cls,
        categories: Categories,
        fields: SellFields,
        own: Mapping[str, tuple[str, ...]],
    ) -> Preferences:
        """From the configuration: the pattern, unless a category names its own fields."""
        by_category = {
            name: tuple(own.get(name) or (fields.category.replace("{category}", name),))
            for name in categories.names
        }
        category_of: dict[str, str | None] = {
            field: name for name, held in by_category.items() for field in held
        }
        if fields.global_opt_out:
            category_of[fields.global_opt_out] = None
        masks = {
            field: categories.all if name is None else categories.bit(name)
            for field, name in category_of.items()
        }
        others = fields.model_dump(exclude={"global_opt_out", "category"})
        roles = {role: name for role, name in others.items() if name}
        return cls(categories, fields, by_category, category_of, masks, roles)

    def state(self, field: str, value: Any) -> State:
        """What a value of one of these fields says; raises Unclear."""
        if self.category_of[field] is not None:
            return state(value)
        flag = truth(value)
        if flag is None:
            return State.NOT_SET
        return State.OPTED_OUT if flag else State.OPTED_IN


def text(value: Any) -> str | None:
    """The plain text of a value: a list value's name, trimmed; None for nothing."""
    if isinstance(value, Mapping):
        value = value.get("name")
    if value is None:
        return None
    found = str(value).strip()
    if not found.isascii():
        # Half of a surrogate pair can stand in JSON, but in no file.
        found = found.encode("utf-8", "replace").decode()
    return found or None


def word(value: Any) -> str | None:
    """A value as one of the company's words: lower case, `_` between its parts."""
    found = text(value)
    return _as_word(found) if found else None


@lru_cache(maxsize=4096)
def _as_word(found: str) -> str:
    """A million records hold the same dozen words."""
    return re.sub(r"[\s-]+", "_", found.lower())


def state(value: Any) -> State:
    """The state that a category's field holds; raises Unclear."""
    found = word(value)
    if found is None:
        return State.NOT_SET
    if isinstance(value, bool) or found not in _STATES:
        # A bare yes or no does not tell whether it means the mail or the opt-out.
        raise Unclear(tellable(value))
    return State(found)


def truth(value: Any) -> bool | None:
    """The global flag: opted out, not, or never set; raises Unclear."""
    found = word(value)
    if found is None:
        return None
    if found in _TRUE:
        return True
    if found in _FALSE:
        return False
    raise Unclear(tellable(value))


def source(value: Any) -> Source:
    """The way in which a preference was changed; `unknown` for any other word."""
    found = word(value) or ""
    return Source(found) if found in _OWN_SOURCES else _SOURCES.get(found, Source.UNKNOWN)


def moment(value: Any) -> datetime | None:
    """A time in UTC; one without a zone is UTC (Sell's own fields drop it). Raises Unclear."""
    found = text(value)
    if found is None:
        return None
    try:
        at = datetime.fromisoformat(found)
    except ValueError:
        raise Unclear("no ISO 8601 time") from None
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise Unclear("a time out of range") from None


def day(value: Any) -> date | None:
    """A date; the vendor writes `4/27/2016` or `2016-04-27`, with or without a time. Raises
    Unclear."""
    found = text(value)
    if found is None:
        return None
    us = _US_DAY.match(found)
    try:
        if us:
            return date(int(us[3]), int(us[1]), int(us[2]))
        return date.fromisoformat(found[:10])
    except ValueError:
        raise Unclear("no date") from None


def tellable(value: Any) -> str:
    """A vendor's word as a finding may tell it: short and plain, else only its type."""
    found = text(value) or ""
    return found if _TELLABLE.fullmatch(found) else f"{type(value).__name__} value"
