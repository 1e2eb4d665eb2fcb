"""Ordinary life: histories before the first night, and what people do on a day.

Nobody acts twice in one day, and nobody who carries a planted fault (`optout.sandbox.world.drift`)
acts here at all. The sync works, so that hardly any drift comes of it: only Mailchimp refuses to
subscribe again whoever left it by a link.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from optout.model import Source, State
from optout.sandbox.acts import HistoryFault, Mailing
from optout.sandbox.world.deeds import ESPS, HUB, HUBSPOT, KLAVIYO, SENDGRID, SYSTEMS, Sent, What
from optout.sandbox.world.nights import Day
from optout.sandbox.world.people import (
    Resident,
    can_come_back,
    can_release,
    is_free,
    never_asked,
    never_out,
)
from optout.sandbox.world.script import Script
from optout.sandbox.world.trail import TrailFaults

_CENTRE = Source.PREFERENCE_CENTER


@dataclass(frozen=True)
class Rates:
    """How often things happen, per person and day."""

    link_out: float = 0.0015
    centre_out: float = 0.0008
    support_out: float = 0.0004
    release: float = 0.0003
    back_in: float = 0.0005
    late_out: float = 0.0003
    arrival: float = 0.002
    duplicate: float = 0.0004
    departure: float = 0.0003
    new_address: float = 0.0003
    bounce: float = 0.0003
    complaint: float = 0.0001
    click: float = 0.002
    is_crowded: bool = True
    """At least one of each happens every day, faults of the trail and of footers too, so that few
    nights show everything. False: only what the rates say, for a story of many nights."""


class Life:
    """What ordinary people do."""

    def __init__(self, script: Script, rng: Random, rates: Rates) -> None:
        self.script = script
        self.rng = rng
        self.rates = rates
        self.residents: list[Resident] = []
        self._faults = TrailFaults(self)

    # --- before the first night -----------------------------------------------------------------
    def settle(self, r: Resident, begin: datetime, end: datetime) -> None:
        """A person becomes known to all systems and lives until `end` without leaving drift."""
        rng, script = self.rng, self.script
        span = (end - begin).total_seconds()
        at = begin + timedelta(seconds=rng.uniform(0, span * 0.5))
        self.arrive(r, at)
        self.residents.append(r)
        kind = rng.random()
        category = rng.choice(script.categories)
        later = at + timedelta(seconds=rng.uniform(86_400, span * 0.2))
        if kind < 0.10:
            self.change_mind(r, category, later, rng.choice((_CENTRE, Source.SUPPORT_REQUEST)))
        elif kind < 0.14:
            self._leave(r, later, Source.SUPPORT_REQUEST)
        elif kind < 0.16:
            self.change_mind(r, category, later, _CENTRE)
            self._come_back(r, category, later + timedelta(days=rng.randint(2, 20)))
        elif kind < 0.18:
            self._leave(r, later, _CENTRE)
            if State.OPTED_IN in r.wish.values():
                self._release(r, later + timedelta(days=rng.randint(2, 20)))

    def arrive(self, r: Resident, at: datetime) -> None:
        """The hub first, the ESPs within minutes; some are contact and lead at once."""
        self.script.record(r, at)
        if self.rng.random() < 0.03:
            self.script.record(r, at + timedelta(seconds=40), is_lead=True)
        for i, system in enumerate(ESPS, 1):
            self.script.add(r, system, at + timedelta(minutes=i))

    # --- single acts, each carried to all systems -------------------------------------------------
    def change_mind(
        self, r: Resident, category: str, at: datetime, source: Source,
        fault: HistoryFault | None = None, recorded_at: datetime | None = None,
    ) -> None:  # fmt: skip
        """The person opts out of a category in the hub, and the sync carries it on."""
        r.wish[category] = State.OPTED_OUT
        self.script.out(r, HUB, category, at, source, fault=fault, recorded_at=recorded_at)
        self.script.copy_out(r, category, recorded_at or at, origin=HUB)

    def _leave(self, r: Resident, at: datetime, source: Source) -> None:
        r.is_out = True
        self.script.out(r, HUB, None, at, source)
        self.script.copy_out(r, None, at, origin=HUB)

    def _come_back(self, r: Resident, category: str, at: datetime, system: str = HUB) -> None:
        r.wish[category] = State.OPTED_IN
        self.script.into(r, system, category, at, _CENTRE)
        self.script.copy_in(r, category, at, origin=system)

    def _release(self, r: Resident, at: datetime, system: str = HUB) -> None:
        r.is_out = False
        self.script.into(r, system, None, at, _CENTRE)
        self.script.copy_in(r, None, at, origin=system)

    # --- a day -----------------------------------------------------------------------------------
    def morning(self, day: Day, arrivals: Iterator[Resident]) -> None:
        """What people do of themselves, before the mail goes out."""
        rates, script = self.rates, self.script
        for r in self._some(day, rates.centre_out, self.is_in_something):
            self.change_mind(r, self.subscribed(r), self.when(day), _CENTRE)
        for r in self._some(day, rates.support_out, self.is_in_something):
            self._leave(r, self.when(day), Source.SUPPORT_REQUEST)
        for r in self._some(day, rates.back_in, can_come_back):
            category = next(c for c in script.categories if r.wish[c] is State.OPTED_OUT)
            self._come_back(r, category, self.when(day), self.rng.choice((HUB, HUBSPOT)))
        for r in self._some(day, rates.release, can_release):
            self._release(r, self.when(day), self.rng.choice((HUB, KLAVIYO)))
        for r in self._some(day, rates.late_out, lambda r: self._rested(r, day)):
            at = self.when(day)
            acted = at - timedelta(hours=30)
            self.change_mind(r, self.subscribed(r), acted, Source.SUPPORT_REQUEST,
                              recorded_at=at)  # fmt: skip
        if rates.is_crowded:
            self._faults.plant(day, arrivals)
        self._population(day, arrivals)

    def _population(self, day: Day, arrivals: Iterator[Resident]) -> None:
        """Comings and goings. Only those whom nobody ever asked go or move: HubSpot keeps what was
        said of an address that no contact has any more, and nothing here takes it back."""
        for _ in range(self._count(self.rates.arrival)):
            r = next(arrivals)
            r.last_act = day.night.number
            self.arrive(r, self.when(day))
            self.residents.append(r)
        for r in self._some(day, self.rates.duplicate, never_out):
            self.script.record(r, self.when(day), is_lead=True)
        for r in self._some(day, self.rates.departure, never_asked):
            r.is_frozen = True
            at = self.when(day)
            for system in SYSTEMS:
                self.script.do(r, system, What.DELETE, at)
        for r in self._some(day, self.rates.new_address, never_asked):
            self._move(r, self.when(day))

    def _move(self, r: Resident, at: datetime) -> None:
        """The address is edited in the hub, and the sync carries it on."""
        new = f"moved.{r.id}@example.net"
        for system in SYSTEMS:
            self.script.do(r, system, What.MOVE, at, new_who=new, new_address=new)
        r.who, r.typed = new, dict.fromkeys(SYSTEMS, new)
        r.is_frozen = True

    # --- mail -------------------------------------------------------------------------------------
    def category_of_the_day(self, day: Day, esp: int) -> str:
        """What an ESP (by its place) mails on a day."""
        categories = self.script.categories
        return categories[(day.night.number + esp) % len(categories)]

    def mail(self, day: Day, size: int, always: Sequence[Resident]) -> list[Sent]:
        """One campaign of each ESP, of another category each day."""
        found = []
        for i, system in enumerate(ESPS):
            category = self.category_of_the_day(day, i)
            at = day.noon + timedelta(minutes=i)
            # Somebody edits the footer.
            forgets = self.rates.is_crowded and day.night.number % 4 == i
            mailing = Mailing(
                f"{system}-{day.night.number:03d}",
                f"News of day {day.night.number}",
                category,
                at,
                has_unsubscribe=not forgets or day.night.number % 3 != 0,
                has_postal_address=not forgets or day.night.number % 3 == 0,
            )
            chosen = dict.fromkeys(r.id for r in always)
            by_id = {r.id: r for r in (*always, *self._sample(size))}
            reached = [
                r for number, r in by_id.items()
                if (number in chosen or not r.is_frozen)
                and self.script.mails(system, r.who, category)
            ]  # fmt: skip
            addresses = tuple(r.typed[system] for r in reached)
            found.append(Sent(system, mailing, tuple(r.who for r in reached), addresses))
        return found

    def afternoon(self, day: Day, sent: Sequence[Sent]) -> None:
        """What people do with the mail: read on, leave, complain; some of it never arrives."""
        by_who = {r.who: r for r in self.residents}
        for each in sent:
            reached = [r for who in each.who if (r := by_who.get(who)) is not None]
            free = [r for r in reached if is_free(r, day.night.number) and r.wish_is_plain()]
            self.rng.shuffle(free)
            pool = iter(free)
            self._react(day, each, pool)

    def _react(self, day: Day, sent: Sent, pool: Iterator[Resident]) -> None:
        system, mailing = sent.system, sent.mailing
        shares = ((self.rates.bounce, What.BOUNCE), (self.rates.complaint, What.COMPLAIN),
                  (self.rates.click, What.CLICK))  # fmt: skip
        for rate, what in shares:
            for _, r in zip(range(self._count(rate)), pool, strict=False):
                r.last_act = day.night.number
                r.is_frozen = r.is_frozen or what is not What.CLICK
                self.script.do(r, system, what, self._late(day), category=mailing.category,
                               campaign=mailing.id)  # fmt: skip
        for i, r in zip(range(self._count(self.rates.link_out)), pool, strict=False):
            r.last_act = day.night.number
            category = mailing.category if i % 3 or system == SENDGRID else None
            if category is None and not all(s is State.OPTED_IN for s in r.wish.values()):
                category = mailing.category
            at = self._late(day)
            if category is None:
                r.is_out = True
            else:
                r.wish[category] = State.OPTED_OUT
            self.script.out(r, system, category, at, Source.EMAIL_LINK, campaign=mailing.id)
            self.script.copy_out(r, category, at, origin=system)

    # --- choosing ---------------------------------------------------------------------------------
    def pick(self, day: Day, fits: Callable[[Resident], bool]) -> Resident | None:
        """Somebody free who fits; nothing else will happen to him today."""
        return next(self._free(day, 1, fits), None)

    def _some(self, day: Day, rate: float, fits: Callable[[Resident], bool]) -> Iterator[Resident]:
        """As many free people as the rate says, as far as there are any."""
        return self._free(day, self._count(rate), fits)

    def _free(self, day: Day, wanted: int, fits: Callable[[Resident], bool]) -> Iterator[Resident]:
        for _ in range(20 * wanted + 200):
            if not wanted or not self.residents:
                return
            r = self.rng.choice(self.residents)
            if is_free(r, day.night.number) and fits(r):
                r.last_act = day.night.number
                wanted -= 1
                yield r

    def _count(self, rate: float) -> int:
        expected = rate * len(self.residents)
        if self.rates.is_crowded:
            return max(1, round(expected))
        whole = int(expected)
        return whole + (self.rng.random() < expected - whole)

    def _sample(self, size: int) -> list[Resident]:
        return self.rng.sample(self.residents, min(size, len(self.residents)))

    def when(self, day: Day) -> datetime:
        """A moment of the morning that leaves the sync its time before noon."""
        span = (day.noon - day.morning).total_seconds() - 3600
        return day.morning + timedelta(seconds=self.rng.uniform(0, span))

    def _late(self, day: Day) -> datetime:
        span = (day.evening - day.afternoon).total_seconds()
        return day.afternoon + timedelta(seconds=self.rng.uniform(0, span))

    def subscribed(self, r: Resident) -> str:
        """A category that the person said yes to."""
        return self.rng.choice([c for c, s in r.wish.items() if s is State.OPTED_IN])

    def is_in_something(self, r: Resident) -> bool:
        """Said yes to something, and has not left."""
        return not r.is_out and State.OPTED_IN in r.wish.values()

    def _rested(self, r: Resident, day: Day) -> bool:
        rested = not r.last_act or r.last_act < day.night.number - 3
        return rested and self.is_in_something(r)
