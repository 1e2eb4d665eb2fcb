"""A company of sixty people whose systems agree, until something happens to them: for stories.

Its hub and two of its ESPs are the sandbox's twins, read by the real nights over HTTP. Nobody acts
by himself, so that every notice follows from what the story says.

    with Company(tmp_path) as company:
        company.night()                                   # the first one: all is well
        company.night(lambda day: day.opt_out(range(3), skip=MAILCHIMP))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Self

import orjson

from optout.alerts.service import Alerting
from optout.model import Source, State
from optout.project import Project
from optout.sandbox.acts import Governance, HistoryFault, Mailing
from optout.sandbox.faults import Fault, FaultKind
from optout.sandbox.world.deeds import HUB, MAILCHIMP, SENDGRID, Sent, What
from optout.sandbox.world.life import Life, Rates
from optout.sandbox.world.nights import Day
from optout.sandbox.world.people import Resident, people
from optout.sandbox.world.script import Script
from optout.sandbox.world.world import Plan
from optout.testing.nights import Bench
from optout.testing.survival import undisturbed

READ = (HUB, MAILCHIMP, SENDGRID)
"""The systems of the installation; whom the company mails is in all of them."""
PROMOTIONAL, EVENTS = "promotional", "events"
PEOPLE = 60
GONE = range(30, 52)
"""They left everything long ago."""
LAPSES = 59
"""Her consent rests on a purchase in Canada, which counts for two years."""
_START = date(2026, 9, 1)
_QUIET = Rates(**dict.fromkeys(
    ("link_out", "centre_out", "support_out", "release", "back_in", "late_out", "arrival",
     "duplicate", "departure", "new_address", "bounce", "complaint", "click"), 0.0,
), is_crowded=False)  # fmt: skip
_PLAN = Plan(
    people=0, seed=4, categories=(PROMOTIONAL, EVENTS), first_night=_START - timedelta(days=1),
    drift=0, drift_per_night=0, campaign_size=0, rates=_QUIET,
)  # fmt: skip


@dataclass(frozen=True)
class Today:
    """One day of the company: what a story may let happen. People are told by their numbers."""

    life: Life
    day: Day
    sent: list[Sent]

    @property
    def script(self) -> Script:
        """What is written down for the twins."""
        return self.life.script

    def opt_out(
        self,
        who: Iterable[int],
        *,
        skip: str = "",
        category: str = PROMOTIONAL,
        fault: HistoryFault | None = None,
    ) -> None:
        """They opt out in the hub's preference centre in the morning; the sync forgets `skip`."""
        for r, at in self._each(who, self.day.morning + timedelta(hours=2)):
            r.wish[category] = State.OPTED_OUT
            self.script.out(r, HUB, category, at, Source.PREFERENCE_CENTER, fault=fault)
            self.script.copy_out(r, category, at, origin=HUB, skip=(skip,))

    def follow_link(self, who: Iterable[int], esp: str, *, is_carried: bool) -> None:
        """They opt out by the link of an ESP's mail; only a sync carries it to the hub."""
        campaign = next((s.mailing for s in self.sent if s.system == esp), None)
        category = (campaign.category if campaign else None) or PROMOTIONAL
        for r, at in self._each(who, self.day.afternoon, apart=timedelta(minutes=1)):
            r.wish[category] = State.OPTED_OUT
            name = campaign.id if campaign else None
            self.script.out(r, esp, category, at, Source.EMAIL_LINK, campaign=name)
            if is_carried:
                self.script.copy_out(r, category, at, origin=esp)

    def revive(self, who: Iterable[int], esp: str) -> None:
        """An import of an old list, in the evening, makes people mailable again."""
        for r, at in self._each(who, self.day.afternoon + timedelta(hours=2)):
            self.script.silent(r, esp, None, at)

    def mend(self, who: Iterable[int]) -> None:
        """Early in the morning somebody brings all systems to what these people want."""
        for r, at in self._each(who, self.day.morning, apart=timedelta(seconds=1)):
            self.script.reconcile(r, at)

    def mail(self, who: Iterable[int], category: str, esp: str = MAILCHIMP) -> None:
        """A campaign at noon; it reaches those of them whom the ESP would mail."""
        number = len(self.sent)
        mailing = Mailing(
            f"{esp}-{self.day.night.number:03d}-{number}", f"News of {self.day.night.date}",
            category, self.day.noon + timedelta(minutes=number),
        )  # fmt: skip
        reached = [
            r for r in map(self._one, who) if self.script.mails(esp, r.who, category)
        ]  # fmt: skip
        typed = tuple(r.typed[esp] for r in reached)
        self.sent.append(Sent(esp, mailing, tuple(r.who for r in reached), typed))

    def complain(self, who: Iterable[int], esp: str = MAILCHIMP) -> None:
        """They report today's campaign as spam."""
        mailing = next(s.mailing for s in self.sent if s.system == esp)
        for r, at in self._each(who, self.day.afternoon):
            self.script.do(
                r, esp, What.COMPLAIN, at, category=mailing.category, campaign=mailing.id
            )

    def extend_the_drop_down(self, who: Iterable[int]) -> None:
        """Somebody adds a word to the hub's field and uses it."""
        for r, at in self._each(who, self.day.morning):
            self.script.do(r, HUB, What.GARBLE, at, category=EVENTS)

    def take_the_word_back(self, who: Iterable[int]) -> None:
        """The field says again what it said."""
        for r, at in self._each(who, self.day.morning):
            self.script.into(r, HUB, EVENTS, at, Source.PREFERENCE_CENTER)

    def _one(self, number: int) -> Resident:
        return self.life.residents[number]

    def _each(
        self, who: Iterable[int], begin: datetime, apart: timedelta = timedelta(minutes=5)
    ) -> Iterable[tuple[Resident, datetime]]:
        return ((self._one(n), begin + i * apart) for i, n in enumerate(who))


