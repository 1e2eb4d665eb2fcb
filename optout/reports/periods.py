"""Which days a report is about, and what its folder is called."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

_MONTHS = 3


class Span(StrEnum):
    """How long a period is."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"


@dataclass(frozen=True)
class Period:
    """Days from `since` to `until`, both included."""

    name: str
    since: date
    until: date

    def __contains__(self, day: date) -> bool:
        return self.since <= day <= self.until


def period_of(span: Span, day: date) -> Period:
    """The period in which a day lies; weeks are those of ISO 8601 and begin on Monday."""
    if span is Span.DAY:
        return Period(day.isoformat(), day, day)
    if span is Span.WEEK:
        year, week, weekday = day.isocalendar()
        first = day - timedelta(days=weekday - 1)
        return Period(f"{year}-W{week:02d}", first, first + timedelta(days=6))
    if span is Span.MONTH:
        first = day.replace(day=1)
        return Period(f"{first:%Y-%m}", first, _next(first, 1) - timedelta(days=1))
    quarter = (day.month - 1) // _MONTHS
    first = date(day.year, quarter * _MONTHS + 1, 1)
    return Period(f"{day.year}-Q{quarter + 1}", first, _next(first, _MONTHS) - timedelta(days=1))


def _next(first: date, months: int) -> date:
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    return date(year, month + 1, 1)
