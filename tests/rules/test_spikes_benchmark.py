"""A fast sample of `benchmarks/detection.py`: the promises of docs/detection.md on fixed seeds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, poisson

from benchmarks.detection_worlds import best_possible, bound, fire, pages, world
from optout.rules.detection import DetectionRules

CERTAIN = 1e-3
"""How unlikely a failure is if the promise holds."""


LOOSE = DetectionRules(false_pages_per_year=20)
"""A budget that a small sample can exceed noticeably."""


@pytest.mark.parametrize(("volume", "spread"), [(500, 0.2), (5_000, 0.0), (30_000, 0.2)])
def test_false_pages_stay_within_the_budget(volume, spread):
    """On-call stops reading what pages in vain."""
    seen = world(np.random.default_rng([20, volume]), 40, 250, volume, spread=spread)
    fired = fire(seen, LOOSE).ours
    assert pages(fired) <= poisson.isf(CERTAIN, fired.size * LOOSE.alpha)


@pytest.mark.parametrize(
    ("volume", "factor", "within", "promise"),
    [(30_000, 2.0, 1, 0.99), (10_000, 3.0, 1, 0.99), (5_000, 2.0, 4, 0.90)],
)
def test_rises_are_caught_as_soon_as_promised(volume, factor, within, promise):
    """People who leave because of one campaign get the next one before anybody looks."""
    series = 600
    seen = world(np.random.default_rng([21, volume]), series, within, volume, factor=factor)
    caught = int(fire(seen).ours.any(axis=1).sum())
    assert caught >= binom.ppf(CERTAIN, series, promise)


def test_the_best_possible_is_that_of_neyman_and_pearson():
    """A weak yardstick would make any detector look good."""
    assert best_possible(np.array([2.0]), 10_000) == pytest.approx(bound(2.0, 10_000, 1), abs=0.01)
