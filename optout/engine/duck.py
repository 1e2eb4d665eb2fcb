"""The default: the statements run in the warehouse file, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from duckdb import DuckDBPyConnection

from optout.engine.session import Session


class DuckEngine:
    """DuckDB, on the connection that the caller has."""

    people_a_pass: int | None = None
    keeps_basis = True

    def check(self) -> None:
        """Nothing is needed."""

    @contextmanager
    def session(self, con: DuckDBPyConnection) -> Iterator[Session]:
        """The connection itself: there is nothing to hand over or to take back."""
        yield con
