"""Worlds of nightly counts with a known truth, and the rules that are compared on them.

Every world is an array of series × nights. Twenty series make one installation: they share the
budget of false pages and what is learnt of their spread, as in `optout.warehouse.spikes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from optout.rules.detection import GUARD, WINDOWS, DetectionRules
from optout.rules.spikes import Nights, judge, learn_spreads
from optout.rules.spikes_tail import Floats

RULES = DetectionRules()
BUDGET = RULES.alpha
"""False pages a series-night: one a year for twenty series."""
BASE_RATE = 0.002
HISTORY = RULES.baseline_nights + GUARD
GROUP = 20
_LEARNT_EVERY = 30
"""Nights between learning the common spread anew; the product learns it every night."""
_FIXED_RATE = 2 * BASE_RATE
_SIGMAS = 3.0

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class World:
    """Counts of series × nights; the first `HISTORY` nights are only learnt from."""

    opt_outs: Floats
    deliveries: Floats
    known: Floats | None = None
    """What was known of each night when it was judged, where opt-outs arrive late."""

    @property
    def tonight(self) -> Floats:
        """What each night was judged by."""
        return self.opt_outs if self.known is None else self.known

    @property
    def weekday(self) -> NDArray[np.int64]:
        """Of each column."""
        return np.arange(self.opt_outs.shape[1]) % 7


class Fired(NamedTuple):
    """Series × judged nights: whether each rule fired."""

    ours: Bools
    three_sigma: Bools
    fixed: Bools


def world(
    rng: np.random.Generator,
    series: int,
    nights: int,
    deliveries: float | Floats,
    *,
    spread: float | Floats = 0.0,
    factor: float | Floats = 1.0,
    weekday: Floats | None = None,
) -> World:
    """`HISTORY` nights at the base rate, then `nights` on which it is multiplied by `factor`.

    `deliveries` may be one number, one a series (column) or one a weekday (`weekday` does the same
    for the rate); the nightly chance varies by `spread` (standard deviation over mean).
    """
    shape = (series, HISTORY + nights)
    size = np.broadcast_to(np.asarray(deliveries, dtype=np.float64), shape).copy()
    chance = np.full(shape, BASE_RATE)
    if weekday is not None:
        chance *= weekday[np.arange(shape[1]) % 7]
    chance[:, HISTORY:] *= factor
    wide = np.broadcast_to(np.asarray(spread, dtype=np.float64), (series, 1))
    if wide.any():
        scale = np.maximum(wide, 1e-4) ** 2
        chance *= np.where(wide > 0, rng.gamma(1 / scale, scale, shape), 1.0)
    counts = rng.binomial(size.astype(np.int64), np.minimum(chance, 1.0))
    return World(counts.astype(np.float64), size)


def fire(seen: World, rules: DetectionRules = RULES) -> Fired:
    """Judge every night after the first `HISTORY` by each rule."""
    candidates = _could_fire(seen, rules)
    ours = np.zeros(candidates.shape, dtype=bool)
    for first in range(0, len(candidates), GROUP):
        group = slice(first, first + GROUP)
        for start in range(0, candidates.shape[1], _LEARNT_EVERY):
            rows, nights = np.nonzero(candidates[group, start : start + _LEARNT_EVERY])
            if not len(rows):
                continue
            members = np.arange(first, min(first + GROUP, len(candidates)))
            spreads = learn_spreads(_rows(seen, members, np.full(len(members), start)), rules)
            verdicts = judge(_rows(seen, rows + first, nights + start), rules, spreads)
            ours[rows + first, nights + start] = verdicts.pages
    return Fired(ours, *_simple_rules(seen))


def _rows(seen: World, series: NDArray[np.int64], night: NDArray[np.int64]) -> Nights:
    columns = night[:, None] + np.arange(HISTORY + 1)
    pick = (series[:, None], columns)
    all_of_them = np.ones(columns.shape, dtype=bool)
    counts = seen.opt_outs[pick]
    counts[:, -1] = seen.tonight[series, columns[:, -1]]
    return Nights(counts, seen.deliveries[pick], seen.weekday[columns], all_of_them, all_of_them)


def _sums(values: Floats) -> Floats:
    return np.concatenate([np.zeros((len(values), 1)), values.cumsum(axis=1)], axis=1)


def _could_fire(seen: World, rules: DetectionRules) -> Bools:
    """The nights that reach the least effect in some window, with room for weekday factors, or show
    no opt-out at all: only these need the exact tails. It changes no verdict."""
    outs, sent = _sums(seen.opt_outs), _sums(seen.deliveries)
    end = np.arange(HISTORY, seen.opt_outs.shape[1]) + 1
    learnt = slice(None), end - 1 - HISTORY
    taught = slice(None), end - GUARD
    rate = (outs[taught] - outs[learnt] + 0.5) / (sent[taught] - sent[learnt])
    result = np.zeros(rate.shape, dtype=bool)
    for window in WINDOWS:
        count = outs[:, end] - outs[:, end - window]
        expected = rate * (sent[:, end] - sent[:, end - window])
        room = 1.0 if window == GUARD else 0.7
        least = np.maximum(rules.effect(window) * expected, expected + rules.min_excess) * room
        is_silent = count - seen.opt_outs[:, end - 1] + seen.tonight[:, end - 1] == 0
        result |= (count >= least) | (is_silent & (expected > 10))
    return result


def _simple_rules(seen: World) -> tuple[Bools, Bools]:
    """Three sigma of the nightly rates of the last 90 nights, and twice the base rate; both on
    nights with enough deliveries only."""
    has_mail = seen.deliveries >= RULES.min_deliveries
    sent = np.maximum(seen.deliveries, 1.0)
    rate = np.where(has_mail, seen.opt_outs / sent, 0.0)
    ones, first, second = _sums(has_mail * 1.0), _sums(rate), _sums(rate**2)
    end = np.arange(HISTORY, rate.shape[1])
    start = end - RULES.baseline_nights
    count = np.maximum(ones[:, end] - ones[:, start], 2.0)
    mean = (first[:, end] - first[:, start]) / count
    variance = (second[:, end] - second[:, start]) / count - mean**2
    sigma = np.sqrt(np.maximum(variance * count / (count - 1.0), 0.0))
    tonight, is_judged = (seen.tonight / sent)[:, end], has_mail[:, end]
    return is_judged & (tonight > mean + _SIGMAS * sigma), is_judged & (tonight >= _FIXED_RATE)


def pages(fired: Bools) -> int:
    """Nights on which a series fires and did not the night before: an alert that stays open is one
    page."""
    onset = fired.copy()
    onset[:, 1:] &= ~fired[:, :-1]
    return int(onset.sum())


def caught(fired: Bools, within: int) -> float:
    """The share of series in which the rule fires within so many nights."""
    return float(fired[:, :within].any(axis=1).mean())


def nights_to_detect(fired: Bools) -> str:
    """The median night of the first firing; 1 is the night of the change."""
    never = fired.shape[1] + 1
    first = np.where(fired.any(axis=1), fired.argmax(axis=1) + 1, never)
    median = float(np.median(first))
    return f"> {fired.shape[1]}" if median >= never else f"{median:g}"


def best_possible(factors: Floats, deliveries: int, *, seed: int = 77) -> float:
    """The power of the likelihood ratio with known parameters, at the whole budget.

    It knows the base rate, the factor of each night since the change and how long ago that was, and
    weighs every night's count by the logarithm of its factor; its threshold is set (between two
    counts by chance) so that it pages as often as the budget allows.
    """
    rng = np.random.default_rng(seed)
    length, mean = len(factors), deliveries * BASE_RATE
    weights = np.log(factors)
    quiet = _weigh(rng.binomial(deliveries, BASE_RATE, (10_000, 400 + length)), weights)
    power_at = _weigh(_changed(rng, factors, deliveries), weights)
    step = float(weights[-1])
    least = float(weights.sum()) * mean
    powers, rates = [], []
    for extra in np.arange(2.0, 9.0, 0.05) * np.sqrt(mean * length):
        threshold = least + np.ceil(extra) * step - 1e-9
        powers.append(float((power_at >= threshold).any(axis=1).mean()))
        rates.append(pages(quiet >= threshold) / quiet.size)
        if rates[-1] < BUDGET / 1.5:
            break
    return float(np.interp(-BUDGET, -np.array(rates), np.array(powers)))


def _changed(rng: np.random.Generator, factors: Floats, deliveries: int) -> Floats:
    """100,000 times: the nights before the change that still weigh, and those after it."""
    all_factors = np.concatenate([np.ones(len(factors) - 1), factors])
    return rng.binomial(deliveries, BASE_RATE * all_factors, (100_000, len(all_factors)))


def _weigh(counts: NDArray[np.int64] | Floats, weights: Floats) -> Floats:
    """Moving sums: column i ends at the night i + the length of the weights."""
    nights = counts.shape[1] - len(weights) + 1
    result = np.zeros((len(counts), nights))
    for i, weight in enumerate(weights):
        result += weight * counts[:, i : i + nights]
    return result


def bound(factor: float, deliveries: int, nights: int) -> float:
    """What no test can exceed: all pages that the budget allows in these nights, spent on one look
    at their sum (Neyman and Pearson)."""
    size, level = nights * deliveries, nights * BUDGET
    count = int(binom.isf(level, size, BASE_RATE)) + 1
    beyond = float(binom.sf(count - 1, size, BASE_RATE))
    chance = (level - beyond) / float(binom.pmf(count - 1, size, BASE_RATE))
    changed = BASE_RATE * factor
    tail = float(binom.sf(count - 1, size, changed))
    return tail + chance * float(binom.pmf(count - 1, size, changed))
