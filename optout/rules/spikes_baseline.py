"""What a series of nights teaches about its next night: rate, weekday pattern, over-dispersion.

Everything learnt carries its own uncertainty, because a baseline of 90 nights is an estimate: at
ten opt-outs a night its rate is known to 3 %, the share of each weekday to 9 %, and the
over-dispersion hardly at all. The predicted law of a coming count therefore adds

- the chance variation of the count, wider where nights differ more than chance explains,
- the error of the learnt rate, which all nights of a sum share,
- the error of the learnt weekday factors.

How much nights differ is averaged over a grid of possible values, each weighed by how well it
explains the baseline (a Bayesian average): a single best value would be too small in half of the
series and raise their false alarms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from optout.rules.spikes_tail import Floats, no_event, upper_tail

SPREADS = (0.0, *(0.05 * 1.3**i for i in range(13)))
"""How far the chance of opting out may differ from night to night: standard deviation over mean."""
_NO_SPREAD = 0.3
"""How likely it is, before anything is seen, that nights differ by chance alone; every other
spread is as likely as the next."""
_OWN_WAY = 0.1
"""The part of all series that may differ from what is common among them."""
_WEEKDAY_CAUTION = 1.5
"""A weekday pattern counts as far as it exceeds so many times what chance alone would show."""
_NO_WEIGHT = 1e-9


@dataclass(frozen=True)
class Prediction:
    """The law of a sum of opt-outs: one beta-binomial for each possible spread, and its weight."""

    size: Floats
    """Deliveries, one per series."""
    expected: Floats
    correlation: Floats
    """Series × spreads."""
    weights: Floats
    """Series × spreads; each row sums to 1."""

    def at_least(self, count: Floats) -> Floats:
        """The chance of so many opt-outs or more."""
        return self._average(count)

    def none(self) -> Floats:
        """The chance of not a single opt-out."""
        size = np.maximum(self.size, 1.0)[:, None]
        return np.asarray((no_event(size, self._mean, self.correlation) * self.weights).sum(axis=1))

    @property
    def _mean(self) -> Floats:
        return np.clip(self.expected / np.maximum(self.size, 1.0), 1e-12, 0.999)[:, None]

    def _average(self, count: Floats) -> Floats:
        matters = self.weights > _NO_WEIGHT
        shape = matters.shape
        rows = np.nonzero(matters)
        tails = np.zeros(shape)
        tails[rows] = upper_tail(
            np.broadcast_to(count[:, None], shape)[rows],
            np.broadcast_to(self.size[:, None], shape)[rows],
            np.broadcast_to(self._mean, shape)[rows],
            self.correlation[rows],
        )
        return np.asarray((tails * self.weights).sum(axis=1))


@dataclass(frozen=True)
class Baseline:
    """What was learnt of each series (rows)."""

    nights: Floats
    opt_outs: Floats
    deliveries: Floats
    factors: Floats
    """Series × weekdays: expected rate of that weekday over the mean rate."""
    weights: Floats
    """Series × spreads."""
    common: Floats
    """How likely each spread is among all series."""
    _rate_error: Floats
    """Series × spreads: relative variance of the rate."""
    _weekday_error: Floats
    """Series × weekdays × spreads: relative variance of each factor."""

    @property
    def rate(self) -> Floats:
        """Opt-outs per delivery; half an opt-out is added, so that none ever seen is not never."""
        return (self.opt_outs + 0.5) / np.maximum(self.deliveries, 1.0)

    def predict(self, deliveries: Floats, weekday: NDArray[np.int64]) -> Prediction:
        """The law of the sum over the given nights (series × nights; 0 where there is none)."""
        share = self.rate[:, None] * np.take_along_axis(self.factors, weekday, axis=1)
        each = deliveries * share
        expected = each.sum(axis=1)
        size = deliveries.sum(axis=1)
        squares = np.square(np.array(SPREADS))
        own = (each * (1.0 - np.minimum(share, 0.999))).sum(axis=1)[:, None]
        own = own + np.square(each).sum(axis=1)[:, None] * squares
        learnt = np.square(expected)[:, None] * self._rate_error
        for day in range(7):
            part = np.where(weekday == day, each, 0.0).sum(axis=1)
            learnt = learnt + np.square(part)[:, None] * self._weekday_error[:, day]
        mean = np.clip(expected / np.maximum(size, 1.0), 1e-12, 0.999)
        plain = (size * mean * (1.0 - mean))[:, None]
        excess = (own + learnt) / np.maximum(plain, 1e-12) - 1.0
        correlation = np.clip(excess / np.maximum(size - 1.0, 1.0)[:, None], 1e-9, 0.999)
        return Prediction(size, expected, correlation, self.weights)


def learn(
    opt_outs: Floats,
    deliveries: Floats,
    weekday: NDArray[np.int64],
    spreads: Floats | None = None,
) -> Baseline:
    """Learn from series × nights; a night without deliveries is left out (with its opt-outs).

    `spreads` is how likely each of `SPREADS` is among all series; where it is not given, these
    series are taken for all.
    """
    is_used = deliveries > 0
    counts = np.where(is_used, opt_outs, 0.0)
    sizes = np.where(is_used, deliveries, 0.0)
    total, size = counts.sum(axis=1), sizes.sum(axis=1)
    rate = (total + 0.5) / np.maximum(size, 1.0)
    flat = sizes * rate[:, None]
    factors, trust = _weekdays(counts, flat, weekday)
    each = flat * np.take_along_axis(factors, weekday, axis=1)
    squares = np.square(np.array(SPREADS))
    first, second = each.sum(axis=1)[:, None], np.square(each).sum(axis=1)[:, None]
    rate_error = (first + squares * second) / np.maximum(np.square(first), 1e-12)
    weekday_error = np.zeros((len(rate), 7, len(SPREADS)))
    for day in range(7):
        part = np.where(weekday == day, each, 0.0)
        first, second = part.sum(axis=1)[:, None], np.square(part).sum(axis=1)[:, None]
        error = (first + squares * second) / np.maximum(np.square(first), 1e-12)
        weekday_error[:, day] = np.minimum(np.square(trust)[:, None] * error, 4.0)
    logs = _explain(counts, each, is_used, 1.0 + 6.0 * trust)
    common = _common(logs) if spreads is None else spreads
    weights = _weigh(logs, common)
    return Baseline(
        is_used.sum(axis=1).astype(np.float64), total, size, factors, weights,
        common, np.minimum(rate_error, 4.0), weekday_error,
    )  # fmt: skip


def _weekdays(counts: Floats, flat: Floats, weekday: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Factors shrunk towards 1 as far as chance could have made them (James and Stein), and how
    far they are trusted."""
    seen = np.zeros((len(counts), 7))
    expected = np.zeros((len(counts), 7))
    for day in range(7):
        seen[:, day] = np.where(weekday == day, counts, 0.0).sum(axis=1)
        expected[:, day] = np.where(weekday == day, flat, 0.0).sum(axis=1)
    has_day = expected > 0
    by_chance = np.where(has_day, np.square(seen - expected) / np.maximum(expected, 1e-12), 0.0)
    noise = np.square(counts - flat) / np.maximum(flat, 1e-12)
    dispersion = np.where(flat > 0, noise, 0.0).sum(axis=1) / np.maximum((flat > 0).sum(axis=1), 1)
    chance = np.maximum(has_day.sum(axis=1) - 1, 0) * np.maximum(dispersion, 1.0)
    trust = 1.0 - _WEEKDAY_CAUTION * chance / np.maximum(by_chance.sum(axis=1), 1e-12)
    trust = np.where(has_day.sum(axis=1) > 1, np.clip(trust, 0.0, 1.0), 0.0)
    ratio = np.where(has_day, seen / np.maximum(expected, 1e-12), 1.0)
    factors = 1.0 + trust[:, None] * (ratio - 1.0)
    return np.maximum(factors, 0.05), trust


