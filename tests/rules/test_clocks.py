"""Deadlines: the worked dates of the compliance sheet, and what helpers must never do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import given
from hypothesis import strategies as st

from optout.rules.clocks import (
    add_business_days,
    add_calendar_months,
    add_years,
    business_days_between,
    days_off,
    end_of,
    legal_date,
    local_date,
    next_business_day,
    strict_date,
)
from optout.rules.countries import country_code
from optout.rules.regimes import builtin_regimes

RULES = {rule.key: rule for rule in builtin_regimes().rules}
US = RULES["can_spam.opt_out_honoured"]
CA = RULES["casl.unsubscribe_given_effect"]
AU = RULES["au_spam.unsubscribe_honoured"]
EU = RULES["gdpr.objection_answered"]
UK = RULES["uk_pecr.objection_answered"]
FRIDAY = date(2026, 11, 20)
BEFORE_CHRISTMAS = date(2026, 12, 18)
DAYS = st.dates(date(2020, 1, 1), date(2040, 1, 1))


@pytest.mark.parametrize(
    ("rule", "start", "strict", "legal"),
    [
        (US, FRIDAY, date(2026, 12, 4), date(2026, 12, 7)),  # Thanksgiving
        (US, BEFORE_CHRISTMAS, date(2027, 1, 1), date(2027, 1, 5)),
        (CA, BEFORE_CHRISTMAS, date(2027, 1, 1), date(2027, 1, 6)),  # Boxing Day observed on Monday
        (CA, FRIDAY, date(2026, 12, 4), date(2026, 12, 4)),
        (AU, FRIDAY, date(2026, 11, 26), date(2026, 11, 27)),  # the request day is day 1, or is not
        (AU, date(2026, 11, 21), date(2026, 11, 27), date(2026, 11, 27)),  # a Saturday is no day 1
        (AU, date(2026, 12, 23), date(2026, 12, 29), date(2026, 12, 31)),  # Christmas Day
        (US, date(2026, 11, 21), date(2026, 12, 4), date(2026, 12, 7)),  # asked on a Saturday
        (US, date(2026, 11, 22), date(2026, 12, 4), date(2026, 12, 7)),  # or a Sunday
        (US, date(2026, 8, 31), date(2026, 9, 14), date(2026, 9, 15)),  # Labor Day
    ],
)
def test_business_days_end_on_the_worked_dates(rule, start, strict, legal):
    """A deadline that is a day late makes an unlawful send look lawful."""
    assert strict_date(rule, start) == strict
    assert legal_date(rule, start, days_off(rule.calendar_of(None), start)) == legal


@pytest.mark.parametrize(
    ("rule", "country", "start", "legal"),
    [
        (UK, "GB", date(2026, 11, 20), date(2026, 12, 21)),  # 20 December is a Sunday
        (UK, "GB", date(2026, 11, 25), date(2026, 12, 29)),  # Christmas, Boxing Day observed Monday
        (UK, "GB", date(2027, 1, 31), date(2027, 3, 1)),  # no 31 February; the 28th is a Sunday
        (EU, "DE", date(2026, 9, 1), date(2026, 10, 1)),
        (EU, "DE", date(2026, 9, 3), date(2026, 10, 5)),  # Unity Day on a Saturday
        (EU, None, date(2026, 11, 25), date(2026, 12, 25)),  # unknown country: no holidays credited
    ],
)
def test_a_month_ends_on_the_corresponding_date_or_the_next_working_day(
    rule, country, start, legal
):
    """The answer to an objection is due a day earlier or later than people think."""
    assert legal_date(rule, start, days_off(rule.calendar_of(country), start)) == legal


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        (date(2027, 1, 31), 1, date(2027, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2026, 8, 31), 6, date(2027, 2, 28)),
        (date(2026, 12, 15), 1, date(2027, 1, 15)),
    ],
)
def test_a_month_without_the_day_ends_on_its_last(start, months, end):
    """31 January and a month is no day in March."""
    assert add_calendar_months(start, months) == end


def test_two_years_from_a_leap_day_end_on_the_28th():
    """A consent must not live a day longer because it began on 29 February."""
    assert add_years(date(2024, 2, 29), 2) == date(2026, 2, 28)
    assert add_years(date(2024, 2, 29), 4) == date(2028, 2, 29)


@given(DAYS, st.integers(0, 60))
def test_months_agree_with_dateutil(start, count):
    """A second implementation of calendar arithmetic, by others."""
    assert add_calendar_months(start, count) == start + relativedelta(months=count)


@given(DAYS, st.integers(1, 40), st.sets(DAYS, max_size=5))
def test_business_days_are_counted_one_by_one(start, count, holidays):
    """The nth business day has n business days behind it, and is one itself."""
    end = add_business_days(start, count, holidays)
    between = [start + timedelta(days=i) for i in range(1, (end - start).days + 1)]
    assert sum(d.weekday() < 5 and d not in holidays for d in between) == count
    assert end.weekday() < 5 and end not in holidays
    assert add_business_days(start, count) <= end
    assert business_days_between(start, add_business_days(start, count)) == count


@given(DAYS, DAYS)
def test_days_left_count_both_ways(first, last):
    """What is overdue by three days must not look as if three were left."""
    slow = sum((first + timedelta(days=i)).weekday() < 5 for i in range(1, (last - first).days + 1))
    if last >= first:
        assert business_days_between(first, last) == slow
    else:
        assert business_days_between(first, last) == -business_days_between(last, first)


@given(st.sampled_from([r for r in RULES.values() if r.kind == "opt_out" and not r.is_elapsed]),
       DAYS, st.sampled_from((None, "US", "CA", "DE", "GB", "AU")))  # fmt: skip
def test_the_strict_deadline_is_never_after_the_legal_one(rule, start, country):
    """Otherwise something could be a breach of the law and none of the report."""
    assert strict_date(rule, start) <= legal_date(
        rule, start, days_off(rule.calendar_of(country), start)
    )


def test_dates_are_local_and_end_with_the_local_day():
    """At 23:30 in New York it is tomorrow in UTC: a deadline counted there would be a day late."""
    zone = ZoneInfo("America/New_York")
    moment = datetime(2026, 11, 21, 4, 30, tzinfo=UTC)
    assert local_date(moment, zone) == FRIDAY
    assert end_of(date(2026, 12, 4), zone) == datetime(2026, 12, 5, 5, tzinfo=UTC)
    assert end_of(date(2026, 10, 31), zone) == datetime(2026, 11, 1, 4, tzinfo=UTC)  # summer time


def test_a_weekend_is_rolled_on_and_a_working_day_is_not():
    """Rolling a working day would give a day away."""
    assert next_business_day(date(2026, 11, 21)) == date(2026, 11, 23)
    assert next_business_day(FRIDAY) == FRIDAY


def test_no_calendar_means_no_credit():
    """A country that the library does not know must not stop the night, nor gain days."""
    assert days_off("ZZ", FRIDAY) == frozenset()
    assert days_off(None, FRIDAY) == frozenset()


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ("Canada", "CA"), ("CANADA", "CA"), ("ca", "CA"), ("can", "CA"), ("U.S.A.", "US"),
        ("United States of America", "US"), ("uk", "GB"), ("England", "GB"), ("Österreich", "AT"),
        ("the Netherlands", "NL"), ("Côte", None), ("Atlantis", None), ("XX", None), ("", None),
        (None, None), ("  germany ", "DE"), ("Deutschland", "DE"),
    ],
)  # fmt: skip
def test_a_country_is_understood_or_stays_unknown(told, code):
    """A wrong guess takes a person's protection away; a missed one only tightens it."""
    assert country_code(told, builtin_regimes().countries) == code
