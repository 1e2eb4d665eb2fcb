"""Opt-out spikes, slow rises and dead feeds (docs/detection.md).

Pure: arrays of nightly counts in, verdicts out. The question is always "did the chance of opting
out, per message delivered, rise?", and the answer may be that there is too little to tell.

Three upper tails are looked at, of tonight, of the last four nights and of the last fortnight.
The sums are a CUSUM in its V-mask form (every backward sum against its own boundary), with an
exact tail for the boundary instead of a straight arm, so that it holds at any volume and allows
for the error of the learnt baseline. All tails, and the one for a dead feed, share one budget of
false pages among all series.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from optout.rules.detection import GUARD, WINDOWS, DetectionRules
from optout.rules.spikes_baseline import Baseline, Prediction, learn
from optout.rules.spikes_tail import Floats

_SHARES = {4: 1.15, 14: 0.05}
"""Parts of the budget for the slow sums, as far as they can use them. They add up to more than one
because sums overlap: a night on which one fires mostly follows a night on which it fired, and that
is no new page. `benchmarks/detection.py` shows what they come to."""
_ALL_BUT_SUMS = 0.75
"""Of the budget, what the night has where the slow sums use nothing; the rest of it is kept for the
error of the learnt spread."""
_NIGHT_SHARE = 0.1
"""What the night keeps at least."""
_HARDLY = 0.05
_ECHO_NIGHTS = 3
"""A night with hardly any mail beside one of the nights before it brings the echo of that night."""
_DEAD_SHARE = 0.01
"""Of each of the three windows without a single opt-out: silence is told from chance so easily that
more would be wasted."""


@dataclass(frozen=True)
class Nights:
    """Series × nights, oldest first, tonight last; at least `GUARD` + 1 columns."""

    opt_outs: Floats
    deliveries: Floats
    weekday: NDArray[np.int64]
    """0 to 6."""
    is_complete: NDArray[np.bool_]
    """Whether the sources of the series were read completely that night."""
    teaches: NDArray[np.bool_]
    """Complete, and not flagged by an earlier verdict."""


@dataclass(frozen=True)
class Tail:
    """One upper tail of every series."""

    window: int
    opt_outs: Floats
    prediction: Prediction
    p_value: Floats
    """1 where not tested."""
    alpha: Floats
    is_tested: NDArray[np.bool_]
    fires: NDArray[np.bool_]


@dataclass(frozen=True)
class Verdicts:
    """What is said of each series tonight."""

    baseline: Baseline
    tests: tuple[Tail, ...]
    """In the order of `WINDOWS`."""
    dead_nights: NDArray[np.int64]
    """The least window without one opt-out where there should have been many; 0: the feed lives."""
    dead_p_value: Floats

    @property
    def pages(self) -> NDArray[np.bool_]:
        """Whether any detector fires."""
        fires = self.dead_nights > 0
        for test in self.tests:
            fires |= test.fires
        return fires


def judge(nights: Nights, rules: DetectionRules, spreads: Floats | None = None) -> Verdicts:
    """Test the last night of every series against the nights before it."""
    nights = with_echoes(nights)
    baseline = _learn(nights, rules, spreads)
    has_baseline = baseline.nights >= rules.min_baseline_nights
    can_judge = has_baseline & nights.is_complete[:, -1]
    sums = {w: _sum(nights, baseline, w) for w in WINDOWS}
    alphas = _share(sums, rules)
    tests = []
    for window in WINDOWS:
        count, prediction = sums[window]
        is_tested = can_judge & (prediction.size >= rules.min_deliveries)
        p_value = np.ones(len(count))
        matters = is_tested & (count > 0)
        if matters.any():
            p_value[matters] = _rows(prediction, matters).at_least(count[matters])
        is_large = (count >= rules.effect(window) * prediction.expected) & (
            count >= prediction.expected + rules.min_excess
        )
        fires = is_tested & is_large & (p_value <= alphas[window])
        tests.append(Tail(window, count, prediction, p_value, alphas[window], is_tested, fires))
    return Verdicts(baseline, tuple(tests), *_silence(tests, rules))


def _silence(tests: Sequence[Tail], rules: DetectionRules) -> tuple[NDArray[np.int64], Floats]:
    """The least window of each series whose silence chance cannot explain, and the chance of it."""
    chance = np.ones(len(tests[0].opt_outs))
    nights = np.zeros(len(chance), dtype=np.int64)
    for test in tests:
        none = np.where(test.is_tested & (test.opt_outs == 0), test.prediction.none(), 1.0)
        is_first = (nights == 0) & (none <= rules.alpha * _DEAD_SHARE)
        nights = np.where(is_first, test.window, nights)
        chance = np.where(is_first, none, chance)
    return nights, chance


def with_echoes(nights: Nights) -> Nights:
    """The nights, with what comes after a mailing added to the night of the mailing.

    Who is mailed on Sunday and leaves on Monday would be an opt-out without a delivery: missing in
    the rate of single nights, and too much in every sum that spans the two.
    """
    opt_outs, deliveries = nights.opt_outs.copy(), nights.deliveries.copy()
    columns = deliveries.shape[1]
    for ago in range(1, _ECHO_NIGHTS + 1):
        here, there = slice(ago, None), slice(0, columns - ago)
        both = nights.is_complete[:, here] & nights.is_complete[:, there]
        is_echo = both & (deliveries[:, here] < _HARDLY * nights.deliveries[:, there])
        for values in (opt_outs, deliveries):
            moved = np.where(is_echo, values[:, here], 0.0)
            values[:, here] -= moved
            values[:, there] += moved
    return replace(nights, opt_outs=opt_outs, deliveries=deliveries)


def least_that_fires(test: Tail, rules: DetectionRules) -> Floats:
    """The smallest count of each series that would have fired: found by halving."""
    expected = test.prediction.expected
    least = np.maximum(rules.effect(test.window) * expected, expected + rules.min_excess)
    low = np.ceil(least) - 1.0
    high = np.maximum(test.prediction.size, low + 1.0)
    for _ in range(64):
        open_ = high - low > 1.0
        if not open_.any():
            break
        middle = np.floor((low + high) / 2.0)
        enough = test.prediction.at_least(middle) <= test.alpha
        high = np.where(open_ & enough, middle, high)
        low = np.where(open_ & ~enough, middle, low)
    return high


def _learn(nights: Nights, rules: DetectionRules, spreads: Floats | None) -> Baseline:
    before = slice(0, nights.opt_outs.shape[1] - GUARD)
    usable = nights.teaches[:, before] & (nights.deliveries[:, before] > 0)
    newest = np.cumsum(usable[:, ::-1], axis=1)[:, ::-1] <= rules.baseline_nights
    deliveries = np.where(usable & newest, nights.deliveries[:, before], 0.0)
    return learn(nights.opt_outs[:, before], deliveries, nights.weekday[:, before], spreads)


def _sum(nights: Nights, baseline: Baseline, window: int) -> tuple[Floats, Prediction]:
    last = slice(nights.opt_outs.shape[1] - window, None)
    is_complete = nights.is_complete[:, last]
    count = np.where(is_complete, nights.opt_outs[:, last], 0.0).sum(axis=1)
    deliveries = np.where(is_complete, nights.deliveries[:, last], 0.0)
    return count, baseline.predict(deliveries, nights.weekday[:, last])


def _share(sums: dict[int, tuple[Floats, Prediction]], rules: DetectionRules) -> dict[int, Floats]:
    """Divide a series' budget among its tails.

    A slow sum of large volume fires by its least effect or not at all: what it cannot use of its
    share goes to the night. The shares depend on expected counts alone, never on what was seen.
    """
    alphas: dict[int, Floats] = {}
    used = np.zeros(len(sums[1][0]))
    for window, share in _SHARES.items():
        prediction = sums[window][1]
        expected = prediction.expected
        least = np.maximum(rules.effect(window) * expected, expected + rules.min_excess)
        usable = prediction.at_least(np.minimum(np.ceil(least), prediction.size))
        alphas[window] = np.minimum(share * rules.alpha, usable)
        used += alphas[window]
    rest = np.maximum(_ALL_BUT_SUMS - used / rules.alpha, _NIGHT_SHARE)
    alphas[1] = rest * rules.alpha
    return alphas


def _rows(prediction: Prediction, rows: NDArray[np.bool_]) -> Prediction:
    return Prediction(
        prediction.size[rows],
        prediction.expected[rows],
        prediction.correlation[rows],
        prediction.weights[rows],
    )


def learn_spreads(nights: Nights, rules: DetectionRules) -> Floats:
    """How likely each spread is among these series: for `judge` on a part of them."""
    return _learn(with_echoes(nights), rules, None).common
