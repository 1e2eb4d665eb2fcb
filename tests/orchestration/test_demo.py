"""The demonstration, run as a newcomer runs it: in a process of its own, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import duckdb
import pytest

OPTOUT = [sys.executable, "-c", "from orchestration.cli import main; main()"]


def shell(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    """A line of what the demo says to do next, in a new shell."""
    script = f'. {folder}/env.sh && optout() {{ {OPTOUT[0]} -c "{OPTOUT[2]}" "$@"; }} && {line}'
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A small demo that has ended, and what it printed."""
    folder = tmp_path_factory.mktemp("demo") / "here"
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OPTOUT_", "DAGSTER_"))}
    size = ["--contacts", "40", "--nights", "1", "--folder", str(folder)]
    ended = subprocess.run(
        [*OPTOUT, "demo", *size], capture_output=True, text=True, check=False, env=clean
    )
    assert ended.returncode == 0, ended.stderr
    return folder, ended.stdout


def test_it_finds_what_was_planted_and_shows_alerts_and_pages(demo: tuple[Path, str]) -> None:
    """The first thing that anybody sees of the product must work whole."""
    folder, told = demo
    row = re.search(r"unhonoured_opt_out\W+(\d+)\W+(\d+)\W+0\W+0\W", told)
    assert row and int(row[1]) == int(row[2]) > 0
    assert re.search(r"most urgent of \d+ open alerts", told)
    index = re.search(r"Pages: (\S+)", told)
    assert index and Path(index[1]).is_file() and Path(index[1]).is_relative_to(folder)


def test_a_night_knows_the_run_that_dagster_shows(demo: tuple[Path, str]) -> None:
    """An alert's link to its run that leads nowhere costs on-call the first ten minutes."""
    folder, _ = demo
    with duckdb.connect(str(folder / "data/published/optout.duckdb"), read_only=True) as con:
        [(run_id,)] = con.execute("SELECT run_id FROM core.night").fetchall()
    with dg.DagsterInstance.from_config(str(folder / "dagster")) as instance:
        run = instance.get_run_by_id(run_id)
    assert run is not None and run.job_name == "nightly_sync_job"


def test_what_it_says_to_do_next_can_be_done(demo: tuple[Path, str]) -> None:
    """An advice that fails is worse than none."""
    folder, told = demo
    advised = [line.strip().split("   ")[0] for line in told.splitlines()
               if line.startswith("  optout ") and "dashboard" not in line]  # fmt: skip
    assert len(advised) == 3
    for line in advised:
        done = shell(folder, line)
        assert done.returncode in (0, 1), (line, done.stderr)
        assert done.stdout and "Traceback" not in done.stderr


def test_its_vendors_can_be_served_again(demo: tuple[Path, str]) -> None:
    """`make dev` runs the next night over them."""
    folder, _ = demo
    command = [*OPTOUT, "demo", "--serve", "--folder", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
        assert served.stdout and "answer on port" in served.stdout.readline()
        served.terminate()
        assert served.wait(20) == 0
    nothing = shell(folder, f"optout demo --serve --folder {folder}/none")
    assert nothing.returncode == 2 and "Run `optout demo` first" in nothing.stderr
