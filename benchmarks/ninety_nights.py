"""Ninety nights of a sandbox company with incidents, read headless, and the site built of them:

    python -m benchmarks.ninety_nights FOLDER [NIGHTS]

Fixed seed. `NIGHTS` fewer than ninety are the last ones of the same story, so that a short run
meets incidents as well. Prints a line a night and where the pages are.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ninety_nights_story import PLAN, POLICY, QUIET, STORY, Step
from dashboards.build import Built, build_site
from optout import nightly
from optout.alerts.service import evaluate_and_deliver
from optout.project import Project
from optout.reports import archive
from optout.reports.build import GROUPS
from optout.reports.build import build as build_report
from optout.reports.source import open_published
from optout.sandbox.world.world import Plan
from optout.testing.nights import Bench

NIGHTS = 90
KEPT = 7
"""So many last nights get pages and a daily report of their own, as every night of a real
installation does."""
PERIODS = ("weekly", "monthly", *GROUPS["quarterly"])


@dataclass(frozen=True)
class Finished:
    """What the nights left."""

    project: Project
    built: Built


def run(
    folder: Path,
    nights: int = NIGHTS,
    plan: Plan = PLAN,
    story: Mapping[int, Step] = STORY,
    kept: int = KEPT,
    say: Callable[[str], None] = lambda line: None,
) -> Finished:
    """Read the last `nights` of the story into `folder`, with alerts and the last night's pages;
    the last `kept` get pages and reports of their own."""
    shift = NIGHTS - nights
    with Bench(folder, plan) as bench:
        bench.file.write_text(bench.file.read_text(encoding="utf-8") + POLICY, encoding="utf-8")
        for number in range(1, nights + 1):
            step = story.get(number + shift, QUIET)
            if number > 1:
                bench.world.advance(step.incident)
            if not step.is_run:
                say(f"{bench.world.night.date}: no run, {step.told}")
                continue
            started = time.monotonic()
            _night(bench, step, is_kept=number > nights - kept)
            say(f"{bench.world.night.date}: {time.monotonic() - started:.1f} s {step.told}")
        project = bench.project()
    if kept:
        _report(project, PERIODS)
    return Finished(project, build_site(project))


def _night(bench: Bench, step: Step, *, is_kept: bool) -> None:
    """One night as the job runs it; pages and reports of those that are kept."""
    bench.sandbox.faults.clear()
    if step.fault is not None:
        bench.sandbox.faults.plant(step.fault)
    bench.run()
    project = bench.project()
    with project.warehouse.writer() as con:
        nightly.publish(project, con)
    evaluate_and_deliver(project)
    if is_kept:
        _report(project, ("daily",))
        build_site(project)


def _report(project: Project, kinds: Sequence[str]) -> None:
    """Reports of the periods in which the night lies."""
    with open_published(project) as con:
        for kind in kinds:
            report = build_report(project, con, kind)
            archive.write(report, project.data_dir / archive.FOLDER)


def main() -> None:
    """Run as many nights as asked."""
    folder = Path(sys.argv[1])
    nights = int(sys.argv[2]) if len(sys.argv) > 2 else NIGHTS
    started = time.monotonic()
    found = run(folder, nights, say=lambda line: print(line, flush=True))
    minutes = (time.monotonic() - started) / 60
    print(f"{nights} nights in {minutes:.1f} min; pages: {found.built.index}")


if __name__ == "__main__":
    main()
