"""Who said what, and what of it stands: rule 3 of the design over plain lists.

Slow and literal on purpose: it is the second implementation against which the product's own is
held, and shares nothing with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from optout.sandbox.truth.holding import Word

SIMULTANEOUS = timedelta(minutes=15)
"""Within this time an opt-out and an opt-in are simultaneous, and the opt-out wins."""

Shows = Callable[[str, str], bool]
"""(system, category) → whether that system itself still shows the category opted out."""


@dataclass(frozen=True)
class Yes:
    """An opt-in that the person made; None releases everything."""

    system: str
    category: str | None
    at: datetime


@dataclass
class Said:
    """All that one person is known to have said."""

    outs: list[Word] = field(default_factory=list)
    yeses: list[Yes] = field(default_factory=list)

    def known(self) -> list[Word]:
        """The opt-outs that somebody can know of: read, or told by a feed."""
        return [word for word in self.outs if word.high is not None]


def covers(yes: Yes, word: Word, shows: Shows) -> bool:
    """Whether an opt-in is of equal or wider scope than an opt-out.

    A release of everything also lifts the category opt-outs of the other systems, but not of a
    category that the releasing system itself still shows opted out: the person left it standing.
    """
    if yes.category is not None:
        return yes.category == word.category
    if word.category is None:
        return True
    return word.system != yes.system and not shows(yes.system, word.category)


def is_lifted(word: Word, yeses: Sequence[Yes], shows: Shows) -> bool:
    """Whether the person took the opt-out back, for certain later."""
    if word.high is None:
        return False
    end = word.high + SIMULTANEOUS
    return any(yes.at > end and covers(yes, word, shows) for yes in yeses)


def is_time_unknown(word: Word, yeses: Sequence[Yes], shows: Shows) -> bool:
    """Whether an opt-in falls into the time within which the opt-out can have come about."""
    if word.high is None or is_lifted(word, yeses, shows) or word.low == word.high:
        return False
    begin = None if word.low is None else word.low - SIMULTANEOUS
    return any(covers(yes, word, shows) and (begin is None or yes.at >= begin) for yes in yeses)


def standing(said: Said, category: str, shows: Shows) -> list[Word]:
    """The known opt-outs of a category, or of everything, that stand."""
    return [
        word for word in said.known()
        if word.category in (None, category) and not is_lifted(word, said.yeses, shows)
    ]  # fmt: skip


def first_standing_at(said: Said, category: str, at: datetime) -> Word | None:
    """The earliest opt-out that stood at a moment, by the true times; None if there was none."""
    found = [
        word for word in said.known()
        if word.category in (None, category) and word.at < at
        and not any(
            word.at + SIMULTANEOUS < yes.at < at
            and (yes.category == word.category or yes.category is None)
            for yes in said.yeses
        )
    ]  # fmt: skip
    return min(found, key=lambda word: word.at, default=None)
