"""What follows from the deeds besides drift: the hub's trail, sends, processing times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple

from optout.model import PERSONAL_SOURCES, Source, State
from optout.sandbox.deeds import HUB, Deed, Sent, What
from optout.sandbox.holding import Holding
from optout.sandbox.holding_hub import HubHolding
from optout.sandbox.truth_words import Said, first_standing_at


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


class LateSend(NamedTuple):
    """A message of a category to somebody who had opted out of it, anywhere."""

    night: int
    system: str
    campaign: str
    category: str
    address: str
    opted_out_at: datetime
    opted_out_in: str
    known_from: datetime | None
    """Bounds of what can be known of that time."""
    known_by: datetime
    sent_at: datetime
    weekdays_after: int
    """Whole weekdays between the day of the opt-out and the day of the send."""


@dataclass
class Processing:
    """One opt-out that a person made, and when each system stopped mailing (None: not yet)."""

    address: str
    category: str | None
    system: str
    source: Source
    occurred_at: datetime
    received_at: datetime
    effective_at: dict[str, datetime | None] = field(default_factory=dict)

    def is_open(self) -> bool:
        """Whether some system still mails."""
        return None in self.effective_at.values()


def weekdays_between(first: date, last: date) -> int:
    """Weekdays after `first` up to and including `last`."""
    days = (first + timedelta(days=i) for i in range(1, (last - first).days + 1))
    return sum(day.weekday() < 5 for day in days)


class Trail:
    """Follows the hub's history field of every record, as Sell's twin writes it."""

    def __init__(self) -> None:
        self._last: dict[tuple[int, str | None], State | None] = {}
        """What the newest readable entry says; absent: never mentioned."""
        self._value: dict[tuple[int, str | None], State | None] = {}
        self.gaps: list[Gap] = []

    def tell(self, deed: Deed, night: int, records: Iterable[int]) -> None:
        """Take in one deed of the hub on the records that it touches."""
        for record in records:
            if deed.what is What.RECORD:
                for category, state in (deed.states or {}).items():
                    if state is not State.NOT_SET:
                        self._value[record, category] = self._last[record, category] = state
            elif deed.what in (What.OUT, What.IN, What.SILENT, What.GARBLE):
                self._gaps_of(deed, night, record)

    def _gaps_of(self, deed: Deed, night: int, record: int) -> None:
        place = (record, deed.category)
        old = self._value.get(place, _beginning(deed.category))
        new = _written(deed)
        kind = deed.fault.kind if deed.fault else None
        if kind == "phantom":
            self._last[place] = new
            self._add(deed, night, record, "phantom")
            return
        self._value[place] = new
        if old == new:
            return
        if kind == "change_without_entry" or deed.what in (What.SILENT, What.GARBLE):
            self._add(deed, night, record, "change_without_entry")
            return
        if kind is not None:
            self._add(deed, night, record, kind)
        elif self._last.get(place, _beginning(deed.category)) != old:
            self._add(deed, night, record, "broken_chain", is_consequence=True)
        self._last[place] = new

    def _add(
        self, deed: Deed, night: int, record: int, kind: str, *, is_consequence: bool = False
    ) -> None:
        missing = deed.fault.field if deed.fault else None
        if kind == "missing_required_field":
            missing = missing or "ip"
        self.gaps.append(
            Gap(night, kind, deed.who, record, deed.category, missing, deed.at, is_consequence)
        )


def _beginning(category: str | None) -> State:
    """A field that was never mentioned is false, or not_set."""
    return State.OPTED_IN if category is None else State.NOT_SET


def _written(deed: Deed) -> State | None:
    if deed.what is What.GARBLE:
        return None
    return State.OPTED_OUT if deed.what is What.OUT else State.OPTED_IN


def late_sends(sent: Sent, night: int, said: Mapping[str, Said]) -> Iterator[LateSend]:
    """The messages of one mailing that went to people who had opted out before."""
    mailing = sent.mailing
    if mailing.category is None:
        return
    for who in sent.who:
        one = said.get(who)
        word = first_standing_at(one, mailing.category, mailing.sent_at) if one else None
        if word is None or word.high is None:
            continue
        days = weekdays_between(word.at.date(), mailing.sent_at.date())
        yield LateSend(
            night, sent.system, mailing.id, mailing.category, who, word.at, word.system,
            word.low, word.high, mailing.sent_at, days,
        )  # fmt: skip


class Clock:
    """How long opt-outs take to reach every system."""

    def __init__(self, categories: tuple[str, ...]) -> None:
        self._categories = categories
        self._open: dict[str, list[Processing]] = {}
        self.all: list[Processing] = []

    def tell(self, deed: Deed, hub: HubHolding, esps: Mapping[str, Holding]) -> None:
        """Take in a deed after it was applied."""
        if deed.what is What.OUT and deed.source in PERSONAL_SOURCES and _is_kept(deed):
            one = Processing(deed.who, deed.category, deed.system, deed.source, deed.at,
                             deed.done_at, {HUB: None, **dict.fromkeys(esps)})  # fmt: skip
            self.all.append(one)
            self._open.setdefault(deed.who, []).append(one)
        still: list[Processing] = []
        for one in self._open.get(deed.who, ()):
            chosen = self._categories if one.category is None else (one.category,)
            for system, since in one.effective_at.items():
                if since is not None:
                    continue
                if system == HUB:
                    done = all(hub.shows_out(c) for c in chosen)
                else:
                    done = all(esps[system].blocks(c) for c in chosen)
                if done:
                    one.effective_at[system] = deed.done_at
            if one.is_open():
                still.append(one)
        if deed.who in self._open:
            self._open[deed.who] = still


def _is_kept(deed: Deed) -> bool:
    return deed.fault is None or deed.fault.kind != "phantom"
