"""A vendor's limit is kept in every window, and used."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optout.http.client import HttpClient, HttpOptions
from optout.http.limits import MARGIN_SECONDS, Limit, Limiter, shared_limiter


class Clock:
    """Seconds that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


limits = st.lists(
    st.builds(
        Limit,
        requests=st.integers(1, 12),
        seconds=st.sampled_from([1.0, 2.0, 10.0, 60.0]),
    ),
    min_size=1,
    max_size=3,
).map(tuple)
thinking = st.lists(
    st.one_of(st.just(0.0), st.floats(0, 0.3), st.floats(0, 90)), min_size=20, max_size=150
)


@given(
    limits=limits, thinking=thinking, pauses=st.dictionaries(st.integers(0, 150), st.floats(0, 9))
)
def test_no_window_ever_holds_more_than_allowed(
    limits: tuple[Limit, ...], thinking: list[float], pauses: dict[int, float]
) -> None:
    """Also after idle times and pauses: a burst then costs a ban; jitter on the way is borne."""
    clock = Clock()
    limiter = Limiter(limits, clock=clock, sleep=clock.sleep)
    releases: list[float] = []
    quiet_until = 0.0
    for turn, idle in enumerate(thinking):
        clock.now += idle
        if turn in pauses:
            limiter.pause(pauses[turn])
            quiet_until = max(quiet_until, clock.now + pauses[turn])
        with limiter.slot():
            assert clock.now >= quiet_until
            releases.append(clock.now)
    for limit in limits:
        number = limit.requests or 0
        for first, beyond in zip(releases, releases[number:], strict=False):
            # The first arrives as late, the one beyond as early as the margin bears.
            assert beyond - (first + MARGIN_SECONDS) >= limit.seconds


@settings(max_examples=40)
@given(requests=st.integers(1, 120), seconds=st.sampled_from([1.0, 10.0, 60.0, 3600.0]))
def test_the_limit_is_used_to_95_percent(requests: int, seconds: float) -> None:
    """A tenth of the rate given away is a tenth of the night."""
    clock = Clock()
    limiter = Limiter((Limit(requests, seconds),), clock=clock, sleep=clock.sleep)
    windows = 25
    released = 0
    while True:
        with limiter.slot():
            if clock.now >= windows * seconds:
                break
            released += 1
    assert released >= 0.95 * windows * requests


def test_an_endpoints_own_limit_holds_back_only_that_endpoint() -> None:
    """Klaviyo counts each endpoint; one slow one must not slow the others, nor go uncounted."""
    clock = Clock()
    one = Limit(1, 10.0, endpoint="/slow/{id}")
    limiter = Limiter((one, Limit(3, 1.0)), clock=clock, sleep=clock.sleep)
    with limiter.slot("/slow/{id}"):
        pass
    with limiter.slot("/fast"):
        assert clock.now == 0.0
    with limiter.slot("/slow/{id}") as waited:
        assert clock.now == waited > 10.0


class Log(deque[float]):
    """Keeps all releases, though the limiter needs only the last few."""

    def __init__(self, kept: deque[float]) -> None:
        super().__init__(kept, kept.maxlen)
        self.all: list[float] = []

    def append(self, release: float) -> None:
        self.all.append(release)
        super().append(release)


def test_threads_together_keep_the_limit_and_use_it() -> None:
    """Eight workers that each keep it for themselves exceed it eightfold."""
    limiter = Limiter((Limit(10, 0.1),))
    log = limiter._windows[0].releases = Log(limiter._windows[0].releases)

    def work(_: int) -> None:
        with limiter.slot():
            pass

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(60)))
    assert len(log.all) == 60
    gaps = [beyond - first for first, beyond in zip(log.all, log.all[10:], strict=False)]
    assert min(gaps) >= 0.1 + MARGIN_SECONDS
    assert log.all[-1] - log.all[0] < 3.0


