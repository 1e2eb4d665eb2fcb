"""What changes around an installation: the clock, the configuration, the program, a second run."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from optout import nightly
from optout.alerts.state import AlertState
from optout.errors import ConfigurationError, LockedError, UsageError, WarehouseError
from optout.lock import run_lock
from optout.project import Project
from optout.sandbox.world.world import Plan
from optout.testing.drift import found, planted
from optout.testing.nights import Bench, differences, patient, tables
from optout.testing.survival import CONTEXT, begun, undisturbed, whole_night
from optout.warehouse.connection import Warehouse, migrate, migrations

PLAN = Plan(people=30, seed=7, campaign_size=8)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """An installation after two nights; tests work on copies of its folder, before a third."""
    with Bench(tmp_path_factory.mktemp("kept"), PLAN) as bench:
        undisturbed(bench)
        bench.world.advance()
        shutil.copytree(bench.folder / "data", bench.folder / "back-up")
        undisturbed(bench)
        yield bench


@pytest.fixture
def copy(kept: Bench, tmp_path: Path) -> Project:
    """A copy of the installation, still before the same vendors."""
    return copied(kept, tmp_path / "copy")


def copied(kept: Bench, folder: Path) -> Project:
    """The installation in another folder."""
    shutil.copytree(kept.folder, folder)
    return Project.open(folder / "optout.toml", now=kept.world.night.read_at, environ=kept.environ)


def known(project: Project) -> dict[str, Any]:
    """What the warehouse holds."""
    with project.warehouse.reader() as con:
        told = tables(con, ("core", "audit", "mart"))
    for when in ("core.chain_head", "core.contact_key_secret"):
        told.pop(when, None)
    return told


def at(project: Project, **later: float) -> Project:
    """The installation at another moment."""
    assert project.settings.file
    now = project.now + timedelta(**later)
    return Project.open(project.settings.file, now=now, environ=project.environ)


# --- the clock ------------------------------------------------------------------------------------
def test_a_clock_that_went_back_over_a_night_is_refused(copy: Project) -> None:
    """Tonight's state under an older night's name is taken for old news: nobody is audited."""
    before = known(copy)
    with pytest.raises(UsageError, match="already run") as caught:
        nightly.extract(at(copy, days=-1), at(copy, days=-1).tonight, build=patient)
    assert "Set the clock right" in str(caught.value)
    assert known(copy) == before


def test_a_clock_that_went_back_a_little_never_reads_before_the_cutoff(copy: Project) -> None:
    """A state 'read' before the night began would be older than what it follows."""
    shutil.rmtree(copy.landing.root / copy.tonight.isoformat() / "hubspot")
    cutoff = copy.landing.cutoff(copy.tonight)
    assert cutoff is not None
    early = at(copy, seconds=(cutoff - copy.now).total_seconds() - 60)
    manifests = nightly.extract(early, copy.tonight, build=patient)
    again = [m for m in manifests if m.system == "hubspot"]
    assert again
    for manifest in again:
        assert manifest.read_at >= cutoff.isoformat()


def test_a_run_names_itself_and_a_night_that_is_finished_later_keeps_its_name(
    copy: Project,
) -> None:
    """Which attempt a night's figures come from must be told even without an orchestrator."""

    def name() -> str | None:
        with copy.warehouse.reader() as con:
            row = con.execute(
                "SELECT run_id FROM core.night WHERE night = $night", {"night": copy.tonight}
            ).fetchone()
        found: str | None = row[0] if row else None
        return found

    nightly.extract(copy, copy.tonight, systems=("klaviyo",), build=patient)
    own = name()
    assert own is not None
    nightly.extract(copy, copy.tonight, systems=("klaviyo",), build=patient, run_id="given")
    assert name() == "given"
    with copy.warehouse.writer() as con:
        con.execute("UPDATE core.night SET finished_at = NULL WHERE night = ?", [copy.tonight])
        nightly.catch_up(copy, con, before=copy.tonight + timedelta(days=1))
    assert name() == "given"


