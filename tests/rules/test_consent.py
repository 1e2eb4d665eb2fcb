"""What a basis of consent is worth on a day."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optout.rules.consent import ConsentRecord, ConsentStatus, evaluate, status_of
from optout.rules.regimes import builtin_regimes

CASL = builtin_regimes().consent_rules("casl")
GDPR = builtin_regimes().consent_rules("gdpr")
TODAY = date(2026, 11, 23)


def record(basis, day=None, ref="DOC-1", method="implicit"):
    return ConsentRecord(basis, day, ref, method)


def judged(*records, rules=CASL, today=TODAY):
    return evaluate(records, rules, today)


@pytest.mark.parametrize(
    ("given_record", "status", "expires"),
    [
        (record("express", date(2015, 1, 1), method="explicit"), "ok", None),
        (record("express", date(2015, 1, 1), None, "explicit"), "not_proven", None),
        (record("express", None, method="explicit"), "not_proven", None),
        (record("express", date(2015, 1, 1), method=None), "not_proven", None),
        (record("express", date(2015, 1, 1), method="grandfathered"), "not_proven", None),
        (record("purchase", date(2025, 6, 1)), "ok", date(2027, 6, 1)),
        (record("purchase", date(2024, 2, 29)), "expired", date(2026, 2, 28)),
        (record("purchase", date(2024, 11, 23)), "expired", date(2026, 11, 23)),
        (record("purchase", date(2024, 11, 24)), "within_7", date(2026, 11, 24)),
        (record("purchase", date(2025, 1, 23)), "within_60", date(2027, 1, 23)),
        (record("purchase", date(2025, 1, 24)), "ok", date(2027, 1, 24)),
        (record("purchase", date(2024, 12, 2)), "within_30", date(2026, 12, 2)),
        (record("purchase", date(2024, 12, 1)), "within_7", date(2026, 12, 1)),
        (record("purchase", date(2025, 6, 1), None), "not_proven", None),
        (record("purchase"), "not_proven", None),
        (record("purchase", date(2027, 1, 1)), "not_proven", None),
        (record("inquiry", date(2026, 8, 31)), "ok", date(2027, 2, 28)),
        (record("inquiry", date(2026, 5, 23)), "expired", date(2026, 11, 23)),
        (record("contract"), "ok", None),
        (record("contract", ref=None), "not_proven", None),
        (record("contract", date(2025, 11, 24)), "ok", date(2027, 11, 24)),
        (record("contract", date(2027, 5, 1)), "ok", date(2029, 5, 1)),
        (record("membership", date(2024, 11, 30)), "within_7", date(2026, 11, 30)),
        (record("membership"), "ok", None),
        (record("grandfathered", date(2014, 6, 1)), "not_proven", None),
        (record(None), "not_proven", None),
        (record("hearsay", date(2026, 1, 1)), "not_proven", None),
        (record(" Purchase ", date(2025, 6, 1)), "ok", date(2027, 6, 1)),
    ],
)  # fmt: skip
def test_casl_ends_consent_by_its_basis(given_record, status, expires):
    """Express never expires, the others run from an event with a document."""
    found = judged(given_record)
    assert (found.status, found.expires_on) == (status, expires)


def test_the_last_safe_day_is_the_one_before():
    """The window is "immediately before the day" of the message: on the day itself it is over."""
    found = judged(record("purchase", date(2024, 11, 24)))
    assert found.last_safe_day == TODAY
    assert found.days_left(TODAY) == 0
    tomorrow = judged(record("purchase", date(2024, 11, 24)), today=TODAY + timedelta(days=1))
    assert tomorrow.status == ConsentStatus.EXPIRED


def test_the_best_record_of_a_person_counts():
    """A new purchase on the lead must not be hidden by an old one on the contact."""
    old, new = record("purchase", date(2020, 1, 1)), record("purchase", date(2026, 1, 1))
    assert judged(old, new) == judged(new, old) == judged(new)
    assert judged(old, record("express", date(2020, 1, 1), method="explicit")).expires_on is None
    assert judged(record("inquiry", ref=None), old).status == ConsentStatus.EXPIRED


def test_the_soft_opt_in_is_not_proven_by_a_purchase():
    """ePrivacy's exception needs facts that the hub does not hold."""
    assert judged(record("purchase", date(2026, 1, 1)), rules=GDPR).status == "not_proven"
    shown = record("express", date(2016, 1, 1), method="explicit")
    assert judged(shown, rules=GDPR).status == "ok"


@given(st.dates(date(2024, 1, 1), date(2028, 1, 1)), st.dates(date(2024, 1, 1), date(2028, 1, 1)))
def test_a_status_never_becomes_safer_with_time(expires, today):
    """A consent that comes back by itself would be mailed against."""
    order = [ConsentStatus.OK, ConsentStatus.WITHIN_60, ConsentStatus.WITHIN_30,
             ConsentStatus.WITHIN_7, ConsentStatus.EXPIRED]  # fmt: skip
    now, later = status_of(expires, today), status_of(expires, today + timedelta(days=1))
    assert order.index(now) <= order.index(later)
    assert (now is ConsentStatus.EXPIRED) == (today >= expires)
