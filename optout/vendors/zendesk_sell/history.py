"""Changes of preferences, as the company's history field and Sell's Firehose tell them.

The history field is a JSON list of `{at, changes: {field: {old, new}}, source, reason, ip,
user_agent, contact_id, email}` (rule 9). It is free text to Sell: it may be cut off, empty, or hold
entries that are none. What cannot be understood becomes a finding, the rest is kept.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from optout.model import PERSONAL_SOURCES, Source, State
from optout.records import Change, Finding
from optout.vendors.zendesk_sell.values import Preferences, Unclear, moment, source, text, word

ENTRY_FIELDS = ("at", "changes.old", "changes.new", "source", "ip", "user_agent", "contact_id",
                "email", "reason")  # fmt: skip
REQUIRED = ENTRY_FIELDS[:-1]
"""All but the reason, as the audit rule says."""

ACTORS: Mapping[Source, str] = {
    Source.EMAIL_LINK: "person",
    Source.PREFERENCE_CENTER: "person",
    Source.FORM: "person",
    Source.SUPPORT_REQUEST: "agent",
    Source.MANUAL: "agent",
    Source.API: "api",
    Source.IMPORT: "api",
    Source.SYNC: "api",
    Source.VENDOR: "vendor",
}
"""Who acted, as far as the source tells."""
_ABSENT = object()


@dataclass(frozen=True)
class Place:
    """The record of which a change is told."""

    store: str
    record_id: str
    address: str | None

    def finding(self, code: str, field: str, detail: str, mask: int = 0) -> Finding:
        """Something of this record that could not be used."""
        return Finding(
            code=code, store=self.store, record_id=self.record_id, field=field, detail=detail,
            address=self.address, categories=mask,
        )  # fmt: skip


def event_id(place: Place, *content: object) -> str:
    """A stable name of a change, from the record and what was said; holds no address."""
    parts = [place.store, place.record_id, *(str(part) for part in content)]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class HistoryReader:
    """Reads the history field of one record after the other."""

    preferences: Preferences
    required: tuple[str, ...] = REQUIRED
    relaxed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Source → fields that an entry of this source need not have."""

    def rows(
        self, value: Any, place: Place, current: Mapping[str, State]
    ) -> Iterator[Change | Finding]:
        """One change for each entry and field. `current` (field → state) stands in for a `new` that
        the last entry lacks: the chain must end in it."""
        entries, broken = _entries(value)
        for why, position in broken:
            yield self._finding(place, "unparsable", why, position)
        usable: list[_Told] = []
        for position, entry in entries:
            if not isinstance(entry, Mapping) or not isinstance(entry.get("changes"), Mapping):
                why = "an entry is no object with changes"
                yield self._finding(place, "unparsable", why, position)
                continue
            usable += [
                _Told(position, name, change, entry)
                for name, change in entry["changes"].items()
                if name in self.preferences.category_of
            ]
        yield from self._changes(usable, place, current)

    def _changes(
        self, usable: Sequence[_Told], place: Place, current: Mapping[str, State]
    ) -> Iterator[Change | Finding]:
        repeats: Counter[tuple[object, ...]] = Counter()
        for number, told in enumerate(usable):
            try:
                old, new = (self._said(told, side) for side in ("old", "new"))
            except Unclear as unclear:
                mask = self.preferences.masks[told.name]
                why = str(unclear)
                yield self._finding(place, "unknown_value", why, told.position, mask)
                continue
            at, at_is_wrong = _at(told.entry)
            if at_is_wrong:
                yield self._finding(place, "unparsable", "a time is no time", told.position)
            role = self.preferences.category_of[told.name] or "*"
            # The stated values, not the completed ones: those move when entries are added.
            content = ("history", role, at or text(told.entry.get("at")), old, new)
            repeats[content] += 1
            name = event_id(place, *content, repeats[content])
            after = new or self._implied(usable[number + 1 :], told.name, current)
            yield self._change(told, place, name, at, (old, after), new is None)

    def _said(self, told: _Told, side: str) -> State | None:
        """The state on one side of a change; None where the entry does not say."""
        value = told.side(side)
        return None if value is _ABSENT else self.preferences.state(told.name, value)

    def _implied(self, later: Sequence[_Told], name: str, current: Mapping[str, State]) -> State:
        """What a change without `new` must have led to: the next `old`, or today's value."""
        for told in later:
            if told.name == name:
                try:
                    said = self._said(told, "old")
                except Unclear:
                    said = None
                if said is not None:
                    return said
                break
        return current.get(name, State.NOT_SET)

    def _change(
        self,
        told: _Told,
        place: Place,
        name: str,
        at: datetime | None,
        sides: tuple[State | None, State],
        lacks_new: bool,
    ) -> Change:
        entry = told.entry
        by = source(entry.get("source"))
        lacks = {"at": at is None, "changes.old": sides[0] is None, "changes.new": lacks_new}
        return Change(
            event_id=name,
            feed="history",
            record_id=place.record_id,
            address=place.address,
            category=self.preferences.category_of[told.name],
            old=sides[0].value if sides[0] else None,
            new=sides[1].value,
            occurred_at=at,
            occurred_from=at,
            source=by.value,
            explicit=by in PERSONAL_SOURCES,
            channel=text(entry.get("source")),
            actor=ACTORS.get(by),
            reason=text(entry.get("reason")),
            ip=text(entry.get("ip")),
            user_agent=text(entry.get("user_agent")),
            store=place.store,
            evidence_ref=f"{place.store}/{place.record_id}/history/{told.position}",
            position=told.position,
            missing=",".join(self._missing(entry, by, lacks)) or None,
            raw=json.dumps(entry),
        )

    def _missing(
        self, entry: Mapping[str, Any], by: Source, lacks: Mapping[str, bool]
    ) -> Iterator[str]:
        for path in self._asked(entry.get("source"), by):
            if lacks[path] if path in lacks else text(entry.get(path)) is None:
                yield path

    def _asked(self, told: Any, by: Source) -> tuple[str, ...]:
        """The fields that an entry of this source must have, by its own word or ours."""
        if not self.relaxed:
            return self.required
        freed = {*self.relaxed.get(word(told) or "", ()), *self.relaxed.get(by.value, ())}
        return tuple(path for path in self.required if path not in freed)

    def _finding(
        self, place: Place, code: str, why: str, position: int | None, mask: int = 0
    ) -> Finding:
        where = "" if position is None else f"entry {position}: "
        return place.finding(code, self.preferences.fields.history, f"{where}{why}", mask)


