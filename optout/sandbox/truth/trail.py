"""What is true of the hub's trail: which changes its history tells, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from optout.model import State
from optout.sandbox.world.deeds import Deed, What


class Gap(NamedTuple):
    """A fault of the hub's history of one field of one record (rule 7)."""

    night: int
    kind: str
    address: str
    record: int
    category: str | None
    """None: the global flag."""
    missing: str | None
    at: datetime
    is_consequence: bool
    """Not planted itself: the next entry no longer fits what was silently changed."""


class Trail:
    """Follows the hub's history field of every record, as Sell's twin writes it.

    What a reader can know decides: a word that nobody knows is no change to any feed, so that on
    the first night, with nothing to compare, it shows only as a chain with a wrong end.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[int, str | None], State | None] = {}
        """What the newest readable entry says; absent: never mentioned."""
        self._value: dict[tuple[int, str | None], State | None] = {}
        self._today: dict[int, list[tuple[Gap | None, ...]]] = {}
        self.gaps: list[Gap] = []
        self.changes = 0
        """Changes of records that were read with them, and entries of changes that never were."""
        self.complete = 0
        """Those of which the history tells everything."""

    def tell(self, deed: Deed, night: int, records: Iterable[int]) -> None:
        """Take in one deed of the hub on the records that it touches."""
        for record in records:
            if deed.what is What.RECORD:
                self._begin(deed, night, record)
            elif deed.what in (What.OUT, What.IN, What.SILENT, What.GARBLE):
                self._change(deed, night, record)

    def forget(self, records: Iterable[int]) -> None:
        """Records that are deleted before they are read again take today's changes with them."""
        for record in records:
            self._today.pop(record, None)

    def read(self) -> None:
        """The night's read: today's changes are known."""
        for found in (each for day in self._today.values() for each in day):
            gaps = [gap for gap in found if gap is not None]
            self.gaps += gaps
            self.changes += 1
            self.complete += not gaps
        self._today.clear()

    def _begin(self, deed: Deed, night: int, record: int) -> None:
        bare = deed.fault is not None and deed.fault.kind == "no_history"
        for category, state in (deed.states or {}).items():
            if state is State.NOT_SET:
                continue
            self._value[record, category] = state
            if bare:
                self._add(record, _gap(deed, night, record, "no_history", category=category))
            else:
                self._last[record, category] = state
                self._add(record)

    def _change(self, deed: Deed, night: int, record: int) -> None:
        place = (record, deed.category)
        old = self._value.get(place, _beginning(deed.category))
        new = _written(deed)
        kind = deed.fault.kind if deed.fault else None
        if kind == "phantom":
            self._add(record, _gap(deed, night, record, "phantom"))
            return
        if old == new:
            return
        self._value[place] = new
        if deed.what is What.GARBLE and night == 1:
            kind = "broken_chain"
        elif kind == "change_without_entry" or deed.what in (What.SILENT, What.GARBLE):
            kind = "change_without_entry"
        elif old is None:
            kind = "unparsable"  # the entry repeats the word that nobody knows
        if deed.what is What.GARBLE or kind == "change_without_entry":
            self._add(record, _gap(deed, night, record, kind or ""))
            return
        follows = self._last.get(place, _beginning(deed.category)) == old
        is_read = kind not in ("unparsable", "broken_chain")
        self._last[place] = new
        self._add(
            record,
            _gap(deed, night, record, kind) if kind else None,
            None if follows or not is_read
            else _gap(deed, night, record, "broken_chain", is_consequence=True),
        )  # fmt: skip

    def _add(self, record: int, *found: Gap | None) -> None:
        self._today.setdefault(record, []).append(found)


def _gap(
    deed: Deed, night: int, record: int, kind: str,
    *, category: str | None = None, is_consequence: bool = False,
) -> Gap:  # fmt: skip
    missing = deed.fault.field if deed.fault else None
    if kind == "missing_required_field":
        missing = missing or "ip"
    return Gap(night, kind, deed.who, record, category or deed.category, missing, deed.at,
               is_consequence)  # fmt: skip


def _beginning(category: str | None) -> State:
    """A field that was never mentioned is false, or not_set."""
    return State.OPTED_IN if category is None else State.NOT_SET


def _written(deed: Deed) -> State | None:
    if deed.what is What.GARBLE:
        return None
    return State.OPTED_OUT if deed.what is What.OUT else State.OPTED_IN
