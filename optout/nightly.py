"""The steps of a night, in order: the same functions for Dagster's assets, tests and replays.

begin → extract → load (raw, core, derived changes) → reconcile → measure → publish
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from uuid import uuid4

from duckdb import DuckDBPyConnection

from optout.errors import UsageError
from optout.extract import PROGRESS, Night, build_connector, extract_night
from optout.files import make_dir, sync_dir
from optout.landing.manifest import Manifest
from optout.lock import run_lock
from optout.project import Project
from optout.rights.keys import check_key
from optout.rights.pending import settle
from optout.rights.retention import retain
from optout.rights.suppression import recognise, restore, write_outside
from optout.settings import Secrets, Settings
from optout.trail.heads import write_head
from optout.trail.measure import measure_chain
from optout.vendors.base import Connector, SystemConfig
from optout.warehouse import load
from optout.warehouse.audience import audience
from optout.warehouse.clock_metrics import measure_clocks
from optout.warehouse.clocks import clock_policy, clocks
from optout.warehouse.connection import transaction
from optout.warehouse.consent import consents
from optout.warehouse.meaning import keep_meaning
from optout.warehouse.metrics import measure
from optout.warehouse.moves import count_moves
from optout.warehouse.reconcile import reconcile
from optout.warehouse.script import run
from optout.warehouse.spikes import detect, spike_policy
from optout.warehouse.trail import judge_trail, measure_trail


@dataclass(frozen=True)
class SystemNight:
    """What became of one system tonight."""

    name: str
    is_complete: bool
    why_not: str | None
    records: int
    requests: int


def extract(
    project: Project,
    night: date,
    *,
    systems: Sequence[str] | None = None,
    progress: Callable[[str], None] = PROGRESS.info,
    build: Callable[[Settings, Secrets, SystemConfig], Connector] = build_connector,
    run_id: str | None = None,
) -> list[Manifest]:
    """Read the systems (all, or those named) into landing; never raises for a system's failure.

    A night other than tonight is a backfill: vendors tell only the latest state, so only its
    dated events are read. `run_id`: the orchestrator's name of this run, by which alerts and pages
    link to it; without an orchestrator a run names itself.
    """
    with run_lock(project.data_dir, f"extraction of the night {night}", project.now):
        settle(project, publish)
        plan = _plan(project, night, run_id or str(uuid4()))
        wanted = [c for c in project.settings.systems if systems is None or c.name in systems]
        connectors = [build(project.settings, project.secrets, c) for c in wanted]
        overlap = project.settings.overlap
        return extract_night(connectors, project.landing, plan, overlap=overlap, progress=progress)


def _plan(project: Project, night: date, run_id: str) -> Night:
    """Begin the night: its cut-off, and what earlier nights (finished first) left for it."""
    with project.warehouse.writer() as con:
        if night == project.tonight:
            _refuse_a_clock_that_went_back(con, night)
        with transaction(con):
            keep_meaning(con, project.settings)
    cutoff = project.landing.begin_night(night, project.now)
    with project.warehouse.writer() as con:
        with transaction(con):
            check_key(con, project.key_only, project.now)
            restore(con, project.data_dir)
        catch_up(project, con, before=night)
        memory = load.stream_memory(con, night)
        kind = "run" if night == project.tonight else "backfill"
        with transaction(con):
            load.begin_night(con, night, cutoff, kind=kind, run_id=run_id)
    # A clock that was put back a little must not let the read begin before its own cut-off.
    now = max(project.now, cutoff)
    return Night(night, cutoff, now, memory, events_only=night < project.tonight)


def _refuse_a_clock_that_went_back(con: DuckDBPyConnection, night: date) -> None:
    """Vendors tell the latest state only: under an earlier night's name it would be judged as old
    news, and nobody would see that tonight was never audited."""
    row = con.execute("SELECT max(night) FROM core.night WHERE kind = 'run'").fetchone()
    if row and row[0] is not None and night < row[0]:
        raise UsageError(
            f"the clock says that tonight is {night}, but the night {row[0]} was already run",
            mend="Set the clock right; if the later night is the wrong one, restore the back-up "
            "from before it. For an earlier night's dated events: `optout run --date`",
        )


def catch_up(project: Project, con: DuckDBPyConnection, *, before: date) -> None:
    """Finish the nights that a killed run left: what a vendor was told is ours must not wait."""
    rows = con.execute("SELECT night FROM core.night WHERE finished_at IS NOT NULL").fetchall()
    finished = {row[0] for row in rows}
    for night in project.landing.nights():
        cutoff = project.landing.cutoff(night)
        if night >= before or night in finished or cutoff is None:
            continue
        with transaction(con):
            load.begin_night(con, night, cutoff, kind="run", run_id=None)
        for config in project.settings.systems:
            load.load_raw(con, project.landing, night, config.name)
            load_core(project, con, night, config.name)
        derive(project, con, night)
        audit(project, con, night)
        metrics(project, con, night)


def load_core(project: Project, con: DuckDBPyConnection, night: date, system: str) -> bool:
    """One system's night from raw into core; False where there was nothing new."""
    policy = project.load_policy
    return load.load_core(con, night, system, policy=policy, recorded_at=project.now)


