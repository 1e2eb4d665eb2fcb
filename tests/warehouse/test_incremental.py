"""A night that judges only those of whom something changed gives what judging everybody gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from duckdb import DuckDBPyConnection
from hypothesis import given, settings
from hypothesis import strategies as st

from optout.model import Categories
from optout.testing import facts
from optout.testing.facts import CUTOFF, NIGHT, Row
from optout.testing.random_facts import (
    CATEGORIES,
    PEOPLE,
    POLICY,
    SYSTEMS,
    changes_of,
    random_world,
    readings_of,
)
from optout.warehouse import incremental
from optout.warehouse.incremental import WORTH_IT
from optout.warehouse.reconcile import Reconciled, reconcile
from optout.warehouse.script import run

NIGHTS = 4
LATER = timedelta(days=1)
TABLES = ("audit.expected", "audit.drift", "audit.cell_count")
NEWCOMERS = range(PEOPLE, PEOPLE + 20)


class Company:
    """The same nights twice: judged in full, and by what changed."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.full, self.brief = facts.warehouse(), facts.warehouse()
        self.night = NIGHT
        world = random_world(rng.randrange(10**9))
        self.store("core.observation", [r for r in world.readings if not r["night_to"]])
        self.changes = 0
        self.happen(list(world.changes))
        self.know(range(PEOPLE))

    def store(self, table: str, rows: list[Row]) -> None:
        for con in (self.full, self.brief):
            facts.store(con, table, rows)

    def execute(self, sql: str, values: object = None) -> None:
        for con in (self.full, self.brief):
            con.execute(sql, values)

    def happen(self, rows: list[Row]) -> None:
        """Changes are numbered as they are recorded, whenever they were."""
        numbered = []
        for row in rows:
            self.changes += 1
            numbered.append(
                row | {"change_seq": self.changes, "change_id": UUID(int=7 * self.changes)}
            )
        self.store("core.change", numbered)

    def know(self, people: range) -> None:
        for person in people:
            self.execute(
                "INSERT INTO core.identity VALUES (?, 'x', 'k1', ?)",
                [facts.key(person), self.night],
            )

    def judge(self, incomplete: tuple[str, ...] = ()) -> tuple[Reconciled, Reconciled]:
        """Judge the night in both; all that is written has to be the same."""
        done = []
        for con, below in ((self.full, 1 << 62), (self.brief, 0)):
            facts.begin(con, self.night)
            facts.read(con, [s for s in SYSTEMS if s not in incomplete], self.night)
            facts.read(con, incomplete, self.night, is_complete=False)
            done.append(reconcile(con, self.night, policy=POLICY, everybody_below=below))
        for table in TABLES:
            in_full, in_brief = (said(con, table) for con in (self.full, self.brief))
            assert in_brief == in_full, f"{table} on {self.night}"
        return done[0], done[1]

    def live(self) -> None:
        """A day: records that say something else, are gone or new, and acts at any time, told late
        and with clocks that run back."""
        self.night += LATER
        cutoff = CUTOFF + (self.night - NIGHT)
        for gone, fresh in [self.rng.sample(range(PEOPLE), 2) for _ in range(PEOPLE // 20)]:
            self._end(gone)
            self._tell(fresh, cutoff)
        acts: list[Row] = []
        for person in self.rng.sample(range(PEOPLE), PEOPLE // 15):
            when = cutoff + self.rng.choice((-2, -1, 0, 1)) * LATER
            acts += changes_of(self.rng, person, when)
        self.happen(acts)
        if self.rng.random() < 0.5:
            self._return_erased(self.rng.choice(NEWCOMERS))

    def _end(self, person: int) -> None:
        self.execute(
            "UPDATE core.observation SET night_to = $night, is_deleted = true"
            " WHERE night_to IS NULL AND contact_key = $key AND system = $system",
            {
                "night": self.night, "key": facts.key(person), "system": self.rng.choice(SYSTEMS),
            },
        )  # fmt: skip

    def _tell(self, person: int, cutoff: datetime) -> None:
        """Records that are new; what a person's older ones say stays beside them."""
        rows = self.full.execute(
            "SELECT system, stream, store, record_id FROM core.observation WHERE night_to IS NULL"
        ).fetchall()
        taken, fresh = set(rows), []
        for row in readings_of(self.rng, person, cutoff):
            place = (row["system"], row["stream"], row["store"], row["record_id"])
            if place not in taken:
                taken.add(place)
                fresh.append(row | {"night_from": self.night, "night_to": None})
        self.store("core.observation", fresh)

    def _return_erased(self, person: int) -> None:
        """Somebody who was erased is sent again: known by the suppression record alone."""
        category = self.rng.choice((None, *CATEGORIES.names))
        self.know(range(person, person + 1))
        self.execute(
            "INSERT INTO core.suppression VALUES (?, 'k1', ?, ?, 'erasure_request', 'law')",
            [facts.key(person), category, CUTOFF - timedelta(days=3)],
        )

    def close(self) -> None:
        self.full.close()
        self.brief.close()


def said(con: DuckDBPyConnection, table: str) -> list[tuple[Any, ...]]:
    return con.execute(f"SELECT * FROM {table} ORDER BY ALL").fetchall()


@pytest.fixture(autouse=True)
def _however_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """In worlds this small a large share is affected every night."""
    monkeypatch.setattr(incremental, "_MOST", 1.0)


@pytest.fixture
def company(seed: int) -> Iterator[Company]:
    one = Company(Random(seed))
    yield one
    one.close()


@settings(max_examples=2, deadline=None)
@given(st.integers(0, 10**9))
def test_nights_of_what_changed_give_what_full_nights_give(seed: int) -> None:
    """Somebody whose verdict stays although an opt-out arrived would be mailed on; and figures that
    drift apart a little every night are found by nobody."""
    company = Company(Random(seed))
    company.judge()
    for _ in range(NIGHTS):
        company.live()
        whole, part = company.judge()
        assert whole.affected is None
        assert part.affected is not None and 0 < part.affected < PEOPLE
        assert replace(part, affected=None) == whole
    company.close()


def test_a_quiet_night_looks_only_at_what_its_cut_off_moves(company: Company) -> None:
    """It is what makes ten million people a matter of seconds."""
    company.judge()
    for _ in range(3):
        company.night += LATER
        affected = company.judge()[1].affected
    assert affected == 0


def test_an_incomplete_night_is_no_basis_for_a_complete_one(company: Company) -> None:
    """What was not judged has no verdict to keep."""
    company.judge()
    company.live()
    assert company.judge(incomplete=("mc",))[1].affected is None
    company.live()
    assert company.judge()[1].affected is None
    company.live()
    assert company.judge()[1].affected is not None


def test_a_night_that_was_never_judged_is_made_up_for(company: Company) -> None:
    """Loaded, then killed: the next night has to see what both of them brought."""
    company.judge()
    company.live()
    company.live()
    assert company.judge()[1].affected is not None


def wider(company: Company) -> None:
    company.brief.execute("UPDATE audit.basis SET rules = 'other rules'")


def back(company: Company) -> None:
    company.brief.execute("UPDATE audit.basis SET cutoff_at = cutoff_at + INTERVAL 2 DAY")


def erased(company: Company) -> None:
    """As an erasure does it: rows go without a trace."""
    key = company.full.execute("SELECT min(contact_key) FROM core.observation").fetchone()
    for table in ("core.observation", "core.change", "core.identity", "audit.drift"):
        company.execute(f"DELETE FROM {table} WHERE contact_key = ?", key)
    incremental.forget(company.brief)


def loaded_again(company: Company) -> None:
    """Other files of the night that was judged; what they say is not the point here."""
    run(company.brief, "load_reads", system="mc", night=NIGHT)


def damaged(company: Company) -> None:
    company.brief.execute("UPDATE audit.word_count SET people = -people")


@pytest.mark.parametrize("happens", [wider, back, erased, loaded_again, damaged])
def test_where_the_basis_does_not_hold_everybody_is_judged(
    company: Company, happens: Callable[[Company], None]
) -> None:
    """A changed policy, a clock that was set back, an erasure, a night that was loaded again,
    counts that do not add up."""
    company.judge()
    company.live()
    happens(company)
    assert company.judge()[1].affected is None
    company.live()
    assert company.judge()[1].affected is not None


def test_the_same_night_again_judges_everybody(company: Company) -> None:
    """Its own verdicts are no earlier night's; and the repetition changes nothing."""
    company.judge()
    company.live()
    company.judge()
    before = [said(company.brief, table) for table in TABLES]
    again = reconcile(company.brief, company.night, policy=POLICY, everybody_below=0)
    assert again.affected is None
    assert [said(company.brief, table) for table in TABLES] == before


def test_small_companies_and_great_changes_are_judged_in_full(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There it costs less."""
    company.judge()
    company.live()
    monkeypatch.setattr(incremental, "_MOST", 0.0)
    assert company.judge()[1].affected is None
    company.live()
    facts.begin(company.brief, company.night)
    facts.read(company.brief, SYSTEMS, company.night)
    assert reconcile(company.brief, company.night, policy=POLICY).affected is None
    assert WORTH_IT > PEOPLE


def test_other_rules_have_another_fingerprint() -> None:
    """A window that was widened, or a list in another order, changes verdicts of people of whom
    nothing else did."""
    names = Categories(("a", "b")).names
    told = {
        incremental.fingerprint(names, "hub", (), timedelta(minutes=15), ("hub",)),
        incremental.fingerprint(names[::-1], "hub", (), timedelta(minutes=15), ("hub",)),
        incremental.fingerprint(names, "hub", (), timedelta(minutes=16), ("hub",)),
        incremental.fingerprint(names, "hub", (), timedelta(minutes=15), ("hub", "mc")),
    }
    assert len(told) == 4
