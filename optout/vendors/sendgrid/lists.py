"""Reading SendGrid's suppression lists, which have neither a total nor a link to the next page.

A page is asked for by offset. If an entry in front of it was removed since the page before,
everything moves up by one and the entry at the border is never shown: an opt-out would be missed.
So each page begins with the last entry of the page before. As long as the first entry of a page
is one that was seen, nothing was skipped, because the window in time is closed and entries keep
their order; if it is not, the reading goes back. The end is where a page holds nothing but the
entry that was known: a page that is merely short or empty proves nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from optout.errors import SourceError
from optout.http.client import HttpClient
from optout.http.pagination import Call
from optout.vendors.sendgrid.rows import Account, Book, Entry, rows_of_list
from optout.vendors.sendgrid.steps import Result, Sink, StartOver

PAGE = 500
"""The largest page that the vendor allows."""
MOST_REPEATED = 2
"""Times in a row that the very same page may come before the offset counts as ignored."""
MOST_IDLE = 100
"""Pages in a row without a new entry after which the list counts as endless. Removals make some:
each sends the reading back to what it knows."""

Item = Mapping[str, Any]


@dataclass
class Place:
    """How far a list is read; as JSON it is the cursor."""

    end: int
    """Unix seconds: entries made later wait for the next night."""
    offset: int = 0
    anchor: int | None = None
    """Digest of the last entry; never an address."""
    read: int = 0
    doubled: int = 0
    """Entries that one page showed twice."""


def read_list(
    http: HttpClient, name: str, book: Book, account: Account, now: datetime, sink: Sink
) -> Result:
    """One list of one account, from the cursor on."""
    place = Place(**sink.cursor) if sink.cursor else Place(int(now.timestamp()))
    window = {"start_time": 0, "end_time": place.end, "limit": PAGE}
    call = Call(f"/v3/suppression/{name}", window, headers=account.headers)

    def broken(why: str) -> SourceError:
        return call.broken(http, why)

    def ask(offset: int) -> list[Item]:
        return _checked(call.ask(http, {"offset": offset}).data, broken)

    for fresh in new_entries(ask, place, broken):
        for item in fresh:
            for row in rows_of_list(name, book, account, Entry.of(item)):
                sink.add(row)
        sink.page_done(asdict(place))
    return Result(read=place.read, total=place.read)


def new_entries(
    ask: Callable[[int], list[Item]], place: Place, broken: Callable[[str], SourceError]
) -> Iterator[list[Item]]:
    """The entries that no page before has shown, page by page; ends only where the list does.

    Raises StartOver if entries moved and the reading cannot find its way, and what `broken`
    makes of a reason if the vendor does not heed the offset.
    """
    is_resumed = place.anchor is not None
    seen = set() if place.anchor is None else {place.anchor}
    last: list[int] = []
    idle = repeated = empty = 0
    while True:
        page = ask(place.offset)
        keys = [_digest(item) for item in page]
        if place.offset and (not keys or keys[0] not in seen):
            if is_resumed:
                raise StartOver("entries were removed while the list was read")
            place.offset = max(0, place.offset - (PAGE - 1))
            continue
        if not keys:
            # Nobody may be called mailable on the word of one empty answer.
            empty += 1
            if empty > 1:
                return
            continue
        fresh = _unseen(page, keys, seen)
        if not fresh and (len(set(keys)) == 1 or (keys == last and len(keys) < PAGE)):
            if len(keys) == 1 and place.read + place.doubled < place.offset + 1:
                raise StartOver("entries moved while the list was read")
            return
        idle = 0 if fresh else idle + 1
        repeated = repeated + 1 if keys == last else 0
        if repeated > MOST_REPEATED or idle > MOST_IDLE:
            raise broken("the same page comes again: the offset is not heeded")
        place.doubled += len(keys) - len(set(keys))
        place.read += len(fresh)
        place.offset += len(keys) - 1
        place.anchor = keys[-1]
        last = keys
        if fresh:
            yield fresh


def _unseen(page: list[Item], keys: list[int], seen: set[int]) -> list[Item]:
    fresh = []
    for item, key in zip(page, keys, strict=True):
        if key not in seen:
            seen.add(key)
            fresh.append(item)
    return fresh


def _digest(item: Item) -> int:
    """What tells entries apart, in eight bytes: lists have millions."""
    text = f"{item['email'].lower()}|{item.get('created')}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def _checked(data: Any, broken: Callable[[str], SourceError]) -> list[Item]:
    if isinstance(data, list) and all(
        isinstance(item, dict) and isinstance(item.get("email"), str) for item in data
    ):
        return data
    raise broken("an entry without an address, or no list at all")