def derive(project: Project, con: DuckDBPyConnection, night: date) -> None:
    """Changes that no vendor told, once all systems of the night are in core."""
    load.derive_changes(con, night, policy=project.load_policy, recorded_at=project.now)


def audit(project: Project, con: DuckDBPyConnection, night: date) -> None:
    """What should be, and where it is not."""
    with transaction(con):
        secrets = project.key_only
        recognise(con, night, secrets.keyer, secrets.retired)
        reconcile(con, night, policy=project.reconcile_policy, engine=project.engine)
        judge_trail(con, night, policy=project.reconcile_policy)
        law = clock_policy(project.settings)
        for step in (clocks, consents, audience):
            step(con, night, policy=law)
        detect(con, night, policy=spike_policy(project.settings))


def metrics(project: Project, con: DuckDBPyConnection, night: date) -> None:
    """The night's promises."""
    with transaction(con):
        measure(con, night, policy=project.reconcile_policy)
        measure_trail(con, night, policy=project.reconcile_policy)
        count_moves(con, night)
        measure_chain(con, night, project.data_dir, project.key_only.keyer)
        measure_clocks(con, night, policy=clock_policy(project.settings))
        con.execute(
            "UPDATE core.night SET finished_at = $now WHERE night = $night",
            {"now": load.naive(project.now), "night": night},
        )


def publish(project: Project, con: DuckDBPyConnection) -> Path:
    """Replace the copy that people read, at once or not at all."""
    retain(project, con)
    write_outside(con, project.data_dir)
    target = project.published
    fresh = target.with_suffix(".new")
    make_dir(target.parent)
    for stale in (fresh, Path(f"{fresh}.wal")):
        stale.unlink(missing_ok=True)
    quoted = str(fresh).replace("'", "''")
    con.execute(f"ATTACH '{quoted}' AS published")
    try:
        run(con, "publish")
    finally:
        con.execute("DETACH published")
    fresh.chmod(0o600)
    fresh.replace(target)
    sync_dir(target.parent)
    write_head(project.data_dir, con)
    return target


def system_nights(con: DuckDBPyConnection, night: date, names: Sequence[str]) -> list[SystemNight]:
    """Each system's verdict: complete if every stream of it was read completely or is not had."""
    rows = con.execute(
        """
        SELECT system, bool_and(is_complete),
               string_agg(stream || ': ' || why_not, '; ' ORDER BY stream)
                   FILTER (WHERE NOT is_complete),
               sum(row_count), sum(requests)
        FROM core.source_read WHERE night = $night GROUP BY system
        """,
        {"night": night},
    ).fetchall()
    found = {row[0]: row for row in rows}
    result = []
    for name in names:
        row = found.get(name)
        if row is None:
            result.append(SystemNight(name, False, "was not read", 0, 0))
        else:
            result.append(
                SystemNight(name, bool(row[1]), row[2], int(row[3] or 0), int(row[4] or 0))
            )
    return result


def latest_night(
    con: DuckDBPyConnection, night: date | None = None
) -> tuple[date, datetime] | None:
    """The newest finished night (or the one asked for) with its cut-off."""
    row = con.execute(
        "SELECT night, cutoff_at FROM core.night WHERE finished_at IS NOT NULL"
        " AND ($night IS NULL OR night = $night) ORDER BY night DESC LIMIT 1",
        {"night": night},
    ).fetchone()
    return (row[0], row[1]) if row else None
