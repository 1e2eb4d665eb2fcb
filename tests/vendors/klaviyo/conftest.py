"""A Klaviyo twin behind one server for each module, and connectors for it."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from optout.http.client import HttpClient
from optout.model import Categories
from optout.sandbox.klaviyo.twin import KlaviyoTwin
from optout.sandbox.server import Sandbox
from optout.testing.klaviyo import CATEGORIES, CUTOFF, TOKEN, Clock, Connect
from optout.vendors.base import Context
from optout.vendors.klaviyo.connector import Klaviyo, KlaviyoConfig


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def server(clock: Clock) -> Iterator[Sandbox]:
    """One server for the module: stopping one takes longer than most of these tests."""
    with Sandbox([KlaviyoTwin(CATEGORIES, token=TOKEN, rng=Random(1))], clock=clock) as server:
        yield server


@pytest.fixture
def sandbox(server: Sandbox, clock: Clock) -> Sandbox:
    """The server without anything of the test before: faults, log, used-up limits."""
    server.faults.clear()
    server.forget()
    clock.sleep(600)
    return server


@pytest.fixture
def twin(sandbox: Sandbox) -> KlaviyoTwin:
    """A new account behind the same server."""
    twin = sandbox.twin("klaviyo")
    assert isinstance(twin, KlaviyoTwin)
    KlaviyoTwin.__init__(twin, CATEGORIES, token=TOKEN, rng=Random(1))
    twin.lock, twin.now = sandbox.lock, CUTOFF
    return twin


@pytest.fixture
def connect(twin: KlaviyoTwin, sandbox: Sandbox, clock: Clock) -> Connect:
    def make(*, token: str = TOKEN, **options: Any) -> Klaviyo:
        table = {
            "name": "klaviyo", "vendor": "klaviyo", "base_url": sandbox.base_url("klaviyo"),
            "token_env": "KLAVIYO_KEY", "categories": twin.category_map(), **options,
        }  # fmt: skip
        config = KlaviyoConfig.model_validate(table)
        http = HttpClient(
            config.name, config.base_url, Klaviyo.http_options(config, token), secrets=(token,),
            clock=clock, sleep=clock.sleep, rng=Random(1),
        )  # fmt: skip
        return Klaviyo(Context(config, token, Categories(CATEGORIES), http))

    return make
