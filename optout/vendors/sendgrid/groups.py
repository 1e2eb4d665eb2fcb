"""Reading the unsubscribe groups that are mapped to categories.

Two traps of the vendor decide how. Deleting a group frees everybody in it, and what a deleted
group answers is not documented; so a mapped group must be there, or the reading is incomplete. And
the list of a group has neither pages nor stamps; so its length is held against the group's own
count, and the stamps come from the list of all groups' suppressions, which tells `created_at` but
cannot prove that it is whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from optout.errors import NotFound, PermissionMissing, UnexpectedAnswer
from optout.http.client import HttpClient
from optout.http.urls import quote_segment
from optout.records import Reading, Row
from optout.vendors.sendgrid.rows import Account, Book, epoch, suppressed
from optout.vendors.sendgrid.steps import Result, Sink

ALL_PAGE = 500
_ATTEMPTS = 3
_GROUPS = "/v3/asm/groups"
_GROUP = "/v3/asm/groups/{id}"
_MEMBERS = "/v3/asm/groups/{id}/suppressions"
_ALL = "/v3/asm/suppressions"


def list_groups(http: HttpClient, account: Account) -> dict[str, Mapping[str, Any]]:
    """The groups of an account by id."""
    data = http.get(_GROUPS, headers=account.headers).data
    if not isinstance(data, list) or not all(isinstance(g, dict) and "id" in g for g in data):
        raise UnexpectedAnswer("no list of groups", system=http.system, request=f"GET {_GROUPS}")
    return {str(group["id"]): group for group in data}


def read_groups(http: HttpClient, book: Book, account: Account, sink: Sink) -> Result:
    """The suppressions of the mapped groups of one account.

    Groups that were written before an interruption are read again, because a category with
    several groups is blocked only where all of them hold the address, but not written again.
    """
    known = list_groups(http, account)
    mapped = [group for group in book.groups if group in known]
    result = Result(total=0, found=mapped)
    members: dict[str, set[str]] = {}
    for group in mapped:
        emails, why = _members(http, account, known[group])
        members[group] = emails
        result.read += len(emails)
        if why:
            result.why.append(f"{account.title}: {why}")
    result.total = result.read
    dates = _dates(http, account, frozenset(mapped))
    if dates is None:
        result.notes.append(f"{account.title}: the suppressions of groups have no dates")
    for group, email in dates or {}:
        members[group].add(email)
    undated = sum(len(emails) for emails in members.values()) - len(dates or ())
    if undated and dates is not None:
        result.notes.append(f"{account.title}: {undated} suppressions of groups have no date")
    written = set(sink.cursor or ())
    for group in mapped:
        if group not in written:
            for row in _rows(_Held(book, account, members, dates or {}), group):
                sink.add(row)
            written.add(group)
            sink.page_done(sorted(written))
    return result


def _members(
    http: HttpClient, account: Account, group: Mapping[str, Any]
) -> tuple[set[str], str | None]:
    """The addresses of a group, and why they may not be all of them.

    More than the count are accepted: each is an opt-out that somebody asked for.
    """
    number = quote_segment(group["id"])
    shown: set[str] = set()
    told: Any = None
    for attempt in range(_ATTEMPTS):
        if attempt:
            path = f"{_GROUPS}/{number}"
            group = http.get(path, template=_GROUP, headers=account.headers).data
        path = f"{_GROUPS}/{number}/suppressions"
        data = http.get(path, template=_MEMBERS, headers=account.headers).data
        if not isinstance(data, list) or not all(isinstance(email, str) for email in data):
            raise UnexpectedAnswer(
                "no list of addresses", system=http.system, request=f"GET {_MEMBERS}"
            )
        shown = {email.lower() for email in data}
        told = group.get("unsubscribes") if isinstance(group, dict) else None
        is_counted = isinstance(told, int)
        # Without a count an empty list is believed only when it is said twice.
        if (is_counted and len(data) >= told) or (not is_counted and (shown or attempt)):
            return shown, None
    return shown, f"group {number} counts {told} suppressions and lists {len(shown)}"


def _dates(
    http: HttpClient, account: Account, groups: frozenset[str]
) -> dict[tuple[str, str], datetime | None] | None:
    """(Group, address) → when it was suppressed; None if the key may not read it.

    The specification knows no pages here, the vendor has them all the same (sendgrid/docs#5178):
    both are met, and nothing depends on the end being the end. An empty page is believed when it is
    said twice.
    """
    dates: dict[tuple[str, str], datetime | None] = {}
    offset, is_repeated = 0, False
    while True:
        params = {"limit": ALL_PAGE, "offset": offset}
        try:
            data = http.get(_ALL, params, headers=account.headers).data
        except (PermissionMissing, NotFound):
            return None
        before = len(dates)
        count = 0
        for item in _items(data):
            count += 1
            pair = (str(item.get("group_id")), str(item["email"]).lower())
            dates[pair] = epoch(item.get("created_at"))
        if not count and not is_repeated:
            is_repeated = True  # a page that got lost would leave everybody behind it undated
            continue
        offset += count
        if count != ALL_PAGE or len(dates) == before:
            return {pair: at for pair, at in dates.items() if pair[0] in groups}


def _items(data: Any) -> Iterator[Mapping[str, Any]]:
    for item in data if isinstance(data, list) else ():
        if isinstance(item, dict) and isinstance(item.get("email"), str):
            yield item


@dataclass(frozen=True)
class _Held:
    """Everything that the groups of one account hold."""

    book: Book
    account: Account
    members: Mapping[str, set[str]]
    dates: Mapping[tuple[str, str], datetime | None]

    def blocked(self, address: str, mask: int) -> int:
        """The categories of `mask` all of whose groups hold the address: mail of a category may
        go through any of its groups."""
        for group, members in self.members.items():
            if address not in members:
                mask &= ~self.book.group(group)
        return mask


def _rows(held: _Held, group: str) -> Iterator[Row]:
    account, mask = held.account, held.book.group(group)
    store = f"group:{group}"
    for address in sorted(held.members[group]):
        at = held.dates.get((group, address))
        blocked = held.blocked(address, mask)
        yield Reading(
            account.store(store), account.record(store, held.book.pseudonym(address)), address,
            outs=mask, category_outs=mask, present=False, created_at=at,
            blocks=0 if account.scoped else blocked,
            store_blocks=blocked if account.scoped else 0,
        )  # fmt: skip
        if at is not None:
            for category in held.book.categories.of(mask):
                yield suppressed(held.book, account, store, address, category, at)
