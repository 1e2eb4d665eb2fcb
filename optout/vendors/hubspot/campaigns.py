"""HubSpot's marketing e-mails as rows, and which e-mail an event's campaign belongs to.

An e-mail is content and settings; each sending of it is a campaign with an id of its own, and
only that one is in the events. The subscription type, hence the category, is in the e-mail.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from optout.errors import NotFound
from optout.http.client import HttpClient
from optout.http.pagination import Call, Cursor
from optout.records import Campaign
from optout.vendors.hubspot.rows import TypeBook, as_raw, moment, number_of

EMAILS = "/marketing/v3/emails"
PAGES = Cursor(items="results", token="paging.next.after", param="after")  # noqa: S106
_NEEDED = ("id", "primaryEmailCampaignId", "allEmailCampaignIds", "subscriptionDetails",
           "isTransactional")  # fmt: skip
_UNSUBSCRIBE = re.compile(r"unsubscribe_link|@hubspot/email_(footer|can_spam)|email_can_spam")
"""What makes HubSpot render an unsubscribe link: the placeholder, or the footer module."""


@dataclass(frozen=True)
class Mailed:
    """What the e-mail behind a campaign tells of a message."""

    email_id: str
    categories: int = 0
    transactional: bool = False


class Campaigns:
    """Campaign id → e-mail, for all e-mails of the portal; asked once, kept in memory (there are
    thousands at most)."""

    def __init__(self, http: HttpClient, book: TypeBook) -> None:
        self._http = http
        self.book = book
        self._known: dict[int, Mailed] | None = None

    def of(self, campaign: int, app_id: Any = None) -> Mailed:
        """The e-mail of a campaign; the bare campaign id where HubSpot no longer tells it."""
        if self._known is None:
            self._known = dict(self._listed())
        if campaign not in self._known:
            self._known[campaign] = self._looked_up(campaign, app_id)
        return self._known[campaign]

    def _listed(self) -> Iterator[tuple[int, Mailed]]:
        call = Call(EMAILS, {"limit": 100, "includedProperties": _NEEDED})
        for page in PAGES.pages(self._http, call):
            for email in page.items:
                mailed = self._mailed(email)
                ids = [
                    email.get("primaryEmailCampaignId"),
                    *(email.get("allEmailCampaignIds") or []),
                ]
                yield from ((int(each), mailed) for each in ids if number_of(each) is not None)

    def _looked_up(self, campaign: int, app_id: Any) -> Mailed:
        """A campaign that no listed e-mail names: it may belong to an archived one."""
        params = {"appId": app_id} if app_id is not None else {}
        path, template = f"/email/public/v1/campaigns/{campaign}", "/email/public/v1/campaigns/{id}"
        try:
            content = self._http.get(path, params, template=template).data.get("contentId")
            if number_of(content) is None:
                return Mailed(str(campaign))
            email = self._http.get(
                f"{EMAILS}/{content}", {"archived": "true"}, template=f"{EMAILS}/{{id}}"
            )
        except NotFound:
            return Mailed(str(campaign))
        return self._mailed(email.data)

    def _mailed(self, email: Mapping[str, Any]) -> Mailed:
        transactional = email.get("isTransactional") is True
        return Mailed(str(email.get("id")), categories_of(email, self.book), transactional)


def categories_of(email: Mapping[str, Any], book: TypeBook) -> int:
    """What the e-mail's subscription type feeds; 0 where it has none."""
    details = email.get("subscriptionDetails") or {}
    return book.masks.get(number_of(details.get("subscriptionId")) or -1, 0)


def campaign_row(email: Mapping[str, Any], book: TypeBook) -> Campaign | None:
    """A published e-mail; None for a draft, which nobody got."""
    if email.get("isPublished") is False or "DRAFT" in str(email.get("state") or ""):
        return None
    sender = email.get("from") or {}
    details = email.get("subscriptionDetails")
    counters = (email.get("stats") or {}).get("counters") or {}
    raw = {name: value for name, value in email.items() if name != "content"}
    return Campaign(
        str(email["id"]), email.get("name"), email.get("subject"),
        moment(email.get("publishDate") or email.get("publishedAt")),
        categories_of(email, book), email.get("isTransactional") is True,
        from_name=sender.get("fromName"),
        # The vendor's names mislead: `replyTo` is the address that the mail comes from.
        from_address=sender.get("replyTo"),
        reply_to=sender.get("customReplyTo") or sender.get("replyTo"),
        has_unsubscribe=_has_unsubscribe(email),
        has_postal_address=bool(details.get("officeLocationId")) if details else None,
        sent_count=_count(counters, "sent"), delivered_count=_count(counters, "delivered"),
        opt_out_count=_count(counters, "unsubscribed"),
        complaint_count=_count(counters, "spamreport"), raw=as_raw(raw),
    )  # fmt: skip


def _count(counters: Mapping[str, Any], name: str) -> int | None:
    value = counters.get(name)
    return value if type(value) is int else None


def _has_unsubscribe(email: Mapping[str, Any]) -> bool | None:
    """Whether the widget tree holds the link. A coded template may hold it out of our sight, so
    only a drag-and-drop e-mail can be told to be without."""
    content = email.get("content") or {}
    if _UNSUBSCRIBE.search(as_raw(content)):
        return True
    told = email.get("emailTemplateMode") == "DRAG_AND_DROP" and content.get("widgets")
    return False if told else None
