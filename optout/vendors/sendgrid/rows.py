"""SendGrid's records as rows: pure functions, no requests.

SendGrid only ever says "no": a global unsubscribe or a group's suppression is an opt-out; bounces,
invalid addresses and spam reports block without being one; whoever is exported as a contact and
in none of these stores is mailable (`docs/metrics.md#reading-a-cell`). Who put an address on a
list is not told, so a list entry is never the person's explicit act; only the events of the
message logs are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from optout.model import Categories, State
from optout.records import Change, Finding, MailEvent, Reading, Row

_SPLIT = re.compile(r"[,;\s\"'\[\]]+")
_UNTOLD = "source,ip,user_agent"
"""What a suppression list does not tell of a change."""


@dataclass(frozen=True)
class Book:
    """Which unsubscribe groups feed which categories."""

    categories: Categories
    groups: Mapping[str, int]
    """Group id → mask of the categories that it feeds."""
    pseudonym: Callable[[str], str]
    """The id of an address's row in a store, whose rows have none of their own."""

    @classmethod
    def of(
        cls,
        categories: Categories,
        mapped: Mapping[str, Sequence[str]],
        pseudonym: Callable[[str], str],
    ) -> Book:
        """By the configuration: category → group ids."""
        return cls(categories, categories.by_store(mapped), pseudonym)

    @property
    def mapped(self) -> int:
        """The categories that have a group: what SendGrid is asked to mail."""
        mask = 0
        for each in self.groups.values():
            mask |= each
        return mask

    def group(self, number: object) -> int:
        """The categories of a group; 0 for one that is not mapped."""
        return self.groups.get(str(number), 0)

    def mail(self, number: object, labels: Sequence[str]) -> int:
        """The categories of a message: by its group, else by a label (SendGrid's own
        `categories`) that is called as the company calls the category."""
        mask = self.group(number)
        return mask or self.categories.mask(set(labels) & set(self.categories.names))


@dataclass(frozen=True)
class Account:
    """The main account or a subuser: a set of stores of its own.

    A suppression in one does not keep the other from mailing. Where there are several, `scoped`,
    all rows of one share a store and block only there: a person is mailable if any would send.
    """

    name: str = ""
    """The subuser; empty for the main account."""
    number: str = ""
    """The subuser's number, by which the Email Logs know it."""
    scoped: bool = False

    @property
    def title(self) -> str:
        """What cursors, notes and ids call it."""
        return f"subuser:{self.name}" if self.name else "account:main"

    @property
    def headers(self) -> Mapping[str, str] | None:
        """For whom a request speaks."""
        return {"on-behalf-of": self.name} if self.name else None

    def store(self, name: str) -> str:
        """The store of a row."""
        return self.title if self.scoped else name

    def record(self, store: str, number: str) -> str:
        """The row's id within `store(store)`."""
        return f"{store}:{number}" if self.scoped else number


def epoch(value: Any) -> datetime | None:
    """Unix seconds as a time; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def moment(value: Any) -> datetime | None:
    """An ISO 8601 text as a time in UTC; None for what is none."""
    try:
        at = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def as_raw(record: Mapping[str, Any], *names: str) -> str:
    """The named fields of the vendor's record, without its free texts, which quote addresses."""
    return orjson.dumps({name: record[name] for name in names if name in record}).decode()


# --- the five lists below /v3/suppression ---------------------------------------------------------
@dataclass(frozen=True)
class Entry:
    """One entry of a suppression list."""

    address: str
    created: datetime | None
    raw: str

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Entry:
        """From the vendor's item, whose `email` is known to be text."""
        return cls(
            item["email"].lower(), epoch(item.get("created")), as_raw(item, "created", "status")
        )


def rows_of_list(name: str, book: Book, account: Account, entry: Entry) -> Iterator[Row]:
    """The rows of one entry of the list `name`."""
    number, everything = book.pseudonym(entry.address), book.categories.all
    store = account.store(_STORES[name])
    record = account.record(_STORES[name], number)
    if entry.created is None:
        yield Finding("missing_field", store, record, "created", address=entry.address)
    blocked = 0 if name == "blocks" else everything
    is_global = name == "unsubscribes"
    yield Reading(
        store, record, entry.address,
        outs=everything if is_global else 0,
        blocks=0 if account.scoped else blocked,
        store_blocks=blocked if account.scoped else 0,
        global_out=is_global,
        undeliverable=name in ("bounces", "invalid_emails"),
        complained=name == "spam_reports",
        present=False, created_at=entry.created, raw=entry.raw,
    )  # fmt: skip
    if is_global and entry.created is not None:
        yield suppressed(book, account, "global", entry.address, None, entry.created)
    if name == "spam_reports" and entry.created is not None:
        number = complaint_id(book, account, entry.address, entry.created)
        yield MailEvent(number, "complained", entry.address, entry.created)


_STORES = {
    "unsubscribes": "global", "bounces": "bounces", "invalid_emails": "invalid",
    "spam_reports": "spam_reports", "blocks": "blocks",
}  # fmt: skip


def suppressed(
    book: Book, account: Account, store: str, address: str, category: str | None, at: datetime
) -> Change:
    """An opt-out as a list tells it: when, but neither by whom nor how."""
    number, second = book.pseudonym(address), int(at.timestamp())
    return Change(
        event_id=f"suppression:{account.title}:{store}:{category or '*'}:{number}:{second}",
        feed="suppression", record_id=account.record(store, number), address=address,
        category=category, old=None, new=State.OPTED_OUT, occurred_at=at, occurred_from=at,
        effective_at=at, channel="suppression list", store=account.store(store),
        missing=_UNTOLD,
    )  # fmt: skip


def complaint_id(book: Book, account: Account, address: str, at: datetime) -> str:
    """One id for a complaint, whether the list or the message log tells of it."""
    return f"complaint:{account.title}:{book.pseudonym(address)}:{int(at.timestamp())}"


# --- contacts -------------------------------------------------------------------------------------
def rows_of_contact(book: Book, account: Account, fields: Mapping[str, str]) -> Iterator[Row]:
    """A contact of the export; `fields` by upper-case column name, EMAIL not empty.

    Single sends go to the primary address only, so an alternate one is known here but not
    mailable: its opt-outs are found, and it is mailable from the night on which it is primary.
    """
    number = fields.get("CONTACT_ID") or fields.get("ID") or book.pseudonym(fields["EMAIL"])
    created, updated = moment(fields.get("CREATED_AT")), moment(fields.get("UPDATED_AT"))
    raw = as_raw(fields, "CONTACT_ID", "CREATED_AT", "UPDATED_AT")
    store = account.store("contacts")
    yield Reading(
        store, account.record("contacts", number), fields["EMAIL"].lower(), sends=book.mapped,
        created_at=created, modified_at=updated, raw=raw,
    )  # fmt: skip
    for other in _SPLIT.split(fields.get("ALTERNATE_EMAILS") or ""):
        if "@" in other:
            alternate = account.record("contacts", f"{number}:{book.pseudonym(other)}")
            yield Reading(
                store, alternate, other.lower(), created_at=created, modified_at=updated, raw=raw
            )
