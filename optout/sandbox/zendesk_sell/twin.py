"""The twin of Zendesk Sell, the hub: contacts and leads with preferences, governance and history.

The deployment's own custom fields (Sell has no opt-out field of its own) are those of the default
configuration. Switches choose between forms that the vendor's documents and clients disagree on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any, ClassVar

from starlette.routing import Route

from optout.http.client import Limit
from optout.model import Source, State
from optout.sandbox.acts import Act, Governance, HistoryFault, HubTwin, Person
from optout.sandbox.zendesk_sell import store as native
from optout.sandbox.zendesk_sell.api import SellApi
from optout.sandbox.zendesk_sell.shapes import Shapes
from optout.sandbox.zendesk_sell.store import Record, Store, stamp
from optout.sandbox.zendesk_sell.sync import Foreign, SyncDesk

_START = datetime(2026, 1, 1, tzinfo=UTC)


class ZendeskSellTwin(HubTwin):
    """One Sell account; see the attributes for its switches."""

    vendor: ClassVar[str] = "zendesk_sell"
    limits: ClassVar[tuple[Limit, ...]] = (Limit(10, 1.0), Limit(36_000, 3600.0))
    limit_style: ClassVar[str] = "sell"

    def __init__(self, categories: Sequence[str], *, token: str, rng: Random) -> None:
        super().__init__(categories, token=token, rng=rng)
        self.store = Store(self.categories, rng)
        self.shapes = Shapes(self.store)
        self.desk = SyncDesk(self.store, _foreign(), rng)
        self.scopes = {"read", "write", "profile", "sync"}
        self.user_role = "admin"
        self.sync_enabled = True
        """Whether the plan has Sync."""
        self.firehose_enabled = True
        """Whether the plan has the Firehose."""
        self.repeat_events = True
        """The Firehose may deliver an event twice."""
        self.empty_page_every = 4
        """Every n-th Firehose page is empty although there is more."""
        self.initial_history = True
        """New records with preferences bring a history entry of their import."""
        shop = {"is_organization": True, "name": "Example Shop", "email": None}
        self.store.create("contact", shop, {}, _START)

    def clock(self) -> datetime:
        """The sandbox's time; before the world sets it, that of the last change."""
        return self.now or self.store.events[-1].at

    def category_map(self) -> Mapping[str, Sequence[str]]:
        """Each category's custom field."""
        return {category: [_field(category)] for category in self.categories}

    def routes(self) -> list[Route]:
        """Core, Sync and Firehose."""
        return SellApi(self).routes()

    def holds(self, address: str) -> bool:
        """Whether a contact or lead has the address."""
        return bool(self.store.of_address(address))

    # --- acts -----------------------------------------------------------------------------------
    def add(self, person: Person, states: Mapping[str, State], at: datetime) -> None:
        """A contact with the given states."""
        self.add_record(person, states, at)

    def add_record(
        self,
        person: Person,
        states: Mapping[str, State],
        at: datetime,
        *,
        global_out: bool = False,
        lead: bool = False,
        governance: Governance | None = None,
        fault: HistoryFault | None = None,
    ) -> int:
        """A contact or lead; several may share an address. Returns the record id."""
        kind = "lead" if lead else "contact"
        attributes: dict[str, Any] = {
            "is_organization": False,
            "first_name": person.first_name,
            "last_name": person.last_name,
            "name": f"{person.first_name} {person.last_name}",
            "email": person.address,
            "address": {"line1": None, "city": None, "country": person.country},
            "tags": [],
        }
        if lead:
            del attributes["is_organization"], attributes["name"]
        values: dict[str, Any] = {native.GLOBAL: True} if global_out else {}
        for category, state in states.items():
            values[_field(category)] = state.value if state is not State.NOT_SET else None
        values |= _governed(governance or Governance())
        record = self.store.create(kind, attributes, values, at)
        set_ = {name: v for name, v in values.items() if name in self._preferences() and v}
        is_bare = fault is not None and fault.kind == "no_history"
        if set_ and self.initial_history and not is_bare:
            act = Act(at=at, source=Source.IMPORT, ip="192.0.2.10", user_agent="import")
            changes = {n: {"old": _unset(n), "new": v} for n, v in set_.items()}
            entry = _entry(record, act, changes)
            # Part of the creation, not a change of its own.
            record.custom |= self.store.by_ids(kind, {native.HISTORY: json.dumps([entry])})
        return record.id

    def opt_out(self, address: str, category: str | None, act: Act) -> None:
        """The field says so on every record of the address."""
        self.set_preference(address, category, State.OPTED_OUT, act)

    def opt_in(self, address: str, category: str | None, act: Act) -> None:
        """The field says so on every record of the address; None lifts the global flag."""
        self.set_preference(address, category, State.OPTED_IN, act)

    def set_preference(
        self,
        address: str,
        category: str | None,
        state: State,
        act: Act,
        *,
        fault: HistoryFault | None = None,
        record_id: int | None = None,
        at_recorded: datetime | None = None,
    ) -> None:
        """A field changes with its governance fields and history entry, spoilt by `fault`.

        `at_recorded` is when Sell got it; the person acted at `act.at`.
        """
        name = native.GLOBAL if category is None else _field(category)
        new = _native(category, state)
        for record in self.store.of_address(address):
            if record_id is not None and record.id != record_id:
                continue
            old = self.store.value(record, name)
            values: dict[str, Any] = {
                native.LAST_UPDATED: act.at.astimezone(UTC).isoformat(),
                native.SOURCE: act.source.value,
                native.REASON: act.reason,
                native.CONSENT_IP: act.ip,
            }
            phantom = fault is not None and fault.kind == "phantom"
            if phantom:
                values = {}
            else:
                values[name] = new
            if phantom or _shown(name, old) != _shown(name, new):
                values[native.HISTORY] = self._history(record, act, name, (old, new), fault)
            self.store.update(record, at_recorded or act.at, values=values)

    def restore(self, address: str, category: str | None, state: State, at: datetime) -> None:
        """A bulk edit overwrites the field and nothing else."""
        name = native.GLOBAL if category is None else _field(category)
        for record in self.store.of_address(address):
            self.store.update(record, at, values={name: _native(category, state)}, cause="system")

    def silently_mailable(self, address: str, category: str | None, at: datetime) -> None:
        """An integration writes the yes back."""
        self.restore(address, category, State.OPTED_IN, at)

    def change_address(self, old: str, new: str, at: datetime) -> None:
        """The address of every record that has it is edited; the record stays the same."""
        for record in self.store.of_address(old):
            self.store.update(record, at, attributes={"email": new})

    def delete(self, address: str, at: datetime) -> None:
        """Every record of the address is deleted; nothing of it can be read any more."""
        for record in self.store.of_address(address):
            self.store.delete(record, at)

    # --- inner works ------------------------------------------------------------------------------
    def _preferences(self) -> set[str]:
        return {native.GLOBAL, *(_field(category) for category in self.categories)}

    def _history(
        self,
        record: Record,
        act: Act,
        name: str,
        change: tuple[Any, Any],
        fault: HistoryFault | None,
    ) -> str | None:
        """The history field after the change, as the company's integration writes it."""
        text: str | None = self.store.value(record, native.HISTORY)
        kind = fault.kind if fault else None
        if kind == "change_without_entry":
            return text
        old, new = (_shown(name, value) for value in change)
        if kind == "broken_chain":
            old = (not old) if name == native.GLOBAL else _other(old)
        entry: Any = _entry(record, act, {name: {"old": old, "new": new}})
        if kind == "missing_required_field":
            _drop(entry, name, (fault.field if fault else None) or "ip")
        elif fault is not None and fault.field == "cut":
            return json.dumps([*json.loads(text or "[]"), entry])[:-20]
        elif kind == "unparsable":
            entry = {**entry, "at": "the other day", "changes": f"{name}: {new}"}
        return json.dumps([*json.loads(text or "[]"), entry])


