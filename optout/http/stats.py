"""What the requests of one read cost, counted in constant memory."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

_BOUNDS = tuple(0.001 * 2 ** (step / 4) for step in range(76))
"""Upper bounds of the latency classes: 1 ms to 440 s, each 19 % above the one before."""


@dataclass
class Latency:
    """Durations in seconds, as counts per class, with their exact sum and maximum."""

    count: int = 0
    total: float = 0.0
    longest: float = 0.0
    classes: list[int] = field(default_factory=lambda: [0] * (len(_BOUNDS) + 1), repr=False)

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.count += 1
        self.total += seconds
        self.longest = max(self.longest, seconds)
        self.classes[bisect_left(_BOUNDS, seconds)] += 1

    def quantile(self, share: float) -> float | None:
        """The duration that `share` of all did not exceed, at most 19 % too high; None: no data."""
        seen = 0
        for place, number in enumerate(self.classes):
            seen += number
            if number and seen >= share * self.count:
                return min(self.longest, _BOUNDS[min(place, len(_BOUNDS) - 1)])
        return None


@dataclass
class HttpStats:
    """What the requests of one read cost; goes into the manifest and the extraction page.

    Thread-safe through its methods. `failed` counts requests without a usable answer, retried or
    not; `gave_up` counts questions that ended in an error; `waited_seconds` adds up limiter
    pauses and back-off over all threads.
    """

    requests: int = 0
    retries: int = 0
    rate_limited: int = 0
    waited_seconds: float = 0.0
    failed: int = 0
    gave_up: int = 0
    received_bytes: int = 0
    latency: Latency = field(default_factory=Latency)
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    def count(
        self,
        *,
        retries: int = 0,
        rate_limited: int = 0,
        waited: float = 0.0,
        failed: int = 0,
        gave_up: int = 0,
    ) -> None:
        """Add to the counters."""
        with self._lock:
            self.retries += retries
            self.rate_limited += rate_limited
            self.waited_seconds += waited
            self.failed += failed
            self.gave_up += gave_up

    def count_request(self, *, waited: float, seconds: float, received: int) -> None:
        """Count one request that was sent, however it ended."""
        with self._lock:
            self.requests += 1
            self.waited_seconds += waited
            self.received_bytes += received
            self.latency.add(seconds)

    def as_dict(self) -> dict[str, Any]:
        """All figures as JSON; latencies in seconds, None where nothing was measured."""
        with self._lock:
            mean = self.latency.total / self.latency.count if self.latency.count else None
            return {
                "requests": self.requests,
                "retries": self.retries,
                "rate_limited": self.rate_limited,
                "waited_seconds": round(self.waited_seconds, 3),
                "failed": self.failed,
                "gave_up": self.gave_up,
                "received_bytes": self.received_bytes,
                "latency_mean": mean,
                "latency_p50": self.latency.quantile(0.5),
                "latency_p95": self.latency.quantile(0.95),
                "latency_max": self.latency.longest if self.latency.count else None,
            }
