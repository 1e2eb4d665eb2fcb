"""The world's calendar: one day of life, then one night's read, over and over.

A day begins after a read and ends well before the next cut-off, so that no act falls between a
cut-off and its read. Mail goes out at noon; what must have happened before it happens in the
morning, what follows from it in the afternoon.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

CUTOFF = time(2, 0)
"""UTC; the default of `[schedule] at`."""
READ_AFTER = timedelta(minutes=5)


@dataclass(frozen=True)
class Night:
    """One night's clock: the cut-off, and the moment of the read."""

    number: int
    """From 1."""
    date: date
    cutoff: datetime
    read_at: datetime


@dataclass(frozen=True)
class Day:
    """The time between two nights, in which people and companies act."""

    night: Night
    """The night that will see it first."""

    @property
    def morning(self) -> datetime:
        """Acts begin."""
        return self.night.cutoff - timedelta(hours=22)

    @property
    def noon(self) -> datetime:
        """Mail goes out."""
        return self.night.cutoff - timedelta(hours=14)

    @property
    def afternoon(self) -> datetime:
        """People react to the mail."""
        return self.noon + timedelta(minutes=30)

    @property
    def evening(self) -> datetime:
        """The last acts; syncs have until the cut-off."""
        return self.night.cutoff - timedelta(hours=6)


def night(first: date, number: int) -> Night:
    """The nth night (from 1) of a calendar that begins with the night of `first`."""
    day = first + timedelta(days=number - 1)
    cutoff = datetime.combine(day, CUTOFF, UTC)
    return Night(number, day, cutoff, cutoff + READ_AFTER)
