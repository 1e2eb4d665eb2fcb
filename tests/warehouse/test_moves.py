"""Who went from out to in, and by whose hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from duckdb import DuckDBPyConnection

from optout.testing.facts import CUTOFF, NIGHT, change, reading, records, store, warehouse
from optout.warehouse.moves import count_moves

BEFORE = NIGHT - timedelta(days=1)
OUT = {"outs": 1, "night_from": BEFORE, "night_to": NIGHT}
IN = {"ins": 1, "sends": 1, "night_from": NIGHT}


def moves(con: DuckDBPyConnection) -> list[tuple[Any, ...]]:
    """Counted twice: running a night again must not count anybody again."""
    for _ in range(2):
        count_moves(con, NIGHT)
    return [
        (r["system"], r["source"], r["is_personal"], r["people"], r["everyone"])
        for r in records(con, "SELECT * FROM audit.move ORDER BY ALL")
    ]


def returned(con: DuckDBPyConnection, person: int, source: str, explicit: bool) -> None:
    told = change("mc", person, "promotional", "opted_in", CUTOFF)
    store(con, "core.change", [told | {"source": source, "is_explicit": explicit}])


def test_who_lost_an_opt_out_is_counted_by_who_took_it() -> None:
    """'Forty people' without 'an import did it' sends on-call searching through five systems."""
    con = warehouse()
    for person, source, explicit in ((1, "import", False), (2, "import", False), (3, "form", True)):
        store(con, "core.observation", [reading("mc", person, **OUT), reading("mc", person, **IN)])
        con.execute("UPDATE core.change SET change_seq = change_seq + 10, change_id = uuid()")
        returned(con, person, source, explicit)
    store(con, "core.observation", [reading("mc", 9, ins=1)])
    assert moves(con) == [("mc", "form", True, 1, 4), ("mc", "import", False, 2, 4)]


def test_nobody_told_who_did_it_is_not_the_person() -> None:
    """A vendor without a feed would make every mass move look like forty changes of mind."""
    con = warehouse()
    store(con, "core.observation", [reading("mc", 1, **OUT), reading("mc", 1, **IN)])
    assert moves(con) == [("mc", "unknown", False, 1, 1)]


def test_a_suppression_that_vanished_is_a_move_only_of_who_is_still_there() -> None:
    """Where an opt-out is a row of its own, its deletion is the move; a deleted person is none."""
    con = warehouse()
    gone = {**OUT, "is_deleted": True, "store": "suppression"}
    store(con, "core.observation", [reading("mc", 1, **gone), reading("mc", 1, ins=1)])
    store(con, "core.observation", [reading("mc", 2, **gone)])
    assert moves(con) == [("mc", "unknown", False, 1, 1)]


def test_whoever_was_archived_has_not_moved() -> None:
    """A tidy list is no breach: nobody there is mailed."""
    con = warehouse()
    archived = reading("mc", 1, night_from=NIGHT)
    store(con, "core.observation", [reading("mc", 1, **OUT), archived])
    assert moves(con) == []


def test_an_opt_out_that_another_record_still_holds_has_not_moved() -> None:
    """One of two lists cleaned up is no return."""
    con = warehouse()
    store(con, "core.observation", [reading("mc", 1, **OUT), reading("mc", 1, **IN)])
    store(con, "core.observation", [reading("mc", 1, store="other", outs=1)])
    assert moves(con) == []
