"""SendGrid's messages as rows: what became of each, and the choices that were made through it.

Only here an opt-out or opt-in is the person's own act: it came by a link in a message, or by the
page behind it. A message that was `dropped` shows that the vendor's suppression worked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from optout.model import State
from optout.records import Change, Finding, MailEvent, Row
from optout.vendors.sendgrid.rows import Account, Book, complaint_id

_WORD = re.compile(r"[a-z_]{1,40}")


@dataclass(frozen=True)
class Event:
    """One event of a message, in the words of the Email Logs."""

    name: str
    at: datetime
    number: str
    """Stable: the vendor's id, or one made of what the event says."""
    group: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    is_hard: bool = False


@dataclass(frozen=True)
class Message:
    """One message to one person, whichever log tells of it."""

    number: str
    address: str | None
    status: str
    created: datetime | None
    feed: str
    """`log` (Email Logs) or `activity` (Email Activity)."""
    categories: int = 0
    group: str | None = None
    is_transactional: bool = False
    campaign: str | None = None
    bypass: bool = False
    events: tuple[Event, ...] = ()


_KINDS = {
    "processed": "sent", "delivered": "delivered", "bounce": "bounced", "dropped": "dropped",
    "cancel_drop": "dropped", "open": "opened", "click": "clicked", "spamreport": "complained",
}  # fmt: skip
_BY_STATUS = {
    "processed": "sent", "delivered": "delivered", "bounced": "bounced", "dropped": "dropped",
}  # fmt: skip
_SILENT = frozenset({"received", "deferred"})
_CHOICES = {
    "unsubscribe": State.OPTED_OUT,
    "group_unsubscribe": State.OPTED_OUT,
    "group_resubscribe": State.OPTED_IN,
}


def rows_of_message(book: Book, account: Account, message: Message) -> Iterator[Row]:
    """What became of a message, and the choices that were made through it."""
    if not message.events and message.status in _BY_STATUS:
        number = f"message:{message.number}:{message.status}"
        yield _mail(message, number, _BY_STATUS[message.status], message.created)
    for event in message.events:
        if event.name in _CHOICES:
            yield from _choice(book, account, message, event)
        elif event.name == "spamreport":
            number = complaint_id(book, account, message.address or "", event.at)
            yield _mail(message, number, "complained", event.at)
        elif event.name in _KINDS:
            # A block is a bounce that may pass: the message did not arrive, the address may live.
            if event.name != "bounce" or event.is_hard:
                yield _mail(message, event.number, _KINDS[event.name], event.at)
        elif event.name not in _SILENT:
            word = event.name if _WORD.fullmatch(event.name) else ""
            yield Finding("unknown_value", account.store("messages"), message.number, "event", word)


def _mail(message: Message, number: str, kind: str, at: datetime | None) -> MailEvent:
    return MailEvent(
        number, kind, message.address, at, campaign_id=message.campaign,
        message_id=message.number, categories=message.categories,
        transactional=message.is_transactional, bypass=message.bypass,
    )  # fmt: skip


def _choice(book: Book, account: Account, message: Message, event: Event) -> Iterator[Row]:
    """The person's own act, by a link of the message or the page behind it."""
    if event.name == "unsubscribe":
        yield _act(book, account, message, event, "global", None)
        return
    group = event.group or message.group
    mask = book.group(group)
    if not mask:
        code = "unmapped_group" if group else "missing_field"
        store = account.store(f"group:{group or ''}")
        yield Finding(
            code, store, message.number, "asm_group_id", group or "", address=message.address
        )
    for category in book.categories.of(mask):
        yield _act(book, account, message, event, f"group:{group}", category)


def _act(
    book: Book,
    account: Account,
    message: Message,
    event: Event,
    store: str,
    category: str | None,
) -> Change:
    number = book.pseudonym(message.address or "")
    untold = [name for name in ("ip", "user_agent") if not getattr(event, name)]
    return Change(
        event_id=f"{event.number}:{category or '*'}", feed=message.feed,
        record_id=account.record(store, number), address=message.address, category=category,
        old=None, new=_CHOICES[event.name], occurred_at=event.at, occurred_from=event.at,
        effective_at=event.at, source="email_link", explicit=True, channel=event.name,
        actor="person", ip=event.ip, user_agent=event.user_agent, campaign_id=message.campaign,
        store=account.store(store), evidence_ref=event.number, missing=",".join(untold) or None,
    )  # fmt: skip
