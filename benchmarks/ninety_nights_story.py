"""What goes wrong in ninety nights of a small company: incidents for pages, alerts and reports.

Each incident is an act on the seeded world, so that its truth knows of it as well; what vendors
themselves do wrong is a fault of the sandbox, and a night on which nothing ran is one as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from optout.model import Source, State
from optout.sandbox.acts import HistoryFault
from optout.sandbox.faults import Fault, FaultKind
from optout.sandbox.world.deeds import HUB, HUBSPOT, KLAVIYO, MAILCHIMP, SENDGRID, Sent, What
from optout.sandbox.world.drift import Plot, Scene, category_of, fits, link_is_not_carried
from optout.sandbox.world.life import Life, Rates
from optout.sandbox.world.nights import Day
from optout.sandbox.world.people import Resident
from optout.sandbox.world.world import Plan

PLAN = Plan(
    people=160,
    seed=20_260_901,
    drift=0,
    campaign_size=110,
    rates=Rates(is_crowded=False, complaint=0.00003, bounce=0.0001),
    is_documented=True,
)
"""A company that keeps its house in order, until something happens."""
POLICY = """
[policy.detection]
minimum_deliveries = 20
minimum_excess = 5

[policy.clocks]
complaint_minimum = 100

[policy.audience]
unengaged_days = 45
"""
"""Thresholds for so small a company: by the usual ones everything would be too little to tell."""

Incident = Callable[[Life, Day, Sequence[Sent]], None]


@dataclass(frozen=True)
class Step:
    """What is out of the ordinary on one night."""

    told: str
    incident: Incident | None = None
    fault: Fault | None = None
    """What a vendor does wrong that night."""
    is_run: bool = True


def _sync_stops(life: Life, day: Day, sent: Sequence[Sent], *, esp: str, people: int) -> None:
    """Opt-outs in the hub that never reach one ESP."""
    for scene in _scenes(life, day, esp, people, f"sync stopped for {esp}"):
        scene.change_mind(skip=(esp,))


def _links_stay(life: Life, day: Day, sent: Sequence[Sent], *, esp: str, people: int) -> None:
    """Opt-outs by an ESP's own link of which the hub never hears."""
    for scene in _scenes(life, day, esp, people, f"links of {esp} are not carried"):
        link_is_not_carried(scene)


def _mend(life: Life, day: Day, sent: Sequence[Sent], *, esp: str) -> None:
    """Everybody for whom something came apart in an ESP is brought to what they want."""
    for r in [r for r in life.residents if r.role.endswith(_of(esp))]:
        life.script.reconcile(r, day.morning + timedelta(hours=1))
        r.role = ""


def _mass_move(life: Life, day: Day, sent: Sequence[Sent], *, esp: str) -> None:
    """An import of an old list makes everybody mailable again who ever left."""
    at = day.afternoon + timedelta(hours=1)
    for r in life.residents:
        out = [c for c in life.script.categories if r.wants_out(c)]
        if not out or r.role or r.is_frozen or not life.script.is_in(esp, r.who):
            continue
        life.script.silent(r, esp, None if r.is_out else out[0], at)
        r.role = f"revived{_of(esp)}"


def _spike(life: Life, day: Day, sent: Sequence[Sent], *, esp: str, share: float) -> None:
    """A mailing that many leave at once, within half an hour."""
    [mailing] = [each for each in sent if each.system == esp]
    reached = set(mailing.who)
    free = [r for r in life.residents if r.who in reached and not r.role and r.wish_is_plain()]
    category = mailing.mailing.category or life.script.categories[0]
    for number, r in enumerate(free[: round(share * len(reached))]):
        at = day.afternoon + timedelta(seconds=50 * number)
        r.wish[category], r.last_act = State.OPTED_OUT, day.night.number
        life.script.out(r, esp, category, at, Source.EMAIL_LINK, campaign=mailing.mailing.id)
        life.script.copy_out(r, category, at, origin=esp)


