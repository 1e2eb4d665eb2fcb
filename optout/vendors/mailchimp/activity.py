"""Two small streams: when members unsubscribed who are in no report, and the campaigns themselves.

A member that is `unsubscribed` does not tell when. Where no campaign report does, the member's own
activity feed may, but it costs a request for each person: only those whose record moved since the
last read are asked, the latest first, up to a limit. The rest stays undated.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from heapq import nlargest

import orjson

from optout.http.client import HttpClient
from optout.http.pagination import Call
from optout.http.parallel import ordered_map
from optout.http.urls import quote_segment
from optout.model import Categories
from optout.records import Campaign, Row
from optout.vendors.base import ReadRequest, StreamOutput
from optout.vendors.mailchimp.audiences import MEMBERS, Directory
from optout.vendors.mailchimp.content import bodies, has_postal_address, has_unsubscribe
from optout.vendors.mailchimp.events import bounces, count, opted_out, sent_at, told_time
from optout.vendors.mailchimp.members import Audience, iso, moment
from optout.vendors.mailchimp.pages import Collection, Json, Paging
from optout.vendors.mailchimp.reports import Plan, ReportReader

OVERLAP = timedelta(days=2)
"""How far the search for the newly unsubscribed reaches back before the last one."""
_FEED = f"{MEMBERS}/{{subscriber_hash}}/activity-feed"
_CONTENT = "/campaigns/{campaign_id}/content"


class ActivityReader:
    """Reads the `activity` stream."""

    def __init__(
        self, http: HttpClient, reports: ReportReader, masks: Categories, paging: Paging, limit: int
    ) -> None:
        self._http = http
        self._reports = reports
        self._masks = masks
        self._paging = paging
        self._limit = limit

    def read(self, audiences: list[Audience], request: ReadRequest, out: StreamOutput) -> None:
        """Ask the feed of everybody newly unsubscribed of whom no report of tonight tells."""
        through = moment(request.state.get("through"))
        since = through - OVERLAP if through else None
        told = read = left = 0
        for audience in audiences:
            unsubscribed = self._unsubscribed(audience, since)
            chosen, unexplained = self._chosen(audience, unsubscribed)
            left += unexplained - len(chosen)
            told, read = told + unsubscribed.total, read + len(unsubscribed.seen)
            feeds = ordered_map(partial(self._rows, audience), chosen, self._paging.workers)
            for rows in feeds:
                for row in rows:
                    out.add(row)
                out.page_done()
        out.complete(
            vendor_total=told,
            read_total=read,
            state={"through": iso(request.now or request.cutoff)},
            note=f"{left} unsubscribes stay undated: activity_limit is reached" if left else None,
        )

    def _unsubscribed(self, audience: Audience, since: datetime | None) -> Collection:
        params = {"status": "unsubscribed", "sort_field": "last_changed", "sort_dir": "ASC"}
        params |= {"since_last_changed": iso(since)} if since else {}
        return Collection(
            self._http,
            Call(f"/lists/{quote_segment(audience.list_id)}/members", params, MEMBERS),
            "members",
            ("id", "email_address", "status", "timestamp_opt", "last_changed"),
            paging=self._paging,
        )

    def _chosen(self, audience: Audience, members: Collection) -> tuple[list[Json], int]:
        """Those to be asked, and how many no report explains."""
        latest: dict[str, Json] = {}
        unexplained: set[int] = set()
        for page in members.walk():
            if any(member.get("status") != "unsubscribed" for member in page):
                raise Call(MEMBERS).broken(self._http, "a member of another status than asked")
            fresh = {str(m["id"]): m for m in page if not self._is_explained(audience, m)}
            unexplained.update(map(hash, fresh))
            latest |= fresh
            if len(latest) > 2 * self._limit:
                latest = self._latest(latest)
        return list(self._latest(latest).values()), len(unexplained)

    def _latest(self, members: dict[str, Json]) -> dict[str, Json]:
        chosen = nlargest(self._limit, members, key=lambda key: str(members[key]["last_changed"]))
        return {key: members[key] for key in chosen}

    def _is_explained(self, audience: Audience, member: Json) -> bool:
        """Whether a report tells of the present unsubscribe, not of one before a new opt-in."""
        reported = self._reports.reported.get((audience.list_id, str(member["id"])))
        try:
            opted = moment(member.get("timestamp_opt"))
        except ValueError:
            opted = None
        return reported is not None and (opted is None or reported >= opted)

    def _rows(self, audience: Audience, member: Json) -> list[Row]:
        """The unsubscribes of one feed, each with its time."""
        return list(self._told(audience, member))

    def _told(self, audience: Audience, member: Json) -> Iterator[Row]:
        whose = self._reports.pseudonym(str(member["id"]))
        for entry in self._feed(audience, member):
            if entry.get("activity_type") != "unsub":
                continue
            at, broken = told_time(entry, "created_at_timestamp", audience.store, whose)
            yield from broken
            if at is None:
                continue
            row = {
                "email_id": whose,
                "email_address": member["email_address"],
                "campaign_id": entry.get("campaign_id"),
                "reason": entry.get("unsubscribe_reason"),
                "is_admin": entry.get("is_admin_unsubscribed"),
            }
            yield from opted_out(
                audience,
                self._masks,
                row,
                at,
                feed="activity",
                channel="activity feed",
                evidence_ref=f"lists/{audience.list_id}/members/activity-feed",
                raw=orjson.dumps(entry).decode(),
            )

    def _feed(self, audience: Audience, member: Json) -> Iterator[Json]:
        """The entries of a feed; none for a member who was deleted meanwhile."""
        path = f"/lists/{quote_segment(audience.list_id)}/members/{quote_segment(member['id'])}"
        size = self._paging.count
        for offset in range(0, 50 * size, size):
            params = {"activity_filters": "unsub", "count": size, "offset": offset}
            answer = self._http.get(f"{path}/activity-feed", params, template=_FEED, ok=(200, 404))
            if answer.status == 404:
                return
            entries = answer.data.get("activity") if isinstance(answer.data, dict) else None
            if not isinstance(entries, list):
                raise Call(_FEED).broken(self._http, "no activity in the answer")
            yield from entries
            if len(entries) < size:
                return


class CampaignReader:
    """Reads the `campaigns` stream."""

    plan = Plan(
        "", "", (),
        lambda report: [
            count(report, "emails_sent"),
            count(report, "unsubscribed"),
            count(report, "abuse_reports"),
            *bounces(report),
        ],
        lambda report, row: iter(()),
    )  # fmt: skip
    """Which counts tell that a campaign is to be written again."""

    def __init__(
        self, http: HttpClient, reports: ReportReader, directory: Directory, paging: Paging
    ) -> None:
        self._http = http
        self._reports = reports
        self._directory = directory
        self._paging = paging

    def read(self, request: ReadRequest, out: StreamOutput) -> None:
        """Write each campaign of the last `report_days` whose report says something new."""
        due, counts = self._reports.due(request, self.plan)
        for campaign in ordered_map(self._row, due, self._paging.workers):
            out.add(campaign)
            out.page_done()
        told = {str(report["id"]): self.plan.counts(report) for report in due}
        out.complete(vendor_total=len(due), read_total=len(told), state={"counts": counts | told})

    def _row(self, report: Json) -> Campaign:
        campaign_id = str(report["id"])
        campaign = self._reports.campaigns.get(campaign_id, {})
        settings = campaign.get("settings") or {}
        list_id = str(report.get("list_id", ""))
        contact = self._directory.lists().get(list_id, {}).get("contact") or {}
        found = self._bodies(campaign_id)
        sent, hard_soft = count(report, "emails_sent"), sum(bounces(report))
        return Campaign(
            campaign_id,
            name=settings.get("title") or None,
            subject=settings.get("subject_line") or None,
            sent_at=sent_at(report),
            categories=self._reports.categories(campaign_id),
            from_name=settings.get("from_name") or None,
            # The vendor has one address for both: `reply_to` is what the mail comes from.
            from_address=settings.get("reply_to") or None,
            reply_to=settings.get("reply_to") or None,
            has_unsubscribe=has_unsubscribe(found, settings),
            has_postal_address=has_postal_address(found, settings, contact),
            sent_count=sent,
            delivered_count=max(0, sent - hard_soft),
            opt_out_count=count(report, "unsubscribed"),
            complaint_count=count(report, "abuse_reports"),
            raw=orjson.dumps({"report": report, "campaign": campaign}).decode(),
        )

    def _bodies(self, campaign_id: str) -> list[str]:
        """What the vendor shows of the content; nothing for an automation's mail."""
        path = f"/campaigns/{quote_segment(campaign_id)}/content"
        answer = self._http.get(path, template=_CONTENT, ok=(200, 404))
        if answer.status == 404:
            return []
        if not isinstance(answer.data, dict):
            raise Call(_CONTENT).broken(self._http, "no content in the answer")
        return bodies(answer.data)