def test_no_more_requests_run_at_once_than_allowed() -> None:
    """Mailchimp allows ten connections; the eleventh is refused."""
    limiter = Limiter((Limit(concurrent=3),))
    running = 0
    most = 0
    lock = threading.Lock()

    def work(_: int) -> None:
        nonlocal running, most
        with limiter.slot():
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.002)
            with lock:
                running -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))
    assert most == 3


def test_a_place_is_given_back_when_a_request_fails() -> None:
    """Otherwise ten failures stop a vendor's reading for ever."""
    limiter = Limiter((Limit(concurrent=1),))
    for _ in range(3):
        with pytest.raises(RuntimeError), limiter.slot():
            raise RuntimeError


def test_one_credential_has_one_limiter_even_after_its_client_is_gone() -> None:
    """`optout check` and the read behind it use up the same quota."""
    clock = Clock()
    limits = (Limit(1, 100.0),)
    ours = {"clock": clock, "sleep": clock.sleep}
    first = shared_limiter("https://a.example", "k1", limits, **ours)
    with first.slot():
        pass
    assert shared_limiter("https://a.example", "k1", limits, **ours) is first
    assert shared_limiter("https://a.example", "k2", limits, **ours) is not first
    assert shared_limiter("https://b.example", "k1", limits, **ours) is not first
    del first
    gc.collect()
    with shared_limiter("https://a.example", "k1", limits, **ours).slot():
        assert clock.now > 100.0


def test_limiters_that_hold_nothing_back_are_forgotten() -> None:
    """A service that lives for months would keep each night's."""
    clock = Clock()
    ours = {"clock": clock, "sleep": clock.sleep}
    gone = weakref.ref(shared_limiter("https://d.example", "k", (Limit(1, 50.0),), **ours))
    gc.collect()
    shared_limiter("https://e.example", "k", (), **ours)
    gc.collect()
    assert gone() is None


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    """The second thread's 429 tells one second, the first one's a minute."""
    clock = Clock()
    limiter = Limiter((), clock=clock, sleep=clock.sleep)
    limiter.pause(60.0)
    limiter.pause(1.0)
    with limiter.slot() as waited:
        assert waited == 60.0


def test_a_later_client_can_add_a_limit() -> None:
    """Two connectors that know different limits of one key must both be heard."""
    clock = Clock()
    ours = {"clock": clock, "sleep": clock.sleep}
    shared = shared_limiter("https://c.example", "k", (Limit(5),), **ours)
    shared_limiter("https://c.example", "k", (Limit(1, 30.0), Limit(5)), **ours)
    for _ in range(2):
        with shared.slot():
            pass
    assert clock.now > 30.0


def test_a_429_pauses_every_client_of_the_credential(
    vendor: Any, connect: Callable[..., HttpClient], clock: Any
) -> None:
    """The other threads would collect a 429 each and prolong the ban."""
    options = HttpOptions(headers={"Authorization": "Bearer same"})
    one, other = connect(options), connect(options)
    stranger = connect(HttpOptions(headers={"Authorization": "Bearer another"}))
    vendor.script.append(vendor.reply(429, headers={"Retry-After": "30"}))
    seen_at: list[tuple[str, float]] = []

    def sleep(seconds: float) -> None:
        stranger.get("/stranger")
        seen_at.append(("stranger", clock.now))
        clock.now += seconds

    one._limiter._sleep = sleep
    one.get("/one")
    other.get("/other")
    assert seen_at == [("stranger", 1000.0)]
    assert clock.now == 1030.0
    assert other._limiter is one._limiter


@pytest.mark.parametrize(
    "wrong", [{"requests": 0}, {"concurrent": 0}, {"requests": 1, "seconds": 0}]
)
def test_a_limit_of_nothing_is_a_mistake(wrong: dict[str, Any]) -> None:
    """It would wait for ever without a word."""
    with pytest.raises(ValueError, match="above zero"):
        Limit(**wrong)