# --- two at once ----------------------------------------------------------------------------------
def _hold(folder: Path, now: Any, held: Any, done: Any) -> None:
    with run_lock(folder, "optout run, night 2026-09-02", now):
        held.set()
        done.wait()


def test_a_second_run_is_refused_with_who_holds_the_lock(copy: Project) -> None:
    """Two writers would each acknowledge what the other has not stored."""
    held, done = CONTEXT.Event(), CONTEXT.Event()
    other = CONTEXT.Process(target=_hold, args=(copy.data_dir, copy.now, held, done))
    other.start()
    try:
        assert held.wait(30)
        with pytest.raises(LockedError) as caught:
            nightly.extract(copy, copy.tonight, build=patient)
        assert f"process {other.pid}, optout run, night 2026-09-02, since" in str(caught.value)
    finally:
        done.set()
        other.join()
    nightly.extract(copy, copy.tonight, build=patient)


# --- the configuration ----------------------------------------------------------------------------
def rewritten(project: Project, old: str, new: str) -> Project:
    """The installation with another configuration, at the next night's moment."""
    file = project.settings.file
    assert file
    text = file.read_text()
    assert re.search(old, text, re.S), old
    file.write_text(re.sub(old, new, text, count=1, flags=re.S))
    return at(project, days=1)


def run(project: Project) -> None:
    """Tonight, all of it."""
    assert project.settings.file
    whole_night(project.settings.file, project.now, project.environ)


def alarms_of(project: Project, system: str) -> set[str]:
    """The rules that have an alert open on what is shown by one system."""
    with AlertState(project.data_dir) as state:
        return {
            alert.key.rule
            for alert in state.alerts(only_open=True)
            if system in (alert.key.target, *alert.facts.systems[-1:])
            or (alert.key.rule == "lost_opt_out" and alert.key.source == system)
        }


_TABLE = r'\[\[esp\]\]\nname = "sendgrid".*?(?=\n\[\[esp\]\])'


def test_a_system_that_was_removed_is_judged_no_more_and_keeps_its_past(copy: Project) -> None:
    """A company leaves a provider: its open drift must neither alarm for ever nor be erased."""
    before = known(copy)
    assert alarms_of(copy, "sendgrid") >= {"unhonoured_opt_out"}
    changed = rewritten(copy, _TABLE, "")
    run(changed)
    assert alarms_of(changed, "sendgrid") == set()
    after = known(changed)
    seen = {row for row in before["core.observation"] if "'sendgrid'" in row}
    assert seen
    assert seen <= set(after["core.observation"])
    with changed.warehouse.reader() as con:
        told = con.execute(
            "SELECT count(*) FROM mart.metric_daily WHERE system = 'sendgrid' AND night = $night",
            {"night": changed.tonight},
        ).fetchone()
        opened = con.execute(
            "SELECT count(*) FROM audit.drift WHERE system = 'sendgrid' AND opened_night = $night",
            {"night": changed.tonight},
        ).fetchone()
    assert told == (0,)
    assert opened == (0,)


def test_a_feed_that_is_no_longer_asked_for_is_not_missed(copy: Project) -> None:
    """A setting that was switched off must not leave its system incomplete for ever."""
    changed = rewritten(copy, 'vendor = "mailchimp"', 'vendor = "mailchimp"\nengagement = false')
    run(changed)
    with changed.warehouse.reader() as con:
        told = con.execute(
            "SELECT value, status FROM mart.metric_daily WHERE metric = 'extraction_complete'"
            " AND system = 'mailchimp' AND night = $night",
            {"night": changed.tonight},
        ).fetchall()
        read = con.execute(
            "SELECT DISTINCT stream FROM core.source_read WHERE system = 'mailchimp'"
        ).fetchall()
    assert ("clicks",) in read
    assert told == [(1.0, "met")]


