"""Writes the deeds of a day, and how the company's own sync carries changes between systems.

The script keeps a shadow of what each system holds, by the same model as the oracle's, to know
whom a campaign reaches and what a sync would find to change.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

from optout.model import Actual, Source, State
from optout.sandbox.acts import HistoryFault
from optout.sandbox.truth.holding import Holding
from optout.sandbox.truth.holding_hub import HubHolding
from optout.sandbox.truth.holding_mailchimp import HOLDINGS
from optout.sandbox.world.deeds import ESPS, HUB, HUBSPOT, KLAVIYO, MAILCHIMP, Deed, What
from optout.sandbox.world.people import Resident


class Script:
    """Deeds in the making. Times are cut to whole seconds, as most vendors keep them."""

    def __init__(self, categories: Sequence[str], rng: Random) -> None:
        self.categories = tuple(categories)
        self.rng = rng
        self.deeds: list[Deed] = []
        self._hub: dict[str, HubHolding] = {}
        self._esps: dict[tuple[str, str], Holding] = {}
        self._next_record = 1

    def take(self) -> list[Deed]:
        """The deeds written so far, in the order of time."""
        deeds, self.deeds = self.deeds, []
        return sorted(deeds, key=lambda deed: deed.done_at)

    # --- the shadow -----------------------------------------------------------------------------
    def hub(self, who: str) -> HubHolding:
        """What the hub has of a person."""
        return self._hub.setdefault(who, HubHolding())

    def esp(self, system: str, who: str) -> Holding:
        """What an ESP has of a person."""
        key = (system, who)
        if key not in self._esps:
            self._esps[key] = HOLDINGS[system](self.categories)
        return self._esps[key]

    def mails(self, system: str, who: str, category: str) -> bool:
        """Whether a campaign of this ESP reaches the person."""
        return not self.esp(system, who).blocks(category)

    def is_in(self, system: str, who: str) -> bool:
        """Whether the system knows the person."""
        if system == HUB:
            return self.hub(who).knows
        return self.esp(system, who).actual(self.categories[0]) is not Actual.ABSENT

    # --- single deeds ---------------------------------------------------------------------------
    def do(self, r: Resident, system: str, what: What, at: datetime, **more: Any) -> None:
        """Write one deed and keep the shadow."""
        at = at.replace(microsecond=0)
        deed = Deed(at, system, what, r.who, r.typed[system], **more)
        self.deeds.append(deed)
        if what is What.MOVE:
            self._move(deed)
        elif system == HUB:
            self.hub(r.who).tell(deed)
        else:
            self.esp(system, r.who).tell(deed)

    def _move(self, deed: Deed) -> None:
        if deed.system == HUB:
            self._hub[deed.new_who] = self._hub.pop(deed.who, HubHolding())
        else:
            self.esp(deed.system, deed.who).move_to(self.esp(deed.system, deed.new_who))

    def record(
        self, r: Resident, at: datetime, *, is_lead: bool = False,
        fault: HistoryFault | None = None,
    ) -> None:  # fmt: skip
        """The hub gets a contact or lead with the wished states."""
        number = self._next_record
        self._next_record += 1
        r.records.append(number)
        states = {c: s for c, s in r.wish.items() if s is State.OPTED_IN}
        self.do(
            r, HUB, What.RECORD, at, states=states, record=number, is_lead=is_lead,
            first_name=r.first_name, last_name=r.last_name, country=r.country,
            governance=r.governance, fault=fault,
        )  # fmt: skip

    def add(self, r: Resident, system: str, at: datetime) -> None:
        """An ESP gets to know the person."""
        states = {c: State.OPTED_OUT if r.wants_out(c) else state for c, state in r.wish.items()}
        self.do(
            r, system, What.ADD, at, states=states, source=Source.IMPORT,
            first_name=r.first_name, last_name=r.last_name, country=r.country,
        )  # fmt: skip

    def out(
        self, r: Resident, system: str, category: str | None, at: datetime, source: Source,
        *, campaign: str | None = None, fault: HistoryFault | None = None,
        record: int | None = None, recorded_at: datetime | None = None,
    ) -> None:  # fmt: skip
        """An opt-out in one system."""
        r.was_ever_out = True
        if recorded_at is not None:
            recorded_at = recorded_at.replace(microsecond=0)
        self.do(
            r, system, What.OUT, at, category=category, source=source, campaign=campaign,
            fault=fault, record=record, recorded_at=recorded_at,
        )  # fmt: skip

    def into(
        self, r: Resident, system: str, category: str | None, at: datetime, source: Source
    ) -> None:
        """An opt-in in one system."""
        self.do(r, system, What.IN, at, category=category, source=source)

    def silent(self, r: Resident, system: str, category: str | None, at: datetime) -> None:
        """Mailable again without an act of the person."""
        self.do(r, system, What.SILENT, at, category=category, source=Source.IMPORT)

    # --- the company's sync ----------------------------------------------------------------------
    def copy_out(
        self, r: Resident, category: str | None, at: datetime, *, origin: str,
        skip: Collection[str] = (),
    ) -> None:  # fmt: skip
        """Carry an opt-out to every other system, as far as it changes something there."""
        for system in self._others(r, origin, skip):
            if (
                category is not None
                and system in (MAILCHIMP, KLAVIYO)
                and not self.mails(system, r.who, category)
            ):
                continue  # nothing to take back there; and to Klaviyo it would mean everything
            at = self._later(at)
            self.out(r, system, category, at, Source.SYNC)

    def copy_in(
        self, r: Resident, category: str | None, at: datetime, *, origin: str,
        skip: Collection[str] = (),
    ) -> None:  # fmt: skip
        """Carry a wished opt-in to every other system; None: a release of everything."""
        wished = [c for c in self.categories if r.wish[c] is State.OPTED_IN]
        for system in self._others(r, origin, skip):
            at = self._later(at)
            if category is not None:
                self.into(r, system, category, at, Source.SYNC)
            elif system == KLAVIYO:
                for each in wished:
                    self.into(r, system, each, at, Source.SYNC)
            else:
                self.into(r, system, None, at, Source.SYNC)
                self._take_back(r, system, at)

    def _take_back(self, r: Resident, system: str, at: datetime) -> None:
        """A release of everything subscribes to more than was wished."""
        if system not in (HUBSPOT, MAILCHIMP):
            return
        for category in self.categories:
            if r.wish[category] is State.OPTED_OUT:
                self.out(r, system, category, at, Source.SYNC)

    def _others(self, r: Resident, origin: str, skip: Collection[str]) -> list[str]:
        places = (HUB, *ESPS)
        return [s for s in places if s != origin and s not in skip and self.is_in(s, r.who)]

    def _later(self, at: datetime) -> datetime:
        """The next system is told a little later."""
        return at + timedelta(seconds=self.rng.randint(20, 240))

    def reconcile(self, r: Resident, at: datetime) -> None:
        """The company mends: every system is brought to what the person wants."""
        if not self.is_in(HUB, r.who):
            for system in ESPS:
                if self.is_in(system, r.who):
                    self.do(r, system, What.DELETE, at)
            return
        for system in (HUB, *ESPS):
            at = self._later(at)
            if not self.is_in(system, r.who):
                self.add(r, system, at)
                continue
            if system == MAILCHIMP and not r.is_out and self._left_mailchimp(r.who):
                self.silent(r, system, None, at)  # unarchived, with every interest
            for category in self.categories:
                self._mend_cell(r, system, category, at)

    def _left_mailchimp(self, who: str) -> bool:
        holding = self.esp(MAILCHIMP, who)
        return any(word.category is None for c in self.categories for word in holding.held(c))

    def _mend_cell(self, r: Resident, system: str, category: str, at: datetime) -> None:
        if system == HUB:
            hub = self.hub(r.who)
            if r.wants_out(category) and (not hub.shows_out(category) or hub.conflicts(category)):
                self.out(r, HUB, category, at, Source.SYNC)
            elif hub.is_unclear(category):
                self.into(r, HUB, category, at, Source.SYNC)
            return
        reached = self.mails(system, r.who, category)
        if r.wants_out(category) and reached:
            self.out(r, system, category, at, Source.SYNC)
        elif r.wish[category] is State.OPTED_IN and not r.is_out and not reached:
            self.silent(r, system, category, at)