def _explain(counts: Floats, each: Floats, is_used: NDArray[np.bool_], learnt: Floats) -> Floats:
    """Series × spreads: log-likelihood of the baseline's nights, by the negative binomial law.

    Nights lie closer to a mean that was learnt from them than to the true one; `learnt` figures
    per series are made up for as in a restricted likelihood.
    """
    logs = np.zeros((len(counts), len(SPREADS)))
    mean = np.where(is_used, np.maximum(each, 1e-9), 0.0)
    typical = mean.sum(axis=1) / np.maximum(is_used.sum(axis=1), 1)
    whole = counts.astype(np.int64)
    most = int(np.max(whole, initial=0))
    ladder = np.arange(most + 1, dtype=np.float64)
    for i, spread in enumerate(SPREADS):
        if spread == 0.0:
            terms = -mean
        else:
            shape = 1.0 / spread**2
            rising = gammaln(ladder + shape) - gammaln(shape) - ladder * np.log(shape)
            terms = rising[whole] - (counts + shape) * np.log1p(mean / shape)
        made_up = 0.5 * learnt * np.log1p(typical * spread**2)
        logs[:, i] = terms.sum(axis=1) + made_up
    steady: Floats = logs - logs.max(axis=1, keepdims=True)
    return steady


def _common(logs: Floats) -> Floats:
    """How likely each spread is among all series, one of which has these.

    One series' 90 nights hardly tell 5 % from 15 %, twenty series together do: each candidate says
    that most series have about its spread, and is weighed by how well it explains all of them.
    """
    count = len(SPREADS)
    near = np.eye(count)
    for i in range(1, count):
        sides = [j for j in (i - 1, i + 1) if 0 < j < count]
        near[i, i] = 1.0 - 0.25 * len(sides)
        near[i, sides] = 0.25
    shapes = (1.0 - _OWN_WAY) * near + _OWN_WAY / count
    guess = np.full(count, (1.0 - _NO_SPREAD) / (count - 1))
    guess[0] = _NO_SPREAD
    fits = np.log(np.exp(logs) @ shapes.T).sum(axis=0) + np.log(guess)
    likely = np.exp(fits - fits.max())
    return np.asarray(likely / likely.sum() @ shapes)


def _weigh(logs: Floats, common: Floats) -> Floats:
    weights = np.exp(logs) * common
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
