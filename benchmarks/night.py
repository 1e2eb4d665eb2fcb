"""What a whole night costs: seconds, memory and requests of `optout run` in a process of its own,
over sandbox vendors in this one. Run it with

    python -m benchmarks.night [PEOPLE ...] [--nights N] [--seed S] [--requests]

Every night's drift is compared with the planted one; a difference ends the benchmark. Limits are
off: with them on, a night lasts as long as the vendors' limits say. `--requests` lists what was
asked of each vendor on the last night.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

from optout.project import Project
from optout.sandbox.config import write_config
from optout.sandbox.server import Sandbox
from optout.sandbox.world.world import Plan, World
from optout.testing.drift import found, planted

OPTOUT = [sys.executable, "-c", "from orchestration.cli import main; main()"]


@dataclass(frozen=True)
class Cost:
    """One night of `optout run`."""

    number: int
    wall: float
    cpu: float
    """Seconds of user and system time, start-up included."""
    peak: float
    """Megabytes of the process at most."""
    first_request: float
    """Seconds from the start of the process."""
    requests: Counter[str]


def main(arguments: Sequence[str]) -> int:
    """Print a line a night for each size."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.night", description=__doc__)
    parser.add_argument("people", nargs="*", type=int, default=[2_000])
    parser.add_argument("--nights", type=int, default=3)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--requests", action="store_true")
    given = parser.parse_args(arguments)
    for people in given.people:
        plan = Plan(people, given.seed, drift=max(1, people // 1_000))
        _say(f"\n{people:,} people, seed {given.seed}\n\n"
             "| night | seconds | CPU | peak MB | first request | requests |\n"
             "| --- | --- | --- | --- | --- | --- |")  # fmt: skip
        last: Counter[str] = Counter()
        for cost, last in nights(plan, given.nights):  # noqa: B007 - the last one is shown
            told = ", ".join(f"{vendor} {count:,}" for vendor, count in cost.requests.items())
            _say(f"| {cost.number} | {cost.wall:.1f} | {cost.cpu:.1f} | {cost.peak:.0f} | "
                 f"{cost.first_request:.1f} s | {told} |")  # fmt: skip
        if given.requests:
            _say("\n" + "\n".join(f"{count:6,}  {what}" for what, count in sorted(last.items())))
    return 0


def nights(plan: Plan, count: int) -> Iterator[tuple[Cost, Counter[str]]]:
    """Run nights of a new world; what each cost, and its requests by vendor, method and path."""
    world = World(plan)
    with (
        TemporaryDirectory(prefix="optout-night-") as folder,
        Sandbox(world.twins.values(), limits_on=False).start() as sandbox,
    ):
        config = write_config(sandbox, world, Path(folder))
        for number in range(1, count + 1):
            if number > 1:
                world.advance()
            sandbox.forget()
            cost = _run(world, sandbox, config.file, config.environ, number)
            asked = Counter(f"{r.vendor} {r.method} {r.template}" for r in sandbox.log)
            project = Project.open(config.file, now=world.night.read_at, environ=config.environ)
            with project.warehouse.reader() as con:
                wrong = found(con, project) ^ planted(world.truth(number))
            if wrong:
                raise SystemExit(f"night {number}: {len(wrong)} cells are missed or wrong")
            yield cost, asked


def _run(
    world: World, sandbox: Sandbox, file: Path, environ: Mapping[str, str], number: int
) -> Cost:
    night = world.night
    project = Project.open(file, now=night.read_at, environ=environ)
    project.landing.begin_night(night.date, night.cutoff)
    command = [*OPTOUT, "--config", str(file), "--now", night.read_at.isoformat(), "run", "--quiet"]
    started = time.monotonic()
    clock = _FirstRequest(sandbox, started)
    clock.start()
    with (
        TemporaryFile("w+") as said,
        subprocess.Popen(command, env={**os.environ, **environ}, stdout=said) as process,
    ):
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 1):
            said.seek(0)
            raise SystemExit(f"{said.read()}night {number}: exit code {process.returncode}")
    counts = Counter(r.vendor for r in sandbox.log)
    return Cost(
        number, time.monotonic() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024,
        clock.seconds, counts,
    )  # fmt: skip


class _FirstRequest(threading.Thread):
    """Waits for the first line of the vendors' log."""

    def __init__(self, sandbox: Sandbox, started: float) -> None:
        super().__init__(daemon=True)
        self.seconds = float("nan")
        self._sandbox, self._since = sandbox, started

    def run(self) -> None:
        while not self._sandbox.log:
            time.sleep(0.02)
        self.seconds = time.monotonic() - self._since


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
