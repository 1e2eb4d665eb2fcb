"""HubSpot's two v1 feeds: how they are paged, and their records as rows.

Both come newest first, in windows that include both ends, with an offset token that is opaque
and not long-lived (the vendor's page on the subscriptions timeline). So the place from which a
read goes on is kept as a time, never as a token.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optout.errors import Gone, RequestRefused, UnexpectedAnswer
from optout.http.client import HttpClient
from optout.model import Source
from optout.records import Change, Finding, MailEvent, Row
from optout.vendors.hubspot.campaigns import Campaigns, Mailed
from optout.vendors.hubspot.rows import (
    STATES,
    TypeBook,
    as_raw,
    channel_of,
    moment,
    number_of,
    shown_word,
)

TIMELINE = "/email/public/v1/subscriptions/timeline"
EVENTS = "/email/public/v1/events"

KINDS: Mapping[str, str] = {
    "SENT": "sent", "DELIVERED": "delivered", "BOUNCE": "bounced", "DROPPED": "dropped",
    "CLICK": "clicked", "SPAMREPORT": "complained",
}  # fmt: skip
"""Event types that are read → kinds of `MailEvent`. STATUSCHANGE is not among them: the timeline
tells the same changes, one by one."""

_SOURCES: Mapping[str, Source] = {
    "SOURCE_CUSTOMER": Source.MANUAL,
    "SOURCE_SPAM_REPORT": Source.VENDOR,
    "SOURCE_DIRECT_COMPLAINT": Source.SUPPORT_REQUEST,
    "SOURCE_NON_DELIVERY_REPORT": Source.VENDOR,
    "SOURCE_MTA_RESPONSE": Source.VENDOR,
}
_NO_PREFERENCE = frozenset({
    "PORTAL_BOUNCE", "PORTAL_SPAM_REPORT", "SUBSCRIPTION_BOUNCE", "SUBSCRIPTION_SPAM_REPORT",
})  # fmt: skip
"""Types of timeline entries about deliverability and complaints: no preference changes."""


@dataclass(frozen=True)
class FeedPage:
    """A page of a feed."""

    items: list[dict[str, Any]]
    oldest: int | None
    """Milliseconds up to which everything newer was read; None: the feed was out of order, so
    that no time tells what was read."""
    is_gap: bool
    """More was announced, and nothing came."""


class Feed:
    """Reads one v1 feed within a closed window."""

    def __init__(self, http: HttpClient, path: str, items: str, stamp: str, *, limit: int) -> None:
        self._http = http
        self._path = path
        self._items = items
        self._stamp = stamp
        self._limit = limit

    def pages(
        self, start: int, end: int, more: Mapping[str, Any] | None = None
    ) -> Iterator[FeedPage]:
        """The pages from `end` back to `start` (milliseconds, both included).

        Raises UnexpectedAnswer where a token comes again, or an answer is not of the vendor's
        form or not to what was asked.
        """
        walk = _Walk(end)
        while not walk.done:
            params = {
                **(more or {}), "limit": self._limit, "startTimestamp": start,
                "endTimestamp": walk.before, "offset": walk.offset,
            }  # fmt: skip
            try:
                items, following = self._page(params)
            except (RequestRefused, Gone):
                if not walk.restart_by_time():
                    raise
                continue
            if not items and walk.ask_again():
                continue
            is_gap = not items and walk.asked_again
            walk.saw([item[self._stamp] for item in items], start)
            if not walk.follow(following):
                raise self._broken("the vendor repeats a page")
            wanted = [item for item in items if start <= item[self._stamp] <= end]
            yield FeedPage(wanted, walk.oldest if walk.ordered else None, is_gap)

    def _page(self, params: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
        """The items and the token of the next page, None on the last."""
        data = self._http.get(self._path, params).data
        items = data.get(self._items) if isinstance(data, dict) else None
        if not isinstance(items, list) or not isinstance(data.get("hasMore"), bool):
            raise self._broken("the answer has no list, or does not say whether more follows")
        if any(type(item.get(self._stamp)) is not int for item in items):
            raise self._broken(f"a record without {self._stamp}")
        kind = params.get("eventType")
        if kind is not None and any(item.get("type", kind) != kind for item in items):
            # What was delivered would count as bounced, and what was asked for as not there.
            raise self._broken("an event of another type than asked")
        token = data.get("offset")
        if data["hasMore"] and (not isinstance(token, str) or not token):
            raise self._broken("more pages are told, but no token to ask for them")
        return items, token if data["hasMore"] else None

    def _broken(self, why: str) -> UnexpectedAnswer:
        return UnexpectedAnswer(why, system=self._http.system, request=f"GET {self._path}")


class _Walk:
    """Where the reading of a feed stands."""

    def __init__(self, end: int) -> None:
        self.before = end
        self.offset: str | None = None
        self.done = False
        self.oldest = end
        self.ordered = True
        self.asked_again = False
        self._last: int | None = None
        self._is_over = False
        self._seen: set[str] = set()

    def restart_by_time(self) -> bool:
        """The token has expired: go on from the oldest record; False if that would not move."""
        if self.offset is None or not self.ordered or self.oldest >= self.before:
            return False
        self.before, self.offset = self.oldest, None
        self._seen.clear()
        return True

    def ask_again(self) -> bool:
        """Whether an empty page is to be asked for once more: it was announced not to be empty."""
        if self.offset is None or self.asked_again:
            return False
        self.asked_again = True
        return True

    def saw(self, stamps: Sequence[int], start: int) -> None:
        """Take note of a page's stamps."""
        self.asked_again = False
        if not stamps:
            return
        before = stamps[0] if self._last is None else self._last
        self.ordered = self.ordered and [before, *stamps] == sorted([before, *stamps], reverse=True)
        self._last = stamps[-1]
        self.oldest = min(self.oldest, *stamps)
        self._is_over = self.ordered and self.oldest < start

    def follow(self, token: str | None) -> bool:
        """Go on to the next page; False if it was asked for before."""
        self.done = token is None or self._is_over
        if self.done or token is None:
            return True
        is_new = token not in self._seen
        self._seen.add(token)
        self.offset = token
        return is_new


