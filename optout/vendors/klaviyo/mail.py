"""What Klaviyo's events, campaigns and templates say, as rows. Pure: no requests.

Metrics are known by their names, which are the same in every account, while their ids are not.
The names and the properties of events (`$message`, `$flow`, `$group_ids`, `List`) are in no
specification; what is missing or strange is therefore no error but less knowledge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from optout.model import PERSONAL_SOURCES, Categories, Source, State
from optout.records import Campaign, Change, Finding, MailEvent, Row
from optout.vendors.klaviyo.words import actor_of, moment, raw_json, source_of, text

MAIL: Mapping[str, str] = {
    "Received Email": "delivered",
    "Bounced Email": "bounced",
    "Dropped Email": "dropped",
    "Clicked Email": "clicked",
    "Marked Email as Spam": "complained",
}
"""Metric → kind of mail event. "Received" means that the receiving server took it."""


@dataclass(frozen=True)
class _Turn:
    """What a metric tells of a preference."""

    new: State
    of_list: bool = False
    source: Source = Source.UNKNOWN


TURNS: Mapping[str, _Turn] = {
    "Unsubscribed from Email Marketing": _Turn(State.OPTED_OUT),
    "Unsubscribed from List": _Turn(State.OPTED_OUT, of_list=True),
    "Subscribed to Email Marketing": _Turn(State.OPTED_IN),
    "Subscribed to List": _Turn(State.OPTED_IN, of_list=True),
    "Manually Suppressed from Email Marketing": _Turn(State.OPTED_OUT, source=Source.MANUAL),
    # Lifting a suppression gives nobody's consent: afterwards the preference is as never set.
    "Manually Unsuppressed from Email Marketing": _Turn(State.NOT_SET, source=Source.MANUAL),
}
"""Metric → change of a preference."""

METRICS = (*MAIL, *TURNS)
"""The names of all metrics that are read."""

_METHOD_KEYS = ("method", "Method", "$method", "consent_method", "$consent_method")
_UNSUBSCRIBE_TAG = re.compile(
    r"\{[%{]-?\s*(unsubscribe|unsubscribe_link|unsubscribe_url"
    r"|manage_preferences|manage_preferences_link|manage_preferences_url)\b"
)
_ADDRESS_TAG = re.compile(r"\{\{-?\s*organization\.(full_)?address\b")
_SENT = frozenset({"Sent", "Sending", "Variations Sent", "Sending Segments"})


@dataclass(frozen=True)
class Message:
    """What is known of one message: the campaign that it belongs to, and its categories."""

    campaign_id: str
    categories: int = 0


@dataclass(frozen=True)
class EventRows:
    """Turns events into rows.

    `lists`: id → mask; `list_names`: name → ids (names need not be unique); `messages`: id of a
    message or campaign → what it is; `is_transactional`: id of a flow's message → whether the
    vendor sends it whatever the person's preference.
    """

    categories: Categories
    lists: Mapping[str, int]
    list_names: Mapping[str, Sequence[str]]
    messages: Mapping[str, Message]
    is_transactional: Callable[[str], bool]

    def rows(
        self, item: Mapping[str, Any], metric: str, addresses: Mapping[str, str | None]
    ) -> Iterator[Row]:
        """The rows of one event; `addresses`: profile id → its address, of the same answer."""
        profile_id = related(item, "profile")
        at = _event_time(item["attributes"])
        if profile_id is None or profile_id not in addresses or at is None:
            # A merged or deleted profile's event belongs to nobody who could be compared.
            field = "datetime" if at is None else "profile"
            yield Finding("unresolved", "events", item["id"], field, metric)
            return
        address = addresses[profile_id]
        if not address:
            if metric in TURNS and TURNS[metric].new is State.OPTED_OUT:
                yield Finding("no_address", "events", item["id"], "email", metric)
            return
        if metric in MAIL:
            yield self._mail(item, MAIL[metric], profile_id, address, at)
        else:
            yield from self._change(item, TURNS[metric], profile_id, address, at)

    def _mail(
        self, item: Mapping[str, Any], kind: str, profile_id: str, address: str, at: datetime
    ) -> MailEvent:
        told = _properties(item)
        message_id = text(told.get("$message"))
        message = self.messages.get(message_id or "")
        in_flow = bool(told.get("$flow"))
        return MailEvent(
            event_id=f"event:{item['id']}", kind=kind, address=address, at=at,
            campaign_id=message.campaign_id if message else message_id, message_id=message_id,
            categories=message.categories if message else self._of_groups(told),
            transactional=bool(in_flow and message_id and self.is_transactional(message_id)),
            record_id=profile_id, raw=raw_json(item),
        )  # fmt: skip

    def _of_groups(self, told: Mapping[str, Any]) -> int:
        """The categories of the lists that the message went to, where only the event tells."""
        groups = told.get("$group_ids")
        mask = 0
        for group in groups if isinstance(groups, list) else ():
            mask |= self.lists.get(str(group), 0)
        return mask

    def _change(
        self, item: Mapping[str, Any], turn: _Turn, profile_id: str, address: str, at: datetime
    ) -> Iterator[Row]:
        told = _properties(item)
        word = next((text(told.get(key)) for key in _METHOD_KEYS if told.get(key)), None)
        source = turn.source if turn.source is not Source.UNKNOWN else source_of(word)
        message_id = text(told.get("$message"))
        if source is Source.UNKNOWN and message_id and turn.new is State.OPTED_OUT:
            source = Source.EMAIL_LINK  # an opt-out that names a message came from its link
        message = self.messages.get(message_id or "")
        change = Change(
            event_id=f"event:{item['id']}", feed="event", record_id=profile_id, address=address,
            category=None, old=None, new=turn.new.value, occurred_at=at, occurred_from=at,
            effective_at=at, source=source.value, explicit=source in PERSONAL_SOURCES,
            channel=word, actor=actor_of(source),
            campaign_id=message.campaign_id if message else message_id,
            evidence_ref=f"event:{item['id']}", raw=raw_json(item),
        )  # fmt: skip
        if turn.of_list:
            yield from self._of_list(change, item, text(told.get("List")), turn)
        else:
            yield change

    def _of_list(
        self, change: Change, item: Mapping[str, Any], name: str | None, turn: _Turn
    ) -> Iterator[Row]:
        """One change per category of the list. Of several lists with the same name, an opt-out
        covers the categories of all, an opt-in only those that all of them share."""
        ids = self.list_names.get(name or "", ())
        if not ids:
            yield Finding("unresolved", "events", item["id"], "List", address=change.address)
            return
        masks = [self.lists.get(list_id, 0) for list_id in ids]
        mask = masks[0]
        for other in masks[1:]:
            mask = mask | other if turn.new is State.OPTED_OUT else mask & other
        store = f"list:{ids[0]}" if len(ids) == 1 else None
        for category in self.categories.of(mask):
            event_id = f"{change.event_id}:{category}"
            yield change._replace(event_id=event_id, category=category, store=store)


def messages_of(items: Sequence[Mapping[str, Any]], lists: Mapping[str, int]) -> dict[str, Message]:
    """Message and campaign ids → what they are; events name the one, older ones the other."""
    found: dict[str, Message] = {}
    for item in items:
        message = Message(item["id"], _audience(item, lists))
        for message_id in (item["id"], *message_ids(item)):
            found[message_id] = message
    return found


def message_ids(item: Mapping[str, Any]) -> list[str]:
    """The ids of a campaign's messages (several where it is tested in variations)."""
    related = (item.get("relationships") or {}).get("campaign-messages") or {}
    return [each["id"] for each in related.get("data") or ()]


