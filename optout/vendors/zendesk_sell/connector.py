"""Zendesk Sell, the hub: contacts and leads whose preferences stand in custom fields.

Four streams a night: `sync` (what changed, from a queue that Sell keeps for us), `contacts` and
`leads` (all records; on nights between full reads only if the queue does not cover the night), and
`firehose` (field changes of the last 72 hours). Sync and Firehose are not on every plan; without
them every night is a full one, and changes within a day are known from the history field alone.

Sources: `docs/vendors.md`; what no document says is tolerated in each known form.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property, partial
from typing import Any, TypeVar

from optout.errors import NotFound, PermissionMissing
from optout.http.client import Answer, HttpOptions, Limit
from optout.records import Finding
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
from optout.vendors.zendesk_sell import check as sell_check
from optout.vendors.zendesk_sell.api import STORES, Definition, SellApi
from optout.vendors.zendesk_sell.config import Mode, ZendeskSellConfig
from optout.vendors.zendesk_sell.firehose import TAIL, EventReader, events
from optout.vendors.zendesk_sell.history import HistoryReader
from optout.vendors.zendesk_sell.records import RecordReader
from optout.vendors.zendesk_sell.sync import Drain
from optout.vendors.zendesk_sell.values import Preferences, text
from optout.vendors.zendesk_sell.walk import walk

_LATE = timedelta(hours=24)
"""A read that begins later than this after the cut-off is not of that night any more."""

T = TypeVar("T")


@dataclass(frozen=True)
class _Account:
    """The custom fields of one store as they are tonight."""

    reader: RecordReader
    names: Mapping[str, str]
    """Definition id → display name."""
    ids: Mapping[str, str]
    """Configured name → definition id, for telling a renaming next time."""
    lost: tuple[str, ...]
    """What to say of preference fields that are not there."""
    findings: tuple[Finding, ...]


class ZendeskSell(Connector):
    """Reads the hub."""

    vendor = "zendesk_sell"
    Config = ZendeskSellConfig
    revision = "v2/v3"
    is_hub = True

    config: ZendeskSellConfig

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.api = SellApi(context.http)
        self.preferences = Preferences.of(
            context.categories, self.config.fields, self.config.categories
        )
        self._definitions: dict[str, list[Definition]] = {}
        self._covered: date | None = None
        """The night of which this instance has drained the queue, without a night missed."""

    @classmethod
    def http_options(cls, config: SystemConfig, token: str) -> HttpOptions:
        """A bearer token; 10 requests a second and 36,000 an hour, announced by no header."""
        return HttpOptions(
            headers={"Authorization": f"Bearer {token}"},
            limits=(Limit(10, 1.0), Limit(36_000, 3600.0)),
            refusal=_refusal,
        )

    @classmethod
    def streams(cls, config: SystemConfig) -> tuple[Stream, ...]:
        """The queue first: what it does not cover, the walks read."""
        return (
            Stream("sync", role=Role.STATE),
            *(Stream(store, snapshot=True, stores=(store,)) for store in STORES),
            Stream("firehose", role=Role.CHANGES),
        )

    def read(self, stream: str, request: ReadRequest, out: StreamOutput) -> None:
        """Read one stream; raises SourceError, or ends with `out.complete/incomplete/skipped`."""
        try:
            if stream == "sync":
                self._sync(request, out)
            elif stream == "firehose":
                self._firehose(request, out)
            else:
                self._records(stream, request, out)
        except _NotOffered as lack:
            out.skipped(str(lack))

    def check(self) -> Iterator[Problem]:
        """Token, scopes, and each custom field of contacts and leads."""
        for name in self.config.categories:
            if name not in self.categories.names:
                yield Problem(
                    f"hub.categories.{name}",
                    f"'{name}' is not one of the company's categories",
                    "Correct it, or add it to `categories`",
                )
        yield from sell_check.problems(
            self.api,
            self.preferences,
            sync=self.config.sync,
            firehose=self.config.firehose,
            device=self.device,
        )

    @cached_property
    def device(self) -> str:
        """Our UUID in Sell's queue; the same on every night, else everything would come anew."""
        if self.config.device_uuid:
            return self.config.device_uuid
        token = hashlib.sha256(self.context.token.encode()).hexdigest()
        seed = f"{self.config.name}|{self.config.base_url}|{token}"
        return str(uuid.uuid5(uuid.NAMESPACE_URL, seed))

    # --- the three ways of reading ----------------------------------------------------------------
    def _records(self, store: str, request: ReadRequest, out: StreamOutput) -> None:
        """All records of a store, unless the queue has told everything that changed."""
        if request.since is not None and self._covered == request.night:
            note = "what changed came through Sync"
            out.complete(state=dict(request.state), note=note, is_full=False)
            return
        account = self._account(store, request.state.get("fields") or {})
        if out.cursor is None:
            for finding in account.findings:
                out.add(finding)
        read = 0
        for fresh, track in walk(self.api, store, out.cursor):
            for data in fresh:
                if "email" not in data:
                    # Null is a record without an address; a lacking field would hide a person.
                    raise self.api.unexpected(f"GET /v2/{store}", "a record without field email")
                for row in account.reader.rows(data):
                    out.add(row)
            out.page_done(track.cursor())
            read = track.read
        if account.lost and read:
            out.incomplete("; ".join(account.lost))
        else:
            out.complete(read_total=read, state={"fields": dict(account.ids)}, is_full=True)

    def _sync(self, request: ReadRequest, out: StreamOutput) -> None:
        """The queue, to its end."""
        if self.config.sync == "off":
            raise _NotOffered('Sync is switched off (sync = "off"): every night is a full one')
        if request.now is not None and request.now - request.cutoff > _LATE:
            # A backfill: the queue knows only today's states, and would spend them on that night.
            raise _NotOffered("the night is over, and the queue tells only today's states")
        kept = request.state.get("fields") or {}
        accounts = {store: self._account(store, kept.get(store) or {}) for store in STORES}
        why = "this plan or token has no Sync: every record is read every night"
        session = self._offered(self.config.sync, why, lambda: self.api.sync_start(self.device))

        def emit(store: str, data: Mapping[str, Any], is_gone: bool) -> None:
            reader = accounts[store].reader
            if not is_gone:
                for row in reader.rows(data):
                    out.add(row)
            if is_gone or text(data.get("email")) is None:
                out.add(reader.gone(str(data["id"])))

        drain = Drain(self.api, self.device, out, emit)
        if not drain.run(session):
            out.incomplete("the queue did not come to an end")
            return
        lost = [why for store, account in accounts.items() if drain.seen[store]
                for why in account.lost]  # fmt: skip
        if lost:
            out.incomplete("; ".join(lost))
            return
        # Only an unbroken row of nights says that the queue holds all changes since the last walk:
        # what an incomplete night acknowledged will not come again.
        nights = {(request.night - timedelta(days=days)).isoformat() for days in (0, 1)}
        if request.state.get("night") in nights:
            self._covered = request.night
        fields = {store: dict(account.ids) for store, account in accounts.items()}
        state = {"night": request.night.isoformat(), "fields": fields}
        out.complete(read_total=sum(drain.seen.values()), state=state)

    def _firehose(self, request: ReadRequest, out: StreamOutput) -> None:
        """The events since the last night, of contacts and then of leads."""
        if self.config.firehose == "off":
            raise _NotOffered('the Firehose is switched off (firehose = "off")')
        positions = {**(request.state.get("positions") or {}), **(out.cursor or {})}
        why = "this plan or token has no Firehose: changes are known from history and comparing"
        # All that is kept: an answer that is served twice then tells more than was asked, not less.
        ask = partial(self.api.events, "contacts", TAIL)
        self._offered(self.config.firehose, why, ask)
        expired = []
        for store in STORES:
            position = positions.get(store, TAIL)
            account = self._account(store, {})
            reader = EventReader(store, self.preferences, account.names)
            for fresh, reached, has_expired in events(self.api, store, position):
                for item in fresh:
                    for row in reader.rows(item):
                        out.add(row)
                if has_expired:
                    expired.append(store)
                positions[store] = reached
                out.page_done(dict(positions))
        note = None
        if expired:
            since = request.state.get("at", "an earlier night")
            note = (
                f"the position of {since} had expired for {' and '.join(expired)}: changes of "
                "fields between it and the oldest event kept are known only from comparing nights"
            )
        at = (request.now or request.cutoff).isoformat()
        out.complete(state={"positions": positions, "at": at}, note=note)

    # --- inner works ------------------------------------------------------------------------------
    def _offered(self, mode: Mode, why: str, ask: Callable[[], T]) -> T:
        """The first question to an optional API. How Sell says that a plan lacks it is not
        documented, so a missing path counts like a refusal; with `on` either is an error."""
        try:
            return ask()
        except (PermissionMissing, NotFound):
            if mode == "on":
                raise
        raise _NotOffered(why)

    def _account(self, store: str, known: Mapping[str, str]) -> _Account:
        """The store's custom fields; `known` are the ids of an earlier night, by name."""
        if store not in self._definitions:
            self._definitions[store] = self.api.definitions(store)
        definitions = self._definitions[store]
        names = {each.id: each.name for each in definitions}
        ids = {each.name: each.id for each in definitions}
        absent = [name for name in self.preferences.category_of if name not in ids]
        lost = []
        for name in absent:
            now = names.get(known.get(name, ""))
            hint = f" (it is now called '{now}')" if now else ""
            lost.append(f"the custom field '{name}' of {store} does not exist{hint}")
        findings = [
            Finding(code="missing_field", store=store, record_id="", field=name,
                    detail="no custom field of this name")
            for name in self.preferences.roles.values() if name not in ids
        ]  # fmt: skip
        wanted = [*self.preferences.category_of, *self.preferences.roles.values()]
        history = HistoryReader(
            self.preferences, self.config.history_required, self.config.history_relaxed
        )
        reader = RecordReader(store, self.preferences, history, frozenset(absent))
        kept = {name: ids[name] for name in wanted if name in ids}
        return _Account(reader, names, kept, tuple(lost), tuple(findings))


class _NotOffered(Exception):
    """The stream is not to be read tonight; says why, for people."""


def _refusal(answer: Answer) -> str | None:
    is_error = isinstance(answer.data, Mapping) and "errors" in answer.data
    return "an error in an answer that says success" if is_error else None
