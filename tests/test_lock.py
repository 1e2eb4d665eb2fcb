"""Two nights at once would read the same queue twice and write over each other."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from optout.errors import LockedError
from optout.lock import run_lock

ROOT = Path(__file__).resolve().parents[1]
NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
HOLD = """
import sys, pathlib, datetime
from optout.lock import run_lock
with run_lock(pathlib.Path(sys.argv[1]), "the other night", datetime.datetime.now(datetime.UTC)):
    print("held", flush=True)
    sys.stdin.read()
"""


def is_free(data_dir: Path) -> bool:
    """Whether another process would get the lock; flock is asked of a file opened anew."""
    with (data_dir / "run.lock").open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_a_second_run_is_refused_and_told_who_holds_the_lock(tmp_path: Path) -> None:
    """On-call must know which process to look at, and get the lock when it is gone."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=f"process {holder.pid}, the other night"):
            run_lock(tmp_path, "this night", NOW).__enter__()
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()
    with run_lock(tmp_path, "this night", NOW):
        pass


def test_a_step_within_a_locked_run_does_not_wait_for_its_own_run(tmp_path: Path) -> None:
    """The headless run holds the lock for all of its steps, and extraction takes it, too."""
    steps = []
    with run_lock(tmp_path, "the run", NOW):
        for step in ("its extraction", "its loading"):
            with run_lock(tmp_path, step, NOW):
                steps.append(step)
            # The end of a step must not let another process in.
            assert is_free(tmp_path) is False
    assert steps == ["its extraction", "its loading"]
    assert is_free(tmp_path) is True
