"""The nightly state of a Klaviyo account: profiles, and who is on which mapped list."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from optout.errors import RequestRefused, UnexpectedAnswer
from optout.http.pagination import Call
from optout.vendors.base import ReadRequest, StreamOutput
from optout.vendors.klaviyo.account import Account, stamp
from optout.vendors.klaviyo.pages import Item, Reading, ask_pages
from optout.vendors.klaviyo.people import PeopleRows
from optout.vendors.klaviyo.words import moment

_MARKETING = "subscriptions.email.marketing"
_FIELDS: Mapping[str, Any] = {
    "fields[profile]": "email,created,updated,subscriptions",
    "additional-fields[profile]": "subscriptions",
}
_MARGIN = timedelta(seconds=1)
"""`updated` can only be asked for strictly later than; what has the same second is wanted too."""
_FEW = 10
"""Fewer profiles than this, in a read of changes, say nothing of the share of empty fields."""
_LOST_SHARE = 0.1
"""A list that lost more of its members than this is held against the vendor's own count."""


def read_profiles(account: Account, request: ReadRequest, out: StreamOutput) -> None:
    """Every profile with its consent, or what changed since; raises SourceError."""
    boundary = moment(request.state.get("complaints_before"))
    if boundary is None:
        boundary = request.cutoff - timedelta(days=account.event_days)
    is_full = request.since is None
    rows = PeopleRows(account.system, account.categories, account.lists, boundary, is_full)
    reading = Reading(account.http, out, _profile_calls(request.since))

    def take(_name: str, items: list[Item], _answer: Item) -> None:
        for item in items:
            for row in rows.profile(item):
                out.add(row)
            _count(reading.tally, rows, item)

    reading.run(take)
    if is_full:
        _prove_end(account, request, (reading.tally.get("first"), reading.tally.get("last")))
    tally = {name: reading.tally.get(name, 0) for name in ("read", "nameless", "empty")}
    comparable = tally["read"] - tally["nameless"]
    share = tally["empty"] / comparable if comparable else 0.0
    before = request.state.get("empty_share", 0.0)
    is_telling = is_full or comparable >= _FEW
    if is_telling and before < 0.5 and share > 0.9:
        out.incomplete(
            f"the consent field is empty on {tally['empty']} of {comparable} profiles"
            f" (the last time on {before:.0%} of them)"
        )
        return
    note = f"{tally['nameless']} of {tally['read']} profiles have no address: not compared"
    if not is_full:
        note += "; a suppression that was lifted shows only in the next full read"
    out.complete(
        state={
            "empty_share": share if is_telling else before,
            "complaints_before": boundary.isoformat(),
        },
        note=note,
    )


def _profile_calls(since: datetime | None) -> dict[str, Call]:
    """Everything in the order of ids; or the changes, which take three feeds: `updated` need not
    move with a consent, and the two kinds of suppression have stamps of their own."""
    page = {**_FIELDS, "page[size]": 100}
    if since is None:
        return {"all": Call("/api/profiles", {**page, "sort": "id"})}
    from_ = stamp(since - _MARGIN)
    feeds = {
        "updated": ("updated", f"greater-than(updated,{from_})"),
        "suppressed": _suppression_feed("suppression", from_),
        "list_suppressed": _suppression_feed("list_suppressions", from_),
    }
    return {
        name: Call("/api/profiles", {**page, "sort": sort, "filter": where})
        for name, (sort, where) in feeds.items()
    }


def _suppression_feed(kind: str, from_: str) -> tuple[str, str]:
    field = f"{_MARKETING}.{kind}.timestamp"
    return field, f"greater-or-equal({field},{from_})"


def _count(tally: dict[str, Any], rows: PeopleRows, item: Item) -> None:
    """Count profiles, those without an address, those with an empty consent; keep the last id."""
    tally["last"] = item["id"]
    tally.setdefault("first", item["id"])
    tally["read"] = tally.get("read", 0) + 1
    attributes = item["attributes"]
    if not attributes.get("email"):
        tally["nameless"] = tally.get("nameless", 0) + 1
    elif not (rows.marketing(attributes) or {}).get("consent"):
        tally["empty"] = tally.get("empty", 0) + 1


def _prove_end(account: Account, request: ReadRequest, ends: tuple[str | None, str | None]) -> None:
    """The vendor tells no total; but the profile with the highest id must be the last one read.

    Raises UnexpectedAnswer where the reading stopped short of it. A profile made after the
    cut-off may be missing: it belongs to the next night. Where the order is not honoured (the
    answer is the first one read) or not offered, the missing next link is all the proof there is.
    """
    call = Call("/api/profiles", {"fields[profile]": "created", "sort": "-id", "page[size]": 1})
    try:
        page = next(ask_pages(account.http, call))
    except RequestRefused:
        return
    if not page.items or page.items[0]["id"] in ends:
        return
    created = moment(page.items[0]["attributes"].get("created"))
    if created is None or created <= request.cutoff:
        raise UnexpectedAnswer(
            "the list of profiles ended before its last one", system=account.system,
            request="GET /api/profiles",
        )  # fmt: skip


def read_members(account: Account, request: ReadRequest, out: StreamOutput) -> None:
    """Who is on the mapped lists, all lists at the same time; raises SourceError."""
    params = {"fields[profile]": "email,created,joined_group_at", "page[size]": 100}
    calls = {
        list_id: Call(f"/api/lists/{list_id}/profiles", params, "/api/lists/{id}/profiles")
        for list_id in account.lists
    }
    rows = PeopleRows(account.system, account.categories, account.lists)
    reading = Reading(account.http, out, calls, tolerate_missing=True)

    def take(list_id: str, items: list[Item], _answer: Item) -> None:
        for item in items:
            for row in rows.member(item, list_id):
                out.add(row)
        reading.tally[list_id] = reading.tally.get(list_id, 0) + len(items)

    reading.run(take)
    if reading.missing:
        out.incomplete(f"mapped lists that do not exist: {', '.join(sorted(reading.missing))}")
        return
    counts: dict[str, int] = {list_id: reading.tally.get(list_id, 0) for list_id in account.lists}
    before: Mapping[str, int] = request.state.get("members", {})
    told = sum(_told(account, each, n, before.get(each, 0)) for each, n in counts.items())
    out.complete(vendor_total=told, read_total=sum(counts.values()), state={"members": counts})


def _told(account: Account, list_id: str, read: int, before: int) -> int:
    """How many members the vendor says there are. Only a list that lost many is worth the
    question, which may be asked once a second and 15 times a minute."""
    if read >= before * (1 - _LOST_SHARE):
        return read
    params = {"additional-fields[list]": "profile_count"}
    answer = account.http.get(f"/api/lists/{list_id}", params, template="/api/lists/{id}")
    count = answer.data["data"]["attributes"].get("profile_count")
    return count if isinstance(count, int) else before
