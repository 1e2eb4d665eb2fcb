"""One seed for everything that is drawn in a run: printed at its end, repeated by OPTOUT_SEED."""

from __future__ import annotations

import os
import secrets

import pytest


def pytest_configure() -> None:
    """Before any worker starts, so that all of them inherit it."""
    os.environ.setdefault("OPTOUT_SEED", str(secrets.randbelow(1_000_000)))


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
