"""The faults that are planted: each recipe makes one person's preference come apart.

A recipe tells a little story that happens in real companies. What drift it comes to, in which
systems and categories, is not said here: the oracle works that out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from optout.model import Source, State
from optout.sandbox.world.deeds import ESPS, HUB, HUBSPOT, KLAVIYO, MAILCHIMP, SENDGRID, What
from optout.sandbox.world.people import Resident
from optout.sandbox.world.script import Script

_CENTRE = Source.PREFERENCE_CENTER
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Scene:
    """Who, in which ESP, of what category, and when."""

    script: Script
    r: Resident
    esp: str
    category: str
    at: datetime

    def change_mind(self, *, skip: tuple[str, ...] = ()) -> None:
        """The person opts out of the category in the hub; the sync forgets `skip`."""
        self.r.wish[self.category] = State.OPTED_OUT
        self.script.out(self.r, HUB, self.category, self.at, _CENTRE)
        self.script.copy_out(self.r, self.category, self.at, origin=HUB, skip=skip)

    def leave(self, *, skip: tuple[str, ...] = ()) -> None:
        """The person opts out of everything in the hub."""
        self.r.is_out = True
        self.script.out(self.r, HUB, None, self.at, Source.SUPPORT_REQUEST)
        self.script.copy_out(self.r, None, self.at, origin=HUB, skip=skip)


def sync_misses_category(s: Scene) -> None:
    """An opt-out of a category never reaches one ESP."""
    s.change_mind(skip=(s.esp,))


def sync_misses_everything(s: Scene) -> None:
    """An opt-out of everything never reaches one ESP."""
    s.leave(skip=(s.esp,))


def import_revives(s: Scene) -> None:
    """An opt-out arrived in the ESP, and an import made the person mailable again."""
    s.change_mind()
    s.script.silent(s.r, s.esp, s.category, s.at + _HOUR)


def link_is_not_carried(s: Scene) -> None:
    """An opt-out by the ESP's own link stays there."""
    s.r.wish[s.category] = State.OPTED_OUT
    s.script.out(s.r, s.esp, s.category, s.at, Source.EMAIL_LINK)


def link_out_of_all_is_not_carried(s: Scene) -> None:
    """An opt-out of everything by the ESP's own link stays there."""
    s.r.is_out = True
    s.script.out(s.r, s.esp, None, s.at, Source.EMAIL_LINK)


def bulk_edit_overwrites(s: Scene) -> None:
    """The hub's field is overwritten by a bulk edit after everybody was told."""
    s.change_mind()
    s.script.silent(s.r, HUB, s.category, s.at + _HOUR)


def import_overwrites(s: Scene) -> None:
    """An import opts the person in again, in the hub with an entry and in one ESP."""
    s.change_mind()
    s.script.into(s.r, HUB, s.category, s.at + _HOUR, Source.IMPORT)
    s.script.silent(s.r, s.esp, s.category, s.at + _HOUR)


def return_is_not_carried(s: Scene) -> None:
    """Somebody who had opted out comes back in the hub; one ESP never hears of it."""
    s.r.wish[s.category] = State.OPTED_IN
    s.script.into(s.r, HUB, s.category, s.at, _CENTRE)
    s.script.copy_in(s.r, s.category, s.at, origin=HUB, skip=(s.esp,))


def release_is_not_carried(s: Scene) -> None:
    """Somebody who had left everything comes back; one ESP never hears of it."""
    s.r.is_out = False
    s.script.into(s.r, HUB, None, s.at, _CENTRE)
    s.script.copy_in(s.r, None, s.at, origin=HUB, skip=(s.esp,))


def hub_forgets(s: Scene) -> None:
    """The contact is deleted in the hub only."""
    s.script.do(s.r, HUB, What.DELETE, s.at)


def hub_forgets_an_opt_out(s: Scene) -> None:
    """Somebody opts out, everybody is told, and the hub loses the contact."""
    s.change_mind()
    s.script.do(s.r, HUB, What.DELETE, s.at + _HOUR)


def lead_disagrees(s: Scene) -> None:
    """The same person is a contact who said yes and a lead who said no; the ESPs heard the no."""
    r = s.r
    s.script.record(r, s.at - _HOUR, is_lead=True)
    r.wish[s.category] = State.OPTED_OUT
    s.script.out(r, HUB, s.category, s.at, _CENTRE, record=r.records[-1])
    s.script.copy_out(r, s.category, s.at, origin=HUB)


def at_the_same_time(s: Scene) -> None:
    """An opt-out in the hub, and ten minutes later a yes on HubSpot's page."""
    s.change_mind(skip=(HUBSPOT,))
    s.script.into(s.r, HUBSPOT, s.category, s.at + timedelta(minutes=10), _CENTRE)


def undated_opt_out(s: Scene) -> None:
    """Somebody leaves and comes back within the morning; the same day an agent switches the
    interest off in Mailchimp, which keeps no time of it: which was last, nobody can tell."""
    s.change_mind(skip=(MAILCHIMP,))
    back = s.at + _HOUR
    s.script.into(s.r, HUB, s.category, back, _CENTRE)
    s.script.copy_in(s.r, s.category, back, origin=HUB, skip=(MAILCHIMP,))
    s.script.out(s.r, MAILCHIMP, s.category, back + _HOUR, Source.API)