def was_sent(item: Mapping[str, Any], cutoff: datetime) -> bool:
    """Whether a campaign has gone out, at least in part, before the cut-off."""
    at = moment(item["attributes"].get("send_time"))
    return item["attributes"].get("status") in _SENT and at is not None and at <= cutoff


def campaign_row(
    item: Mapping[str, Any],
    answers: Sequence[Mapping[str, Any]],
    lists: Mapping[str, int],
    postal_parts: Sequence[str] | None,
) -> Campaign:
    """One campaign. `answers`: those of `/api/campaign-messages/{id}` with the template, one per
    message; a duty is kept only if each of them keeps it. `postal_parts`: the account's street and
    place, written out instead of the tag; None: not known."""
    attributes = item["attributes"]
    contents = [_content(answer) for answer in answers]
    pages = [_html(answer) for answer in answers]
    first = contents[0] if contents else {}
    return Campaign(
        campaign_id=item["id"], name=text(attributes.get("name")),
        subject=text(first.get("subject")), sent_at=moment(attributes.get("send_time")),
        categories=_audience(item, lists), from_name=text(first.get("from_label")),
        from_address=text(first.get("from_email")), reply_to=text(first.get("reply_to_email")),
        has_unsubscribe=_all([None if page is None else bool(_UNSUBSCRIBE_TAG.search(page))
                              for page in pages]),
        has_postal_address=_all([_has_postal(page, postal_parts) for page in pages]),
        raw=raw_json({**item, "messages": contents}),
    )  # fmt: skip


