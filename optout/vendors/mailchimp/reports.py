"""What Mailchimp's campaign reports tell: who unsubscribed and when, who was sent what.

Reports exist per campaign. A campaign's own counts, which come with the listing of all reports,
tell whether something new is in it: the counts of the last complete read are the stream's state.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import orjson

from optout.http.client import HttpClient
from optout.http.pagination import Call
from optout.http.parallel import ordered_map
from optout.http.urls import quote_segment
from optout.model import Categories
from optout.records import Finding, MailEvent, Row
from optout.vendors.base import ReadRequest, StreamOutput
from optout.vendors.mailchimp.events import (
    bounces,
    campaign_categories,
    count,
    event_id,
    opted_out,
    sent_at,
    told_time,
)
from optout.vendors.mailchimp.members import Audience
from optout.vendors.mailchimp.pages import Collection, Json, Paging

REPORT_FIELDS = (
    "id", "type", "list_id", "send_time", "emails_sent", "unsubscribed", "abuse_reports",
    "bounces.hard_bounces", "bounces.soft_bounces", "bounces.syntax_errors",
    "clicks.clicks_total",
)  # fmt: skip
CAMPAIGN_FIELDS = (
    "id", "type", "send_time", "emails_sent", "recipients.list_id", "recipients.segment_opts",
    "settings.title", "settings.subject_line", "settings.from_name", "settings.reply_to",
    "settings.auto_footer",
)  # fmt: skip
_AUTOMATIONS = frozenset({"automation", "auto", "automation-email"})
"""Kinds of campaign that go out one by one for months: their send time is no recipient's."""
Make = Callable[[Json, Json], Iterator[Row]]
"""From a report and one of its rows to ours."""


@dataclass(frozen=True)
class Plan:
    """How one kind of report is read: which rows of it, and which counts tell of news."""

    part: str
    """The last part of the path."""
    key: str
    fields: tuple[str, ...]
    counts: Callable[[Json], list[int]]
    make: Make
    identity: Callable[[Json], object] = lambda row: row.get("email_id")
    has_history: bool = False
    """Everything that ever was is read in full reads, else only what `report_days` spans; and
    recent campaigns are read every night, whatever their counts."""


