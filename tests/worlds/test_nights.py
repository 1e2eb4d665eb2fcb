"""Whole worlds over several nights: everything planted is found, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest
from duckdb import DuckDBPyConnection

from optout import nightly
from optout.sandbox.world.world import Plan
from optout.testing.drift import disagreements, found, planted
from optout.testing.nights import Bench
from optout.warehouse import incremental
from optout.warehouse.reconcile import Reconciled, reconcile

SAMPLE = 4
"""People of each drift class whose explanation is held against the verdict."""


def run_nights(
    bench: Bench, nights: int, each: Callable[[Bench, DuckDBPyConnection], None] | None = None
) -> None:
    """Run nights, each of them exact; `each` looks at the warehouse after every one."""
    for number in range(1, nights + 1):
        if number > 1:
            bench.world.advance()
        manifests = bench.run()
        assert [m.why_not for m in manifests if not m.is_complete] == []
        with bench.project().warehouse.writer() as con:
            assert_exact(bench, con)
            if each:
                each(bench, con)


def assert_exact(bench: Bench, con: DuckDBPyConnection) -> None:
    """Every drift class: recall 100 %, no false report."""
    right, seen = planted(bench.world.truth()), found(con, bench.project())
    seed, night = bench.world.plan.seed, bench.world.night.number
    missed, wrong = right - seen, seen - right
    told = f"OPTOUT_SEED={seed}, night {night}: missed {_few(missed)}, wrong {_few(wrong)}"
    assert not missed and not wrong, told


def _few(cells: set[tuple[str, str, str, str]]) -> str:
    return f"{dict(Counter(cell[:2] for cell in cells))} {sorted(cells)[:5]}"


def assert_explained(bench: Bench, con: DuckDBPyConnection) -> None:
    """A sample of each class, and of people without drift, is explained as it was judged."""
    rows = con.execute(
        "SELECT coalesce(d.class, ''), i.contact_key FROM core.identity AS i LEFT JOIN audit.drift"
        " AS d ON d.contact_key = i.contact_key AND d.closed_night IS NULL ORDER BY ALL"
    ).fetchall()
    by_class: dict[str, list[UUID]] = {}
    for name, key in rows:
        by_class.setdefault(name, []).append(key)
    rng = Random(bench.world.plan.seed)
    for name, keys in by_class.items():
        for key in rng.sample(keys, min(SAMPLE, len(keys))):
            assert list(disagreements(con, bench.project(), key)) == [], (name, key)


def test_five_nights_of_two_hundred_contacts_are_exact(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The promise of the product: each opt-out that is not honoured is found, on its first night,
    and nobody is accused wrongly. Judged by what changed; the larger worlds below judge everybody
    every night."""
    judged: list[Reconciled] = []

    def judge(*args: Any, **options: Any) -> Reconciled:
        judged.append(reconcile(*args, **options, everybody_below=0))
        return judged[-1]

    monkeypatch.setattr(incremental, "_MOST", 1.0)
    monkeypatch.setattr(nightly, "reconcile", judge)
    with Bench(tmp_path, Plan(people=200, seed=seed)) as bench:
        run_nights(bench, 5, assert_explained)
        assert {cell[0] for n in range(1, 6) for cell in planted(bench.world.truth(n))} == {
            "not_comparable", "unhonoured_opt_out", "orphan_mailable", "lost_opt_out",
            "over_suppressed", "missing_here", "conflicting_duplicates",
        }  # fmt: skip
    assert [night.affected is not None for night in judged] == [False, True, True, True, True]


def test_two_thousand_contacts_are_exact(seed: int, is_full: bool, tmp_path: Path) -> None:
    """Pages, batches and queues that a small world never fills."""
    with Bench(tmp_path, Plan(people=2_000, seed=seed, drift=2)) as bench:
        run_nights(bench, 5 if is_full else 3, assert_explained)


@pytest.mark.slow
def test_twenty_thousand_contacts_are_exact(seed: int, is_full: bool, tmp_path: Path) -> None:
    """A company's real size."""
    if not is_full:
        pytest.skip("only under OPTOUT_SURVIVE=full")
    with Bench(tmp_path, Plan(people=20_000, seed=seed, drift=20)) as bench:
        run_nights(bench, 5, assert_explained)