def _complaints(life: Life, day: Day, sent: Sequence[Sent], *, esp: str, people: int) -> None:
    """A mailing that several people report as spam."""
    [mailing] = [each for each in sent if each.system == esp]
    by_who = {r.who: r for r in life.residents if not r.role and not r.is_frozen}
    for r in [by_who[who] for who in mailing.who if who in by_who][:people]:
        r.is_frozen = True
        life.script.do(
            r, esp, What.COMPLAIN, day.afternoon + timedelta(minutes=r.id % 60),
            category=mailing.mailing.category, campaign=mailing.mailing.id,
        )  # fmt: skip


def _no_entries(life: Life, day: Day, sent: Sequence[Sent], *, people: int) -> None:
    """A new preference form that writes no history."""
    for scene in _scenes(life, day, "", people, ""):
        life.change_mind(
            scene.r, scene.category, scene.at, Source.PREFERENCE_CENTER,
            HistoryFault("change_without_entry"),
        )  # fmt: skip


def _undecided(life: Life, day: Day, sent: Sequence[Sent]) -> None:
    """One person, out and in again by turns."""
    found = next((r for r in life.residents if r.role == "undecided"), None)
    if found is None:
        for scene in _scenes(life, day, "", 1, "undecided"):
            scene.change_mind()
            scene.r.role = "undecided"
        return
    category = next(c for c in life.script.categories if found.wish[c] is not State.NOT_SET)
    at = day.morning + timedelta(hours=5)
    if found.wish[category] is State.OPTED_OUT:
        found.wish[category] = State.OPTED_IN
        life.script.into(found, HUB, category, at, Source.PREFERENCE_CENTER)
        life.script.copy_in(found, category, at, origin=HUB)
    else:
        life.change_mind(found, category, at, Source.PREFERENCE_CENTER)


def _scenes(life: Life, day: Day, esp: str, people: int, role: str) -> Iterator[Scene]:
    """So many free people who said yes to something, each with one category of it."""
    plot = Plot(link_is_not_carried, "in")
    categories = life.script.categories
    for number in range(people):
        r: Resident | None = life.pick(day, fits(plot, categories))
        if r is None:
            return
        r.role = f"{role}{_of(esp)}" if esp else ""
        at: datetime = day.morning + timedelta(hours=2, minutes=7 * number)
        yield Scene(life.script, r, esp, category_of(plot, r, categories, number), at)


def _of(esp: str) -> str:
    return f" / {esp}"


def _down(vendor: str) -> Fault:
    return Fault(FaultKind.UNAVAILABLE, vendor, times=None)


STORY: Mapping[int, Step] = {
    12: Step("Klaviyo is down", fault=_down(KLAVIYO)),
    13: Step("Klaviyo is still down", fault=_down(KLAVIYO)),
    24: Step(
        "the sync to Mailchimp stops", partial(_sync_stops, esp=MAILCHIMP, people=5)
    ),
    26: Step(
        "opt-outs still do not arrive in Mailchimp",
        partial(_sync_stops, esp=MAILCHIMP, people=2),
    ),
    29: Step("Mailchimp is mended", partial(_mend, esp=MAILCHIMP)),
    38: Step("an import into SendGrid revives everybody", partial(_mass_move, esp=SENDGRID)),
    41: Step("the import is undone", partial(_mend, esp=SENDGRID)),
    47: Step("a mailing that many leave", partial(_spike, esp=KLAVIYO, share=0.3)),
    55: Step("a form without history", partial(_no_entries, people=4)),
    62: Step("HubSpot's links are not carried", partial(_links_stay, esp=HUBSPOT, people=3)),
    66: Step("HubSpot is mended", partial(_mend, esp=HUBSPOT)),
    70: Step("complaints", partial(_complaints, esp=MAILCHIMP, people=3)),
    78: Step("the machine is off", is_run=False),
    **{n: Step("somebody changes their mind again", _undecided) for n in range(80, 86)},
    86: Step(
        "SendGrid's log of sends cannot be read",
        fault=Fault(FaultKind.UNAVAILABLE, SENDGRID, endpoint="/v3/logs", times=None),
    ),
    87: Step("the sync to HubSpot stops", partial(_sync_stops, esp=HUBSPOT, people=3)),
    89: Step("SendGrid's links are not carried", partial(_links_stay, esp=SENDGRID, people=1)),
}  # fmt: skip
"""Night → what happened on the day before it, or to it."""
QUIET = Step("")
