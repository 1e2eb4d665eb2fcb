"""`optout demo`: sandbox vendors, several nights of the real job, found against planted."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import orjson
from rich.console import Console
from rich.table import Table

from optout.alerts.service import Alerting, evaluate_and_deliver
from optout.errors import UsageError
from optout.model import DriftClass
from optout.project import Project
from optout.sandbox.config import write_config
from optout.sandbox.server import Sandbox
from optout.sandbox.world.world import Plan, World
from orchestration.cli.common import EXIT_INTERNAL, EXIT_OK, Invocation
from orchestration.cli.run import run_night, show_pages
from orchestration.cli.verdict import echo_verdict, read_verdict

_MARK = ".optout-demo"
"""Names a folder as a demo's, and keeps what its vendors are made from."""
_SEED = 20261123
_SHOWN_ALERTS = 8
_DAGSTER = "dagster"
_CAMPAIGN = 60
"""Small mailings: SendGrid tells the events of each message in an answer of its own."""

Cell = tuple[str, str, str, str]
"""Class, system, category, address."""


@dataclass(frozen=True)
class Made:
    """What the vendors of a demo are made from: the same again gives the same."""

    contacts: int
    nights: int
    seed: int
    port: int = 0

    def world(self) -> World:
        """The world on its first night."""
        drift = max(1, self.contacts // 1_000)
        return World(Plan(self.contacts, self.seed, drift=drift, campaign_size=_CAMPAIGN))


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
@click.option("--serve", is_flag=True, help="Serve the last demo's vendors again, one night later.")
def command(contacts: int, nights: int, seed: int, folder: Path, serve: bool) -> int:
    """Run several nights over sandbox vendors and show what was planted and what was found.

    Exit code 0 if every planted drift was found and nothing else was reported.
    """
    folder = folder.resolve()
    if serve:
        return _serve(folder)
    console = Console(width=max(100, Console().width), highlight=False)
    _clear(folder)
    console.print(
        f"A world of {contacts:,} contacts in Zendesk Sell and four ESPs (seed {seed}) ..."
    )
    made = Made(contacts, nights, seed)
    world = made.world()
    done: list[Night] = []
    with Sandbox(world.twins.values(), limits_on=False).start() as sandbox:
        config = write_config(sandbox, world, folder)
        made = Made(contacts, nights, seed, sandbox.port)
        os.environ.update(config.environ)
        _keep_runs(folder)
        for number in range(1, nights + 1):
            if number > 1:
                world.advance()
            night = _one_night(world, config.file, number)
            if night is None:
                return EXIT_INTERNAL
            done.append(night)
            console.print(_progress(world, night, config.file))
        project = _project(world, config.file)
        sample = _sample(done[-1])
    world.advance()
    _remember(folder, made, config.environ, world)
    _tell(console, done, project)
    show_pages(project)
    _tell_what_next(console, folder, sample)
    return EXIT_OK if all(n.planted == n.found for n in done) else EXIT_INTERNAL


def _keep_runs(folder: Path) -> None:
    """Dagster's own records, so that `make dev` shows these nights."""
    home = folder / _DAGSTER
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\nnux:\n  enabled: false\n")
    os.environ["DAGSTER_HOME"] = str(home)


def _progress(world: World, night: Night, file: Path) -> str:
    told = evaluate_and_deliver(_project(world, file)).told
    wrong = len(night.planted ^ night.found)
    return (
        f"night {night.number} ({world.night.date}): {len(night.found):,} cells drift, {wrong} of "
        f"them wrong; alerts: {told.opened} new, {told.resolved} over; {night.seconds:.1f} s"
    )


def _serve(folder: Path) -> int:
    """The vendors as they are on the night after the demo's last, until Ctrl-C."""
    try:
        made = Made(**orjson.loads((folder / _MARK).read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{folder} holds no demo", mend="Run `optout demo` first") from error
    world = made.world()
    for _ in range(made.nights):
        world.advance()
    over = threading.Event()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: over.set())
    with Sandbox(world.twins.values(), limits_on=False).start(made.port) as sandbox:
        click.echo(f"The demo's vendors answer on port {sandbox.port}; Ctrl-C ends them.")
        over.wait()
    return EXIT_OK


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
    (folder / _MARK).write_text("{}")


def _remember(folder: Path, made: Made, environ: Mapping[str, str], world: World) -> None:
    """What commands need to go on from here, as if the next night were about to be read."""
    (folder / _MARK).write_bytes(orjson.dumps(asdict(made)))
    told = {
        **environ,
        "OPTOUT_CONFIG": str(folder / "optout.toml"),
        "OPTOUT_NOW": world.night.read_at.isoformat(),
        "DAGSTER_HOME": str(folder / _DAGSTER),
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in told.items()]
    lines.append(f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"')
    (folder / "env.sh").write_text("\n".join(lines) + "\n")


def _sample(night: Night) -> str:
    """Somebody who is mailed against an opt-out; the sandbox's people are made up."""
    worst = DriftClass.UNHONOURED_OPT_OUT.value
    cells = sorted(night.found, key=lambda cell: (cell[0] != worst, cell[3], cell))
    return cells[0][3] if cells else "ADDRESS"


def _tell(console: Console, done: list[Night], project: Project) -> None:
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
    echo_verdict(read_verdict(project))
    with Alerting(project) as alerting:
        alerts = alerting.state.alerts(only_open=True)
    alerts.sort(key=lambda a: (-a.severity.rank, a.opened_at, a.facts.headline))
    told = Table("Severity", "Since", f"The most urgent of {len(alerts)} open alerts")
    for alert in alerts[:_SHOWN_ALERTS]:
        told.add_row(alert.severity.value, str(alert.opened_night), alert.facts.headline)
    console.print(told)


def _tell_what_next(console: Console, folder: Path, sample: str) -> None:
    console.print(
        f"\nWhere to look next:\n"
        f"  . {shlex.quote(str(folder / 'env.sh'))}\n"
        "  optout drift --class unhonoured_opt_out --reveal   who is mailed against their will\n"
        f"  optout explain {sample}   one person's history\n"
        "  optout alerts list                                 what on-call is told\n"
        "  optout dashboard                                   the pages above, in the browser\n"
        "  make dev                                           the Dagster UI on this demo",
        markup=False, soft_wrap=True,
    )  # fmt: skip


def _count(done: Iterable[Night], of: Callable[[Night], frozenset[Cell]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for night in done:
        total.update(cell[0] for cell in of(night))
    return total
