"""Dates that law and mailbox providers count: business days, months, years, and deadlines.

All dates are local dates of the named place; turning an instant into one, and a date back into the
first instant after it, is done here too. Holidays are sets of dates, so that nothing here depends
on a calendar library but `holidays_of`.
"""

from __future__ import annotations

import calendar
from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

from optout.rules.regimes import Counting, Rule, Unit

_SATURDAY = 5
_DAY = timedelta(days=1)
_CREDITED = ("public", "government", "optional", "bank")
"""Kinds of holidays that the most favourable reading takes for days off."""


def is_business_day(day: date, days_off: Collection[date] = ()) -> bool:
    """Monday to Friday, holidays aside."""
    return day.weekday() < _SATURDAY and day not in days_off


def add_business_days(start: date, count: int, days_off: Collection[date] = ()) -> date:
    """The `count`th business day after `start`, whatever day that is; 0 gives `start` itself."""
    day = start
    while count > 0:
        day += _DAY
        if is_business_day(day, days_off):
            count -= 1
    return day


def business_days_between(first: date, last: date) -> int:
    """Weekdays after `first` up to and including `last`; negative where `last` is earlier. No
    credit for holidays: the strict reading."""
    if last < first:
        return -business_days_between(last, first)
    weeks, rest = divmod((last - first).days, 7)
    return weeks * 5 + sum(
        is_business_day(first + timedelta(days=number)) for number in range(1, rest + 1)
    )


def add_calendar_months(start: date, count: int) -> date:
    """The corresponding day of a later month, or its last day if there is none."""
    year, month = divmod(start.year * 12 + start.month - 1 + count, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(start.day, last))


def add_years(start: date, count: int) -> date:
    """The corresponding day of a later year; 29 February gives 28 February."""
    return add_calendar_months(start, 12 * count)


def next_business_day(day: date, days_off: Collection[date] = ()) -> date:
    """The day itself if it is one, else the next that is."""
    while not is_business_day(day, days_off):
        day += _DAY
    return day


def strict_date(rule: Rule, start: date) -> date:
    """The last day on which no reading of a rule is broken; not for hours and elapsed days."""
    if rule.unit is Unit.BUSINESS_DAYS:
        is_day_one = rule.counting is Counting.REQUEST_DAY and is_business_day(start)
        return add_business_days(start, rule.amount - is_day_one)
    return _calendar_date(rule, start)


def legal_date(rule: Rule, start: date, days_off: Collection[date]) -> date:
    """The last day by the most favourable reading: the day after is day 1, holidays are credited,
    and a month that ends on a day off ends on the next business day."""
    if rule.unit is Unit.BUSINESS_DAYS:
        return add_business_days(start, rule.amount, days_off)
    return next_business_day(_calendar_date(rule, start), days_off)


def _calendar_date(rule: Rule, start: date) -> date:
    if rule.unit is Unit.YEARS:
        return add_years(start, rule.amount)
    if rule.unit is Unit.MONTHS:
        return add_calendar_months(start, rule.amount)
    raise ValueError(f"{rule.key} is elapsed time, not a date")


def local_date(moment: datetime, zone: ZoneInfo) -> date:
    """The date of an aware instant in a place."""
    return moment.astimezone(zone).date()


def end_of(day: date, zone: ZoneInfo) -> datetime:
    """The first instant after a local date, in UTC."""
    return datetime.combine(day + _DAY, time(), zone).astimezone(UTC)


@lru_cache(maxsize=4096)
def holidays_of(country: str, year: int) -> frozenset[date]:
    """The national holidays of a country in one year; none where the library has no calendar."""
    try:
        kinds = set(holidays.country_holidays(country).supported_categories)
    except NotImplementedError:
        return frozenset()
    wanted = tuple(kind for kind in _CREDITED if kind in kinds)
    found = holidays.country_holidays(country, years=year, categories=wanted)
    return frozenset(found)


def days_off(country: str | None, start: date) -> frozenset[date]:
    """The holidays that can matter to a deadline which begins on a day; None: no credit."""
    if country is None:
        return frozenset()
    return holidays_of(country, start.year) | holidays_of(country, start.year + 1)