def test_a_system_that_was_renamed_is_read_as_a_new_one(copy: Project) -> None:
    """The new name has no past: all of it is read, nothing is taken for changed."""
    changed = rewritten(copy, 'name = "sendgrid"', 'name = "grid"')
    run(changed)
    with changed.warehouse.reader() as con:
        reads = con.execute(
            "SELECT bool_and(is_complete), bool_and(is_full OR NOT is_snapshot_read)"
            " FROM (SELECT is_complete, is_full, stream IN"
            " (SELECT stream FROM core.source_read WHERE system = 'sendgrid') AS is_snapshot_read"
            " FROM core.source_read WHERE system = 'grid')"
        ).fetchone()
        assert reads == (True, True)
        old = con.execute(
            "SELECT count(*) FROM mart.metric_daily WHERE system = 'sendgrid' AND night = $night",
            {"night": changed.tonight},
        ).fetchone()
    assert {cell for cell in opened(changed) if cell[1] == "grid"}
    assert old == (0,)


def test_a_category_that_was_added_is_judged_from_then_on(copy: Project) -> None:
    """Bits of categories are stored: a new name may not move what the old ones mean."""
    before = known(copy)
    changed = rewritten(copy, r'"events"\]', '"events", "surveys"]')
    run(changed)
    assert set(before["core.change"]) <= set(known(changed)["core.change"])
    cells = {cell for cell in opened(changed) if cell[2] in copy.settings.categories}
    assert cells
    run(at(changed, days=1))
    assert {cell for cell in opened(changed) if cell[2] in copy.settings.categories} == cells


@pytest.mark.parametrize(
    "names",
    [
        '["events", "promotional", "educational", "product_updates"]',
        '["product_updates", "educational", "promotional"]',
        '["product_updates", "educational", "promotions", "events"]',
    ],
    ids=["in another order", "without one", "with another name"],
)
def test_categories_that_would_be_read_with_another_meaning_are_refused(
    names: str, copy: Project
) -> None:
    """Stored masks go by place: an opt-out of product updates would become one of events."""
    before = known(copy)
    file = copy.settings.file
    assert file
    text = re.sub(r"categories = \[[^\]]*\]", f"categories = {names}", file.read_text(), count=1)
    file.write_text(text.replace("events = [", "# ") if "events" not in names else text)
    if "promotions" in names:
        file.write_text(file.read_text().replace("promotional = [", "promotions = ["))
    with pytest.raises(ConfigurationError, match="categories") as caught:
        run(at(copy, days=1))
    assert "add new ones at the end" in str(caught.value)
    assert known(copy) == before


def test_a_category_that_is_mapped_elsewhere_is_judged_by_its_new_store(copy: Project) -> None:
    """Who moves a category to another group must see that group's people the next morning."""
    file = copy.settings.file
    assert file
    block = re.search(_TABLE, file.read_text(), re.S)
    assert block
    first, second = re.findall(r"(?m)^(?:promotional|events) = (.*)$", block[0])
    swapped = block[0].replace(first, "@").replace(second, first).replace("@", second)
    file.write_text(file.read_text().replace(block[0], swapped))
    changed = at(copy, days=1)
    before = opened(copy)
    run(changed)
    after = opened(changed)
    assert {cell for cell in before if cell[1] != "sendgrid"} & after
    moved = {cell for cell in after ^ before if cell[1] == "sendgrid"}
    assert {cell[2] for cell in moved} >= {"promotional", "events"}


def opened(project: Project) -> set[tuple[str, ...]]:
    """The open drift: class, system, category, contact."""
    with project.warehouse.reader() as con:
        rows = con.execute(
            "SELECT class, system, category, contact_key::VARCHAR FROM audit.drift"
            " WHERE closed_night IS NULL"
        ).fetchall()
    return set(rows)