Happening = Callable[[Today], None]


def nothing(day: Today) -> None:
    """An ordinary day."""


class Company:
    """Its world, its installation, and what was told; stands before its first night."""

    def __init__(self, folder: Path, alerts: str = "") -> None:
        self.bench = Bench(folder, _PLAN)
        self._configure(alerts)
        self._told = 0
        self._is_founded = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *told: object) -> None:
        self.bench.sandbox.stop()

    @property
    def now(self) -> datetime:
        """When the present night is read."""
        return self.bench.world.night.read_at

    def night(
        self, happening: Happening = nothing, *, down: Sequence[str] = (), is_run: bool = True
    ) -> None:
        """One day with what happens on it, and the night after it; systems that are `down` answer
        nothing in that night."""

        def befalls(life: Life, day: Day, sent: list[Sent]) -> None:
            if not self._is_founded:
                _found(life, day)
                self._is_founded = True
            sent.clear()  # campaigns to nobody
            happening(Today(life, day, sent))

        self.bench.world.advance(befalls)
        faults = self.bench.sandbox.faults
        faults.clear()
        faults.plant(*(Fault(FaultKind.UNAVAILABLE, name, times=None) for name in down))
        if is_run:
            undisturbed(self.bench)

    def alerting(self, later: timedelta = timedelta()) -> Alerting:
        """The installation's alerts, at the present night's read or later; close it."""
        project = Project.open(self.bench.file, now=self.now + later, environ=self.bench.environ)
        return Alerting(project)

    def news(self) -> list[dict[str, Any]]:
        """The notices since the last call."""
        file = self.bench.project().data_dir / "alerts.jsonl"
        lines = file.read_bytes().splitlines() if file.exists() else []
        fresh, self._told = lines[self._told :], len(lines)
        return [orjson.loads(line) for line in fresh]

    def _configure(self, alerts: str) -> None:
        """An installation that reads the hub and two ESPs."""
        text = self.bench.file.read_text(encoding="utf-8")
        parts = text.split("\n\n")
        kept = [
            p for p in parts if "vendor =" not in p or any(f'vendor = "{s}"' in p for s in READ)
        ]
        self.bench.file.write_text("\n\n".join(kept).rstrip() + "\n" + alerts, encoding="utf-8")


def _found(life: Life, day: Day) -> None:
    """Everybody becomes known to the systems, long before the first night."""
    rng = Random(4)  # noqa: S311
    crowd = people(rng, _PLAN.categories, _START)
    for number in range(PEOPLE):
        r = next(crowd)
        at = day.morning - timedelta(days=500, minutes=-number)
        r.country, r.iso, r.governance = _papers(number)
        r.typed = dict.fromkeys(r.typed, r.who)
        r.wish = dict.fromkeys(_PLAN.categories, State.OPTED_IN)
        life.script.record(r, at)
        for system in READ[1:]:
            life.script.add(r, system, at + timedelta(minutes=1))
        if number in GONE:
            r.is_out = True
            left = at + timedelta(days=90)
            life.script.out(r, HUB, None, left, Source.SUPPORT_REQUEST)
            life.script.copy_out(r, None, left, origin=HUB)
        life.residents.append(r)


def _papers(number: int) -> tuple[str, str, Governance]:
    """Country, its code, and the basis of consent."""
    express = Governance("explicit", "express", date(2025, 4, 1), f"DOC-{number:03d}")
    if number != LAPSES:
        return "United States", "US", express
    bought = replace(express, method="implicit", basis="purchase", basis_date=date(2024, 9, 21))
    return "Canada", "CA", bought
