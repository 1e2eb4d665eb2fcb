"""One seed for everything that is drawn in a run: printed at its end, repeated by OPTOUT_SEED."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path

import pytest

SPECS = Path(__file__).parents[2] / "shared" / "specs"


def pytest_configure() -> None:
    """Before any worker starts, so that all of them inherit it."""
    os.environ.setdefault("OPTOUT_SEED", str(secrets.randbelow(1_000_000)))


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Where optional parts are required, a check that cannot be made is a failure, not a skip."""
    is_required = os.environ.get("OPTOUT_REQUIRE_OPTIONAL") == "1"
    if is_required and not SPECS.is_dir() and any(i.get_closest_marker("specs") for i in items):
        raise pytest.UsageError(
            "OPTOUT_REQUIRE_OPTIONAL asks for the vendors' specifications, and ../shared/specs is "
            "not there"
        )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"drawn with OPTOUT_SEED={os.environ['OPTOUT_SEED']}")


@pytest.fixture(scope="session")
def seed() -> int:
    """What this run draws from."""
    return int(os.environ["OPTOUT_SEED"])


@pytest.fixture(scope="session")
def is_full() -> bool:
    """Whether the long loops run in full (`make survive`) instead of as samples."""
    return os.environ.get("OPTOUT_SURVIVE") == "full"
