"""People who went from out to in: counted each night, so that a mass move is seen and explained.

The person's own return is told apart by the change that recorded it (`is_explicit`); where no
system told who did it, it is not taken for the person's.
"""

from __future__ import annotations

from datetime import date

from duckdb import DuckDBPyConnection

from optout.warehouse.script import run


def count_moves(con: DuckDBPyConnection, night: date) -> None:
    """Replace the night's rows of `audit.move`, after the night was loaded and changes derived.

    Runs in the caller's transaction; running it again changes nothing.
    """
    run(con, "moves", night=night)