@dataclass(frozen=True)
class _Told:
    """One field's change in one entry."""

    position: int
    name: str
    change: Any
    entry: Mapping[str, Any]

    def side(self, side: str) -> Any:
        """`old` or `new` as written; a bare value is the new one."""
        if isinstance(self.change, Mapping) and ("old" in self.change or "new" in self.change):
            return self.change.get(side, _ABSENT)
        if isinstance(self.change, Mapping) and not self.change:
            return _ABSENT
        return self.change if side == "new" else _ABSENT


def _at(entry: Mapping[str, Any]) -> tuple[datetime | None, bool]:
    """The entry's time, and whether something is there that is none."""
    try:
        return moment(entry.get("at")), False
    except Unclear:
        return None, True


def _entries(value: Any) -> tuple[list[tuple[int, Any]], list[tuple[str, int | None]]]:
    """The entries with their places, and what could not be read of the field."""
    if isinstance(value, str):
        if not value.strip():
            return [], []
        try:
            value = json.loads(value)
        except ValueError:
            kept = list(enumerate(_salvaged(value)))
            return kept, [("the JSON is cut off or damaged", len(kept))]
    if value is None:
        return [], []
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, list):
        return [], [(f"no list but {type(value).__name__}", None)]
    return list(enumerate(value)), []


def _salvaged(damaged: str) -> Iterator[Any]:
    """The whole entries before the damage (a text field that was cut off keeps its beginning)."""
    decoder = json.JSONDecoder()
    at = damaged.find("[") + 1
    while at > 0:
        while at < len(damaged) and damaged[at] in " \t\r\n,":
            at += 1
        try:
            entry, at = decoder.raw_decode(damaged, at)
        except ValueError:
            return
        yield entry
