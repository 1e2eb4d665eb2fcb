"""How the hub holds preferences, without HTTP: the oracle's model of contacts and leads."""

from __future__ import annotations

from dataclasses import dataclass, field

from optout.model import State
from optout.sandbox.world.deeds import Deed, What


@dataclass
class HubRecord:
    """One contact or lead as the hub shows it."""

    states: dict[str, State]
    is_out: bool = False
    unclear: set[str] = field(default_factory=set)

    def effective(self, category: str) -> State:
        """The flag speaks for all categories."""
        return State.OPTED_OUT if self.is_out else self.states.get(category, State.NOT_SET)


@dataclass
class HubHolding:
    """All contacts and leads of one person."""

    records: dict[int, HubRecord] = field(default_factory=dict)

    def tell(self, deed: Deed) -> None:
        """Take in a deed of the hub."""
        if deed.what is What.RECORD:
            self.records[deed.record or 0] = HubRecord(dict(deed.states or {}))
        elif deed.what is What.DELETE:
            self.records.clear()
        else:
            for number, record in self.records.items():
                if deed.record in (None, number):
                    self._write(record, deed)

    def _write(self, record: HubRecord, deed: Deed) -> None:
        if deed.fault is not None and deed.fault.kind == "phantom":
            return
        if deed.what is What.GARBLE:
            record.unclear.add(deed.category or "")
            record.states[deed.category or ""] = State.NOT_SET
        elif deed.what in (What.OUT, What.IN, What.SILENT):
            is_out = deed.what is What.OUT
            if deed.category is None:
                record.is_out = is_out
            else:
                record.unclear.discard(deed.category)
                record.states[deed.category] = State.OPTED_OUT if is_out else State.OPTED_IN

    @property
    def knows(self) -> bool:
        """Whether any contact or lead has the address."""
        return bool(self.records)

    def shows_out(self, category: str) -> bool:
        """The flag or the category, on any record."""
        return any(r.effective(category) is State.OPTED_OUT for r in self.records.values())

    def shows_category_out(self, category: str) -> bool:
        """The category's own field, on any record."""
        return any(r.states.get(category) is State.OPTED_OUT for r in self.records.values())

    def state(self, category: str) -> State:
        """What the hub says of the cell: an opt-out on any record wins, then a yes."""
        words = {record.effective(category) for record in self.records.values()}
        for word in (State.OPTED_OUT, State.OPTED_IN):
            if word in words:
                return word
        return State.NOT_SET

    def is_unclear(self, category: str) -> bool:
        """A record has a word that nobody knows."""
        return any(category in record.unclear for record in self.records.values())

    def conflicts(self, category: str) -> bool:
        """One record effectively in and another effectively out."""
        words = {record.effective(category) for record in self.records.values()}
        return {State.OPTED_IN, State.OPTED_OUT} <= words
