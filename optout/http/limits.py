"""Keeping below a vendor's limits: one limiter per credential, shared by all its clients.

A limiter remembers when it released its last requests and releases the next one only when no
window of the vendor's length, wherever it begins, can hold more than allowed; whether the vendor
counts fixed or sliding windows then makes no difference, and an idle time saves up nothing.

What the vendor counts is arrivals, and a request arrives some time after its release: a little
more or less each time. Windows are therefore kept longer than the vendor's by `MARGIN_SHARE` and
`MARGIN_SECONDS`. For a window of one second that leaves 96 % of the allowed rate, for one minute
98 %, and bears 40 ms (1.2 s) of difference between two requests' ways.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import BoundedSemaphore, Lock
from weakref import WeakValueDictionary

MARGIN_SHARE = 0.02
MARGIN_SECONDS = 0.02


@dataclass(frozen=True)
class Limit:
    """A vendor's limit: `requests` per `seconds`, or `concurrent` requests at a time.

    `endpoint`: the path template that the limit counts (Klaviyo and SendGrid limit each
    endpoint by itself); None counts all requests of the credential.
    """

    requests: int | None = None
    seconds: float = 1.0
    concurrent: int | None = None
    endpoint: str | None = None

    def __post_init__(self) -> None:
        for number in (self.requests, self.concurrent, self.seconds):
            if number is not None and number <= 0:
                raise ValueError("a limit must allow something: its numbers are above zero")

    def counts(self, endpoint: str) -> bool:
        """Whether a request to this path template falls under the limit."""
        return self.endpoint is None or self.endpoint == endpoint


class _Window:
    """The releases that one limit counts, oldest first."""

    def __init__(self, limit: Limit, requests: int) -> None:
        self.limit = limit
        self.length = limit.seconds * (1 + MARGIN_SHARE) + MARGIN_SECONDS
        self.releases: deque[float] = deque(maxlen=requests)

    def due(self) -> float:
        """The earliest moment at which one more request fits."""
        if len(self.releases) < (self.releases.maxlen or 0):
            return float("-inf")
        return self.releases[0] + self.length


class Limiter:
    """Releases requests within all `limits` at once. Thread-safe.

    `clock` tells seconds that never go back, `sleep` waits for seconds; tests bring their own.
    """

    def __init__(
        self,
        limits: tuple[Limit, ...],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._lock = Lock()
        self._paused_until = float("-inf")
        self._windows: list[_Window] = []
        self._gates: dict[Limit, BoundedSemaphore] = {}
        self.keep(limits)

    def keep(self, limits: tuple[Limit, ...]) -> None:
        """Keep these limits too (another client of the credential may know more of them)."""
        with self._lock:
            known = {window.limit for window in self._windows}
            for limit in limits:
                if limit.requests is not None and limit not in known:
                    self._windows.append(_Window(limit, limit.requests))
                if limit.concurrent is not None and limit not in self._gates:
                    self._gates[limit] = BoundedSemaphore(limit.concurrent)

    @contextmanager
    def slot(self, endpoint: str = "") -> Iterator[float]:
        """Hold a place for one request until its answer is read; yields the seconds waited."""
        began = self._clock()
        held: list[BoundedSemaphore] = []
        try:
            for limit, gate in list(self._gates.items()):
                if limit.counts(endpoint):
                    gate.acquire()
                    held.append(gate)
            self._wait_for_release(endpoint)
            yield self._clock() - began
        finally:
            for gate in held:
                gate.release()

    def pause(self, seconds: float) -> None:
        """Release nothing for `seconds`: the vendor told one of us to wait."""
        with self._lock:
            self._paused_until = max(self._paused_until, self._clock() + seconds)

    def is_idle(self) -> bool:
        """Whether nothing that it remembers can still hold a request back."""
        with self._lock:
            now = self._clock()
            newest = [w.releases[-1] + w.length for w in self._windows if w.releases]
            return all(end <= now for end in (*newest, self._paused_until))

    def _wait_for_release(self, endpoint: str) -> None:
        """Sleep until every window has room and no pause is on, and take the room."""
        while (wait := self._try_release(endpoint)) > 0:
            self._sleep(wait)

    def _try_release(self, endpoint: str) -> float:
        """Take the room now (0.0), or say how many seconds to wait before trying again."""
        with self._lock:
            now = self._clock()
            windows = [w for w in self._windows if w.limit.counts(endpoint)]
            due = max([self._paused_until, *(window.due() for window in windows)])
            if due > now:
                return due - now
            for window in windows:
                window.releases.append(now)
            return 0.0


_registry_lock = Lock()
_live: WeakValueDictionary[tuple[object, ...], Limiter] = WeakValueDictionary()
_recent: dict[tuple[object, ...], Limiter] = {}
"""Limiters whose releases still count, though their last client may be gone already."""


def shared_limiter(
    origin: str,
    credential: str,
    limits: tuple[Limit, ...],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Limiter:
    """The process's limiter for this credential at this origin (`credential`: a digest of it)."""
    key = (origin, credential, clock, sleep)
    with _registry_lock:
        for stale in [k for k, limiter in _recent.items() if limiter.is_idle()]:
            del _recent[stale]
        limiter = _live.get(key)
        if limiter is None:
            limiter = Limiter(limits, clock=clock, sleep=sleep)
            _live[key] = limiter
        else:
            limiter.keep(limits)
        _recent[key] = limiter
        return limiter
