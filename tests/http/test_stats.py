"""The figures of a read are right, and take no memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from random import Random

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optout.errors import NotFound, RateLimited, ServerFault
from optout.http.retry import RetryPolicy, told_wait
from optout.http.stats import HttpStats, Latency

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def test_counts_of_many_threads_add_up() -> None:
    """A lost count makes the success share a guess."""
    stats = HttpStats()

    def work(_: int) -> None:
        for _ in range(200):
            stats.count_request(waited=0.5, seconds=0.1, received=10)
            stats.count(retries=1, failed=1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    figures = stats.as_dict()
    assert (figures["requests"], figures["retries"], figures["failed"]) == (1600, 1600, 1600)
    assert figures["received_bytes"] == 16_000
    assert figures["waited_seconds"] == 800.0
    assert orjson.loads(orjson.dumps(figures)) == figures


def test_nothing_measured_is_not_zero() -> None:
    """A latency of 0 s would look splendid."""
    figures = HttpStats().as_dict()
    assert figures["latency_p95"] is None
    assert figures["latency_mean"] is None


@given(st.lists(st.floats(0.001, 400), min_size=1, max_size=60), st.sampled_from([0.5, 0.95, 1.0]))
def test_a_quantile_is_at_most_a_fifth_too_high(seconds: list[float], share: float) -> None:
    """Kept as counts per class, whatever the number of requests."""
    latency = Latency()
    for one in seconds:
        latency.add(one)
    ranked = sorted(seconds)
    exact = next(v for n, v in enumerate(ranked, 1) if n >= share * len(ranked))
    told = latency.quantile(share)
    assert told is not None
    assert exact <= told * (1 + 1e-9)
    assert told <= exact * 1.2


@given(st.integers(1, 40), st.floats(0, 700), st.integers())
def test_a_wait_is_within_its_bounds(tries: int, elapsed: float, seed: int) -> None:
    """Neither a busy loop nor a night asleep."""
    policy = RetryPolicy()
    wait = policy.wait(ServerFault("x"), tries, elapsed, Random(seed))
    if wait is None:
        assert tries >= policy.attempts or elapsed + policy.cap > policy.budget
    else:
        assert 0 <= wait <= min(policy.cap, policy.base * 2 ** (tries - 1))
        assert elapsed + wait <= policy.budget


def test_a_told_wait_of_nothing_still_backs_off() -> None:
    """`Retry-After: 0` in a loop is a denial of service."""
    waits = {RetryPolicy().wait(RateLimited("x", retry_after=0), 4, 0, Random(n)) for n in range(9)}
    assert len(waits) > 1


def test_a_permanent_error_has_no_wait() -> None:
    """It is asked once."""
    assert RetryPolicy().wait(NotFound("x", retry_after=1), 1, 0, Random(0)) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("1.5", 1.5),
        (" 3 ", 3.0),
        ("Mon, 23 Nov 2026 12:00:10 GMT", 10.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
        ("", None),
        ("-3", None),
        ("inf", None),
        ("nan", None),
        ("1e9", None),
        ("soon", None),
        ("9" * 400, None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_never_trusted(
    value: str, seconds: float | None
) -> None:
    """`inf` would sleep for ever, a crash would end the night."""
    assert told_wait({"Retry-After": value}, NOW) == seconds
