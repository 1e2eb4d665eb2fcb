"""Reads HubSpot's contacts together with the statuses of their addresses.

There is no list of statuses: they are asked for by address, so contacts are walked page by page
and each page's addresses are asked about at once, in batches. That keeps memory bounded and lets
an interrupted read go on at the page. Phases, in order:

    full         living contacts, archived ones, recipients of the timeline
    incremental  contacts modified since, archived ones, recipients of the timeline since

An address may have a status without any contact (the contact was deleted, or never was): the
archived contacts and the timeline are where such addresses are found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from optout.errors import NotFound, PermissionMissing, RequestRefused, UnexpectedAnswer
from optout.http.client import HttpClient
from optout.http.pagination import Call, Cursor
from optout.http.parallel import ordered_map
from optout.records import Finding, Row
from optout.vendors.base import StreamOutput
from optout.vendors.hubspot.asking import Asking
from optout.vendors.hubspot.feeds import Feed
from optout.vendors.hubspot.rows import (
    CONTACT_PROPERTIES,
    TypeBook,
    addresses_of,
    contact_rows,
    millis,
    moment,
)
from optout.vendors.hubspot.statuses import Answered, status_rows

CONTACTS = "/crm/v3/objects/contacts"
SEARCH = f"{CONTACTS}/search"
PAGES = Cursor(items="results", token="paging.next.after", param="after")  # noqa: S106

_FULL = ("contacts", "archived", "recipients")
_CHANGED = ("changed", "archived", "recipients")
_SEARCH_SIZE = 200


@dataclass(frozen=True)
class Window:
    """What is read."""

    since: datetime | None
    """None: everything."""
    cutoff: datetime
    feed_start: datetime
    """How far back the timeline is searched for recipients."""


@dataclass(frozen=True)
class _Place:
    """How far the read is; its JSON is the cursor."""

    phase: str
    at: Any = None
    read: int = 0
    """Living contacts made before the cut-off, as far as they are read."""
    total: int | None = None
    """How many of them there were when the read began."""
    unanswered: int = 0
    gaps: int = 0


@dataclass(frozen=True)
class _Work:
    """A page: its own rows, the addresses to ask about, and where to go on behind it."""

    rows: list[Row]
    addresses: list[str]
    at: Any
    read: int = 0
    gaps: int = 0


@dataclass(frozen=True)
class _Done:
    work: _Work
    answered: list[Answered]
    unanswered: list[str]


class People:
    """One read of contacts and statuses."""

    def __init__(
        self, http: HttpClient, book: TypeBook, asking: Asking, feed: Feed, window: Window
    ) -> None:
        self._http = http
        self._book = book
        self._asking = asking
        self._feed = feed
        self._window = window

    def read(self, out: StreamOutput, workers: int) -> None:
        """Read on from the output's cursor to the end."""
        phases = _FULL if self._window.since is None else _CHANGED
        place = _Place(**out.cursor) if out.cursor else _Place(phases[0])
        for phase in phases[phases.index(place.phase) :]:
            if phase != place.phase:
                place = replace(place, phase=phase, at=None)
            if phase == "contacts" and place.total is None:
                place = replace(place, total=self._count())
            for done in ordered_map(self._ask, self._works(phase, place.at), workers):
                place = self._keep(out, place, done)
                out.page_done(asdict(place))
        self._end(out, place)

    def _keep(self, out: StreamOutput, place: _Place, done: _Done) -> _Place:
        for row in done.work.rows:
            out.add(row)
        for answered in done.answered:
            for row in status_rows(answered, self._book, self._window.cutoff):
                out.add(row)
        for address in done.unanswered:
            every = self._book.categories.all
            out.add(Finding("unresolved", "statuses", self._book.pseudonym(address), "status",
                            "no answer", address, every))  # fmt: skip
        return replace(
            place, at=done.work.at, read=place.read + done.work.read,
            unanswered=place.unanswered + len(done.unanswered),
            gaps=place.gaps + done.work.gaps,
        )  # fmt: skip

    def _end(self, out: StreamOutput, place: _Place) -> None:
        if place.unanswered:
            out.incomplete(f"{place.unanswered} addresses got no answer about their statuses")
        elif place.gaps:
            out.incomplete("the timeline announced more records than it gave")
        elif place.total is None:
            out.complete()
        else:
            # Contacts deleted meanwhile are no gap, so the smaller total is the least that must
            # have been read; more than that is no harm (search lags behind the list).
            least = min(place.total, self._count() or place.total)
            out.complete(vendor_total=max(least, place.read), read_total=place.read)

    def _count(self) -> int | None:
        """How many contacts made before the cut-off the vendor itself counts; None where the
        account has no search: then the last page is all the proof there is."""
        before = {"propertyName": "createdate", "operator": "LTE",
                  "value": str(millis(self._window.cutoff))}  # fmt: skip
        try:
            return self._search([before], 1)[1]
        except (NotFound, PermissionMissing, RequestRefused):
            return None

    # --- where addresses come from ------------------------------------------------------------
    def _works(self, phase: str, at: Any) -> Iterator[_Work]:
        if phase == "contacts":
            return self._contacts(at)
        if phase == "archived":
            return self._archived(at)
        return self._changed(at) if phase == "changed" else self._recipients(at)

    def _pages(self, at: Any, *, archived: bool) -> Iterator[tuple[list[dict[str, Any]], Any]]:
        """Contacts by page, each once within its page."""
        params = {"limit": 100, "archived": archived, "properties": ",".join(CONTACT_PROPERTIES)}
        for page in PAGES.pages(self._http, Call(CONTACTS, params), at):
            yield self._checked(page.items, f"GET {CONTACTS}"), page.cursor

    def _contacts(self, at: Any) -> Iterator[_Work]:
        for contacts, cursor in self._pages(at, archived=False):
            cutoff = self._window.cutoff
            old = sum((moment(c.get("createdAt")) or cutoff) <= cutoff for c in contacts)
            yield self._work(contacts, cursor, old)

    def _archived(self, at: Any) -> Iterator[_Work]:
        """Archived contacts are not present, but their addresses keep their statuses."""
        since = self._window.since
        for contacts, cursor in self._pages(at, archived=True):
            if since is None:
                yield _Work([], [a for c in contacts for a in addresses_of(c)], cursor)
                continue
            gone = [c for c in contacts if (moment(c.get("archivedAt")) or since) >= since]
            yield self._work(gone, cursor, deleted=True)

    def _changed(self, at: Any) -> Iterator[_Work]:
        """Contacts modified since, oldest first.

        Every request asks anew from the last stamp on: a record that is modified meanwhile moves
        to the end, and an offset would then skip another; nor can the search's bound of 10,000
        be reached. What the index did not know yet is in the next night's overlap.
        """
        at = at or {}
        since = self._window.since or self._window.cutoff
        low = int(at.get("low", millis(since)))
        while "list" not in at:
            test = {"propertyName": "lastmodifieddate", "operator": "GTE", "value": str(low)}
            contacts, total = self._search([test], _SEARCH_SIZE)
            stamps = [self._modified(contact) for contact in contacts]
            newest = max(stamps, default=low)
            is_last = total <= len(contacts)
            if not is_last and newest <= low:
                at = {"list": None}  # more records with one stamp than a page holds
                break
            yield self._work(contacts, {"low": newest})
            if is_last:
                return
            low = newest
        for contacts, cursor in self._pages(at["list"], archived=False):
            yield self._work(contacts, {"list": cursor})

    def _recipients(self, at: Any) -> Iterator[_Work]:
        start = self._window.since or self._window.feed_start
        end = at["before"] if at else millis(self._window.cutoff)
        for page in self._feed.pages(millis(start), end):
            whose = [str(item["recipient"]).lower() for item in page.items if item.get("recipient")]
            place = {"before": page.oldest} if page.oldest is not None else None
            yield _Work([], list(dict.fromkeys(whose)), place, gaps=int(page.is_gap))

    def _work(
        self, contacts: Sequence[dict[str, Any]], at: Any, read: int = 0, *, deleted: bool = False
    ) -> _Work:
        rows = [
            row
            for contact in contacts
            for row in contact_rows(contact, self._book, deleted=deleted)
        ]
        addresses = [address for contact in contacts for address in addresses_of(contact)]
        return _Work(rows, list(dict.fromkeys(addresses)), at, read)

    # --- requests -----------------------------------------------------------------------------
    def _ask(self, work: _Work) -> _Done:
        answered, unanswered = self._asking.about(work.addresses)
        return _Done(work, answered, unanswered)

    def _search(
        self, filters: list[dict[str, str]], limit: int
    ) -> tuple[list[dict[str, Any]], int]:
        """The first contacts that the filters let through, oldest first, and how many there are."""
        body = {
            "filterGroups": [{"filters": filters}], "properties": list(CONTACT_PROPERTIES),
            "sorts": [{"propertyName": "lastmodifieddate", "direction": "ASCENDING"}],
            "limit": limit, "after": "0",
        }  # fmt: skip
        request = f"POST {SEARCH}"
        data = self._http.post(SEARCH, body).data
        if not isinstance(data, dict) or type(data.get("total")) is not int:
            raise self._broken(request, "the search tells no total")
        return self._checked(data.get("results"), request), data["total"]

    def _checked(self, contacts: Any, request: str) -> list[dict[str, Any]]:
        """Contacts that can be read at all: an unset property is null, never absent."""
        if not isinstance(contacts, list):
            raise self._broken(request, "no list of contacts")
        known: dict[str, dict[str, Any]] = {}
        for contact in contacts:
            properties = contact.get("properties")
            if not contact.get("id") or not isinstance(properties, Mapping):
                raise self._broken(request, "a contact without id or properties")
            if "email" not in properties:
                raise self._broken(request, "a contact without the property email")
            known[str(contact["id"])] = contact
        return list(known.values())

    def _modified(self, contact: Mapping[str, Any]) -> int:
        at = moment(contact["properties"].get("lastmodifieddate")) or moment(
            contact.get("updatedAt")
        )
        if at is None:
            raise self._broken(f"POST {SEARCH}", "a contact without lastmodifieddate")
        return millis(at)

    def _broken(self, request: str, why: str) -> UnexpectedAnswer:
        return UnexpectedAnswer(why, system=self._http.system, request=request)
