"""What a Mailchimp member says, read by rule 8: pure functions from the vendor's record to rows.

An audience is mapped to categories as a whole, or by its interests. `unsubscribed` is an opt-out
of all of them; `subscribed` with an interest that is true is mailable, with one that is false it
is an opt-out, but a weak one, because false is also what was never asked. `cleaned`, `pending`,
`transactional` and `archived` are neither. There is no time of an opt-out on a member:
`last_changed` moves with any edit and is only ever told as `modified_at`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Collection as Container
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson

from optout.model import Categories, Source
from optout.records import Finding, Reading, Row

FIELDS = (
    "id", "contact_id", "email_address", "status", "interests", "timestamp_signup",
    "timestamp_opt", "ip_opt", "last_changed", "source", "unsubscribe_reason",
)  # fmt: skip
"""All that is asked of a member: a page of a thousand stays small."""
STATUSES = ("subscribed", "unsubscribed", "cleaned", "pending", "transactional", "archived")
CONFIRMATION = timedelta(seconds=60)
"""How long after the confirmation the vendor's own writes still move `last_changed`."""
_WORD = re.compile(r"[a-z][a-z_ -]{0,30}")


class MissingFieldError(Exception):
    """A member came without a field on which consent depends; holds the field's name."""


@dataclass
class Audience:
    """One list and the company's categories that it holds, as masks."""

    list_id: str
    whole: int = 0
    """Categories that the audience is as a whole."""
    interests: dict[str, int] = field(default_factory=dict)
    """Interest id → categories."""
    company: int = 0
    """All of the company's categories."""

    @property
    def is_everything(self) -> bool:
        """Whether leaving this audience refuses all mail: Mailchimp has no wider opt-out."""
        return self.mapped == self.company != 0

    @property
    def store(self) -> str:
        """The store of its readings."""
        return f"audience:{self.list_id}"

    @property
    def mapped(self) -> int:
        """All categories that an unsubscribe here takes away."""
        return self.whole | self.grouped

    @property
    def grouped(self) -> int:
        """The categories held by interests."""
        mask = 0
        for bits in self.interests.values():
            mask |= bits
        return mask


def audiences(mapping: Mapping[str, tuple[str, ...]], masks: Categories) -> dict[str, Audience]:
    """The mapped lists by id, from `categories` in optout.toml."""
    found: dict[str, Audience] = {}
    for category, stores in mapping.items():
        for store in stores:
            list_id, _, interest = store.partition("/")
            audience = found.setdefault(list_id, Audience(list_id, company=masks.all))
            if interest:
                bits = audience.interests.get(interest, 0)
                audience.interests[interest] = bits | masks.bit(category)
            else:
                audience.whole |= masks.bit(category)
    return dict(sorted(found.items()))


class _Cells(NamedTuple):
    ins: int = 0
    outs: int = 0
    weak: int = 0
    unclear: int = 0


def rows_of(
    member: Mapping[str, Any],
    audience: Audience,
    complaints: Container[str],
    pseudonym: Callable[[str], str],
) -> Iterator[Row]:
    """The reading of one member and what could not be understood of it.

    The record is named by `contact_id`, which is not made of the address and so can stay when the
    address changes; an opt-out then follows to the new one.

    Raises MissingFieldError where a field on which consent depends is absent: a silent "nothing"
    would look like somebody without an opt-out.
    """
    for name in ("status", "email_address"):
        if not isinstance(member.get(name), str):
            raise MissingFieldError(name)
    place = audience.store, str(member.get("contact_id") or pseudonym(str(member["id"])))
    address, raw = member["email_address"] or None, orjson.dumps(member).decode()
    cells = _cells(member, member["status"], audience)
    times: dict[str, datetime | None] = {}
    for name in ("timestamp_opt", "timestamp_signup", "last_changed"):
        try:
            times[name] = moment(member.get(name))
        except ValueError:
            times[name] = None
            yield Finding("unparsable", *place, name, "not a time", address, raw=raw)
    for name, code, detail, categories in _strange(member, cells, audience):
        yield Finding(code, *place, name, detail, address, categories, raw)
    if address:
        yield _reading(member, place, cells, times, audience)._replace(
            complained=member["id"] in complaints, raw=raw
        )


