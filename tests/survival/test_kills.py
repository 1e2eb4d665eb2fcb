"""Killed for good at any call to the world and run again, a night ends as if nothing had happened.

Calls: requests, files opened, written through, renamed and removed, transactions of both databases,
notices. `make test` draws a few of every kind; OPTOUT_SURVIVE=full takes each.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from optout.sandbox.world.world import Plan
from optout.testing.drift import found, planted
from optout.testing.fuse import KILL, TEAR
from optout.testing.nights import Bench, differences
from optout.testing.survival import begun, in_child, outcome, readable, undisturbed

PLAN = Plan(people=10, seed=5, campaign_size=8)
PORTIONS = 16
"""The full loop in portions, so that each has a time limit of its own."""
KILLED = -signal.SIGKILL

Outcome = dict[str, Any]


@pytest.fixture(scope="module")
def quiet_night(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Outcome]:
    """The calls of a night that nobody kills, and what it leaves behind."""
    with Bench(tmp_path_factory.mktemp("quiet"), PLAN) as bench:
        begun(bench)
        code, noted = in_child(bench)
        assert code == 0
        return noted, outcome(bench)


@pytest.fixture(scope="module")
def right(quiet_night: tuple[list[str], Outcome]) -> Outcome:
    """What the undisturbed night leaves behind."""
    told = quiet_night[1]
    assert told["alerts"] and told["core.change"] and told["published audit.drift"]
    assert not told["remains"] and not told["chain"]
    return told


@pytest.fixture(scope="module")
def calls(quiet_night: tuple[list[str], Outcome]) -> list[str]:
    """The calls of a night that nobody kills, in their order."""
    noted = quiet_night[0]
    assert {call.split()[0] for call in noted} >= {
        "http", "open", "fsync", "rename", "remove", "mkdir", "duckdb", "sqlite",
    }  # fmt: skip
    return noted


def survives(folder: Path, right: Outcome, nth: int, how: str) -> None:
    """Kill a new installation's first night at one call, run it again, compare all there is."""
    with Bench(folder, PLAN) as bench:
        begun(bench)
        code, noted = in_child(bench, at=nth, how=how)
        # Threads take turns as they like: a run may need a call less.
        assert code == KILLED or len(noted) < nth, (nth, code)
        readable(bench.project())
        undisturbed(bench)
        told = differences(outcome(bench), right)
        assert told == [], f"{how} at call {nth} ({noted[-1]}): {told}"


def drawn(calls: list[str], rng: Random) -> Iterator[tuple[int, str]]:
    """One call of each kind: the number from 1, and how to die there."""
    ends = len(calls) - calls[::-1].index("rename optout.new")
    for starts, how in (
        (("http",), KILL),
        (("open", "rename", "remove", "mkdir"), KILL),
        (("fsync",), TEAR),
        (("duckdb",), KILL),
    ):
        places = [n for n, call in enumerate(calls[:ends], 1) if call.startswith(starts)]
        yield rng.choice(places), how
    yield rng.randrange(ends, len(calls) + 1), TEAR


@pytest.mark.parametrize("turn", range(5))
def test_a_kill_at_a_call_of_each_kind_changes_nothing(
    turn: int, seed: int, tmp_path: Path, right: Outcome, calls: list[str]
) -> None:
    """A crash that loses one opt-out is found by the person who gets the next mail."""
    nth, how = list(drawn(calls, Random(f"{seed} kills")))[turn]
    survives(tmp_path, right, nth, how)


@pytest.mark.slow
@pytest.mark.parametrize("portion", range(PORTIONS))
def test_a_kill_at_any_call_changes_nothing(
    portion: int, is_full: bool, tmp_path: Path, right: Outcome, calls: list[str]
) -> None:
    """The one place that is not tried is the one where it happens."""
    if not is_full:
        pytest.skip("every call under OPTOUT_SURVIVE=full; one of each kind runs above")
    for nth in range(1 + portion, len(calls) + 1, PORTIONS):
        torn = calls[nth - 1].startswith("fsync")
        survives(tmp_path / str(nth), right, nth, TEAR if torn else KILL)


def test_a_night_that_died_is_made_up_for_by_the_next_one(
    seed: int, is_full: bool, tmp_path: Path, calls: list[str]
) -> None:
    """Nobody runs last night again; what a vendor's queue gave to the dead run, and was told is
    ours, must still count."""
    rng = Random(f"{seed} next")
    for turn in range(24 if is_full else 1):
        nth = rng.randrange(1, len(calls))
        with Bench(tmp_path / str(turn), PLAN) as bench:
            undisturbed(bench)
            bench.world.advance()
            begun(bench)
            in_child(bench, at=nth)
            bench.world.advance()
            undisturbed(bench)
            with bench.project().warehouse.reader() as con:
                seen, truth = found(con, bench.project()), planted(bench.world.truth())
            assert not truth - seen, f"call {nth}: missed {sorted(truth - seen)[:4]}"
            assert not seen - truth, f"call {nth}: wrong {sorted(seen - truth)[:4]}"


def test_a_kill_at_any_moment_changes_nothing(
    seed: int, is_full: bool, tmp_path: Path, right: Outcome
) -> None:
    """Between two calls that we can count, a database writes by itself."""
    rng = Random(f"{seed} moments")
    for turn in range(40 if is_full else 1):
        moment = rng.uniform(0.1, 4.0)
        with Bench(tmp_path / str(turn), PLAN) as bench:
            begun(bench)
            child = started(bench, "from optout.testing.survival import main; main()")
            is_ready(bench, child, lambda: len(bench.sandbox.log) > 100)
            time.sleep(moment)
            child.kill()
            child.wait()
            readable(bench.project())
            undisturbed(bench)
            assert differences(outcome(bench), right) == [], f"{moment:.3f} s after the reading"


def started(bench: Bench, code: str) -> subprocess.Popen[bytes]:
    """Another process with the installation's environment."""
    now = bench.world.night.read_at.isoformat()
    return subprocess.Popen(
        [sys.executable, "-c", code, str(bench.file), now],
        env={**os.environ, **bench.environ},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def is_ready(bench: Bench, child: subprocess.Popen[bytes], ready: Callable[[], bool]) -> None:
    """Wait until a child has come so far, or has ended."""
    while child.poll() is None and not ready():
        time.sleep(0.01)
