"""What `optout check` finds out about a SendGrid account before the first night."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from optout.errors import NotFound, PermissionMissing
from optout.http.client import HttpClient
from optout.vendors.base import Problem
from optout.vendors.sendgrid.accounts import Accounts
from optout.vendors.sendgrid.contacts import count_contacts
from optout.vendors.sendgrid.groups import list_groups
from optout.vendors.sendgrid.messages import Span, find_log
from optout.vendors.sendgrid.rows import Account, Book

if TYPE_CHECKING:
    from optout.vendors.sendgrid.connector import SendGridConfig

EU = "https://api.eu.sendgrid.com"
_LISTS = ("unsubscribes", "bounces", "blocks", "invalid_emails", "spam_reports")


class Checker:
    """Asks each endpoint that a night needs; each thing that is wrong is told once."""

    def __init__(
        self, http: HttpClient, book: Book, config: SendGridConfig, accounts: Accounts
    ) -> None:
        self._http = http
        self._book = book
        self._config = config
        self._accounts = accounts
        self._key = f"esp.{config.name}"

    def problems(self) -> Iterator[Problem]:
        """All of them; raises AuthenticationFailed where the key itself is not accepted."""
        self._http.get("/v3/scopes")
        yield from self._rights()
        yield from self._subusers()
        yield from self._groups()
        yield from self._logs()

    def _rights(self) -> Iterator[Problem]:
        http, one = self._http, {"limit": 1}
        probes: dict[str, Callable[[], Any]] = {
            f"suppression.{name}.read": partial(http.get, f"/v3/suppression/{name}", one)
            for name in _LISTS
        }
        probes |= {
            "asm.groups.read": partial(list_groups, http, Account()),
            "asm.groups.suppressions.read": partial(http.get, "/v3/asm/suppressions", one),
            "marketing.read": partial(count_contacts, http, Account()),
        }
        for scope, ask in probes.items():
            if not _is_allowed(ask):
                yield Problem(
                    f"{self._key}.token_env", f"the key lacks the permission {scope}",
                    "Add it to the API key in SendGrid (Settings, API Keys).",
                )  # fmt: skip

    def _groups(self) -> Iterator[Problem]:
        known: dict[str, Any] = {}
        for account in self._accounts.all():
            try:
                groups = list_groups(self._http, account)
            except (PermissionMissing, NotFound):
                return  # told by _rights
            known |= groups
            if account.scoped and not groups.keys() & self._book.groups.keys():
                yield Problem(
                    f"{self._key}.categories",
                    f"{account.title} has none of the mapped groups: its contacts count as "
                    "mailable for every category",
                    "Map its groups, or list only the subusers that send marketing in `subusers`.",
                    fatal=False,
                )  # fmt: skip
        yield from self._unknown_groups(known)
        yield from self._unmapped(known)

    def _unknown_groups(self, known: dict[str, Any]) -> Iterator[Problem]:
        for category, groups in self._config.categories.items():
            for group in groups:
                if group not in known:
                    yield Problem(
                        f"{self._key}.categories.{category}",
                        f"there is no unsubscribe group {group}; SendGrid puts additions to a "
                        "missing group on the global list, and has freed whoever was in it",
                        f"Choose from: {_names(known)}.",
                    )  # fmt: skip

    def _unmapped(self, known: dict[str, Any]) -> Iterator[Problem]:
        missing = [n for n in self._book.categories.names if not self._config.categories.get(n)]
        for category in missing:
            yield Problem(
                f"{self._key}.categories.{category}", "no unsubscribe group is mapped to it",
                "Map one if SendGrid sends this kind of mail; only the global list stops it else.",
                fatal=False,
            )  # fmt: skip
        for number, group in known.items():
            if number not in self._book.groups:
                kind = "default group" if group.get("is_default") else "group"
                yield Problem(
                    f"{self._key}.categories",
                    f"the {kind} {number} ({group.get('name')}) is not mapped: who leaves it is "
                    "not compared",
                    "Map it to a category if it holds one.", fatal=False,
                )  # fmt: skip

    def _subusers(self) -> Iterator[Problem]:
        accounts, key = self._accounts, f"{self._key}.subusers"
        accounts.all()
        if accounts.is_hidden:
            yield Problem(
                key, "the key may not list subusers, which have suppressions of their own",
                "Add the permission subusers.read, or write `subusers = []` if there are none.",
                fatal=False,
            )  # fmt: skip
        for name in accounts.unknown:
            yield Problem(key, f"there is no subuser {name}", "Correct the name.")
        for name in accounts.elsewhere:
            other = EU if accounts.region == "global" else "https://api.sendgrid.com"
            yield Problem(
                key, f"subuser {name} belongs to another region and cannot be read here",
                f'Add a second [[esp]] with base_url = "{other}".', fatal=False,
            )  # fmt: skip

    def _logs(self) -> Iterator[Problem]:
        if self._config.messages == "off":
            return
        try:
            now = datetime.now(UTC)
            lately = Span(now - timedelta(hours=1), now)
            log = find_log(self._http, self._book, Account(), lately)
        except (PermissionMissing, NotFound):
            yield Problem(
                f"{self._key}.messages",
                "neither Email Logs nor Email Activity can be read: sends after an opt-out cannot "
                "be proven",
                "Add the permission messages.read or the add-on, or write `messages = \"off\"`.",
                fatal=self._config.messages == "on",
            )  # fmt: skip
            return
        if log.feed == "activity" and self._accounts.region == "eu":
            yield Problem(
                f"{self._key}.messages", "Email Activity has no data of EU subusers",
                "Use a key that may read Email Logs.", fatal=self._config.messages == "on",
            )  # fmt: skip


def _is_allowed(ask: Callable[[], Any]) -> bool:
    try:
        ask()
    except (PermissionMissing, NotFound):
        return False
    return True


def _names(groups: dict[str, Any]) -> str:
    shown = [f"{number} ({group.get('name')})" for number, group in groups.items()]
    return ", ".join(shown) or "no groups yet"
