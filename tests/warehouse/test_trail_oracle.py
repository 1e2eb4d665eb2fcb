"""The trail's SQL and a plain-Python account of what was planted agree on random histories."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from itertools import pairwise, product
from random import Random

import pytest
from duckdb import DuckDBPyConnection

from optout.model import Categories
from optout.testing.facts import Row, key, reading, store, warehouse
from optout.testing.trails import CATEGORIES, HUB, Gap, Life, lives, night_at, read_at
from optout.warehouse.reconcile import ReconcilePolicy
from optout.warehouse.trail import judge_trail

ESP = "esp"
POLICY = ReconcilePolicy(Categories(CATEGORIES), HUB, {})
WITH_ESP = ReconcilePolicy(Categories(CATEGORIES), HUB, {ESP: 3})
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


def _read(
    con: DuckDBPyConnection, stream: str, number: int, at: datetime, system: str = HUB
) -> None:
    con.execute(
        """
        INSERT INTO core.source_read (
            system, stream, night, manifest_hash, is_complete, is_full, is_snapshot, is_skipped,
            read_at, row_count, finding_count
        ) VALUES (?, ?, ?, 'hash', true, true, true, false, ?, 0, 0)
        """,
        [system, stream, night_at(number), at],
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


def versions(rng: Random, person: int, name: str) -> list[Row]:
    """One record of a person in the ESP: from which night to which it said what."""
    cuts = sorted(rng.sample(range(1, NIGHTS + 2), rng.randint(2, 4)))
    if rng.random() < 0.5:
        cuts = [rng.randint(1, NIGHTS), NIGHTS + 1]  # as most are: it came once, and stays
    rows = []
    for start, end in pairwise(cuts):
        if rng.random() < 0.8:
            outs = rng.choice((0, 0, 1, 2, 3))
            rows.append(reading(
                ESP, person, store=name, record_id=f"{name}{person}", outs=outs, category_outs=outs,
                ins=rng.randrange(4) & ~outs, global_out=rng.random() < 0.2,
                valid_from=read_at(start), night_from=night_at(start),
                seen_after=read_at(start - 1) if start > 1 else None,
                night_to=None if end > NIGHTS else night_at(end),
            ))  # fmt: skip
    return rows


def shown(rows: list[Row], night: date, bit: int) -> str | None:
    """What all records of the person together say of a category (0: of everything); None: nothing
    of the person is there."""
    here = [
        r for r in rows if r["night_from"] <= night and (not r["night_to"] or night < r["night_to"])
    ]
    if any(r["category_outs"] & bit if bit else r["global_out"] for r in here):
        return "opted_out"
    return ("opted_in" if any(r["ins"] & bit for r in here) else "not_set") if here else None


def test_every_change_that_two_nights_of_an_esp_show_is_found(seed: int, is_full: bool) -> None:
    """An opt-out may show in a record that is new, gone, or beside another that stays."""
    for drawn in range(seed, seed + (100 if is_full else 4)):
        rng, con = Random(drawn), warehouse()
        world(con, [], has_feed=False)
        for number in range(1, NIGHTS + 1):
            _read(con, "records", number, read_at(number), ESP)
        # No store is new: what the first read of one shows is no change.
        first = {"valid_from": read_at(1), "night_from": night_at(1)}
        known = [reading(ESP, PEOPLE, store=name, **first) for name in "xyz"]
        store(con, "core.observation", known)
        wanted: Counter[tuple[object, ...]] = Counter()
        for person in range(PEOPLE):
            rows = [row for name in "xyz"[: rng.randint(1, 3)]
                    for row in versions(rng, person, name)]  # fmt: skip
            store(con, "core.observation", rows)
            for number, (name, bit) in product(
                range(2, NIGHTS + 1), (("a", 1), ("b", 2), ("global", 0))
            ):
                before, now = (shown(rows, night_at(n), bit) for n in (number - 1, number))
                is_seen = before and now and before != now
                if is_seen and (before, now) != ("opted_in", "not_set"):
                    new = "opted_in" if not bit and now == "not_set" else now
                    wanted[key(person), name, new, night_at(number)] += 1
        judge_trail(con, night_at(NIGHTS), policy=WITH_ESP)
        found = Counter(con.execute(
            "SELECT contact_key, field, new_state, night FROM audit.trail_change"
            " WHERE fault = 'change_without_entry'"
        ).fetchall())  # fmt: skip
        assert found == wanted, drawn
        assert wanted
