"""Every vendor's limits are kept, and nearly all of what they allow is used."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from requests import PreparedRequest, Response
from requests.structures import CaseInsensitiveDict

from optout.http.client import HttpClient, Limit
from optout.sandbox.limits import Limiter
from optout.sandbox.world.world import Plan
from optout.testing.contract import LimitedAdapter, Reading, answer, read_once
from optout.testing.nights import Bench, FakeTime
from optout.vendors import VENDORS
from optout.vendors.base import SystemConfig

Faultless = Callable[[str], Reading]
SHARE = 0.95
"""Of the allowed rate that has to be used when there is work."""


def client_of(reading: Reading, vendor: str, **options: Any) -> HttpClient:
    """A client with the limits that the connector keeps by default."""
    connector = reading.bench.connector(vendor)
    given = {name: getattr(connector.config, name) for name in SystemConfig.model_fields}
    config = VENDORS[vendor].Config.model_validate(given)
    http_options = VENDORS[vendor].http_options(config, connector.context.token)
    return HttpClient(vendor, config.base_url, http_options, **options)


def test_a_night_provokes_no_refusal(vendor: str, tmp_path: Path) -> None:
    """Refused requests count against the account, and at some vendors lock it."""
    with Bench(tmp_path, Plan(people=330, campaign_size=10, drift=0), limits_on=True) as bench:
        reading = read_once(bench, vendor)
        assert reading.incomplete == {}
        assert bench.sandbox.limited[vendor] == 0
        assert sum(m.http["rate_limited"] for m in reading.manifests.values()) == 0


def test_the_allowed_rate_is_used_and_never_exceeded(vendor: str, faultless: Faultless) -> None:
    """Too slow, a large account cannot be read in a night; too fast, it is refused."""
    reading = faultless(vendor)
    twin = reading.bench.world.twins[vendor]
    endpoints = {entry.template for entry in reading.bench.sandbox.log}
    measured = 0
    for endpoint in sorted(endpoints):
        limits = [each for each in twin.endpoint_limits.get(endpoint, twin.limits) if each.requests]
        if not limits:
            continue
        time = FakeTime()
        limiter = Limiter(twin.limit_style, twin.limits, twin.endpoint_limits, time)
        network = LimitedAdapter(limiter, lambda path, endpoint=endpoint: endpoint)
        client = client_of(reading, vendor, adapter=network, clock=time, sleep=time.sleep)
        many = 4 * max(each.requests or 0 for each in limits if each.seconds <= 60) + 1
        began = time()
        for _ in range(many):
            client.get("/any", template=endpoint)
        assert limiter.refused == 0, endpoint
        assert fastest(limits, many) / (time() - began) >= SHARE, endpoint
        measured += 1
    assert measured or any(limit.concurrent for limit in twin.limits)


def fastest(limits: list[Limit], many: int) -> float:
    """Seconds that so many requests take at least."""
    return max((many - 1) // (limit.requests or 1) * limit.seconds for limit in limits)


class _Crowded(LimitedAdapter):
    """Holds every request until as many as are allowed are under way."""

    def __init__(self, limiter: Limiter, most: int) -> None:
        super().__init__(limiter, lambda path: "/any")
        self.busy = self.busiest = 0
        self._lock = threading.Lock()
        self._full = threading.Event()
        self._most = most

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        with self._lock:
            verdict = self._limiter.enter("", "/any")
            assert verdict.allowed
            self.busy += 1
            self.busiest = max(self.busiest, self.busy)
            if self.busy >= self._most:
                self._full.set()
        self._full.wait(5)
        with self._lock:
            self.busy -= 1
            self._limiter.leave("", "/any")
        return answer(200, CaseInsensitiveDict({"Content-Type": "application/json"}), b"{}")


def test_all_allowed_connections_are_used_and_no_more(vendor: str, faultless: Faultless) -> None:
    """Where a vendor counts connections, one too many is refused as one request too many is."""
    reading = faultless(vendor)
    twin = reading.bench.world.twins[vendor]
    for limit in twin.limits:
        if limit.concurrent:
            time = FakeTime()
            network = _Crowded(Limiter(twin.limit_style, (limit,), {}, time), limit.concurrent)
            client = client_of(reading, vendor, adapter=network, clock=time, sleep=time.sleep)
            with ThreadPoolExecutor(3 * limit.concurrent) as pool:
                list(pool.map(client.get, ["/any"] * 10 * limit.concurrent))
            assert network.busiest == limit.concurrent