def klaviyo_goes_global(s: Scene) -> None:
    """The sync unsubscribes a profile from a list that it is not on: Klaviyo stops everything."""
    s.change_mind(skip=(KLAVIYO,))
    s.script.out(s.r, KLAVIYO, s.category, s.at + _HOUR, Source.SYNC)
    s.r.is_out = True  # what must be assumed


def category_after_all(s: Scene) -> None:
    """Somebody who left everything says yes to one category: that lifts nothing."""
    s.leave()
    s.script.into(s.r, HUB, s.category, s.at + _HOUR, _CENTRE)


def unknown_word(s: Scene) -> None:
    """Somebody extends the hub's drop-down."""
    s.script.do(s.r, HUB, What.GARBLE, s.at, category=s.category)
    s.r.wish[s.category] = State.OPTED_IN


def never_told(s: Scene) -> None:
    """The person is added everywhere but in one ESP; happens on arrival."""
    s.script.record(s.r, s.at)
    for system in ESPS:
        if system != s.esp:
            s.script.add(s.r, system, s.at)


def stranger(s: Scene) -> None:
    """Somebody imported into one ESP whom the hub never heard of; happens on arrival."""
    s.script.add(s.r, s.esp, s.at)


Recipe = Callable[[Scene], None]


@dataclass(frozen=True)
class Plot:
    """A recipe with whom it can happen to and where."""

    recipe: Recipe
    needs: str
    """in: opted into the category; out: opted out of it earlier; left: of everything; unset: never
    asked; new: not yet known anywhere; all: opted into all categories."""
    esps: tuple[str, ...] = ESPS
    """One instance for each; `("",)`: one that is of no ESP."""
    from_night: int = 1

    @property
    def name(self) -> str:
        """The recipe's name: a resident's role."""
        return self.recipe.__name__


_ANY = ("",)
PLOTS: tuple[Plot, ...] = (
    Plot(sync_misses_category, "in"),
    Plot(sync_misses_everything, "in"),
    Plot(import_revives, "in"),
    Plot(link_is_not_carried, "in"),
    Plot(link_out_of_all_is_not_carried, "all"),
    Plot(bulk_edit_overwrites, "in", _ANY),
    Plot(import_overwrites, "in"),
    Plot(release_is_not_carried, "left"),
    Plot(return_is_not_carried, "out", (SENDGRID, KLAVIYO, HUBSPOT)),
    Plot(return_is_not_carried, "out", (MAILCHIMP,), from_night=2),
    Plot(hub_forgets, "in", _ANY),
    Plot(hub_forgets_an_opt_out, "in", _ANY, from_night=2),
    Plot(lead_disagrees, "in", _ANY),
    Plot(at_the_same_time, "in", _ANY),
    Plot(undated_opt_out, "in", _ANY),
    Plot(klaviyo_goes_global, "unset", _ANY),
    Plot(category_after_all, "unset", _ANY),
    Plot(unknown_word, "in", _ANY),
    Plot(never_told, "new"),
    Plot(stranger, "new"),
)
"""Why some come later: an opt-out without a stamp, read for the first time, could be younger than
any opt-in before it (`return_is_not_carried`); and only a comparison of nights knows that an
interest once was true (`hub_forgets_an_opt_out`)."""
OLD_PLOT = Plot(sync_misses_category, "in")
OLD_OPT_OUTS = (1, 2, 3, 5, 7, 9, 11, 12, 13, 14, 15, 16, 17, 20, 31, 34)
"""So many days before the first one lie opt-outs that one ESP never heard of: its mail of that day
falls before, on and after every deadline, across weekends and whatever holidays there are."""


def fits(plot: Plot, categories: tuple[str, ...]) -> Callable[[Resident], bool]:
    """Who can play in a plot."""

    def check(r: Resident) -> bool:
        return bool(_category(plot.needs, r, categories))

    return check


def category_of(plot: Plot, r: Resident, categories: tuple[str, ...], turn: int) -> str:
    """The category that the plot is about; `turn` varies it."""
    found = _category(plot.needs, r, categories)
    return found[turn % len(found)]


def _category(needs: str, r: Resident, categories: tuple[str, ...]) -> list[str]:
    if needs == "left":
        is_left = r.is_out and r.wish_says_no_more()
        return list(categories) if is_left else []
    if r.is_out:
        return []
    states: Mapping[str, State] = {
        "in": State.OPTED_IN, "out": State.OPTED_OUT, "unset": State.NOT_SET, "all": State.OPTED_IN,
    }  # fmt: skip
    found = [c for c in categories if r.wish[c] is states.get(needs, State.OPTED_IN)]
    if needs in ("in", "unset", "all") and r.was_ever_out:
        return []
    if needs == "all" and len(found) < len(categories):
        return []
    if needs == "out" and State.OPTED_IN not in r.wish.values():
        return []
    return found


def all_instances(plots: tuple[Plot, ...], night: int) -> Iterator[tuple[Plot, str]]:
    """Every plot that can happen by a night, with each of its ESPs."""
    for plot in plots:
        if night >= plot.from_night:
            for esp in plot.esps:
                yield plot, esp
