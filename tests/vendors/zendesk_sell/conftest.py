"""A Zendesk Sell twin behind its server, and connectors for it."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from optout.sandbox.server import Sandbox
from optout.sandbox.zendesk_sell.twin import ZendeskSellTwin
from optout.testing.zendesk_sell import CATEGORIES, CUTOFF, TOKEN, Hub


@pytest.fixture
def hub() -> Iterator[Hub]:
    twin = ZendeskSellTwin(CATEGORIES.names, token=TOKEN, rng=Random(7))
    twin.now = CUTOFF
    with Sandbox([twin], limits_on=False) as sandbox:
        yield Hub(sandbox, twin)
