"""The trail's SQL and a plain-Python account of what was planted agree on random histories."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from random import Random

import pytest
from duckdb import DuckDBPyConnection

from optout.model import Categories
from optout.testing.facts import key, store, warehouse
from optout.testing.trails import CATEGORIES, HUB, Gap, Life, lives, night_at, read_at
from optout.warehouse.reconcile import ReconcilePolicy
from optout.warehouse.trail import judge_trail

POLICY = ReconcilePolicy(Categories(CATEGORIES), HUB, {})
NIGHTS = 4
PEOPLE = 30


def world(con: DuckDBPyConnection, people: list[Life], *, has_feed: bool) -> None:
    for number in range(1, NIGHTS + 1):
        at = read_at(number)
        con.execute(
            "INSERT INTO core.night VALUES (?, ?, 'run', NULL, ?)",
            [night_at(number), at - timedelta(minutes=5), at],
        )
        for stream in ("records", *(["firehose"] if has_feed else [])):
            _read(con, stream, number, at)
    store(con, "core.change", [row for life in people for row in life.changes()])
    store(con, "core.observation", [row for life in people for row in life.observations()])
    store(con, "core.history_entry", [row for life in people for row in life.history()])


def _read(con: DuckDBPyConnection, stream: str, number: int, at: datetime) -> None:
    con.execute(
        """
        INSERT INTO core.source_read (
            system, stream, night, manifest_hash, is_complete, is_full, is_snapshot, is_skipped,
            read_at, row_count, finding_count
        ) VALUES (?, ?, ?, 'hash', true, true, true, false, ?, 0, 0)
        """,
        [HUB, stream, night_at(number), at],
    )


def judged(con: DuckDBPyConnection, life: Life) -> Counter[Gap]:
    rows = con.execute(
        "SELECT kind, CASE WHEN field = 'global' THEN '*' ELSE field END, missing"
        " FROM audit.trail_gap WHERE contact_key = $key",
        {"key": key(life.person)},
    ).fetchall()
    if any(entry.what == "unreadable" for entry in life.entries):
        return Counter((kind, None, missing) for kind, _, missing in rows)
    return Counter(tuple(row) for row in rows)


@pytest.mark.parametrize("has_feed", [True, False], ids=["with the feed", "history only"])
def test_every_gap_that_was_planted_is_found_and_nothing_else(
    has_feed: bool, seed: int, is_full: bool
) -> None:
    """A completeness that misses a gap, or invents one, is worse than none."""
    for drawn in range(seed, seed + (100 if is_full else 4)):
        people = lives(Random(drawn), PEOPLE, NIGHTS, has_feed=has_feed)
        con = warehouse()
        world(con, people, has_feed=has_feed)
        judge_trail(con, night_at(NIGHTS), policy=POLICY)
        wrong = {
            life.person: (judged(con, life) - life.found(), life.found() - judged(con, life))
            for life in people
            if judged(con, life) != life.found()
        }
        assert not wrong, drawn
        counted = con.execute("SELECT count(*) FROM audit.trail_change").fetchone()
        assert counted == (sum(life.units for life in people),), drawn
