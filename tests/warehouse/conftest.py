"""An empty warehouse for every test, without making its schema anew."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from duckdb import DuckDBPyConnection

from optout.testing import facts


@pytest.fixture(scope="session")
def empty() -> Iterator[DuckDBPyConnection]:
    con = facts.warehouse()
    yield con
    con.close()


@pytest.fixture
def con(empty: DuckDBPyConnection) -> Iterator[DuckDBPyConnection]:
    """In a transaction, as the steps of a night are; what the test does is rolled back."""
    empty.execute("BEGIN")
    yield empty
    empty.execute("ROLLBACK")
