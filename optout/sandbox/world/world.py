"""The seeded world: a hub, four ESPs, their people, and what is true of them on every night.

    world = World(Plan(people=200, seed=7))       # stands at night 1
    with Sandbox(world.twins.values()) as sandbox:
        ...read night 1...; world.truth(1)
        world.advance()                           # night 2

The same plan gives the same world, byte for byte. Nothing here asks a twin anything: the twins
are told what happened, and so is the oracle.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

from optout.model import State
from optout.sandbox.acts import Twin
from optout.sandbox.hubspot.twin import HubSpotTwin
from optout.sandbox.klaviyo.twin import KlaviyoTwin
from optout.sandbox.mailchimp.twin import MailchimpTwin
from optout.sandbox.sendgrid.twin import SendGridTwin
from optout.sandbox.truth.oracle import Oracle
from optout.sandbox.truth.shapes import Truth
from optout.sandbox.world.deeds import ESPS, HUB, HUBSPOT, KLAVIYO, MAILCHIMP, SENDGRID, Deed, Sent
from optout.sandbox.world.drift import (
    OLD_OPT_OUTS,
    OLD_PLOT,
    PLOTS,
    Plot,
    Scene,
    all_instances,
    category_of,
    fits,
)
from optout.sandbox.world.life import Life, Rates
from optout.sandbox.world.nights import Day, Night, night
from optout.sandbox.world.people import Resident, people
from optout.sandbox.world.script import Script
from optout.sandbox.world.stage import Stage
from optout.sandbox.zendesk_sell.twin import ZendeskSellTwin

CATEGORIES = ("product_updates", "educational", "promotional", "events")
_HISTORY = timedelta(days=700)
_MEND = 0.3
"""The share of the carriers of a fault that the company mends in a night."""
_REOPEN = 0.15
"""The share of the mended that come apart again in a night."""


@dataclass(frozen=True)
class Plan:
    """What kind of world."""

    people: int = 200
    """Known to all systems before the first day; the carriers of planted faults are among them,
    but for those who arrive with one."""
    seed: int = 1
    categories: tuple[str, ...] = CATEGORIES
    first_night: date = date(2026, 9, 1)
    drift: int = 1
    """Instances of every fault and ESP on the first night; 0: a world without drift."""
    drift_per_night: int = 6
    """Instances, picked by turns, on every later night."""
    campaign_size: int = 200
    """How many people a campaign is meant for, besides the carriers of faults."""
    rates: Rates = field(default_factory=Rates)
    is_documented: bool = False
    """Whether the company can show everybody's consent; those of purchases lapse all the same."""


Befalls = Callable[[Life, Day, list[Sent]], None]
"""What happens on a day besides ordinary life, once its mail is out; to that (the last argument) it
may add."""


