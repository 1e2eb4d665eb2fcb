"""Events of Sell's Firehose, turned into changes: the only field history that the vendor keeps.

An event has the values after it in `data` and the former ones in `meta.previous`. Custom fields
are an array of values with references to their fields here; the elements' exact layout is not
documented, so an element may name its field by id or by name, directly or in `custom_field`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from optout.errors import Gone
from optout.model import PERSONAL_SOURCES, Source, State
from optout.records import Change, Finding
from optout.vendors.zendesk_sell.api import Batch, SellApi
from optout.vendors.zendesk_sell.history import ACTORS, Place, event_id
from optout.vendors.zendesk_sell.values import Preferences, Unclear, moment, source, text

TAIL = "tail"
"""The position of the oldest event that the vendor still keeps (72 hours)."""

_MISSING = object()
_MOST_IDLE = 50


def events(
    api: SellApi, store: str, position: str
) -> Iterator[tuple[list[Mapping[str, Any]], str, bool]]:
    """The events from a position on, a page at a time, each once: with the position behind it,
    and whether the position before had expired, so that events in between are lost.

    Ends where the vendor says `top`, never at an empty page: shared queues give those.
    """
    seen: set[str] = set()
    idle = 0
    while True:
        has_expired = False
        try:
            batch = api.events(store, position)
        except Gone:
            if position == TAIL:
                raise
            batch = api.events(store, TAIL)
            has_expired = True
        fresh = _unseen(api, batch, seen)
        idle = 0 if fresh or batch.meta["position"] != position else idle + 1
        if idle > _MOST_IDLE:
            raise api.broken(batch.request, "the stream does not move on")
        position = batch.meta["position"]
        yield fresh, position, has_expired
        if batch.meta["top"]:
            return


def _unseen(api: SellApi, batch: Batch, seen: set[str]) -> list[Mapping[str, Any]]:
    """The events that did not come before: delivery is at least once."""
    fresh = []
    for item in batch.items:
        meta = item.get("meta")
        if not isinstance(meta, Mapping) or not meta.get("event_id"):
            raise api.unexpected(batch.request, "an event without an event_id")
        if str(meta["event_id"]) not in seen:
            seen.add(str(meta["event_id"]))
            fresh.append(item)
    return fresh


@dataclass(frozen=True)
class EventReader:
    """Reads the events of one store; `names` is definition id → display name, as of tonight."""

    store: str
    preferences: Preferences
    names: Mapping[str, str]

    def rows(self, item: Mapping[str, Any]) -> Iterator[Change | Finding]:
        """One change for each preference field that the event changed.

        The values of a new record are its beginning, not a change of it, and those of a deleted
        one have no new state: neither gives rows.
        """
        meta, data = item["meta"], item["data"]
        previous = meta.get("previous")
        if meta.get("event_type") in ("created", "deleted") or not isinstance(previous, Mapping):
            return
        place = Place(self.store, str(data["id"]), text(data.get("email")))
        try:
            after = self._values(data)
            before = self._values(previous)
        except Unclear as unclear:
            yield place.finding("unparsable", "custom_field_values", str(unclear))
            return
        if before is None or after is None:
            return
        try:
            at = moment(meta.get("event_time"))
        except Unclear:
            at = None
        changed = _changed(before, after)
        act = self._act(changed, after, at)
        for name in changed:
            if name in self.preferences.category_of:
                yield from self._change(item, place, name, (before.get(name), after.get(name)), act)

    def _change(
        self,
        item: Mapping[str, Any],
        place: Place,
        name: str,
        sides: tuple[Any, Any],
        act: _Act,
    ) -> Iterator[Change | Finding]:
        category = self.preferences.category_of[name]
        try:
            old, new = self._sides(name, sides)
        except Unclear as unclear:
            yield place.finding("unknown_value", name, str(unclear), self.preferences.masks[name])
            return
        if old is new or (category is None and {old, new} <= _NOT_OUT):
            return  # Written differently, said the same: an unset flag and an explicit false.
        told = str(item["meta"]["event_id"])
        yield Change(
            event_id=event_id(place, "firehose", told, category or "*"),
            feed="firehose",
            record_id=place.record_id,
            address=place.address,
            category=category,
            old=old.value if old else None,
            new=new.value,
            occurred_at=act.at,
            occurred_from=act.at,
            received_at=act.received_at,
            effective_at=act.received_at,
            source=act.source.value,
            explicit=act.source in PERSONAL_SOURCES,
            channel=act.channel,
            actor=ACTORS.get(act.source),
            reason=act.reason,
            ip=act.ip,
            store=self.store,
            evidence_ref=told,
            raw=orjson.dumps(item).decode(),
        )

    def _sides(self, name: str, sides: tuple[Any, Any]) -> tuple[State | None, State]:
        """Old and new; an old one that cannot be understood hides no new one. Raises Unclear."""
        new = self.preferences.state(name, sides[1])
        try:
            return self.preferences.state(name, sides[0]), new
        except Unclear:
            return None, new

    def _act(self, changed: Sequence[str], after: Mapping[str, Any], at: datetime | None) -> _Act:
        """Who did it and when. The governance fields speak of this change only if they moved with
        it: a bulk edit leaves those of an earlier one behind, and would borrow its person."""
        fields = self.preferences.fields
        if not fields.last_updated or fields.last_updated not in changed:
            return _Act(at, at, Source.UNKNOWN)
        try:
            acted = moment(after.get(fields.last_updated))
        except Unclear:
            acted = None
        if acted is None or (at is not None and acted > at):
            acted = at
        by = after.get(fields.update_source)
        reason, ip = text(after.get(fields.update_reason)), text(after.get(fields.consent_ip))
        return _Act(acted, at, source(by), text(by), reason, ip)

    def _values(self, data: Mapping[str, Any]) -> dict[str, Any] | None:
        """Field name → value; None where the event does not speak of custom fields."""
        named = data.get("custom_fields")
        if isinstance(named, Mapping):
            return dict(named)
        listed = data.get("custom_field_values")
        if listed is None:
            return None
        if not isinstance(listed, list):
            raise Unclear(f"no array but {type(listed).__name__}")
        return {self._name(element): element.get("value") for element in listed}

    def _name(self, element: Any) -> str:
        """The field that an element is about; by id first, which survives a renaming."""
        if not isinstance(element, Mapping):
            raise Unclear("an element is no object")
        inner = element.get("custom_field") or element.get("field")
        field = inner if isinstance(inner, Mapping) else element
        id_ = field.get("id", element.get("custom_field_id", inner))
        found = self.names.get(str(id_)) or text(field.get("name"))
        if found is None:
            raise Unclear("an element does not name its field")
        return found


@dataclass(frozen=True)
class _Act:
    """The circumstances of all changes of one event."""

    at: datetime | None
    received_at: datetime | None
    source: Source
    channel: str | None = None
    reason: str | None = None
    ip: str | None = None


_NOT_OUT = frozenset({State.OPTED_IN, State.NOT_SET})


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The fields that differ.

    Whether `previous` holds all former values or only the changed ones is not documented. Where
    it is empty or repeats a value that did not change, it holds all, and a field that it lacks was
    unset before. Else it may hold the changed ones alone, and nothing is concluded from a lack:
    the comparison of nights still sees such a change.
    """
    is_whole = not before or any(after.get(n, _MISSING) == v for n, v in before.items())
    names = dict.fromkeys([*before, *after]) if is_whole else dict.fromkeys(before)
    return [name for name in names if before.get(name) != after.get(name)]
