"""Killed between any two requests and run again, a night ends as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from optout.testing.contract import PLAN, Reading, read_once
from optout.testing.facts import warehouse
from optout.testing.nights import Bench, KillingAdapter, differences, tables
from optout.testing.outputs import Killed

Faultless = Callable[[str], Reading]


@pytest.fixture(autouse=True)
def every_page_is_durable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a world this small would be read in one piece, and nothing ever resumed."""
    monkeypatch.setattr("optout.landing.writer.FILE_ROWS", 1)


@pytest.fixture(scope="session")
def right_tables(faultless: Faultless) -> Callable[[str], dict[str, list[str]]]:
    """What `core` and `audit` hold after the faultless night of one vendor."""
    known: dict[str, dict[str, list[str]]] = {}

    def of(vendor: str) -> dict[str, list[str]]:
        if vendor not in known:
            known[vendor] = judged(faultless(vendor).bench)
        return known[vendor]

    return of


def judged(bench: Bench) -> dict[str, list[str]]:
    """The tables after a night in which only one vendor was read."""
    with warehouse() as con:
        bench.begin(con)
        bench.judge(con)
        return tables(con)


@pytest.mark.parametrize("after", [False, True], ids=["before it is sent", "before it is read"])
def test_a_kill_at_any_request_changes_nothing(
    vendor: str, after: bool, seed: int, is_full: bool, tmp_path: Path, faultless: Faultless,
    right_tables: Callable[[str], dict[str, list[str]]],
) -> None:  # fmt: skip
    """A crash must neither lose an opt-out nor count it twice, nor be met by a doubled row."""
    right = faultless(vendor)
    everywhere = range(1, right.requests + 1)
    drawn = sorted(Random(f"{seed} {vendor} {after}").sample(everywhere, 2))
    for nth in everywhere if is_full else drawn:
        with Bench(tmp_path / str(nth), PLAN) as bench:
            with pytest.raises(Killed):
                bench.read(vendor, adapter=KillingAdapter(nth, after=after))
            again = read_once(bench, vendor)
            assert again.incomplete == {}, nth
            # What a vendor's queue was told is ours may come in other rows than at once.
            assert differences(judged(bench), right_tables(vendor)) == [], nth


def test_two_kills_in_a_row_change_nothing(
    vendor: str, seed: int, tmp_path: Path, faultless: Faultless,
    right_tables: Callable[[str], dict[str, list[str]]],
) -> None:  # fmt: skip
    """What was resumed once must be resumable again."""
    rng = Random(f"{seed} {vendor} twice")
    first, second = (rng.randint(1, max(2, faultless(vendor).requests // 2)) for _ in range(2))
    with Bench(tmp_path, PLAN) as bench:
        for nth in (first, second):
            with pytest.raises(Killed):
                bench.read(vendor, adapter=KillingAdapter(nth))
        assert read_once(bench, vendor).incomplete == {}
        assert differences(judged(bench), right_tables(vendor)) == [], (first, second)


NIGHT = """
import sys
from datetime import datetime
from pathlib import Path
import os
from optout import nightly
from optout.project import Project
now = datetime.fromisoformat(sys.argv[2])
project = Project.open(Path(sys.argv[1]), now=now, environ=os.environ)
nightly.extract(project, project.tonight, progress=lambda line: None)
"""


def test_a_process_that_is_killed_for_good_changes_nothing(
    seed: int, tmp_path: Path, is_full: bool
) -> None:
    """No handler runs under SIGKILL: only what was durable is there."""
    with Bench(tmp_path / "right", PLAN) as bench:
        bench.run()
        with bench.project().warehouse.reader() as con:
            right = tables(con)
    rng = Random(f"{seed} kill -9")
    for turn in range(10 if is_full else 1):
        with Bench(tmp_path / str(turn), PLAN) as bench:
            tonight = bench.world.night
            bench.project().landing.begin_night(tonight.date, tonight.cutoff)
            limit = rng.randint(1, 110)
            process = subprocess.Popen(
                [sys.executable, "-c", NIGHT, str(bench.file), tonight.read_at.isoformat()],
                env={**os.environ, **bench.environ},
            )
            while process.poll() is None and len(bench.sandbox.log) < limit:
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
            assert process.wait() in (-signal.SIGKILL, 0)
            bench.run()
            with bench.project().warehouse.reader() as con:
                assert differences(tables(con), right) == [], limit