def _field(category: str) -> str:
    return f"email_pref_{category}"


def _native(category: str | None, state: State) -> Any:
    """A state as the field holds it: the flag is a checkbox, a category a dropdown."""
    if category is None:
        return {State.OPTED_OUT: True, State.OPTED_IN: False, State.NOT_SET: None}[state]
    return state.value


def _unset(name: str) -> Any:
    return False if name == native.GLOBAL else State.NOT_SET.value


def _shown(name: str, value: Any) -> Any:
    """A value as the history tells it: what was never set is `not_set` or false."""
    return _unset(name) if value is None else value


def _other(word: str) -> str:
    return next(w for w in native.STATE_WORDS if w != word)


def _entry(record: Record, act: Act, changes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "at": stamp(act.at),
        "changes": dict(changes),
        "source": act.source.value,
        "reason": act.reason,
        "ip": act.ip,
        "user_agent": act.user_agent,
        "contact_id": record.id,
        "email": record.email,
    }


def _drop(entry: dict[str, Any], name: str, path: str) -> None:
    """Remove a required field; `changes.old` and `changes.new` stand within the change."""
    head, _, tail = path.partition(".")
    if tail:
        del entry[head][name][tail]
    else:
        del entry[head]


def _governed(governance: Governance) -> dict[str, Any]:
    day = governance.basis_date
    return {
        native.CONSENT_METHOD: governance.method,
        native.BASIS: governance.basis,
        native.BASIS_DATE: day.isoformat() if day else None,
        native.BASIS_REF: governance.basis_ref,
    }


def _foreign() -> list[Foreign]:
    """A user, a deal and two tags, which come through the same Sync queue."""
    return [
        Foreign("user", 1, {"name": "Sandbox Admin", "status": "active"}),
        Foreign("deal", 1, {"name": "First order", "value": "120.50"}),
        Foreign("tag", 1, {"name": "vip"}),
        Foreign("tag", 2, {"name": "newsletter"}),
    ]
