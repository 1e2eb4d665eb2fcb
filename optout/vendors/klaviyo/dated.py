"""What happened in a Klaviyo account: campaigns with their templates, and events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from optout.errors import NotFound, PermissionMissing
from optout.http.pagination import Call
from optout.vendors.base import ReadRequest, StreamOutput
from optout.vendors.klaviyo.account import Account, stamp
from optout.vendors.klaviyo.mail import (
    METRICS,
    EventRows,
    Message,
    campaign_row,
    has_address_tag,
    message_ids,
    messages_of,
    related,
    says_transactional,
    was_sent,
)
from optout.vendors.klaviyo.pages import Item, Reading, ask_all
from optout.vendors.klaviyo.words import moment

_CHANNEL = "equals(messages.channel,'email')"
"""Without a filter for the channel the vendor refuses to list campaigns."""
_FLOW_MEMORY = timedelta(days=7)
"""After this time a flow's message is asked again whether it is transactional."""


def _campaign_call(more: str = "") -> Call:
    params = {"include": "campaign-messages", "page[size]": 100, "sort": "id",
              "filter": f"and({_CHANNEL},{more})" if more else _CHANNEL}  # fmt: skip
    return Call("/api/campaigns", params)


def read_campaigns(account: Account, request: ReadRequest, out: StreamOutput) -> None:
    """The campaigns that went out or were changed lately; raises SourceError."""
    since = f"greater-or-equal(updated_at,{stamp(account.start(request))})"
    reading = Reading(account.http, out, {"campaigns": _campaign_call(since)})
    postal = _Postal(account)

    def take(_name: str, items: list[Item], _answer: Item) -> None:
        for item in items:
            if was_sent(item, request.cutoff):
                answers = [_message(account, each) for each in message_ids(item)]
                out.add(campaign_row(item, answers, account.lists, postal.parts(answers)))

    reading.run(take)
    out.complete(state={"through": account.through(request)})


def _message(account: Account, message_id: str) -> Mapping[str, Any]:
    answer = account.http.get(
        f"/api/campaign-messages/{message_id}", {"include": "template"},
        template="/api/campaign-messages/{id}",
    )  # fmt: skip
    found: Mapping[str, Any] = answer.data
    return found


class _Postal:
    """The account's postal address, asked for only where a template has no tag for it."""

    def __init__(self, account: Account) -> None:
        self._http = account.http
        self._asked = False
        self._parts: tuple[str, ...] | None = None

    def parts(self, answers: list[Mapping[str, Any]]) -> tuple[str, ...] | None:
        """Street and postal code; None if not known or not needed."""
        if not self._asked and not all(has_address_tag(each) for each in answers):
            self._asked = True
            self._parts = self._ask()
        return self._parts

    def _ask(self) -> tuple[str, ...] | None:
        try:
            accounts = self._http.get("/api/accounts").data["data"]
        except PermissionMissing:
            return None
        contact = accounts[0]["attributes"].get("contact_information") or {}
        street = contact.get("street_address") or {}
        return tuple(str(street[name]) for name in ("address1", "zip") if street.get(name))


def read_events(account: Account, request: ReadRequest, out: StreamOutput) -> None:
    """Mail events and changes of preference, every metric at the same time; raises SourceError."""
    metrics = account.metrics()
    notes = [f"no metric '{name}'" for name in METRICS if name not in metrics]
    flows = _Flows(account, request)
    rows = EventRows(
        account.categories, account.lists, account.list_names(), _messages(account, notes),
        flows.is_transactional,
    )  # fmt: skip
    window = (
        f"greater-or-equal(datetime,{stamp(account.start(request))}),"
        f"less-or-equal(datetime,{stamp(request.cutoff)})"
    )
    names = {metric_id: name for name, ids in metrics.items() for metric_id in ids}
    calls = {each: _event_call(each, window) for each in names}
    reading = Reading(account.http, out, calls)

    def take(metric_id: str, items: list[Item], answer: Item) -> None:
        addresses = {
            each["id"]: each["attributes"].get("email")
            for each in answer.get("included") or ()
            if each.get("type") == "profile"
        }
        for item in items:
            if related(item, "metric") not in (None, metric_id):
                # An answer to another question would pass for an opt-out, or hide one.
                raise calls[metric_id].broken(account.http, "an event of another metric than asked")
            for row in rows.rows(item, names[metric_id], addresses):
                out.add(row)

    reading.run(take)
    state = {"through": account.through(request), "flows": flows.known}
    out.complete(state=state, note="; ".join(notes + flows.notes) or None)


def _event_call(metric_id: str, window: str) -> Call:
    """200 a page: the parameter allows more, but the text of the specification does not."""
    params = {
        "include": "profile",
        "fields[profile]": "email",
        "sort": "datetime",
        "page[size]": 200,
        "filter": f'and(equals(metric_id,"{metric_id}"),{window})',
    }
    return Call("/api/events", params)


def _messages(account: Account, notes: list[str]) -> dict[str, Message]:
    """Those of all campaigns, since an old mail can still be clicked; none if the key may not."""
    try:
        return messages_of(ask_all(account.http, _campaign_call()), account.lists)
    except PermissionMissing:
        notes.append("without the scope campaigns:read events name messages only")
        return {}


class _Flows:
    """Which messages of flows are transactional, remembered between nights.

    Klaviyo mails those whatever the person's preference, so a send of one breaks no promise.
    """

    def __init__(self, account: Account, request: ReadRequest) -> None:
        self._http = account.http
        self._now = request.cutoff
        self.known: dict[str, list[Any]] = dict(request.state.get("flows", {}))
        """Message → [transactional, when it was asked]."""
        self.notes: list[str] = []

    def is_transactional(self, message_id: str) -> bool:
        """Whether the message is; one that cannot be looked up counts as marketing."""
        held = self.known.get(message_id)
        asked_at = moment(held[1]) if held else None
        if held is None or asked_at is None or self._now - asked_at > _FLOW_MEMORY:
            held = self.known[message_id] = [self._ask(message_id), self._now.isoformat()]
        return bool(held[0])

    def _ask(self, message_id: str) -> bool:
        if self.notes:
            return False
        try:
            answer = self._http.get(
                f"/api/flow-messages/{message_id}", {"include": "flow-action"},
                template="/api/flow-messages/{id}",
            )  # fmt: skip
        except NotFound:
            return False
        except PermissionMissing:
            self.notes.append("without the scope flows:read all mail of flows counts as marketing")
            return False
        return any(says_transactional(each) for each in answer.data.get("included") or ())