class ReportReader:
    """Reads the streams that come from campaign reports."""

    def __init__(
        self,
        http: HttpClient,
        audiences: Mapping[str, Audience],
        masks: Categories,
        paging: Paging,
        report_days: int,
        pseudonym: Callable[[str], str],
    ) -> None:
        self._http = http
        self._audiences = audiences
        self._masks = masks
        self._paging = paging
        self._reach = timedelta(days=report_days)
        self.pseudonym = pseudonym
        """The vendor's id of a member is the MD5 of the address: nothing to be kept as it is."""
        self.reported: dict[tuple[str, str], datetime] = {}
        """(list, email id) → the latest unsubscribe that a report read tonight tells of."""
        self.plans: dict[str, Plan] = {
            "unsubscribes": Plan(
                "unsubscribed",
                "unsubscribes",
                ("email_id", "email_address", "timestamp", "reason", "list_id"),
                lambda report: [count(report, "unsubscribed")],
                self._unsubscribe,
                lambda row: (row.get("email_id"), row.get("timestamp")),
                has_history=True,
            ),
            "sent_to": Plan(
                "sent-to",
                "sent_to",
                ("email_id", "email_address", "status"),
                lambda report: [count(report, "emails_sent"), *bounces(report)],
                self._sent,
            ),
            "clicks": Plan(
                "email-activity",
                "emails",
                ("email_id", "email_address", "activity"),
                lambda report: [count(report.get("clicks") or {}, "clicks_total")],
                self._clicked,
            ),
        }

    # --- the listings ---------------------------------------------------------------------------
    @cached_property
    def reports(self) -> dict[str, Json]:
        """All reports by campaign id, with their counts."""
        call = Call("/reports", template="/reports")
        return Collection(self._http, call, "reports", REPORT_FIELDS, paging=self._paging).all()

    @cached_property
    def campaigns(self) -> dict[str, Json]:
        """All sent campaigns by id; automations are not among them."""
        call = Call("/campaigns", {"status": "sent"}, "/campaigns")
        return Collection(self._http, call, "campaigns", CAMPAIGN_FIELDS, paging=self._paging).all()

    def categories(self, campaign_id: str) -> int:
        """The categories of a campaign as a mask."""
        list_id = str(self.reports.get(campaign_id, {}).get("list_id", ""))
        return campaign_categories(self.campaigns.get(campaign_id), self._audiences.get(list_id))

    def due(self, request: ReadRequest, plan: Plan) -> tuple[list[Json], dict[str, list[int]]]:
        """The reports to be read tonight, in the order of their ids, and what the counts of those
        that are not read stay at."""
        known: Mapping[str, list[int]] = request.state.get("counts", {})
        horizon = request.cutoff - self._reach
        chosen, left = [], {}
        for key, report in sorted(self.reports.items()):
            sent = sent_at(report)
            is_recent = sent is None or sent >= horizon
            has_news = known.get(key) != plan.counts(report)
            if plan.has_history:
                is_due = request.since is None or is_recent or has_news
            else:
                is_due = is_recent and (request.since is None or has_news)
            if is_due:
                chosen.append(report)
            elif key in known:
                left[key] = known[key]
        return chosen, left

    # --- the streams ----------------------------------------------------------------------------
    def read(self, stream: str, request: ReadRequest, out: StreamOutput) -> None:
        """Read one of `plans`, campaign by campaign; goes on behind the last finished one."""
        plan = self.plans[stream]
        due, counts = self.due(request, plan)
        cursor: Json = dict(out.cursor or {"after": "", "told": 0, "read": 0, "counts": {}})
        waiting = [report for report in due if str(report["id"]) > cursor["after"]]
        undated = 0
        with closing(self._begun(plan, waiting)) as begun:
            for report, collection in begun:
                for page in collection.walk():
                    made = [each for row in page for each in plan.make(report, row)]
                    undated += sum(isinstance(e, MailEvent) and e.at is None for e in made)
                    for each in made:
                        out.add(each)
                    out.page_done(cursor)
                cursor = {
                    "after": str(report["id"]),
                    "told": cursor["told"] + collection.total,
                    "read": cursor["read"] + len(collection.seen),
                    "counts": {**cursor["counts"], str(report["id"]): plan.counts(report)},
                }
                out.page_done(cursor)
        out.complete(
            vendor_total=cursor["told"],
            read_total=cursor["read"],
            state={"counts": {**counts, **cursor["counts"]}},
            note=f"{undated} messages of automations have no time" if undated else None,
        )

    def read_abuse(self, out: StreamOutput, list_ids: list[str]) -> None:
        """Read the `abuse_reports` stream: all complaints of all lists, few as they are."""
        told = read = 0
        for list_id in list_ids:
            call = Call(
                f"/lists/{quote_segment(list_id)}/abuse-reports",
                template="/lists/{list_id}/abuse-reports",
            )
            fields = ("id", "campaign_id", "email_id", "email_address", "date")
            rows = Collection(self._http, call, "abuse_reports", fields, paging=self._paging)
            for page in rows.walk():
                for row in page:
                    for made in self._complained(list_id, row):
                        out.add(made)
                out.page_done()
            told, read = told + rows.total, read + len(rows.seen)
        out.complete(vendor_total=told, read_total=read)

    def _begun(
        self, plan: Plan, reports: list[Json]
    ) -> Generator[tuple[Json, Collection], None, None]:
        """The reports with their rows, the first pages fetched at the same time: most reports
        have one only."""
        return ordered_map(
            lambda report: (report, self._collection(plan, report).primed()),
            reports,
            self._paging.workers,
            ahead=self._paging.workers,
            name=f"{self._http.system}-reports",
        )

    def _collection(self, plan: Plan, report: Json) -> Collection:
        return Collection(
            self._http,
            Call(
                f"/reports/{quote_segment(report['id'])}/{plan.part}",
                template=f"/reports/{{campaign_id}}/{plan.part}",
            ),
            plan.key,
            plan.fields,
            identity=plan.identity,
            paging=self._paging,
        )

    # --- from their rows to ours ----------------------------------------------------------------
    def _unsubscribe(self, report: Json, row: Json) -> Iterator[Row]:
        """A row of an audience that is not mapped says nothing of any category."""
        list_id = str(row.get("list_id") or report.get("list_id"))
        audience = self._audiences.get(list_id)
        at, broken = told_time(row, "timestamp", "unsubscribes", str(report["id"]))
        yield from broken
        if at is not None:
            key = (list_id, str(row["email_id"]))
            self.reported[key] = max(at, self.reported.get(key, at))
        if audience is not None:
            told = row | {"campaign_id": report["id"], "email_id": self._name(row)}
            yield from opted_out(
                audience,
                self._masks,
                told,
                at,
                feed="report",
                channel="campaign report",
                evidence_ref=f"reports/{report['id']}/unsubscribed",
                raw=orjson.dumps(row).decode(),
            )

    def _name(self, row: Json) -> str:
        """Whom a row of a report is of."""
        return self.pseudonym(str(row["email_id"]))

    def _sent(self, report: Json, row: Json) -> Iterator[Row]:
        """Bounced messages were sent too; the only time is the campaign's."""
        status, campaign = str(row.get("status")), str(report["id"])
        at = None if report.get("type") in _AUTOMATIONS else sent_at(report)
        kinds = {"sent": ["sent"], "hard": ["sent", "bounced"], "soft": ["sent", "bounced"]}
        if status not in kinds:
            yield Finding("unknown_value", "sent_to", campaign, "status", "not sent, hard or soft",
                          str(row["email_address"]))  # fmt: skip
        for kind in kinds.get(status, ["sent"]):
            yield MailEvent(
                event_id(kind, campaign, self._name(row)),
                kind,
                str(row["email_address"]),
                at,
                "estimated",
                campaign,
                categories=self.categories(campaign),
                record_id=self._name(row),
                raw=orjson.dumps(row).decode(),
            )

    def _clicked(self, report: Json, row: Json) -> Iterator[Row]:
        campaign = str(report["id"])
        for entry in row.get("activity") or []:
            if entry.get("action") != "click":
                continue
            at, broken = told_time(entry, "timestamp", "clicks", campaign)
            yield from broken
            yield MailEvent(
                event_id("click", campaign, self._name(row), at, entry.get("url")),
                "clicked",
                str(row["email_address"]),
                at,
                campaign_id=campaign,
                categories=self.categories(campaign),
                record_id=self._name(row),
                raw=orjson.dumps(entry).decode(),
            )

    def _complained(self, list_id: str, row: Json) -> Iterator[Row]:
        campaign = str(row.get("campaign_id") or "")
        at, broken = told_time(row, "date", "abuse_reports", str(row["id"]))
        yield from broken
        yield MailEvent(
            event_id("abuse", list_id, row["id"]),
            "complained",
            str(row["email_address"]),
            at,
            campaign_id=campaign or None,
            categories=self.categories(campaign) if campaign else 0,
            record_id=self._name(row) if row.get("email_id") else "",
            raw=orjson.dumps(row).decode(),
        )
