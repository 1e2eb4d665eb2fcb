"""The statistics of spikes: exact tails, what a baseline teaches, one budget, nothing missed."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import betabinom

from optout.rules.detection import GUARD, WINDOWS, DetectionRules
from optout.rules.scanners import Rush, is_scanner
from optout.rules.spikes import Nights, judge, least_that_fires, with_echoes
from optout.rules.spikes_baseline import SPREADS, learn
from optout.rules.spikes_tail import no_event, upper_tail

RULES = DetectionRules()
HISTORY = RULES.baseline_nights + GUARD


def nights(opt_outs, deliveries=5000, *, complete=None, teaches=None):
    counts = np.atleast_2d(np.asarray(opt_outs, dtype=float))
    size = np.broadcast_to(np.asarray(deliveries, dtype=float), counts.shape).copy()
    weekday = np.tile(np.arange(counts.shape[1]) % 7, (len(counts), 1))
    complete = np.ones(counts.shape, bool) if complete is None else complete
    return Nights(counts, size, weekday, complete, complete if teaches is None else teaches)


def quiet(series=20, *, tonight=10, rate=0.002, deliveries=5000, seed=1):
    """A usual past of `HISTORY` nights, then a night with that many opt-outs."""
    rng = np.random.default_rng(seed)
    past = rng.binomial(deliveries, rate, (series, HISTORY))
    return np.concatenate([past, np.full((series, 1), tonight)], axis=1).astype(float)


def tail(count, size, mean, correlation):
    """The slow and obvious sum."""
    weight = 1 / correlation - 1
    law = betabinom(size, mean * weight, (1 - mean) * weight)
    return law.pmf(np.arange(count, size + 1)).sum()


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(1, 3000),
    mean=st.floats(1e-4, 0.2),
    correlation=st.floats(1e-6, 0.05),
    where=st.floats(0, 1),
)
def test_the_tail_is_that_of_the_beta_binomial_law(size, mean, correlation, where):
    """A tail that is wrong by a factor makes the budget of false pages a guess."""
    count = round(where * min(size, 4 * size * mean + 10))
    weight = 1 / correlation - 1
    expected = tail(count, size, mean, correlation)
    assert upper_tail(count, size, mean, correlation) == pytest.approx(
        expected, rel=1e-5, abs=1e-12
    )
    none = betabinom.pmf(0, size, mean * weight, (1 - mean) * weight)
    assert no_event(size, mean, correlation) == pytest.approx(none, rel=1e-5, abs=1e-300)


def test_far_tails_keep_their_precision():
    """One minus a sum would end at zero where the budget is divided among many series."""
    exact = sum(comb(50, k) * 0.01**k * 0.99 ** (50 - k) for k in range(20, 51))
    assert upper_tail(20, 50, 0.01, 1e-12) == pytest.approx(exact, rel=1e-3)
    assert upper_tail(51, 50, 0.01, 0.01) == 0
    assert upper_tail(0, 50, 0.01, 0.01) == 1
    assert upper_tail(50, 50, 0.01, 1e-12) == pytest.approx(1e-100, rel=1e-2)


def test_a_sum_of_many_terms_is_as_exact_as_a_short_one():
    """Large systems need thousands of terms; a chunk that ends too early would cut the tail."""
    for count in (900, 4500):
        expected = tail(count, 1_000_000, 0.002, 1e-3)
        assert upper_tail(count, 1_000_000, 0.002, 1e-3) == pytest.approx(expected, rel=1e-5)


def test_nights_that_differ_by_chance_alone_are_told_from_those_that_differ_more():
    """Without it either quiet series are blind, or lively ones page all the time."""
    rng = np.random.default_rng(4)
    size = np.full((20, 90), 30_000.0)
    weekday = np.tile(np.arange(90) % 7, (20, 1))
    for spread, low, high in ((0.0, 0.0, 0.05), (0.2, 0.17, 0.23)):
        chance = 0.002 * (rng.gamma(25, 1 / 25, size.shape) if spread else 1.0)
        learnt = learn(
            rng.binomial(30_000, chance * np.ones(size.shape)).astype(float), size, weekday
        )
        typical = (learnt.weights * np.array(SPREADS)).sum(axis=1)
        assert low <= np.median(typical) <= high


def test_a_weekday_pattern_is_learnt_and_chance_is_not_taken_for_one():
    """A Monday like every Monday would page every week."""
    rng = np.random.default_rng(5)
    weekday = np.tile(np.arange(90) % 7, (20, 1))
    size = np.full((20, 90), 30_000.0)
    pattern = np.where(weekday == 0, 2.0, 1.0)
    learnt = learn(rng.binomial(30_000, 0.002 * pattern).astype(float), size, weekday)
    assert learnt.factors[:, 0] / learnt.factors[:, 3] == pytest.approx(2.0, rel=0.2)
    plain = learn(rng.binomial(30_000, 0.002, size.shape).astype(float), size, weekday)
    assert np.abs(plain.factors - 1).mean() < 0.02


def test_a_short_baseline_makes_the_prediction_wider():
    """A rate learnt from few nights would be taken for the truth."""
    data = quiet(1, deliveries=5000)[:, :90]
    weekday = np.zeros((1, 90), dtype=np.int64)
    size = np.full((1, 90), 5000.0)
    night = (np.array([[5000.0]]), np.array([[0]]))
    wide = learn(data[:, :20], size[:, :20], weekday[:, :20]).predict(*night)
    narrow = learn(data, size, weekday).predict(*night)
    assert wide.correlation[0, 0] > 3 * narrow.correlation[0, 0]


@pytest.mark.parametrize(
    ("tonight", "deliveries", "fires"),
    [(36, 5000, True), (14, 5000, False), (5, 400, False)],
    ids=["spike", "below the least effect", "below the least volume"],
)
def test_a_night_fires_only_where_all_conditions_hold(tonight, deliveries, fires):
    """Significance alone pages for trifles, size alone for chance."""
    found = judge(nights(quiet(tonight=tonight), deliveries), RULES)
    assert found.tests[0].fires.tolist() == [fires] * 20


def test_the_least_effect_holds_however_significant_a_rise_is():
    """At a million deliveries every trifle is significant."""
    data = quiet(tonight=2800, deliveries=1_000_000)
    assert not judge(nights(data, 1_000_000), RULES).pages.any()
    data[:, -1] = 3300
    assert judge(nights(data, 1_000_000), RULES).pages.all()


def test_the_least_count_that_fires_fires_and_one_less_does_not():
    """The limit that people are shown would not be the one that is used."""
    data = quiet(5)
    limit = least_that_fires(judge(nights(data), RULES).tests[0], RULES)
    data[:, -1] = limit
    assert judge(nights(data), RULES).tests[0].fires.all()
    data[:, -1] = limit - 1
    assert not judge(nights(data), RULES).tests[0].fires.any()


def test_incomplete_nights_are_in_no_sum_and_an_incomplete_tonight_is_not_judged():
    """Half a night would be a drop, or hide a rise."""
    data = quiet(2)
    complete = np.ones(data.shape, bool)
    data[:, -2] = 500
    complete[:, -2] = False
    found = judge(nights(data, complete=complete), RULES)
    assert not found.pages.any()
    assert (found.tests[1].prediction.size == 15_000).all()
    complete[:, -1] = False
    assert not judge(nights(data, complete=complete), RULES).tests[0].is_tested.any()


def test_only_nights_that_teach_are_learnt_from():
    """Flagged nights would raise the limit for the next spike."""
    data = quiet(2)
    data[:, 10:30] = 200
    teaches = np.ones(data.shape, bool)
    teaches[:, 10:30] = False
    found = judge(nights(data, teaches=teaches), RULES)
    assert found.tests[0].prediction.expected == pytest.approx(10, rel=0.2)
    assert (found.baseline.nights == 71).all()


def test_the_fortnight_under_test_teaches_nothing():
    """A rise would make itself normal."""
    data = quiet(2)
    before = judge(nights(data), RULES).baseline.opt_outs
    data[:, -GUARD:] = 300
    assert (judge(nights(data), RULES).baseline.opt_outs == before).all()


def test_too_few_nights_to_learn_from_judge_nothing():
    """A limit from a week of nights is no limit."""
    data = quiet(2)
    teaches = np.zeros(data.shape, bool)
    teaches[:, :19] = True
    found = judge(nights(data, teaches=teaches), RULES)
    assert not any(test.is_tested.any() for test in found.tests)
    teaches[:, 19] = True
    assert judge(nights(data, teaches=teaches), RULES).tests[0].is_tested.all()


def test_silence_is_a_dead_feed_as_soon_as_chance_cannot_explain_it():
    """Nobody complains of an unsubscribe link that does nothing."""
    found = judge(nights(quiet(tonight=0, deliveries=30_000), 30_000), RULES)
    assert (found.dead_nights == 1).all()
    data = quiet(tonight=0)
    assert not judge(nights(data), RULES).pages.any()
    data[:, -4:] = 0
    assert (judge(nights(data), RULES).dead_nights == 4).all()


def test_what_comes_after_a_mailing_belongs_to_its_night():
    """Opt-outs of Monday after mail on Sunday would lower the rate and page in the sum."""
    data = np.array([[9.0, 30, 2, 1, 4, 50]])
    sent = np.array([[5000.0, 6000, 0, 100, 0, 4000]])
    complete = np.ones(data.shape, bool)
    found = with_echoes(nights(data, sent, complete=complete))
    assert found.opt_outs.tolist() == [[9, 37, 0, 0, 0, 50]]
    assert found.deliveries.tolist() == [[5000, 6100, 0, 0, 0, 4000]]
    complete[0, 1] = False
    kept = with_echoes(nights(data, sent, complete=complete))
    assert kept.opt_outs.sum() == data.sum()
    assert kept.opt_outs[0, 1] == 30


def test_mail_at_weekends_only_is_judged_on_its_nights():
    """A company that mails twice a week would never be judged, or page every Monday."""
    rng = np.random.default_rng(6)
    day = (np.arange(HISTORY + 1) - HISTORY) % 7
    sent = np.tile(np.where(day >= 5, 20_000.0, 0.0), (20, 1))
    sent[:, -1] = 20_000
    data = rng.binomial(sent.astype(int), 0.0016) + np.where(day == 0, 8, 0)
    data[:, -1] = 40
    assert not judge(nights(data, sent), RULES).pages.any()
    data[:, -1] = 90
    assert judge(nights(data, sent), RULES).tests[0].fires.all()


def test_more_series_get_a_smaller_part_of_the_budget():
    """Twice the series would mean twice the false pages."""
    few = judge(nights(quiet()), RULES)
    many = judge(nights(quiet()), DetectionRules(series=200))
    for one, other in zip(few.tests, many.tests, strict=True):
        assert (other.alpha < 0.2 * one.alpha).all()
    assert sum(WINDOWS) == 19


def test_what_was_seen_tonight_does_not_change_the_limit():
    """A limit that follows the count cannot hold a budget."""
    calm, wild = (judge(nights(quiet(tonight=n)), RULES) for n in (3, 300))
    for one, other in zip(calm.tests, wild.tests, strict=True):
        assert (one.alpha == other.alpha).all()
        assert (one.prediction.expected == other.prediction.expected).all()


@pytest.mark.parametrize(
    ("rush", "opt_outs", "threshold", "expected"),
    [
        (Rush("firm.example", 40, 41), 50, 26, True),
        (Rush(None, 40, 40), 50, 26, True),
        (Rush("firm.example", 40, 80), 90, 26, False),
        (Rush("firm.example", 9, 9), 30, 26, False),
        (Rush("firm.example", 20, 20), 60, 26, False),
    ],
    ids=["scanner", "unnamed", "people too", "too few", "a spike without them"],
)
def test_a_spike_is_automatic_only_if_one_domain_explains_it(rush, opt_outs, threshold, expected):
    """A bad campaign with some scanners in it would not page."""
    assert is_scanner(rush, opt_outs=opt_outs, threshold=threshold) is expected
