"""Exact tails of the beta-binomial law, for many tests at once.

A count of opt-outs among `size` deliveries whose chance is itself uncertain, because it varies
from night to night and because it was learnt from finitely many nights, follows a beta-binomial
law. It is given here by its mean share and its intra-class correlation: the variance of the count
is `size * mean * (1 - mean) * (1 + (size - 1) * correlation)`. Tails are summed term by term; no
normal law stands in for them, because at ten opt-outs a night it is wrong by a factor of ten where
it matters.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

Floats = NDArray[np.float64]
_CHUNK = 32
_NEGLIGIBLE = 1e-8
"""A tail is summed until what is left of it, by the ratio of its last terms, is below this part."""


class _Law(NamedTuple):
    size: Floats
    alpha: Floats
    beta: Floats

    def at(self, rows: NDArray[np.bool_]) -> _Law:
        return _Law(self.size[rows], self.alpha[rows], self.beta[rows])


def upper_tail(
    count: ArrayLike, size: ArrayLike, mean: ArrayLike, correlation: ArrayLike
) -> Floats:
    """The chance of `count` or more among `size`; arrays are broadcast.

    `mean` lies within (0, 1), `correlation` is positive; counts above `size` have chance 0.
    """
    x, n, m, r = (
        np.asarray(a, dtype=np.float64) for a in np.broadcast_arrays(count, size, mean, correlation)
    )
    shape = x.shape
    x, n, m, r = (a.ravel() for a in (x, n, m, r))
    weight = 1.0 / r - 1.0
    law = _Law(n, m * weight, (1.0 - m) * weight)
    result = np.where(x > n, 0.0, 1.0)
    above = (x > n * m) & (x >= 1) & (x <= n)
    below = (x <= n * m) & (x >= 1) & (x <= n)
    result[above] = _sum_up(x[above], law.at(above))
    result[below] = 1.0 - _sum_down(x[below] - 1.0, law.at(below))
    return np.clip(result, 0.0, 1.0).reshape(shape)


def no_event(size: ArrayLike, mean: ArrayLike, correlation: ArrayLike) -> Floats:
    """The chance of not a single event among `size`; arrays are broadcast."""
    n, m, r = (np.asarray(a, dtype=np.float64) for a in (size, mean, correlation))
    weight = 1.0 / r - 1.0
    beta = (1.0 - m) * weight
    log = gammaln(beta + n) + gammaln(weight) - gammaln(beta) - gammaln(weight + n)
    return np.asarray(np.exp(np.minimum(log, 0.0)))


def _mass(x: Floats, law: _Law) -> Floats:
    n, a, b = law
    log = gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1)
    log += gammaln(x + a) - gammaln(a) + gammaln(n - x + b) - gammaln(b)
    log += gammaln(a + b) - gammaln(n + a + b)
    return np.asarray(np.exp(log))


def _sum_up(x: Floats, law: _Law) -> Floats:
    return _sum(x, law, upwards=True)


def _sum_down(x: Floats, law: _Law) -> Floats:
    return _sum(x, law, upwards=False)


def _sum(x: Floats, law: _Law, *, upwards: bool) -> Floats:
    """Sum the masses from `x` away from the mean; each chunk of terms goes by the ratio of
    neighbours, so that only the first mass costs gamma functions."""
    total = np.zeros_like(x)
    term = _mass(x, law)
    at, active = x, np.arange(len(x))
    steps = np.arange(_CHUNK, dtype=np.float64)
    while len(active):
        n, a, b = (part[active, None] for part in law)
        if upwards:
            k = np.minimum(at[:, None] + steps, n)
            ratio = (n - k) * (k + a) / ((k + 1) * np.maximum(n - k - 1 + b, b))
        else:
            k = np.maximum(at[:, None] - steps, 0.0)
            ratio = k * (n - k + b) / ((n - k + 1) * np.maximum(k - 1 + a, a))
        product = np.cumprod(ratio, axis=1)
        total[active] += term * (1.0 + product[:, :-1].sum(axis=1))
        term = term * product[:, -1]
        rest = term * ratio[:, -1]
        goes_on = rest > _NEGLIGIBLE * total[active] * (1.0 - ratio[:, -1])
        at = (at + _CHUNK if upwards else at - _CHUNK)[goes_on]
        active, term = active[goes_on], term[goes_on]
    return total