# --- the timeline -------------------------------------------------------------------------------
def cause_of(change: Mapping[str, Any]) -> tuple[str, int] | None:
    """The event that caused a change: its identity is the pair of id and creation."""
    cause = change.get("causedByEvent")
    if not isinstance(cause, Mapping) or type(cause.get("created")) is not int:
        return None
    return str(cause.get("id")), int(cause["created"])


def timeline_rows(
    item: Mapping[str, Any], book: TypeBook, sent: Mapping[tuple[str, int], str]
) -> Iterator[Row]:
    """The preference changes of one timeline item; `sent` names the campaign of an event."""
    address = item.get("recipient")
    changes = item.get("changes")
    every = book.categories.all
    if not isinstance(address, str) or not address:
        yield Finding("no_address", "timeline", "", "recipient", "", None, every, as_raw(item))
        return
    if not isinstance(changes, list):
        yield Finding("missing_field", "timeline", book.pseudonym(address), "changes", "", address,
                      every, as_raw(item))  # fmt: skip
        return
    for change in changes:
        yield from _change_rows(address, item["timestamp"], change, book, sent)


def _change_rows(
    address: str,
    stamp: int,
    change: Mapping[str, Any],
    book: TypeBook,
    sent: Mapping[tuple[str, int], str],
) -> Iterator[Row]:
    kind, word = change.get("changeType"), change.get("change")
    if kind in _NO_PREFERENCE:
        return
    number = number_of(change.get("subscriptionId"))
    names: list[str | None] = [None]
    mask = book.categories.all
    if kind == "SUBSCRIPTION_STATUS" and number is not None:
        mask = book.masks.get(number, 0)
        names = list(book.categories.of(mask))
        if not mask:
            return
    whose = book.pseudonym(address)
    is_known = kind == "PORTAL_STATUS" or (kind == "SUBSCRIPTION_STATUS" and number is not None)
    if not is_known or not isinstance(word, str) or word not in STATES:
        field = "change" if is_known else "changeType"
        detail = shown_word(word if is_known else kind)
        yield Finding(
            "unknown_value", "timeline", whose, field, detail, address, mask, as_raw(change)
        )
        return
    cause = cause_of(change)
    own = change.get("timestamp")
    at_ms = cause[1] if cause else own if type(own) is int else stamp
    at = moment(at_ms)
    identity = f"{cause[0]}:{cause[1]}" if cause else f"{whose}:{at_ms}"
    campaign = sent.get(cause) if cause else None
    source, explicit, actor = _who(change.get("source"), campaign)
    for name in names:
        yield Change(
            f"timeline:{identity}:{kind}:{number or '*'}:{name or '*'}:{word}", "timeline", whose,
            address, name, None, STATES[word], at, at, effective_at=at, source=source,
            explicit=explicit, channel=channel_of(change.get("source")), actor=actor,
            campaign_id=campaign, store="statuses", evidence_ref=identity if cause else None,
            raw=as_raw({"timestamp": stamp, **change}),
        )  # fmt: skip


def _who(word: Any, campaign: str | None) -> tuple[Source, bool, str | None]:
    """Source, whether the person acted, and who did. The recipient is the only word that means
    the person; where a campaign is known the way there was the link in that message."""
    text = str(word or "")
    if text == "SOURCE_RECIPIENT":
        return (Source.EMAIL_LINK if campaign else Source.PREFERENCE_CENTER), True, "person"
    source = _SOURCES.get(text, Source.UNKNOWN)
    if source is Source.UNKNOWN:
        source = next((s for mark, s in _MARKS if mark in text), Source.UNKNOWN)
    actors = {Source.VENDOR: "vendor", Source.MANUAL: "agent", Source.API: "api"}
    return source, False, actors.get(source)


_MARKS = (("IMPORT", Source.IMPORT), ("API", Source.API), ("INTEGRATION", Source.SYNC),
          ("FORM", Source.FORM))  # fmt: skip
"""Parts of source words that the vendor's page does not list, but that speak for themselves."""


# --- e-mail events --------------------------------------------------------------------------------
def event_row(event: Mapping[str, Any], kind: str, campaigns: Campaigns) -> Row:
    """One message and one person. The same event may come twice: (id, created) names it."""
    address = event.get("recipient")
    identity = f"{event.get('id')}:{event.get('created')}"
    if not isinstance(address, str) or not address:
        return Finding("no_address", "email_events", identity, "recipient", raw=as_raw(event))
    campaign = number_of(event.get("emailCampaignId"))
    mailed = campaigns.of(campaign, event.get("appId")) if campaign is not None else Mailed("")
    sent = event.get("sentBy")
    message = sent.get("id") if isinstance(sent, Mapping) else None
    return MailEvent(
        identity, kind, address, moment(event.get("created")),
        campaign_id=mailed.email_id or None,
        message_id=str(message or (event.get("id") if kind == "sent" else "")) or None,
        categories=mailed.categories, transactional=mailed.transactional,
        record_id=campaigns.book.pseudonym(address), raw=as_raw(event),
    )  # fmt: skip
