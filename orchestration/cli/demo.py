"""`optout demo`: sandbox vendors, several nights of the real job, found against planted."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from optout.errors import UsageError
from optout.model import DriftClass
from optout.project import Project
from optout.sandbox.config import write_config
from optout.sandbox.server import Sandbox
from optout.sandbox.world.world import Plan, World
from orchestration.cli.common import EXIT_INTERNAL, EXIT_OK, Invocation
from orchestration.cli.run import run_night
from orchestration.cli.verdict import Verdict, echo_verdict, read_verdict

_MARK = ".optout-demo"
_SEED = 20261123
_CAMPAIGN = 60
"""Small mailings: SendGrid tells the events of each message in an answer of its own."""

Cell = tuple[str, str, str, str]
"""Class, system, category, address."""


@dataclass(frozen=True)
class Night:
    """What one night of the demo came to."""

    number: int
    seconds: float
    planted: frozenset[Cell]
    found: frozenset[Cell]


@click.command(name="demo")
@click.option("--contacts", default=2_000, show_default=True, help="Size of the world.")
@click.option("--nights", default=5, show_default=True, help="Nights to run.")
@click.option("--seed", default=_SEED, show_default=True, help="Another seed, another world.")
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), default=Path("demo"),
    show_default=True, help="Where its data goes; an earlier demo there is replaced.",
)  # fmt: skip
def command(contacts: int, nights: int, seed: int, folder: Path) -> int:
    """Run several nights over sandbox vendors and show what was planted and what was found.

    Exit code 0 if every planted drift was found and nothing else was reported.
    """
    console = Console(width=max(100, Console().width), highlight=False)
    folder = folder.resolve()
    _clear(folder)
    console.print(
        f"A world of {contacts:,} contacts in Zendesk Sell and four ESPs (seed {seed}) ..."
    )
    plan = Plan(
        people=contacts, seed=seed, drift=max(1, contacts // 1_000), campaign_size=_CAMPAIGN
    )
    world = World(plan)
    done: list[Night] = []
    with Sandbox(world.twins.values(), limits_on=False).start() as sandbox:
        config = write_config(sandbox, world, folder)
        _write_environment(folder, config.environ)
        os.environ.update(config.environ)
        for number in range(1, nights + 1):
            if number > 1:
                world.advance()
            night = _one_night(world, config.file, number)
            if night is None:
                return EXIT_INTERNAL
            done.append(night)
            wrong = len(night.planted ^ night.found)
            console.print(
                f"night {number} ({world.night.date}): {len(night.found):,} cells drift, "
                f"{wrong} of them wrong, {night.seconds:.1f} s"
            )
        project = _project(world, config.file)
    _tell(console, done, read_verdict(project), folder)
    return EXIT_OK if all(n.planted == n.found for n in done) else EXIT_INTERNAL


def _one_night(world: World, file: Path, number: int) -> Night | None:
    started = time.monotonic()
    project = _project(world, file)
    project.landing.begin_night(world.night.date, world.night.cutoff)
    invocation = Invocation(file, world.night.read_at.isoformat())
    if run_night(project, invocation, world.night.date):
        return None
    truth = world.truth(number)
    planted = frozenset(
        (row.drift_class.value, row.system, row.category, row.address) for row in truth.drift
    )
    return Night(number, time.monotonic() - started, planted, _found(project))


def _project(world: World, file: Path) -> Project:
    return Project.open(file, now=world.night.read_at, environ=os.environ)


def _found(project: Project) -> frozenset[Cell]:
    """Open drift with addresses: the sandbox's people are synthetic."""
    mapped = {c.name: tuple(c.categories) for c in project.settings.esp}
    mapped[project.settings.hub.name] = project.settings.categories
    with project.warehouse.reader() as con:
        rows = con.execute(
            "SELECT class, system, category, address FROM audit.drift"
            " JOIN core.identity USING (contact_key) WHERE closed_night IS NULL"
        ).fetchall()
    return frozenset(
        (name, system, each, address)
        for name, system, category, address in rows
        for each in ((category,) if category else mapped[system])
    )


def _clear(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARK).exists():
        raise UsageError(f"{folder} is no demo's folder", mend="Name another with --folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / _MARK).write_text("Made by `optout demo`, which replaces this folder.\n")


def _write_environment(folder: Path, environ: Mapping[str, str]) -> None:
    lines = [f"export {name}='{value}'" for name, value in environ.items()]
    (folder / "env.sh").write_text("\n".join(lines) + "\n")


def _tell(console: Console, done: list[Night], verdict: Verdict, folder: Path) -> None:
    table = Table("Drift class", "Planted", "Found", "Missed", "Wrongly reported",
                  title=f"All {len(done)} nights, cell by cell", title_justify="left")  # fmt: skip
    planted, found, missed, wrong = (
        _count(done, lambda n: n.planted),
        _count(done, lambda n: n.found & n.planted),
        _count(done, lambda n: n.planted - n.found),
        _count(done, lambda n: n.found - n.planted),
    )
    for drift_class in DriftClass:
        name = drift_class.value
        table.add_row(name, *(f"{c[name]:,}" for c in (planted, found, missed, wrong)))
    console.print(table)
    echo_verdict(verdict)
    console.print(
        f"\nWhere to look next:\n"
        f"  . {folder}/env.sh && cd {folder}\n"
        "  optout drift --class unhonoured_opt_out --reveal   who is mailed against their will\n"
        "  optout explain ADDRESS                             one person's history\n"
        "  optout status --all                                every figure\n"
        "  make dev                                           the Dagster UI"
    )


def _count(done: Iterable[Night], of: Callable[[Night], frozenset[Cell]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for night in done:
        total.update(cell[0] for cell in of(night))
    return total
