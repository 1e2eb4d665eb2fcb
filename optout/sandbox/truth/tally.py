"""What follows from the deeds besides drift: sends after opt-outs, processing times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple

from optout.model import PERSONAL_SOURCES, Source
from optout.sandbox.truth.holding import Holding
from optout.sandbox.truth.holding_hub import HubHolding
from optout.sandbox.truth.words import Said, first_standing_at
from optout.sandbox.world.deeds import HUB, Deed, Sent, What


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
    """One opt-out that a person made, and when each system stopped mailing (None: not yet, or it
    mailed again before any read could see that it had)."""

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
        self._last_read: datetime | None = None

    def tell(self, deed: Deed, hub: HubHolding, esps: Mapping[str, Holding]) -> None:
        """Take in a deed after it was applied."""
        if deed.what is What.OUT and deed.source in PERSONAL_SOURCES and _is_kept(deed):
            one = Processing(deed.who, deed.category, deed.system, deed.source, deed.at,
                             deed.done_at, {HUB: None, **dict.fromkeys(esps)})  # fmt: skip
            self.all.append(one)
            self._open.setdefault(deed.who, []).append(one)
        for one in self._open.get(deed.who, ()):
            chosen = self._categories if one.category is None else (one.category,)
            for system, since in one.effective_at.items():
                if system == HUB:
                    done = not hub.knows or all(hub.shows_out(c) for c in chosen)
                else:
                    done = all(esps[system].blocks(c) for c in chosen)
                if not done:
                    if since is None or self._last_read is None or since > self._last_read:
                        one.effective_at[system] = None
                elif since is None:
                    one.effective_at[system] = deed.done_at

    def read(self, at: datetime) -> None:
        """A night's read: what stopped before it has stopped; mail that comes back later is a new
        fault, and no longer this request's."""
        self._last_read = at
        self._open = {
            who: still
            for who, each in self._open.items()
            if (still := [one for one in each if one.is_open()])
        }


def _is_kept(deed: Deed) -> bool:
    return deed.fault is None or deed.fault.kind != "phantom"
