"""Nights on which several vendors fail at once, in ways that nobody would think of writing down."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from duckdb import DuckDBPyConnection

from optout.sandbox.faults import Fault, FaultKind
from optout.sandbox.world.world import Plan
from optout.testing.drift import DriftCell, found, planted
from optout.testing.nights import Bench, Landed, differences, landed, tables
from optout.vendors import VENDORS

PLAN = Plan(people=25, campaign_size=12, seed=11)
NIGHTS = 200
"""Under OPTOUT_SURVIVE=full; one every day."""
PORTIONS = 4 if os.environ.get("OPTOUT_SURVIVE") == "full" else 1
SAYING_ELSE = {
    FaultKind.UNKNOWN_ENUM, FaultKind.FIELD_ABSENT, FaultKind.FIELD_NULL, FaultKind.SKEW,
}  # fmt: skip
"""After these the vendor's records say something else; tests/contract holds what is made of it."""
KINDS = sorted(set(FaultKind) - SAYING_ELSE)
Rows = Mapping[str, Mapping[str, frozenset[Landed]]]


def read(bench: Bench) -> Rows:
    """System → stream → what was landed tonight."""
    project = bench.project()
    night = bench.world.night.date
    return {c.name: landed(project.landing, night, c.name) for c in project.settings.systems}


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> tuple[Rows, Mapping[str, list[str]]]:
    """The night without a fault."""
    with Bench(tmp_path_factory.mktemp("right"), PLAN) as bench:
        assert all(m.is_complete for m in bench.run())
        with bench.project().warehouse.reader() as con:
            return read(bench), tables(con)


def mix(rng: Random) -> list[Fault]:
    """Up to a dozen faults: at any request, once, for a while or for good. A page that loses its
    rows does so once a vendor: lost each time it is asked for, it is an empty page."""
    faults = [
        Fault(
            rng.choice(KINDS),
            rng.choice(sorted(VENDORS)),
            nth=rng.choice((1, 2, 3, rng.randint(1, 60))),
            times=rng.choice((1, 1, 1, 2, 8, None)),
            seconds=0.01,
            rows=rng.randint(1, 3),
        )
        for _ in range(rng.randint(1, 12))
    ]
    lost = {f.vendor: replace(f, times=1) for f in faults if f.kind is FaultKind.MISSING_PAGE}
    return [f for f in faults if f.kind is not FaultKind.MISSING_PAGE] + list(lost.values())


def survives(
    folder: Path, faults: list[Fault], right: tuple[Rows, Mapping[str, list[str]]]
) -> None:
    """One night with faults and one without."""
    with Bench(folder, PLAN) as bench:
        bench.sandbox.faults.plant(*faults)
        manifests = bench.run()
        rows = read(bench)
        for m in manifests:
            assert m.is_complete or m.why_not, f"{m.system} {m.stream} does not say why"
            if m.is_complete and m.is_snapshot and not m.is_skipped:
                assert rows[m.system][m.stream] == right[0][m.system][m.stream], m.stream
        with bench.project().warehouse.reader() as con:
            # Feeds of events tell no total: a page of theirs that lost its rows shows nowhere.
            lost = any(f.kind is FaultKind.MISSING_PAGE for f in faults)
            if all(m.is_complete for m in manifests) and not lost:
                assert differences(tables(con), right[1]) == []
        bench.sandbox.faults.clear()
        bench.world.advance()
        assert [m.why_not for m in bench.run() if not m.is_complete] == []
        failed = {m.system for m in manifests if not m.is_complete}
        with bench.project().warehouse.reader() as con:
            wanted, seen = planted(bench.world.truth()), found(con, bench.project())
            unknowable = {
                cell for cell in wanted - seen if cell[1] in failed and is_weak(con, cell)
            }
        missed, wrong = wanted - seen - unknowable, seen - wanted
        assert not missed and not wrong, f"missed {len(missed)}, wrong {len(wrong)}"


def is_weak(con: DuckDBPyConnection, cell: DriftCell) -> bool:
    """Whether the system says it by a missing yes, which is an opt-out only where the yes was seen:
    in the one night that failed."""
    row = con.execute(
        "SELECT bool_or(o.weak_outs & (1 << k.bit) <> 0) FROM core.observation AS o"
        " JOIN core.identity AS i USING (contact_key) JOIN core.category_meaning AS k"
        " ON k.category = $category WHERE o.night_to IS NULL AND o.system = $system"
        " AND i.address = $address",
        {"system": cell[1], "category": cell[2], "address": cell[3]},
    ).fetchone()
    return bool(row and row[0])


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_a_mix_of_faults_ends_right_or_says_what_is_lacking(
    portion: int,
    seed: int,
    is_full: bool,
    tmp_path: Path,
    right: tuple[Rows, Mapping[str, list[str]]],
) -> None:
    """A night that is wrong and calls itself complete; or one whose harm outlasts it."""
    for turn in range(NIGHTS // PORTIONS if is_full else 1):
        name = f"{seed} {portion} {turn}"
        faults = mix(Random(name))
        try:
            survives(tmp_path / str(turn), faults, right)
        except AssertionError as error:
            raise AssertionError(f"{name}: {faults}") from error
