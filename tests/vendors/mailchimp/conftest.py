"""A Mailchimp twin behind one server for each module, emptied before each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from optout.testing.mailchimp import World


@pytest.fixture(scope="module")
def account() -> Iterator[World]:
    made = World()
    with made.sandbox:
        yield made


@pytest.fixture
def world(account: World) -> World:
    account.reset()
    return account
