"""The faults of the hub's history that are planted, and what only a feed can tell.

Whoever carries one never acts again, so that each shows for itself. Each is picked in turn; all of
them happen on the first day, but for those that only an earlier night could tell from the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from optout.model import Source, State
from optout.sandbox.acts import HistoryFault
from optout.sandbox.world.deeds import ESPS, HUB, What
from optout.sandbox.world.nights import Day
from optout.sandbox.world.people import Resident, can_come_back, has_unset

if TYPE_CHECKING:
    from optout.sandbox.world.life import Life

_CENTRE = Source.PREFERENCE_CENTER
_REQUIRED = (
    "ip", "user_agent", "source", "at", "changes.old", "changes.new", "contact_id", "email",
)  # fmt: skip
TOLD_AND_BACK = HistoryFault("in_out_in")
"""No fault: out and in again within a day, both with their entries."""
BACK_IN_SILENCE = HistoryFault("out_in_out")
"""A bulk edit opts somebody in, and the sync out again an hour later: two nights show nothing."""
FAULTS = (
    *(HistoryFault("missing_required_field", field) for field in _REQUIRED),
    HistoryFault("broken_chain"),
    HistoryFault("unparsable"),
    HistoryFault("unparsable", "cut"),
    HistoryFault("change_without_entry"),
    HistoryFault("phantom"),
    HistoryFault("no_history"),
    TOLD_AND_BACK,
    BACK_IN_SILENCE,
)
"""Rule 7's kinds of gap, and what is told by feeds alone."""
_NEEDS_A_NIGHT_BEFORE = frozenset({"change_without_entry"})
PER_DAY = 3
"""How many are planted on a later day."""


class TrailFaults:
    """Plants them, day by day."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._turn = 0

    def plant(self, day: Day, arrivals: Iterator[Resident]) -> None:
        """This day's."""
        first = day.night.number == 1
        for _ in range(len(FAULTS) if first else PER_DAY):
            fault = FAULTS[self._turn % len(FAULTS)]
            self._turn += 1
            if not (first and fault.kind in _NEEDS_A_NIGHT_BEFORE):
                self._play(fault, day, arrivals)

    def _play(self, fault: HistoryFault, day: Day, arrivals: Iterator[Resident]) -> None:
        life = self._life
        if fault.kind == "no_history":
            self._arrive_bare(next(r for r in arrivals if r.wish_says_no_more()), day, fault)
            return
        wants = {"phantom": has_unset, BACK_IN_SILENCE.kind: can_come_back}
        r = life.pick(day, wants.get(fault.kind, life.is_in_something))
        if r is None:
            return
        r.is_frozen = True
        at = life.when(day)
        if fault.kind == "phantom":
            self._phantom(r, at, fault)
        elif fault is TOLD_AND_BACK:
            category = life.subscribed(r)
            life.script.out(r, HUB, category, at, _CENTRE)
            life.script.into(r, HUB, category, at + timedelta(hours=2), _CENTRE)
        elif fault is BACK_IN_SILENCE:
            category = _first(r.wish, State.OPTED_OUT)
            life.script.silent(r, HUB, category, at)
            life.script.out(r, HUB, category, at + timedelta(hours=1), Source.SYNC)
        else:
            life.change_mind(r, life.subscribed(r), at, _CENTRE, fault)

    def _phantom(self, r: Resident, at: datetime, fault: HistoryFault) -> None:
        """An entry of an import that never changed anything."""
        category = _first(r.wish, State.NOT_SET)
        self._life.script.do(
            r, HUB, What.IN, at, category=category, source=Source.IMPORT, fault=fault
        )

    def _arrive_bare(self, r: Resident, day: Day, fault: HistoryFault) -> None:
        """Somebody is imported with preferences of which nobody wrote a history."""
        at = self._life.when(day)
        self._life.script.record(r, at, fault=fault)
        for i, system in enumerate(ESPS, 1):
            self._life.script.add(r, system, at + timedelta(minutes=i))
        self._life.residents.append(r)
        r.is_frozen = True


def _first(wish: Mapping[str, State], state: State) -> str:
    return next(category for category, each in wish.items() if each is state)
