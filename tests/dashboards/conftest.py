"""Ninety synthetic nights with incidents, their pages, and the same with tonight incomplete."""

from __future__ import annotations

import os
from zoneinfo import ZoneInfo

import pytest

from dashboards.build import build
from dashboards.data import Context, open_published
from optout.testing.browser import CHROMIUM
from optout.testing.browser import browser as chromium
from optout.testing.published import HUB, Shape, write_published

SHAPE = Shape(nights=90, drift=600)
CONTEXT = Context(ZoneInfo("America/New_York"), HUB, tuple(SHAPE.esps), tuple(SHAPE.names))


@pytest.fixture(scope="session")
def context():
    return CONTEXT


@pytest.fixture(scope="session")
def copy(tmp_path_factory):
    """A published copy; tests only read it."""
    return write_published(tmp_path_factory.mktemp("copy") / "optout.duckdb", SHAPE)


@pytest.fixture(scope="session")
def copy_incomplete(tmp_path_factory):
    shape = Shape(nights=30, drift=200, incomplete_tonight=True)
    return write_published(tmp_path_factory.mktemp("incomplete") / "optout.duckdb", shape)


@pytest.fixture
def data(copy):
    with open_published(copy, CONTEXT) as published:
        yield published


@pytest.fixture
def incomplete(copy_incomplete):
    with open_published(copy_incomplete, CONTEXT) as published:
        yield published


@pytest.fixture(scope="session")
def built(copy, tmp_path_factory):
    """The site of the copy."""
    with open_published(copy, CONTEXT) as published:
        return build(published, tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def browser():
    """A Chromium; without one these tests are skipped, or fail where none may be lacking."""
    if CHROMIUM is None:
        if os.environ.get("OPTOUT_REQUIRE_OPTIONAL") == "1":
            pytest.fail("no Chromium in the path, and OPTOUT_REQUIRE_OPTIONAL asks for one")
        pytest.skip("no Chromium in the path: install one to open the pages in it")
    with chromium() as opened:
        yield opened
