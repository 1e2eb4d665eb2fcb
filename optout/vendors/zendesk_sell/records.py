"""One contact or lead of Sell, turned into readings, consent, history and findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from optout.address import BadAddress, normalise
from optout.model import State
from optout.records import Consent, Finding, Reading, Row
from optout.vendors.zendesk_sell.history import HistoryReader, Place
from optout.vendors.zendesk_sell.values import (
    Preferences,
    Unclear,
    day,
    moment,
    source,
    tellable,
    text,
    word,
)

BASES = frozenset({"express", "purchase", "contract", "inquiry", "membership", "grandfathered"})
METHODS = frozenset({"explicit", "implicit", "grandfathered"})


@dataclass
class Said:
    """The preferences of one record."""

    ins: int = 0
    category_outs: int = 0
    unclear: int = 0
    is_global_out: bool = False

    def add(self, state: State, mask: int, *, is_global: bool) -> None:
        """One field's state; several fields may speak of one category, an opt-out wins."""
        if is_global:
            self.is_global_out = self.is_global_out or state is State.OPTED_OUT
        elif state is State.OPTED_OUT:
            self.category_outs |= mask
        elif state is State.OPTED_IN:
            self.ins |= mask


@dataclass(frozen=True)
class RecordReader:
    """Reads the records of one store.

    `absent` are the configured preference fields that the account does not have (any more): what
    they would say is unclear, not unset.
    """

    store: str
    preferences: Preferences
    history: HistoryReader
    absent: frozenset[str] = frozenset()

    def rows(self, data: Mapping[str, Any]) -> Iterator[Row]:
        """Everything that the record tells. One without an address tells nothing, unless it holds
        an opt-out, which then cannot be honoured anywhere: a finding."""
        record_id = str(data["id"])
        address = text(data.get("email"))
        place = Place(self.store, record_id, address)
        custom = data.get("custom_fields")
        findings: list[Finding] = []
        states: dict[str, State] = {}
        said = self._said(custom, place, states, findings)
        outs = said.category_outs | (self.preferences.categories.all if said.is_global_out else 0)
        if address is None:
            if outs or said.unclear:
                detail = "opted out" if outs else "unclear"
                mask = outs | said.unclear
                yield place.finding("no_address", "email", detail, mask)
            return
        yield from findings
        yield Reading(
            store=self.store,
            record_id=record_id,
            address=address,
            ins=said.ins,
            outs=outs,
            category_outs=said.category_outs,
            unclear=said.unclear,
            global_out=said.is_global_out,
            created_at=self._stamp(data, "created_at"),
            modified_at=self._stamp(data, "updated_at"),
            raw=orjson.dumps(data).decode(),
        )
        if isinstance(custom, Mapping) and _is_address(address):
            # For any other text the landing writer makes one finding of the reading; a second one
            # for each row beside it would tell nothing new.
            yield from self._consent(custom, data, place)
            if self.preferences.fields.history:
                value = custom.get(self.preferences.fields.history)
                yield from self.history.rows(value, place, states)

    def gone(self, record_id: str) -> Reading:
        """The record is deleted, or has lost its address, which ends what it said of a person."""
        return Reading(store=self.store, record_id=record_id, address=None, deleted=True)

    def _said(
        self,
        custom: Any,
        place: Place,
        states: dict[str, State],
        findings: list[Finding],
    ) -> Said:
        if not isinstance(custom, Mapping):
            # Documented as an object on every record: without it nothing is known, not nothing set.
            mask = self.preferences.categories.all
            detail = f"no object but {type(custom).__name__}"
            findings.append(place.finding("missing_field", "custom_fields", detail, mask))
            return Said(unclear=mask)
        said = Said()
        for name, category in self.preferences.category_of.items():
            mask = self.preferences.masks[name]
            if name in self.absent:
                said.unclear |= mask
                continue
            try:
                found = self.preferences.state(name, custom.get(name))
            except Unclear as unclear:
                said.unclear |= mask
                findings.append(place.finding("unknown_value", name, str(unclear), mask))
                continue
            states[name] = found
            said.add(found, mask, is_global=category is None)
        said.ins &= ~said.category_outs
        return said

    def _consent(
        self, custom: Mapping[str, Any], data: Mapping[str, Any], place: Place
    ) -> Iterator[Consent | Finding]:
        fields = self.preferences.fields
        values = {role: custom.get(name) for role, name in self.preferences.roles.items()}
        found: dict[str, Any] = {}
        for role, read in (
            ("consent_method", lambda v: _one_of(METHODS, v)),
            ("consent_basis", lambda v: _one_of(BASES, v)),
            ("consent_basis_date", day),
            ("last_updated", moment),
        ):
            try:
                found[role] = read(values.get(role))
            except Unclear as unclear:
                found[role] = None
                is_word = role in ("consent_method", "consent_basis")
                code = "unknown_value" if is_word else "unparsable"
                yield place.finding(code, getattr(fields, role), str(unclear))
        by = values.get("update_source")
        yield Consent(
            store=self.store,
            record_id=place.record_id,
            address=place.address,
            country=_country(data.get("address")),
            method=found["consent_method"],
            basis=found["consent_basis"],
            basis_date=found["consent_basis_date"],
            basis_ref=text(values.get("consent_basis_ref")),
            last_updated_at=found["last_updated"],
            update_source=source(by).value if text(by) else None,
            update_reason=text(values.get("update_reason")),
            consent_ip=text(values.get("consent_ip")),
        )

    def _stamp(self, data: Mapping[str, Any], name: str) -> Any:
        try:
            return moment(data.get(name))
        except Unclear:
            return None


def _one_of(known: frozenset[str], value: Any) -> str | None:
    found = word(value)
    if found is None or found in known:
        return found
    raise Unclear(tellable(value))


def _country(address: Any) -> str | None:
    return text(address.get("country")) if isinstance(address, Mapping) else None


def _is_address(address: str) -> bool:
    try:
        normalise(address)
    except BadAddress:
        return False
    return True