def _strange(
    member: Mapping[str, Any], cells: _Cells, audience: Audience
) -> Iterator[tuple[str, str, str, int]]:
    """Field, code, detail and categories of what cannot be understood."""
    status = member["status"]
    if status not in STATUSES:
        word = status if _WORD.fullmatch(status) else "not a word"
        yield "status", "unknown_value", word, audience.mapped
    elif cells.unclear:
        yield "interests", "unknown_value", "missing or not a boolean", cells.unclear
    if not member["email_address"]:
        yield "email_address", "no_address", "", audience.mapped


def _reading(
    member: Mapping[str, Any],
    place: tuple[str, str],
    cells: _Cells,
    times: Mapping[str, datetime | None],
    audience: Audience,
) -> Reading:
    opted, changed = times["timestamp_opt"], times["last_changed"]
    leaves_all = audience.is_everything and member["status"] == "unsubscribed"
    is_explicit = bool(cells.ins) and _is_confirmed(member, opted, changed, audience, cells.ins)
    return Reading(
        *place,
        member["email_address"],
        ins=cells.ins,
        outs=cells.outs,
        sends=cells.ins,
        unclear=cells.unclear,
        category_outs=0 if leaves_all else cells.outs,
        weak_outs=cells.weak,
        global_out=leaves_all,
        in_at=opted if cells.ins else None,
        in_source=_source(member, is_explicit=is_explicit) if cells.ins else Source.UNKNOWN.value,
        in_explicit=is_explicit,
        in_global=is_explicit and cells.ins == audience.company,
        undeliverable=member["status"] == "cleaned",
        created_at=times["timestamp_signup"],
        modified_at=changed,
    )


def _cells(member: Mapping[str, Any], status: str, audience: Audience) -> _Cells:
    if status == "unsubscribed":
        return _Cells(outs=audience.mapped)
    if status not in STATUSES:
        return _Cells(unclear=audience.mapped)
    if status != "subscribed":
        return _Cells()
    ins, outs, unclear = audience.whole, 0, 0
    given = member.get("interests")
    if not isinstance(given, dict):
        if audience.interests:
            raise MissingFieldError("interests")
        given = {}
    for interest, bits in audience.interests.items():
        # Every interest of the audience is told of every member: one that is not is not "false".
        value = given.get(interest)
        if value is True:
            ins |= bits
        elif value is False:
            outs |= bits
        else:
            unclear |= bits
    return _Cells(ins, outs, outs, unclear)


def _is_confirmed(
    member: Mapping[str, Any],
    opted: datetime | None,
    changed: datetime | None,
    audience: Audience,
    ins: int,
) -> bool:
    """Whether the person gave the positive word: confirmed from an IP, after signing up at a form.

    The stamp is that of the subscription. Interests have none: if the member was edited after the
    confirmation, somebody else may have switched them on since, so they are not taken for the
    person's word. The reading that protects whoever opted out before.
    """
    kind = _source(member, is_explicit=False)
    if opted is None or not member.get("ip_opt") or kind != Source.FORM.value:
        return False
    if not ins & audience.grouped:
        return True
    return changed is not None and changed <= opted + CONFIRMATION


def _source(member: Mapping[str, Any], *, is_explicit: bool) -> str:
    """The vendor's free text of how the member came here, as one of our words.

    A confirmed sign-up is the link in the confirmation mail. A name that is no form is never the
    person, even where an IP stands beside it: writes through the API fill in the server's.
    """
    if is_explicit:
        return Source.EMAIL_LINK.value
    text = str(member.get("source") or "").casefold()
    for source, words in _SOURCES:
        if any(re.search(rf"\b{word}", text) for word in words):
            return source.value
    return Source.UNKNOWN.value


_SOURCES = (
    (Source.API, ("api", "integration", "zapier")),
    (Source.IMPORT, ("import", "upload", "copy/paste")),
    (Source.MANUAL, ("admin", "manual")),
    (Source.FORM, ("hosted signup", "signup form", "embed", "popup", "landing page", "form")),
)


def moment(text: object) -> datetime | None:
    """A time as the vendor writes it; an empty string stands for none. Raises ValueError."""
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        raise ValueError("not a time")
    parsed = datetime.fromisoformat(text)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def iso(moment_: datetime) -> str:
    """A time as the vendor takes it in a query, to the second."""
    return moment_.astimezone(UTC).replace(microsecond=0).isoformat()