# --- the program ----------------------------------------------------------------------------------
@pytest.mark.parametrize("version", sorted(migrations())[:-1])
def test_an_installation_of_any_earlier_schema_is_brought_up_to_date(
    version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who updates after a year must not have to begin anew."""
    every = migrations()
    old = {number: sql for number, sql in every.items() if number <= version}
    monkeypatch.setattr("optout.warehouse.connection.migrations", lambda: old)
    with Warehouse(tmp_path).writer() as con:
        planted_rows(con)
        before = counted(con)
    monkeypatch.setattr("optout.warehouse.connection.migrations", lambda: every)
    with Warehouse(tmp_path).writer() as con:
        after = counted(con)
        assert {name: after[name] for name in before} == before
        with closing(duckdb.connect()) as fresh:
            fresh.execute("SET TimeZone = 'UTC'")
            migrate(fresh)
            assert columns(con) == columns(fresh)


def planted_rows(con: duckdb.DuckDBPyConnection) -> None:
    """One row in each table: defaults where there are, else something of the type."""
    for schema, table in con.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE schema_name <> 'main'"
    ).fetchall():
        described = con.execute(f"DESCRIBE {schema}.{table}").fetchall()
        made = [f"CAST({_SOME.get(kind, '1')} AS {kind})" for _, kind, *_ in described]
        con.execute(f"INSERT INTO {schema}.{table} SELECT {', '.join(made)}")


_SOME = {
    "UUID": "'00000000-0000-0000-0000-000000000001'",
    "DATE": "'2026-09-01'",
    "TIMESTAMP": "'2026-09-01'",
    "BOOLEAN": "true",
    "BLOB": "'x'",
    "JSON": "'{}'",
}


def counted(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Rows by table."""
    listed = con.execute(
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE schema_name <> 'main'"
    ).fetchall()
    return {
        name: con.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0] for (name,) in listed
    }


def columns(con: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    """The schema: every column of every table and view."""
    return con.execute(
        "SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns"
        " ORDER BY ALL"
    ).fetchall()


def test_a_database_of_a_newer_program_is_left_alone(copy: Project) -> None:
    """An old program that writes into a newer schema spoils what it does not know."""
    with copy.warehouse.writer() as con:
        con.execute("INSERT INTO schema_version VALUES (9999)")
    with pytest.raises(WarehouseError, match="newer version"), copy.warehouse.writer():
        pass


# --- back-up and restore --------------------------------------------------------------------------
def test_a_backup_and_the_landing_since_give_the_same_answer(kept: Bench, tmp_path: Path) -> None:
    """A back-up that was never restored is none; landing holds what came after it.

    The heads of the chain are restored with the database whose links they seal.
    """
    right = copied(kept, tmp_path / "right")
    back = copied(kept, tmp_path / "back")
    for name in ("optout.duckdb", "chain/heads.jsonl"):
        shutil.copy2(kept.folder / "back-up" / name, back.data_dir / name)
    Path(f"{back.warehouse.path}.wal").unlink(missing_ok=True)
    run(back)
    assert differences(known(back), known(right)) == []


def test_a_lost_database_is_replayed_from_landing_by_the_next_night(
    kept: Bench, tmp_path: Path
) -> None:
    """Everything is derived from landing: without the database nothing is lost but its seals."""
    right, lost = copied(kept, tmp_path / "right"), copied(kept, tmp_path / "lost")
    lost.warehouse.path.unlink()
    shutil.rmtree(lost.data_dir / "chain")
    for project in (at(right, days=1), at(lost, days=1)):
        begun(kept)
        run(project)
    assert differences(known(lost), known(right)) == []


def test_drift_after_all_of_it_is_exact(kept: Bench) -> None:
    """The comparisons of this module would be idle on nights that find nothing."""
    with kept.project().warehouse.reader() as con:
        assert found(con, kept.project()) == planted(kept.world.truth())
