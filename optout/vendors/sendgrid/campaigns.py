"""Reading single sends: what each offers its readers to be left alone, and who says to send it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from optout.errors import NotFound, UnexpectedAnswer
from optout.http.client import HttpClient
from optout.http.pagination import Call, NextLink
from optout.http.urls import quote_segment
from optout.model import TRANSACTIONAL
from optout.records import Campaign
from optout.vendors.sendgrid.rows import Account, Book, as_raw, moment
from optout.vendors.sendgrid.steps import Result, Sink

_SENDS, _SEND = "/v3/marketing/singlesends", "/v3/marketing/singlesends/{id}"
_SENDERS = "/v3/marketing/senders"
_PAGES = NextLink(items="result", link="_metadata.next")
_TAGS = ("<%asm", "[unsubscribe]", "[unsubscribe_preferences]")
"""Substitution tags that become a link for leaving a group, or all mail."""


def read_campaigns(
    http: HttpClient, book: Book, account: Account, since: datetime | None, sink: Sink
) -> Result:
    """Single sends that went out, or were changed after they did, since `since`."""
    senders = _senders(http, account)
    result = Result(read=(sink.cursor or {}).get("read", 0))
    call = Call(_SENDS, {"page_size": 100}, headers=account.headers)
    for page in _PAGES.pages(http, call, sink.cursor):
        for short in page.items:
            if _is_due(short, since):
                send = _single_send(http, account, str(short["id"]))
                if send is not None:
                    sink.add(row_of_campaign(book, send, senders))
        result.read = page.read
        sink.page_done(page.cursor)
    return result


def row_of_campaign(
    book: Book, send: Mapping[str, Any], senders: Mapping[str, Mapping[str, Any]]
) -> Campaign:
    """A single send as a row.

    One with neither a group nor an unsubscribe page of the company's nor a tag for one offers no
    way out, even where its content is a design that the API does not show with it.
    """
    mail = send.get("email_config") or {}
    labels = send.get("categories") or []
    group = mail.get("suppression_group_id")
    content = f"{mail.get('html_content') or ''}{mail.get('plain_content') or ''}".lower()
    sender = senders.get(str(mail.get("sender_id")))
    has_tag = any(tag in content for tag in _TAGS)
    has_way_out = bool(group or mail.get("custom_unsubscribe_url")) or has_tag
    return Campaign(
        str(send["id"]), send.get("name"), mail.get("subject"), moment(send.get("send_at")),
        book.mail(group, labels), TRANSACTIONAL in labels,
        from_name=_of(sender, "from", "name"), from_address=_of(sender, "from", "email"),
        reply_to=_of(sender, "reply_to", "email"),
        has_unsubscribe=has_way_out,
        has_postal_address=None if sender is None else _is_postal(sender),
        # SendGrid adds the header for a group; nothing tells of one that the sender sets himself.
        has_list_unsubscribe=True if group else None,
        raw=as_raw(send, "id", "status", "send_at", "updated_at"),
    )  # fmt: skip


def _is_due(short: Mapping[str, Any], since: datetime | None) -> bool:
    if short.get("status") != "triggered":
        return False
    touched = [moment(short.get(name)) for name in ("send_at", "updated_at")]
    known = [at for at in touched if at is not None]
    return since is None or not known or max(known) >= since


def _single_send(http: HttpClient, account: Account, number: str) -> Mapping[str, Any] | None:
    """The single send; None if it was deleted meanwhile."""
    path = f"{_SENDS}/{quote_segment(number)}"
    try:
        data = http.get(path, template=_SEND, headers=account.headers).data
    except NotFound:
        return None
    if not isinstance(data, dict) or "id" not in data:
        raise UnexpectedAnswer("no single send", system=http.system, request=f"GET {_SEND}")
    return data


def _senders(http: HttpClient, account: Account) -> Mapping[str, Mapping[str, Any]]:
    data = http.get(_SENDERS, headers=account.headers).data
    return {str(each["id"]): each for each in _listed(data)}


def _listed(data: Any) -> Iterator[Mapping[str, Any]]:
    rows = data.get("results") or data.get("result") if isinstance(data, dict) else data
    for each in rows or ():
        if isinstance(each, dict) and "id" in each:
            yield each


def _of(sender: Mapping[str, Any] | None, part: str, name: str) -> str | None:
    found = ((sender or {}).get(part) or {}).get(name)
    return str(found) if found else None


def _is_postal(sender: Mapping[str, Any]) -> bool:
    return bool(sender.get("address") and sender.get("city") and sender.get("country"))
