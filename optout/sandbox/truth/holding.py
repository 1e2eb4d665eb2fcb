"""How each ESP holds preferences, in plain words and without HTTP: the oracle's own model.

Mailchimp, which needs more words than the others, is in `optout.sandbox.truth.holding_mailchimp`.
`actual` is rule 8 of the design. The traps of the vendors that matter for a preference are here,
because what a system holds after a deed depends on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from optout.model import Actual, Source, State
from optout.sandbox.truth.holding_hub import HubHolding
from optout.sandbox.world.deeds import Deed, What


@dataclass
class Word:
    """An opt-out as one system holds it; `low` and `high` bound what can be known of its time."""

    system: str
    category: str | None
    at: datetime
    """When it truly came about in this system."""
    is_dated: bool
    """The vendor tells the time itself."""
    source: Source
    low: datetime | None = None
    high: datetime | None = None
    """Set when it is first read; None before."""


@dataclass
class Holding:
    """One ESP and one person."""

    categories: Sequence[str]
    present: bool = False
    yes: set[str] = field(default_factory=set)
    """Positive words: on the list, interest true, SUBSCRIBED."""
    outs: dict[str | None, Word] = field(default_factory=dict)
    blocked: bool = False
    """Undeliverable or complained: no mail, and no opt-out."""

    def tell(self, deed: Deed) -> None:
        """Take in a deed of this system and person (moves are the caller's, see `move_to`)."""
        if deed.what is What.ADD:
            self.add(deed)
        elif deed.what is What.OUT:
            self.out(deed)
        elif deed.what is What.IN:
            self.into(deed)
        elif deed.what is What.SILENT:
            self.silent(deed)
        elif deed.what is What.DELETE:
            self.delete()
        elif deed.what in (What.BOUNCE, What.COMPLAIN):
            self.clean(deed.category)

    def add(self, deed: Deed) -> None:
        """An import with states."""
        self.present = True
        for category, state in (deed.states or {}).items():
            if state is State.OPTED_IN:
                self.yes.add(category)
            elif state is State.OPTED_OUT:
                self.put(deed, category)

    def put(self, deed: Deed, category: str | None) -> None:
        """Hold an opt-out; one that is held already keeps its time."""
        is_dated = self.dates(category)
        word = Word(deed.system, category, deed.at, is_dated, deed.source)
        self.outs.setdefault(category, word)

    def dates(self, category: str | None) -> bool:
        """Whether the vendor tells when such an opt-out came about."""
        raise NotImplementedError

    def out(self, deed: Deed) -> None:
        """An opt-out of one category or of everything."""
        raise NotImplementedError

    def into(self, deed: Deed) -> None:
        """An opt-in."""
        raise NotImplementedError

    def silent(self, deed: Deed) -> None:
        """What an import lifts."""
        self.into(deed)

    def delete(self) -> None:
        """The record goes."""
        self.present = False

    def clean(self, category: str | None) -> None:
        """Bounced or complained about a mail of this category."""
        self.blocked = True

    def read(self, hub: HubHolding, low: datetime | None, high: datetime) -> None:
        """What is read tonight, between the last read (`low`) and `high`: fixes what can be known
        of the opt-outs' times."""
        for word in self.outs.values():
            if word.high is None:
                word.low, word.high = (word.at, word.at) if word.is_dated else (low, high)

    def blocks(self, category: str) -> bool:
        """Whether no mail of the category would go out, for whatever reason."""
        return self.actual(category) is not Actual.MAILABLE

    def move_to(self, other: Holding) -> None:
        """The address is edited; `other` is the holding of the new one."""
        other.present, self.present = self.present, False
        other.yes, self.yes = self.yes, set()
        other.outs, self.outs = self.outs, {}
        other.blocked, self.blocked = self.blocked, False

    def held(self, category: str) -> list[Word]:
        """The opt-outs that block a category here."""
        return [self.outs[each] for each in (None, category) if each in self.outs]

    def actual(self, category: str) -> Actual:
        """What the system would do for the cell."""
        if self.held(category):
            return Actual.OPTED_OUT
        if not self.present:
            return Actual.ABSENT
        if self.blocked or category not in self.yes:
            return Actual.NEITHER
        return Actual.MAILABLE


class SendGridHolding(Holding):
    """Stores that say no; whoever is exported and in none of them is mailable."""

    def dates(self, category: str | None) -> bool:
        """The global list has stamps, and so has the list of all groups' suppressions (the
        `created_at` of the vendor's specification; one group's own list has none)."""
        return True

    def out(self, deed: Deed) -> None:
        """Into the group or onto the global list."""
        self.put(deed, deed.category)

    def into(self, deed: Deed) -> None:
        """Out of that store, and no other."""
        self.outs.pop(deed.category, None)

    def silent(self, deed: Deed) -> None:
        """Out of the global list too, and out of all groups if it is for everything."""
        self.present = True
        self.outs.pop(None, None)
        for category in self.categories if deed.category is None else (deed.category,):
            self.outs.pop(category, None)

    def move_to(self, other: Holding) -> None:
        """The suppressions stay with the old address."""
        other.present, self.present = True, False

    def actual(self, category: str) -> Actual:
        """A suppression makes the person present, exported or not."""
        if self.held(category):
            return Actual.OPTED_OUT
        if not self.present:
            return Actual.NEITHER if self.outs else Actual.ABSENT
        return Actual.NEITHER if self.blocked else Actual.MAILABLE


_BY_MACHINE = frozenset({Source.API, Source.SYNC, Source.IMPORT})


class KlaviyoHolding(Holding):
    """Lists, suppressions of lists and of everything; subscribing erases the latter."""

    def dates(self, category: str | None) -> bool:
        """Every suppression has its stamp."""
        return True

    def out(self, deed: Deed) -> None:
        """Through the API, a list that the profile is not on means everything."""
        self.present = True
        category = deed.category
        if category is None or (deed.source in _BY_MACHINE and category not in self.yes):
            self.put(deed, None)
            return
        self.yes.discard(category)
        self.put(deed, category)

    def into(self, deed: Deed) -> None:
        """Joins the list (or all), and lifts what was for everything in any case."""
        self.present = True
        self.outs.pop(None, None)
        for category in self.categories if deed.category is None else (deed.category,):
            self.outs.pop(category, None)
            self.yes.add(category)

    def delete(self) -> None:
        """Nothing is left."""
        self.present = False
        self.yes.clear()
        self.outs.clear()


class HubSpotHolding(Holding):
    """A status per type, and one portal-wide that does not write into them."""

    def dates(self, category: str | None) -> bool:
        """Every status has its stamp."""
        return True

    def out(self, deed: Deed) -> None:
        """The type, or portal-wide."""
        if deed.category is not None:
            self.yes.discard(deed.category)
        self.put(deed, deed.category)

    def into(self, deed: Deed) -> None:
        """The type; or every type and the portal."""
        for category in self.categories if deed.category is None else (deed.category,):
            self.outs.pop(category, None)
            self.yes.add(category)
        if deed.category is None:
            self.outs.pop(None, None)

    def move_to(self, other: Holding) -> None:
        """The contact moves; what was said of the address stays with it."""
        other.present, self.present = self.present, False

    def actual(self, category: str) -> Actual:
        """What was said of an address counts with or without a contact: one that is restored, or
        made anew, is mailed by it."""
        if self.held(category):
            return Actual.OPTED_OUT
        if not self.present and not self.yes:
            return Actual.NEITHER if self.outs else Actual.ABSENT
        if self.blocked or category not in self.yes:
            return Actual.NEITHER
        return Actual.MAILABLE
