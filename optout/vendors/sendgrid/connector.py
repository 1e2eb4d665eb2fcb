"""Twilio SendGrid: suppressions, unsubscribe groups as categories, contacts, messages.

Company category → unsubscribe groups (`categories.events = ["20003"]`). One `[[esp]]` is one
account in one region: subusers are walked through `on-behalf-of`, but those of the other region
answer at its own base_url only and need an `[[esp]]` of their own.

How each part is read is told in its module: `sendgrid_lists`, `sendgrid_groups`,
`sendgrid_contacts`, `sendgrid_messages`, `sendgrid_campaigns`; what becomes of it in
`sendgrid_rows`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal, cast

from pydantic import Field

from optout.errors import NotFound, PermissionMissing
from optout.http.client import Answer, HttpOptions, Limit
from optout.http.retry import wait_until_epoch
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
from optout.vendors.sendgrid.accounts import Accounts
from optout.vendors.sendgrid.campaigns import read_campaigns
from optout.vendors.sendgrid.check import Checker
from optout.vendors.sendgrid.contacts import Export
from optout.vendors.sendgrid.groups import read_groups
from optout.vendors.sendgrid.lists import read_list
from optout.vendors.sendgrid.messages import Span, find_log, read_messages
from optout.vendors.sendgrid.rows import Account, Book
from optout.vendors.sendgrid.steps import Result, Sink, Step, finish, run

_LISTS = {
    "unsubscribes": "unsubscribes", "bounces": "bounces", "invalid": "invalid_emails",
    "spam_reports": "spam_reports", "blocks": "blocks",
}  # fmt: skip
"""Stream → the vendor's list."""
_STORES = {
    "unsubscribes": "global", "groups": "group:", "bounces": "bounces", "invalid": "invalid",
    "spam_reports": "spam_reports", "blocks": "blocks", "contacts": "contacts",
}  # fmt: skip
"""Stream that tells a state → where its rows are, in an account without subusers."""


class SendGridConfig(SystemConfig):
    """An account, or what of it answers at one base_url."""

    subusers: Literal["auto"] | tuple[str, ...] = "auto"
    """`auto`: all that the key may see; a list: these; []: the main account only."""
    messages: Literal["auto", "on", "off"] = "auto"
    """Whether the message logs are read: `auto` where the account has them; `on` makes their
    lack a failure."""
    message_days: int = Field(default=2, ge=0, le=30)
    """How many days before the last read messages are looked at again, for late unsubscribes
    through them; on the first night, how far back to begin."""
    requests_per_minute: int = Field(default=600, ge=1)
    """What the account may ask of one endpoint: plans differ, and the vendor publishes no table
    (`X-RateLimit-Limit` tells)."""
    export_timeout_seconds: float = Field(default=1200.0, gt=0)
    """How long an export of the contacts may take."""