class World:
    """The world of a plan, standing at a night; `advance` moves it to the next."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.twins = _twins(plan)
        hub = self.twins[HUB]
        if not isinstance(hub, ZendeskSellTwin):
            raise TypeError("the hub must be Sell")
        self._stage = Stage(self.twins, hub)
        self._script = Script(plan.categories, _random(plan, "script"))
        self._life = Life(self._script, _random(plan, "life"), plan.rates)
        self._rng = _random(plan, "drift")
        self._people = people(
            _random(plan, "people"), plan.categories, plan.first_night,
            is_documented=plan.is_documented,
        )  # fmt: skip
        self._carriers: list[Resident] = []
        self._turn = 0
        self._days: list[tuple[Night, list[Deed], list[Sent]]] = []
        self._oracle = Oracle(plan.categories)
        self._truths: list[Truth] = []
        with _without_collection():
            self._settle()
            self.advance()

    # --- what tests ask ---------------------------------------------------------------------------
    @property
    def night(self) -> Night:
        """Where the world stands: the cut-off, and when it is to be read."""
        return self._days[-1][0]

    @property
    def tokens(self) -> Mapping[str, str]:
        """System → its credential."""
        return {system: twin.token for system, twin in self.twins.items()}

    def truth(self, number: int | None = None) -> Truth:
        """What a perfect reader of every night up to this one (default: the present) finds."""
        wanted = self.night.number if number is None else number
        if not 1 <= wanted <= self.night.number:
            raise ValueError(f"the world stands at night {self.night.number}")
        with _without_collection():
            while len(self._truths) < wanted:
                self._truths.append(self._oracle.step(*self._days[len(self._truths)]))
        return self._truths[wanted - 1]

    def deeds(self, number: int) -> list[Deed]:
        """Everything that happened on the day before a night (the first: since the beginning)."""
        return list(self._days[number - 1][1])

    def sent(self, number: int) -> list[Sent]:
        """The mailings of that day."""
        return list(self._days[number - 1][2])

    # --- time -------------------------------------------------------------------------------------
    def advance(self, befalls: Befalls | None = None) -> Night:
        """One day of life, up to the next night's read; the twins hold what came of it."""
        number = len(self._days) + 1
        day = Day(night(self.plan.first_night, number))
        life, script = self._life, self._script
        if number > 1:
            self._mend(day)
        self._plant(day)
        life.morning(day, self._people)
        sent = life.mail(day, self.plan.campaign_size, self._carriers)
        if befalls is not None:
            befalls(life, day, sent)
        life.afternoon(day, sent)
        deeds = script.take()
        self._stage.perform(deeds, sent, day.night.read_at)
        self._days.append((day.night, deeds, sent))
        return day.night

    def _settle(self) -> None:
        """The years before the first day; they are part of the first day's deeds."""
        day = Day(night(self.plan.first_night, 1))
        end = day.morning - timedelta(days=4)
        for _ in range(self.plan.people):
            self._life.settle(next(self._people), end - _HISTORY, end)

    def _plant(self, day: Day) -> None:
        instances = list(all_instances(PLOTS, day.night.number))
        if not self.plan.drift:
            return
        if day.night.number == 1:
            for plot, esp in instances * self.plan.drift:
                self._play(plot, esp, day)
            for i, days in enumerate(OLD_OPT_OUTS * self.plan.drift):
                self._play_old(i % len(ESPS), day, timedelta(days=days))
            return
        late = [(p, e) for p, e in instances if p.from_night == day.night.number]
        self._rng.shuffle(instances)
        for plot, esp in late + instances[: self.plan.drift_per_night]:
            self._play(plot, esp, day)

    def _play(self, plot: Plot, esp: str, day: Day) -> None:
        """Let one fault happen to somebody, if there is anybody to whom it can."""
        self._turn += 1
        categories = self.plan.categories
        if plot.needs == "new":
            r: Resident | None = next(r for r in self._people if r.wish_says_no_more())
        else:
            r = self._life.pick(day, fits(plot, categories))
        if r is None:
            return
        category = category_of(plot, r, categories, self._turn)
        r.role = plot.name
        r.last_act = day.night.number
        at = day.morning + timedelta(minutes=70 + self._rng.randint(0, 240))
        plot.recipe(Scene(self._script, r, esp, category, at))
        self._carriers.append(r)

    def _play_old(self, number: int, day: Day, ago: timedelta) -> None:
        """An opt-out of weeks ago, of the category that the ESP mails on the first day."""
        esp = ESPS[number]
        category = self._life.category_of_the_day(day, number)
        wanted = fits(OLD_PLOT, self.plan.categories)
        r = self._life.pick(day, lambda r: wanted(r) and r.wish[category] is State.OPTED_IN)
        if r is None:
            return
        r.role, r.last_act = OLD_PLOT.name, day.night.number
        at = day.morning + timedelta(minutes=70 + self._rng.randint(0, 240)) - ago
        OLD_PLOT.recipe(Scene(self._script, r, esp, category, at))
        self._carriers.append(r)

    def _mend(self, day: Day) -> None:
        """Some faults are mended, and some of those come back."""
        at = day.morning + timedelta(minutes=5)
        for r in self._carriers:
            if r.last_act >= day.night.number - 1 or r.role.startswith("hub_forgets_"):
                continue
            if not r.is_mended and self._rng.random() < _MEND:
                self._script.reconcile(r, at)
                r.is_mended, r.last_act = True, day.night.number
            elif r.is_mended and self._rng.random() < _REOPEN:
                self._reopen(r, day)

    def _reopen(self, r: Resident, day: Day) -> None:
        """An import makes somebody mailable again who should not be."""
        out = [c for c in self.plan.categories if r.wants_out(c)]
        if not out or not self._script.is_in(HUB, r.who):
            return
        esp = self._rng.choice((MAILCHIMP, SENDGRID, KLAVIYO, HUBSPOT))
        at = day.morning + timedelta(minutes=30)
        self._script.silent(r, esp, None if r.is_out else out[0], at)
        r.is_mended, r.last_act = False, day.night.number


@contextmanager
def _without_collection() -> Iterator[None]:
    """Looking for garbage among a million objects that all stay takes half of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _random(plan: Plan, purpose: str) -> Random:
    """A source of its own for each purpose, so that more of one thing changes no other."""
    return Random(f"{plan.seed}/{purpose}")  # noqa: S311


def _twins(plan: Plan) -> dict[str, Twin]:
    """One account of each vendor with a token in the vendor's form."""

    def token(vendor: str) -> str:
        return f"{_random(plan, 'token of ' + vendor).getrandbits(256):064x}"

    def rng(vendor: str) -> Random:
        return _random(plan, vendor)

    given = plan.categories
    return {
        HUB: ZendeskSellTwin(given, token=token(HUB), rng=rng(HUB)),
        MAILCHIMP: MailchimpTwin(given, token=f"{token(MAILCHIMP)[:32]}-us1", rng=rng(MAILCHIMP)),
        SENDGRID: SendGridTwin(given, token=f"SG.{token(SENDGRID)}", rng=rng(SENDGRID)),
        KLAVIYO: KlaviyoTwin(given, token=f"pk_{token(KLAVIYO)[:34]}", rng=rng(KLAVIYO)),
        HUBSPOT: HubSpotTwin(given, token=f"pat-{token(HUBSPOT)[:36]}", rng=rng(HUBSPOT)),
    }
