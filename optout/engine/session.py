"""What the reconciliation asks of an engine: to run statements, and to tell single answers."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

from duckdb import DuckDBPyConnection


class Cursor(Protocol):
    """The answer to one statement."""

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row; None after the last."""

    def fetchall(self) -> list[Any]:
        """The rows that are left."""


class Session(Protocol):
    """Runs the statements of one night, in the order in which they are given."""

    def execute(self, query: str, parameters: object = ..., /) -> Cursor:
        """Run a statement; parameters by name, written `$name` in it."""

    def executemany(self, query: str, parameters: object = ..., /) -> Cursor:
        """Insert rows into a work table; parameters by place, written `?`."""


class Engine(Protocol):
    """Gives sessions over the core and audit tables of an open warehouse."""

    people_a_pass: int | None
    """How many people are judged at once; None: as many as suit one machine."""
    keeps_basis: bool
    """Whether a night can go on from the last one (`optout.warehouse.incremental`)."""

    def check(self) -> None:
        """Raise ConfigurationError where a night would not find what the engine needs here."""

    def session(self, con: DuckDBPyConnection) -> AbstractContextManager[Session]:
        """A session; when it ends without an error the audit tables of `con` are up to date.

        Works in the transaction of `con`. Raises ConfigurationError where the engine cannot be
        started, WarehouseError where it breaks down.
        """
