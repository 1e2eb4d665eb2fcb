"""Mailchimp's Marketing API over HTTP: the paths that an audit reads, and the writes of a member.

Writes are in `optout.sandbox.mailchimp.writes`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from optout.sandbox.mailchimp.query import (
    ProblemError,
    authorise,
    choice,
    members,
    moment,
    not_found,
    page_bounds,
    partial,
    sent_between,
)
from optout.sandbox.mailchimp.state import Audience, Campaign, Member, subscriber_hash
from optout.sandbox.mailchimp.writes import (
    Account,
    MailchimpWrites,
    Write,
    audience_of,
    json_object,
    member_of,
)

_LIST = "/3.0/lists/{list_id}"
_MEMBER = f"{_LIST}/members/{{subscriber_hash}}"
_REPORT = "/3.0/reports/{campaign_id}"
Json = dict[str, Any]
Answer = Callable[[Request], Json]


class MailchimpRoutes:
    """The handlers over one account."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self._writes = MailchimpWrites(account)

    def routes(self) -> list[Route]:
        """All paths below the twin's prefix."""
        reads: dict[str, Answer] = {
            "/3.0/ping": lambda _: {"health_status": "Everything's Chimpy!"},
            "/3.0/lists": self._lists,
            _LIST: lambda r: self._audience(r).json(),
            f"{_LIST}/interest-categories": self._groups,
            f"{_LIST}/interest-categories/{{interest_category_id}}/interests": self._interests,
            f"{_LIST}/members": self._members,
            _MEMBER: lambda r: self._member(r).json(),
            f"{_MEMBER}/activity": self._activity,
            f"{_MEMBER}/activity-feed": self._feed,
            f"{_LIST}/abuse-reports": self._list_abuse,
            "/3.0/campaigns": self._campaigns,
            "/3.0/campaigns/{campaign_id}": lambda r: self._campaign(r).json(),
            "/3.0/campaigns/{campaign_id}/content": self._content,
            "/3.0/reports": self._reports,
            _REPORT: lambda r: self._campaign(r).report(),
            f"{_REPORT}/unsubscribed": self._unsubscribed,
            f"{_REPORT}/sent-to": self._sent_to,
            f"{_REPORT}/abuse-reports": self._abuse,
            f"{_REPORT}/email-activity": self._email_activity,
        }
        writes: list[tuple[str, str, Write]] = [
            (f"{_LIST}/members", "POST", self._writes.post),
            (_MEMBER, "PATCH", self._writes.patch),
            (_MEMBER, "PUT", self._writes.put),
            (_MEMBER, "DELETE", self._writes.archive),
            (f"{_MEMBER}/actions/delete-permanent", "POST", self._writes.forget),
        ]
        return [Route(path, self._reading(answer)) for path, answer in reads.items()] + [
            Route(path, self._writing(act), methods=[method]) for path, method, act in writes
        ]

    # --- the frame of each answer ---------------------------------------------------------------
    def _reading(self, answer: Answer) -> Callable[[Request], Any]:
        async def handle(request: Request) -> Response:
            try:
                authorise(request, self.account.token)
                return JSONResponse(partial(answer(request), request.query_params))
            except ProblemError as problem:
                return problem.response()

        return handle

    def _writing(self, act: Write) -> Callable[[Request], Any]:
        async def handle(request: Request) -> Response:
            raw = await request.body()
            try:
                authorise(request, self.account.token)
                return act(request, json_object(raw))
            except ProblemError as problem:
                return problem.response()

        return handle

    # --- things ---------------------------------------------------------------------------------
    def _audience(self, request: Request) -> Audience:
        return audience_of(self.account, request)

    def _member(self, request: Request) -> Member:
        return member_of(self.account, request)

    def _campaign(self, request: Request) -> Campaign:
        campaign = self.account.campaigns.get(request.path_params["campaign_id"])
        if campaign is None:
            raise not_found()
        return campaign

    # --- collections ----------------------------------------------------------------------------
    def _lists(self, request: Request) -> Json:
        rows = [audience.json() for audience in self.account.audiences.values()]
        return _page(request, "lists", rows) | {"constraints": _constraints(len(rows))}

    def _groups(self, request: Request) -> Json:
        audience = self._audience(request)
        rows = [audience.group_json()] if audience.interests else []
        return {"list_id": audience.id} | _page(request, "categories", rows)

    def _interests(self, request: Request) -> Json:
        audience = self._audience(request)
        group = request.path_params["interest_category_id"]
        if group != audience.group_id:
            raise not_found()
        page = _page(request, "interests", audience.interests_json())
        return {"list_id": audience.id, "category_id": group} | page

    def _members(self, request: Request) -> Json:
        audience = self._audience(request)
        rows = members(audience, request.query_params)
        page = _page(request, "members", rows, lambda member: member.json())
        return {"list_id": audience.id} | page

    def _activity(self, request: Request) -> Json:
        """The last 50 events only, the latest first, in the older shape."""
        member = self._member(request)
        wanted = {a for a in request.query_params.get("action", "").split(",") if a}
        rows = [
            {
                "action": entry["activity_type"],
                "timestamp": entry["created_at_timestamp"],
                "type": entry.get("bounce_type", ""),
                "campaign_id": entry.get("campaign_id", ""),
                "title": entry.get("campaign_title", ""),
            }
            for entry in reversed(member.feed[-50:])
            if not wanted or entry["activity_type"] in wanted
        ]
        about = {"email_id": member.id, "contact_id": member.contact_id, "list_id": member.list_id}
        return about | {"activity": rows, "total_items": len(rows)}

    def _feed(self, request: Request) -> Json:
        """All events, the latest first; the vendor tells no total here."""
        member = self._member(request)
        wanted = {a for a in request.query_params.get("activity_filters", "").split(",") if a}
        rows = [e for e in reversed(member.feed) if not wanted or e["activity_type"] in wanted]
        page = _page(request, "activity", rows)
        del page["total_items"]
        return {"email_id": member.id, "list_id": member.list_id} | page

    def _list_abuse(self, request: Request) -> Json:
        audience = self._audience(request)
        return {"list_id": audience.id} | _page(request, "abuse_reports", audience.abuse)

    def _campaigns(self, request: Request) -> Json:
        query = request.query_params
        status = choice(query, "status", ("save", "paused", "schedule", "sending", "sent"))
        choice(query, "sort_field", ("create_time", "send_time"))
        person, list_id = query.get("member_id"), query.get("list_id")
        rows = [
            campaign
            for campaign in sent_between(list(self.account.campaigns.values()), query)
            if status in (None, "sent")
            and campaign.kind != "automation"
            and (list_id is None or campaign.audience.id == list_id)
            and (person is None or person in map(subscriber_hash, campaign.recipients))
        ]
        return _page(request, "campaigns", rows, lambda campaign: campaign.json())

    def _content(self, request: Request) -> Json:
        html = self._campaign(request).html
        return {"variate_contents": [], "plain_text": "", "html": html, "archive_html": html}

    def _reports(self, request: Request) -> Json:
        rows = sent_between(list(self.account.campaigns.values()), request.query_params)
        return _page(request, "reports", rows, lambda campaign: campaign.report())

    def _unsubscribed(self, request: Request) -> Json:
        return self._report(request, "unsubscribes", self._campaign(request).unsubscribed)

    def _sent_to(self, request: Request) -> Json:
        return self._report(request, "sent_to", self._campaign(request).sent_to())

    def _abuse(self, request: Request) -> Json:
        return self._report(request, "abuse_reports", self._campaign(request).abuse)

    def _email_activity(self, request: Request) -> Json:
        """All recipients, with the events after `since`, if any."""
        since = moment(request.query_params, "since")
        rows = self._campaign(request).email_activity()
        for row in rows:
            row["activity"] = [
                each
                for each in row["activity"]
                if since is None or datetime.fromisoformat(each["timestamp"]) > since
            ]
        return self._report(request, "emails", rows)

    def _report(self, request: Request, name: str, rows: list[Json]) -> Json:
        campaign_id = request.path_params["campaign_id"]
        return {"campaign_id": campaign_id} | _page(request, name, rows)


def _page(
    request: Request, name: str, rows: list[Any], show: Callable[[Any], Json] | None = None
) -> Json:
    """One page of a collection, with the total of all pages."""
    offset, count = page_bounds(request.query_params)
    page = rows[offset : offset + count]
    return {name: [show(row) for row in page] if show else page, "total_items": len(rows)}


def _constraints(lists: int) -> Json:
    return {"may_create": True, "max_instances": 100, "current_total_instances": lists}
