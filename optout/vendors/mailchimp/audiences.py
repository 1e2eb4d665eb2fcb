"""Reading the members of the mapped audiences so that nobody is missed and it can be proven."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from optout.errors import NotFound
from optout.http.client import HttpClient
from optout.http.pagination import Call
from optout.http.parallel import ordered_map
from optout.http.urls import quote_segment
from optout.records import Row
from optout.vendors.base import ReadRequest, StreamOutput
from optout.vendors.mailchimp.members import (
    FIELDS,
    STATUSES,
    Audience,
    MissingFieldError,
    iso,
    rows_of,
)
from optout.vendors.mailchimp.pages import ATTEMPTS, Collection, Json, Paging

SKEW = timedelta(minutes=10)
"""More than the vendor's clock and ours may differ: how far the tail reaches back before the
read's start."""
_TAILS = 5
"""Readings of the tail before the list counts as one that does not come to rest."""
MEMBERS = "/lists/{list_id}/members"


class Directory:
    """The account's lists and their interests, asked for once."""

    def __init__(self, http: HttpClient, paging: Paging) -> None:
        self._http = http
        self._paging = paging
        self._lists: dict[str, Json] | None = None

    def lists(self) -> dict[str, Json]:
        """All lists by id, with name and contact block."""
        if self._lists is None:
            call = Call("/lists", template="/lists")
            fields = ("id", "name", "contact")
            self._lists = Collection(self._http, call, "lists", fields, paging=self._paging).all()
        return self._lists

    def interests(self, list_id: str) -> dict[str, str]:
        """The interests of a list: id → name."""
        template = "/lists/{list_id}/interest-categories"
        path = f"/lists/{quote_segment(list_id)}/interest-categories"
        call = Call(path, template=template)
        groups = Collection(self._http, call, "categories", ("id",), paging=self._paging).all()
        found: dict[str, str] = {}
        for group in groups:
            call = Call(
                f"{path}/{quote_segment(group)}/interests",
                template=f"{template}/{{interest_category_id}}/interests",
            )
            rows = Collection(
                self._http, call, "interests", ("id", "name"), paging=self._paging
            ).all()
            found |= {key: str(row.get("name", "")) for key, row in rows.items()}
        return found


class MemberReader:
    """Reads the `members` stream: every mapped audience, page by page, archived ones too."""

    def __init__(
        self,
        http: HttpClient,
        audiences: Mapping[str, Audience],
        directory: Directory,
        paging: Paging,
        pseudonym: Callable[[str], str],
    ) -> None:
        self._http = http
        self._audiences = audiences
        self._directory = directory
        self._paging = paging
        self._pseudonym = pseudonym

    def read(self, request: ReadRequest, out: StreamOutput) -> None:
        """Read all audiences; one that cannot be proven complete is read again with the others.

        An interrupted read goes on with the first audience that was not finished: which of its
        members were seen is known to the process that saw them only, and the proof needs it.
        """
        for attempt in range(1, ATTEMPTS + 1):
            done: dict[str, list[int]] = dict((out.cursor or {}).get("done", {}))
            for audience in self._audiences.values():
                if audience.list_id not in done:
                    totals = self._read_audience(audience, request, out, {"done": done})
                    done = {**done, audience.list_id: totals}
                    out.page_done({"done": done})
            told, read = (sum(column) for column in zip(*done.values(), strict=True))
            if told == read or attempt == ATTEMPTS:
                break
            # Somebody was deleted for good while the list was read, or the order is unstable:
            # what was written may hold people who are gone.
            out.restart()
        out.complete(vendor_total=told, read_total=read, is_full=request.since is None)

    def _read_audience(
        self, audience: Audience, request: ReadRequest, out: StreamOutput, cursor: Json
    ) -> list[int]:
        """The vendor's total and how many different members were read."""
        self._demand_interests(audience)
        complaints = self._complaints(audience)
        seen: set[int] = set()
        has_archived = False
        began = (request.now or request.cutoff) - SKEW
        tail = max(began, request.since) if request.since else began
        for turn, since in enumerate((request.since, *[tail] * _TAILS)):
            for archived in (False, True):
                for page in self._members(audience, since, seen, archived=archived).pages():
                    has_archived |= not archived and any(
                        row.get("status") == "archived" for row in page
                    )
                    for member in page:
                        for row in self._rows(member, audience, complaints):
                            out.add(row)
                    out.page_done(cursor)
            # The tail is read at least once: an edit in the second in which its page was read
            # does not move the stamp, and somebody unarchived meanwhile was on neither walk.
            if turn:
                told = self._told(audience, request.since, default_has_archived=has_archived)
                if told == len(seen):
                    break
        return [told, len(seen)]

    def _members(
        self, audience: Audience, since: datetime | None, seen: set[int], *, archived: bool
    ) -> Collection:
        """The default listing leaves the archived out: they are a walk of their own."""
        params = {"sort_field": "last_changed", "sort_dir": "ASC"}
        params |= {"status": "archived"} if archived else {}
        params |= {"since_last_changed": iso(since)} if since else {}
        return Collection(
            self._http,
            Call(f"/lists/{quote_segment(audience.list_id)}/members", params, MEMBERS),
            "members",
            FIELDS,
            version="last_changed",
            paging=self._paging,
            seen=seen,
        )

    def _rows(self, member: Json, audience: Audience, complaints: set[str]) -> list[Row]:
        try:
            return list(rows_of(member, audience, complaints, self._pseudonym))
        except MissingFieldError as missing:
            field = str(missing)
        raise Call(MEMBERS).broken(self._http, f"a member without the field '{field}'")

    def _told(
        self, audience: Audience, since: datetime | None, *, default_has_archived: bool
    ) -> int:
        """How many members the vendor tells of, asked twice: as the listings that were read, and
        status by status, so that a listing which silently leaves a status out is found."""
        path = f"/lists/{quote_segment(audience.list_id)}/members"

        def total(status: str | None) -> int:
            params: Json = {"count": 1, "fields": "total_items"}
            params |= {"status": status} if status else {}
            params |= {"since_last_changed": iso(since)} if since else {}
            call = Call(path, params, MEMBERS)
            data = call.ask(self._http, {}).data
            told = data.get("total_items") if isinstance(data, dict) else None
            if not isinstance(told, int):
                raise call.broken(self._http, "no total in the answer")
            return told

        asked = [None, *STATUSES]
        totals = ordered_map(total, asked, min(self._paging.workers, len(asked)))
        told = dict(zip(asked, totals, strict=True))
        listed = (told[None] or 0) + (0 if default_has_archived else told["archived"])
        return max(listed, sum(told[status] for status in STATUSES))

    def _demand_interests(self, audience: Audience) -> None:
        """A mapped interest that was deleted would leave every member without an answer, and the
        night would look as if nobody had opted out."""
        if not audience.interests:
            return
        gone = sorted(set(audience.interests) - set(self._directory.interests(audience.list_id)))
        if gone:
            raise NotFound(
                f"the list {audience.list_id} has no interest {', '.join(gone)}",
                system=self._http.system,
                request="GET /lists/{list_id}/interest-categories",
                mend="Correct the categories in optout.toml; `optout check` lists what exists.",
            )

    def _complaints(self, audience: Audience) -> set[str]:
        """The hashes of the members who complained."""
        call = Call(
            f"/lists/{quote_segment(audience.list_id)}/abuse-reports",
            template="/lists/{list_id}/abuse-reports",
        )
        reports = Collection(
            self._http, call, "abuse_reports", ("id", "email_id"), paging=self._paging
        ).all()
        return {str(report.get("email_id")) for report in reports.values()}
