"""The trail over whole nights of the sandbox: planted faults, score, chain and commands."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from duckdb import DuckDBPyConnection

from optout import nightly
from optout.sandbox.world.world import Plan
from optout.testing.nights import Bench
from optout.trail.verify import verify
from orchestration.cli import run

HUB = "zendesk_sell"
Found = Counter[tuple[str, str, str, str | None]]


def planted(bench: Bench) -> Found:
    return Counter(
        (g.kind, g.address, g.category or "global",
         g.missing if g.kind == "missing_required_field" else None)
        for g in bench.world.truth().gaps
    )  # fmt: skip


def found(con: DuckDBPyConnection) -> Found:
    rows = con.execute(
        "SELECT g.kind, i.address, g.field, g.missing FROM audit.trail_gap AS g"
        " LEFT JOIN core.identity AS i ON i.contact_key = g.contact_key WHERE g.system = $hub",
        {"hub": HUB},
    ).fetchall()
    return Counter(tuple(row) for row in rows)


def test_four_nights_are_exact_chained_and_told(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each planted gap is found on its night and stays found, nothing else is, the score is that of
    the world, and the chain over it all holds until somebody touches it."""
    with Bench(tmp_path, Plan(people=120, seed=seed)) as bench:
        kinds = set()
        for number in range(1, 5):
            if number > 1:
                bench.world.advance()
            bench.run()
            with bench.project().warehouse.writer() as con:
                told = f"OPTOUT_SEED={seed}, night {number}"
                assert found(con) == planted(bench), told
                assert _score(con) == bench.world.truth().hub_changes, told
                nightly.publish(bench.project(), con)
            kinds |= {kind for kind, *_ in planted(bench)}
        assert kinds == {
            "change_without_entry", "missing_required_field", "broken_chain", "unparsable",
            "no_history", "phantom",
        }  # fmt: skip
        for name, value in bench.environ.items():
            monkeypatch.setenv(name, value)
        _assert_commands(bench, capsys)


def _score(con: DuckDBPyConnection) -> tuple[int, int]:
    row = con.execute(
        "SELECT denominator::INTEGER, numerator::INTEGER FROM mart.metric_daily"
        " WHERE metric = 'audit_trail_completeness' AND system = $hub ORDER BY night DESC LIMIT 1",
        {"hub": HUB},
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def _assert_commands(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    config = ["--config", str(bench.file), "--now", bench.world.night.read_at.isoformat()]
    assert run([*config, "gaps", "--system", HUB, "--json"]) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == sum(planted(bench).values())
    assert {"kind", "system", "field", "contact_key", "at", "source"} <= set(rows[0])
    assert run([*config, "gaps", "--kind", "phantom", "--system", HUB]) == 1
    assert run([*config, "verify"]) == 0
    capsys.readouterr()
    with bench.project().warehouse.writer() as con:
        con.execute("UPDATE core.change SET reason = 'x' WHERE change_seq = 17")
        keyer = bench.project().key_only.keyer
        assert verify(con, bench.project().data_dir, keyer).faults[0].change_seq == 17
    assert run([*config, "verify", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["faults"][0] | {"night": None, "link_seq": None} == {
        "what": "altered", "where": "row", "change_seq": 17, "night": None, "link_seq": None,
    }  # fmt: skip
