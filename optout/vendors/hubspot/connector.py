"""HubSpot: preferences by address, the v1 timeline as the trail, e-mail events as evidence.

Two facts shape this connector. Statuses can only be asked for by address (v4, in batches), so
contacts are walked to learn the addresses (`hubspot_people`). And only the legacy v1 timeline
tells what changed and who did it, so it is the feed of changes (`hubspot_feeds`); v3 is not used,
because it has no stamps and cannot tell 'never said' from 'no'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

from pydantic import Field, field_validator

from optout.errors import PermissionMissing, UnexpectedAnswer
from optout.http.client import Answer, HttpOptions, Limit
from optout.http.pagination import Call
from optout.records import Finding, Row
from optout.vendors.base import (
    Connector,
    Context,
    Problem,
    ReadRequest,
    Role,
    Stream,
    StreamOutput,
    SystemConfig,
)
from optout.vendors.hubspot.asking import Asking
from optout.vendors.hubspot.campaigns import EMAILS, PAGES, Campaigns, campaign_row
from optout.vendors.hubspot.check import DEFINITIONS, HubSpotCheck, scope_of
from optout.vendors.hubspot.feeds import (
    EVENTS,
    KINDS,
    TIMELINE,
    Feed,
    cause_of,
    event_row,
    timeline_rows,
)
from optout.vendors.hubspot.people import People, Window
from optout.vendors.hubspot.rows import TypeBook, millis, number_of

_A_DAY = 86_400.0


class HubSpotConfig(SystemConfig):
    """`[[esp]]` of vendor hubspot; `categories` name subscription types by their ids."""

    requests_per_10s: int = Field(default=100, ge=1)
    """100 on free and starter plans, 190 on professional and enterprise ones."""
    business_unit_id: int = Field(default=0, ge=0)
    """0 is the account's own unit."""
    timeline_days: int = Field(default=400, ge=1)
    """How far back the first (and each full) read of the timeline goes."""
    events_days: int = Field(default=30, ge=1)
    """The same for the e-mail events, which are many."""
    workers: int = Field(default=4, ge=1, le=16)
    """Pages whose addresses are asked about at the same time."""

    @field_validator("categories")
    @classmethod
    def _ids(cls, value: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        for kinds in value.values():
            if not all(kind.isdigit() for kind in kinds):
                raise ValueError("names subscription types by their numeric ids, as texts")
        return value


class HubSpot(Connector):
    """Reads one HubSpot account (one business unit of it)."""

    vendor = "hubspot"
    Config = HubSpotConfig
    revision = "communication-preferences v4, crm v3, email v1"
    sends_evidence = True
    send_streams = ("email_events",)

    config: HubSpotConfig

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._book = TypeBook.of(self.categories, self.config.categories, context.pseudonym)
        self._campaigns = Campaigns(context.http, self._book)
        self._timeline_feed = Feed(context.http, TIMELINE, "timeline", "timestamp", limit=100)
        self._event_feed = Feed(context.http, EVENTS, "events", "created", limit=1000)

    @classmethod
    def http_options(cls, config: SystemConfig, token: str) -> HttpOptions:
        """A bearer token, a rolling window of ten seconds, and an error's body in a 200."""
        requests = cast(HubSpotConfig, config).requests_per_10s
        return HttpOptions(
            headers={"Authorization": f"Bearer {token}"},
            limits=(Limit(requests=requests, seconds=10),),
            retry_after=_told_wait,
            # 477 says that the account is being moved to another data centre.
            is_limited=lambda answer: answer.status == 477,
            refusal=_refusal,
        )

    @classmethod
    def streams(cls, config: SystemConfig) -> tuple[Stream, ...]:
        """The trail first, then the state, then the mail."""
        return (
            Stream("timeline", role=Role.CHANGES),
            Stream("statuses", snapshot=True, stores=("contacts", "statuses")),
            Stream("emails", always_full=True),
            Stream("email_events"),
        )

    def read(self, stream: str, request: ReadRequest, out: StreamOutput) -> None:
        """Read one stream; a missing scope is named."""
        readers: Mapping[str, Callable[[ReadRequest, StreamOutput], None]] = {
            "timeline": self._timeline,
            "statuses": self._statuses,
            "emails": self._emails,
            "email_events": self._email_events,
        }
        try:
            readers[stream](request, out)
        except PermissionMissing as error:
            scope = scope_of(error.request)
            if scope:
                error.mend = f"Give the private app the scope {scope}"
            raise

    def check(self) -> Iterator[Problem]:
        """See `optout.vendors.hubspot.check`."""
        return HubSpotCheck(self.http, self.config, self._book).problems()

    # --- streams ------------------------------------------------------------------------------
    def _timeline(self, request: ReadRequest, out: StreamOutput) -> None:
        """Preference changes from the cut-off back to the last read, newest first."""
        start = request.since or request.cutoff - timedelta(days=self.config.timeline_days)
        place = dict(out.cursor or {"before": millis(request.cutoff), "gaps": 0})
        for page in self._timeline_feed.pages(millis(start), place["before"]):
            sent = self._sent(page.items)
            for item in page.items:
                for row in timeline_rows(item, self._book, sent):
                    out.add(row)
            place["gaps"] += int(page.is_gap)
            if page.oldest is not None:
                place["before"] = page.oldest
            # Out of order, no time tells what was read: a later attempt begins anew.
            out.page_done(dict(place) if page.oldest is not None else None)
        _end_of_feed(out, place["gaps"])

    def _sent(self, items: list[dict[str, Any]]) -> dict[tuple[str, int], str]:
        """Event → e-mail, for the events that caused these items' changes: one question for the
        page, because the items of a page are close in time."""
        causes = {
            cause
            for item in items
            for change in item.get("changes") or []
            if str(change.get("changeType")).endswith("_STATUS")
            and (cause := cause_of(change)) is not None
        }
        if not causes:
            return {}
        first, last = min(at for _, at in causes), max(at for _, at in causes)
        sent: dict[tuple[str, int], str] = {}
        for page in self._event_feed.pages(first, last, {"eventType": "STATUSCHANGE"}):
            for event in page.items:
                identity = str(event.get("id")), event["created"]
                campaign = number_of(event.get("emailCampaignId"))
                if identity in causes and campaign is not None:
                    sent[identity] = self._campaigns.of(campaign, event.get("appId")).email_id
        return sent

    def _statuses(self, request: ReadRequest, out: StreamOutput) -> None:
        """Contacts and the statuses of all their addresses."""
        book, findings = self._defined()
        if out.cursor is None:
            for finding in findings:
                out.add(finding)
        start = request.cutoff - timedelta(days=self.config.timeline_days)
        window = Window(request.since, request.cutoff, start)
        asking = Asking(self.http, self.config.business_unit_id)
        people = People(self.http, book, asking, self._timeline_feed, window)
        people.read(out, self.config.workers)

    def _defined(self) -> tuple[TypeBook, list[Row]]:
        """The mapped types with what the account says of them.

        Raises UnexpectedAnswer for a mapped type that the account does not have: its category
        would look as if nobody had ever said anything.
        """
        data = self.http.get(DEFINITIONS).data
        known = {number_of(each.get("id")): each for each in data.get("results") or []}
        units: dict[int, int] = {}
        expected: set[int] = set()
        findings: list[Row] = []
        for kind in self._book.masks:
            definition = known.get(kind)
            unit = number_of((definition or {}).get("businessUnitId")) or 0
            if definition is None or unit != self.config.business_unit_id:
                raise UnexpectedAnswer(
                    f"the subscription type {kind} is not one of this business unit",
                    system=self.config.name,
                    request=f"GET {DEFINITIONS}",
                    mend=f"Correct esp.{self.config.name}.categories; `optout check` lists them",
                )
            units[kind] = unit
            if definition.get("isActive") is False:
                findings.append(Finding("unresolved", "definitions", str(kind), "isActive",
                                        "the subscription type is archived"))  # fmt: skip
            else:
                expected.add(kind)
        return replace(self._book, units=units, expected=frozenset(expected)), findings

    def _emails(self, request: ReadRequest, out: StreamOutput) -> None:
        """Marketing e-mails with their counters."""
        call = Call(EMAILS, {"limit": 100, "includeStats": True})
        for page in PAGES.pages(self.http, call, out.cursor):
            for email in page.items:
                row = campaign_row(email, self._book)
                sent_at = row.sent_at if row else None
                if row is not None and (sent_at is None or sent_at <= request.cutoff):
                    out.add(row)
            out.page_done(page.cursor)
        out.complete()

    def _email_events(self, request: ReadRequest, out: StreamOutput) -> None:
        """What was sent to whom, one event type after the other."""
        start: datetime = request.since or request.cutoff - timedelta(days=self.config.events_days)
        place = dict(out.cursor or {"type": next(iter(KINDS)), "before": None, "gaps": 0})
        kinds = list(KINDS)
        for kind in kinds[kinds.index(place["type"]) :]:
            if kind != place["type"]:
                place |= {"type": kind, "before": None}
            end = place["before"] or millis(request.cutoff)
            for page in self._event_feed.pages(millis(start), end, {"eventType": kind}):
                for event in page.items:
                    out.add(event_row(event, KINDS[kind], self._campaigns))
                place["gaps"] += int(page.is_gap)
                place["before"] = page.oldest
                out.page_done(dict(place))
        _end_of_feed(out, place["gaps"])


def _end_of_feed(out: StreamOutput, gaps: int) -> None:
    if gaps:
        out.incomplete("more records were announced than came")
    else:
        out.complete()


def _refusal(answer: Answer) -> str | None:
    """An error's body under a status that says success."""
    is_error = isinstance(answer.data, dict) and answer.data.get("status") == "error"
    return "an error in place of the answer" if is_error else None


def _told_wait(answer: Answer) -> float | None:
    """HubSpot names the limit that was hit, and no time: a daily one ends the reading."""
    policy = answer.data.get("policyName") if isinstance(answer.data, dict) else None
    return _A_DAY if policy == "DAILY" else None