def has_address_tag(answer: Mapping[str, Any]) -> bool:
    """Whether a template shows the account's postal address by the vendor's tag."""
    return bool(_ADDRESS_TAG.search(_html(answer) or ""))


def says_transactional(action: Mapping[str, Any]) -> bool:
    """Whether a flow's action is a transactional mail; older revisions keep it elsewhere."""
    attributes = action.get("attributes") or {}
    definition = (attributes.get("definition") or {}).get("data") or {}
    options = attributes.get("send_options") or {}
    message = definition.get("message") or {}
    return message.get("transactional") is True or options.get("is_transactional") is True


def _all(verdicts: Sequence[bool | None]) -> bool | None:
    """False if one is; None (not shown) if none is false but not all are known."""
    if False in verdicts:
        return False
    return None if None in verdicts or not verdicts else True


def _has_postal(page: str | None, parts: Sequence[str] | None) -> bool | None:
    if page is None:
        return None
    if _ADDRESS_TAG.search(page):
        return True
    if not parts:
        return None if parts is None else False
    return all(part.lower() in page.lower() for part in parts)


def _content(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    definition = answer["data"]["attributes"].get("definition") or {}
    content: Mapping[str, Any] = definition.get("content") or {}
    return content


def _html(answer: Mapping[str, Any]) -> str | None:
    for each in answer.get("included") or ():
        if each.get("type") == "template":
            return text((each.get("attributes") or {}).get("html"))
    return None


def _audience(item: Mapping[str, Any], lists: Mapping[str, int]) -> int:
    included = (item["attributes"].get("audiences") or {}).get("included") or ()
    mask = 0
    for audience in included:
        mask |= lists.get(audience, 0)
    return mask


def related(item: Mapping[str, Any], kind: str) -> str | None:
    """The id of the one record of this kind that belongs to it; None where none is named."""
    data = ((item.get("relationships") or {}).get(kind) or {}).get("data") or {}
    return text(data.get("id"))


def _properties(item: Mapping[str, Any]) -> Mapping[str, Any]:
    told = item["attributes"].get("event_properties")
    return told if isinstance(told, dict) else {}


def _event_time(attributes: Mapping[str, Any]) -> datetime | None:
    at = moment(attributes.get("datetime"))
    seconds = attributes.get("timestamp")
    if at is None and isinstance(seconds, int) and not isinstance(seconds, bool):
        return datetime.fromtimestamp(seconds, UTC)
    return at
