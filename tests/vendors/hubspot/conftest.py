"""A HubSpot twin behind its server, and connectors for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from random import Random
from threading import Thread
from typing import Any

import pytest

from optout.http.client import HttpClient
from optout.sandbox.hubspot.twin import HubSpotTwin
from optout.sandbox.server import Sandbox
from optout.testing.hubspot import CATEGORIES, CUTOFF, NAMES, TOKEN, Connect
from optout.vendors.base import Context
from optout.vendors.hubspot.connector import HubSpot, HubSpotConfig


@pytest.fixture
def twin() -> HubSpotTwin:
    twin = HubSpotTwin(NAMES, token=TOKEN, rng=Random(7))
    twin.now = CUTOFF + timedelta(minutes=10)
    return twin


@pytest.fixture
def sandbox(twin: HubSpotTwin) -> Iterator[Sandbox]:
    running = Sandbox([twin], limits_on=False).start()
    yield running
    # A server takes a fifth of a second to end; the next test need not wait for it.
    Thread(target=running.stop).start()


@pytest.fixture
def connect(sandbox: Sandbox, twin: HubSpotTwin) -> Connect:
    def make(token: str = TOKEN, **options: Any) -> HubSpot:
        options.setdefault("categories", twin.category_map())
        config = HubSpotConfig(
            name="hubspot", vendor="hubspot", base_url=sandbox.base_url("hubspot"),
            token_env="HUBSPOT_TOKEN", requests_per_10s=100_000, **options,
        )  # fmt: skip
        http = HttpClient(
            "hubspot", config.base_url, HubSpot.http_options(config, token), secrets=(token,),
            sleep=lambda seconds: None, rng=Random(1),
        )  # fmt: skip
        return HubSpot(Context(config, token, CATEGORIES, http))

    return make