class SendGrid(Connector):
    """Reads one SendGrid account."""

    vendor = "sendgrid"
    Config = SendGridConfig
    revision = "v3"
    sends_evidence = True
    send_streams = ("messages",)

    config: SendGridConfig

    def __init__(self, context: Context, *, sleep: Callable[[float], None] | None = None) -> None:
        super().__init__(context)
        self._sleep = sleep or context.sleep
        self.book = Book.of(self.categories, self.config.categories, context.pseudonym)
        self.accounts = Accounts(self.http, self.config.base_url, self.config.subusers)

    @classmethod
    def http_options(cls, config: SystemConfig, token: str) -> HttpOptions:
        """The key as a bearer token. The vendor counts each endpoint by itself; one limit for all
        of them is safe."""
        many = cast(SendGridConfig, config).requests_per_minute
        return HttpOptions(
            headers={"Authorization": f"Bearer {token}"},
            limits=(Limit(requests=many, seconds=60),),
            retry_after=_reset,
            refusal=_refusal,
        )

    @classmethod
    def streams(cls, config: SystemConfig) -> tuple[Stream, ...]:
        """No filter shows a removal, so every store is read in full every night."""
        snapshots = [
            Stream(name, snapshot=True, stores=(store,), always_full=True)
            for name, store in _STORES.items()
        ]
        return (*snapshots, Stream("messages", role=Role.CHANGES), Stream("campaigns"))

    def read(self, stream: str, request: ReadRequest, out: StreamOutput) -> None:
        """Read one stream, account by account."""
        accounts = self.accounts.all()
        steps: list[Step]
        if stream in _LISTS:
            steps = [self._list(stream, each, request) for each in accounts]
        elif stream == "groups":
            steps = [partial(read_groups, self.http, self.book, each) for each in accounts]
        elif stream == "contacts":
            wait = self.config.export_timeout_seconds
            steps = [Export(self.http, self.book, a, wait, self._sleep).read for a in accounts]
        elif stream == "campaigns":
            steps = [
                partial(read_campaigns, self.http, self.book, each, request.since)
                for each in accounts
            ]
        else:
            self._messages(accounts, request, out)
            return
        result = run([each.title for each in accounts], steps, out)
        if stream == "groups":
            self._hold_mapped(result)
        self._end(result, out)

    def check(self) -> Iterator[Problem]:
        """Rights, groups, logs and subusers."""
        yield from Checker(self.http, self.book, self.config, self.accounts).problems()

    # --- inner works ----------------------------------------------------------------------------
    def _list(self, stream: str, account: Account, request: ReadRequest) -> Step:
        now = request.now or request.cutoff
        return partial(_read_list, self, _LISTS[stream], account, now)

    def _hold_mapped(self, result: Result) -> None:
        """A mapped group that is nowhere: SendGrid has forgotten whom it kept from mail."""
        for group in sorted(set(self.book.groups) - set(result.found)):
            result.why.append(
                f"group {group} does not exist; whoever had left it can be mailed again"
            )

    def _messages(self, accounts: list[Account], request: ReadRequest, out: StreamOutput) -> None:
        if self.config.messages == "off":
            out.skipped("switched off by `messages`")
            return
        span = self._span(request)
        try:
            logs = [find_log(self.http, self.book, each, span) for each in accounts]
        except (PermissionMissing, NotFound) as missing:
            if self.config.messages == "on":
                raise
            out.skipped(
                "neither Email Logs nor Email Activity can be read with this account and key "
                f"({missing.status}): sends cannot be proven"
            )
            return
        if self.accounts.region == "eu" and any(log.feed == "activity" for log in logs):
            # It would answer with an empty list, as if nothing had been sent.
            out.skipped("Email Activity has no data of EU subusers, and Email Logs cannot be read")
            return
        steps: list[Step] = [partial(read_messages, log, span) for log in logs]
        result = run([each.title for each in accounts], steps, out)
        self._end(result, out, {"read_to": span.end.isoformat()})

    def _end(
        self, result: Result, out: StreamOutput, state: Mapping[str, Any] | None = None
    ) -> None:
        """End a stream, with what is known of accounts that were not read."""
        result.notes += self.accounts.notes
        result.why += [f"there is no subuser {name}" for name in self.accounts.unknown]
        finish(result, out, state)

    def _span(self, request: ReadRequest) -> Span:
        """From some days before where the last complete read ended: a night that was missed must
        leave no gap. `since` would reach back twice, as every message costs a request."""
        told = request.state.get("read_to")
        known = datetime.fromisoformat(told) if told else request.since or request.cutoff
        start = min(known, request.cutoff) - timedelta(days=self.config.message_days)
        return Span(start, request.now or request.cutoff)


def _read_list(
    connector: SendGrid, name: str, account: Account, now: datetime, sink: Sink
) -> Result:
    return read_list(connector.http, name, connector.book, account, now, sink)


def _reset(answer: Answer) -> float | None:
    """The wait that X-RateLimit-Reset asks for. It is told as a moment of the vendor's clock,
    whose windows last a minute: a longer wait is two clocks apart, and says nothing."""
    now = datetime.now(UTC)
    wait = wait_until_epoch(answer, "X-RateLimit-Reset", now)
    return wait if wait is not None and wait <= 120 else None


def _refusal(answer: Answer) -> str | None:
    """An error in a 200."""
    is_error = isinstance(answer.data, dict) and "errors" in answer.data
    return "an error in an answer that claims success" if is_error else None
