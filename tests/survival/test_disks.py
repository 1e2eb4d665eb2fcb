"""A disk that is full, read-only or damaged: said in words, with the mend; after it, as if nothing
had happened."""

from __future__ import annotations

import resource
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest

from optout.alerts.state import AlertState
from optout.errors import LandingError, LockedError, OptoutError, StorageError, WarehouseError
from optout.project import Project
from optout.sandbox.world.world import Plan
from optout.testing.fuse import FULL, READ_ONLY
from optout.testing.nights import Bench, differences, patient, tables
from optout.testing.survival import (
    CONTEXT,
    REFUSED,
    SAID,
    begun,
    in_child,
    outcome,
    readable,
    told,
    undisturbed,
    whole_night,
)
from optout.warehouse.connection import Warehouse

PLAN = Plan(people=10, seed=5, campaign_size=8)

Outcome = dict[str, Any]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """An installation after one night; tests work on copies of its folder."""
    with Bench(tmp_path_factory.mktemp("kept"), PLAN) as bench:
        undisturbed(bench)
        yield bench


@pytest.fixture(scope="module")
def right(kept: Bench) -> Outcome:
    """What a night on a sound disk leaves behind."""
    return outcome(kept)


@pytest.fixture
def copy(kept: Bench, tmp_path: Path) -> Project:
    """A copy of the installation, still before the same vendors."""
    shutil.copytree(kept.folder, tmp_path / "copy")
    file = tmp_path / "copy" / "optout.toml"
    return Project.open(file, now=kept.world.night.read_at, environ=kept.environ)


def said(bench: Bench) -> str:
    """What the night was told to people before it ended."""
    return (bench.folder / SAID).read_text(encoding="utf-8")


@pytest.mark.parametrize("how", [FULL, READ_ONLY])
def test_a_disk_that_takes_nothing_more_is_named_and_loses_nothing(
    how: str, seed: int, is_full: bool, tmp_path: Path, right: Outcome
) -> None:
    """Full disks come at night; a night that goes on without its files forgets opt-outs."""
    rng = Random(f"{seed} {how}")
    for turn in range(60 if is_full else 1):
        nth = rng.randrange(1, 700)
        with Bench(tmp_path / str(turn), PLAN) as bench:
            begun(bench)
            code, _ = in_child(bench, at=nth, how=how)
            assert code == REFUSED, (nth, code, said(bench))
            assert said(bench).startswith("StorageError: "), (nth, said(bench))
            word = "no space left" if how == FULL else "Read-only file system"
            assert word in said(bench)
            readable(bench.project())
            undisturbed(bench)
            assert differences(outcome(bench), right) == [], nth


def _cramped(file: Path, now: Any, environ: dict[str, str], size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    told(file.parent / SAID, lambda: whole_night(file, now, environ))


@pytest.mark.parametrize("size", [300_000, 2_000_000])
def test_a_database_that_cannot_grow_is_named_and_loses_nothing(
    size: int, seed: int, is_full: bool, tmp_path: Path, right: Outcome
) -> None:
    """DuckDB writes by itself: its refusal comes from below, in the middle of a commit."""
    if not is_full and (seed % 2 == 0) == (size < 1_000_000):
        pytest.skip("both sizes under OPTOUT_SURVIVE=full")
    with Bench(tmp_path, PLAN) as bench:
        begun(bench)
        values = (bench.file, bench.world.night.read_at, dict(bench.environ), size)
        child = CONTEXT.Process(target=_cramped, args=values)
        child.start()
        child.join()
        assert child.exitcode == REFUSED, said(bench)
        assert said(bench).startswith("StorageError: there is no space left to write"), said(bench)
        readable(bench.project())
        undisturbed(bench)
        assert differences(outcome(bench), right) == []


def flip(path: Path) -> None:
    """Change one byte in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def halve(path: Path) -> None:
    """Keep the first half."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def overwrite(path: Path) -> None:
    """Put something else in its place."""
    path.write_bytes(b"not what was here" * 500)


@pytest.mark.parametrize("damage", [flip, halve, overwrite, Path.unlink])
def test_a_damaged_landing_file_is_named_before_anything_is_loaded(
    damage: Callable[[Path], None], copy: Project
) -> None:
    """Half a list of opt-outs that loads quietly is a list of people to mail."""
    [path, *_] = sorted(copy.landing.root.rglob("reading-*.parquet"))
    damage(path)
    Path(copy.warehouse.path).unlink()
    with pytest.raises(LandingError) as caught:
        whole_night(copy.settings.file or Path(), copy.now, copy.environ)
    assert path.name in str(caught.value)
    assert "run the night again" in str(caught.value)
    with copy.warehouse.reader() as con:
        system = path.parts[-3]
        sql = "SELECT count(*) FROM core.observation WHERE system = $system"
        assert con.execute(sql, {"system": system}).fetchone() == (0,)


@pytest.mark.parametrize("name", ["manifest.json", "night.json"])
def test_a_damaged_manifest_is_named(name: str, copy: Project) -> None:
    """It is the only witness that a read was complete."""
    [path, *_] = sorted(copy.landing.root.rglob(name))
    halve(path)
    with pytest.raises(LandingError, match=name):
        whole_night(copy.settings.file or Path(), copy.now, copy.environ)


def test_a_deleted_stream_is_read_again(copy: Project, right: Outcome) -> None:
    """The mend that the message names must be one."""
    [path, *_] = sorted(copy.landing.root.rglob("hubspot/statuses"))
    shutil.rmtree(path)
    whole_night(copy.settings.file or Path(), copy.now, copy.environ)
    assert (path / "manifest.json").exists()


@pytest.mark.parametrize("damage", [flip, halve, overwrite])
def test_a_damaged_database_is_named_and_written_anew_from_landing(
    damage: Callable[[Path], None], copy: Project, right: Outcome
) -> None:
    """The night must neither go on with half a database nor need one that nobody has."""
    path = copy.warehouse.path
    damage(path)
    try:
        whole_night(copy.settings.file or Path(), copy.now, copy.environ)
    except OptoutError as error:
        assert isinstance(error, WarehouseError), error
        assert "optout.duckdb" in str(error)
        assert "back-up" in str(error)
    else:
        assert damage is flip, "a flipped byte may lie where nothing stands"
    path.unlink()
    Path(f"{path}.wal").unlink(missing_ok=True)
    whole_night(copy.settings.file or Path(), copy.now, copy.environ)
    with copy.warehouse.reader() as con:
        found = tables(con)
    known = {name: rows for name, rows in right.items() if name.startswith(("core.", "audit."))}
    found.pop("core.chain_head")
    assert differences(found, known) == []


def test_a_damaged_alert_file_is_named(copy: Project) -> None:
    """Without its memory every open alert would be told again, or none."""
    overwrite(copy.data_dir / "alerts.sqlite")
    with pytest.raises(WarehouseError, match=r"alerts\.sqlite"):
        AlertState(copy.data_dir)


def test_a_locked_alert_file_makes_nobody_wait_for_ever(copy: Project) -> None:
    """A dashboard or a sensor that hangs holds the file."""
    with closing(sqlite3.connect(copy.data_dir / "alerts.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with AlertState(copy.data_dir) as state:
            state.con.execute("PRAGMA busy_timeout = 1")
            with pytest.raises(LockedError, match="another process"), state.transaction():
                pass


def _hold(path: Path, held: Any, done: Any) -> None:
    with Warehouse(path).writer():
        held.set()
        done.wait()


def test_a_database_that_another_process_holds_is_refused_with_its_holder(copy: Project) -> None:
    """Somebody looks at it with another tool; the night must say who."""
    held, done = CONTEXT.Event(), CONTEXT.Event()
    other = CONTEXT.Process(target=_hold, args=(copy.data_dir, held, done))
    other.start()
    try:
        assert held.wait(30)
        with pytest.raises(LockedError, match=str(other.pid)), copy.warehouse.writer():
            pass
    finally:
        done.set()
        other.join()


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("IO Error: Could not set lock on file: Conflicting lock is held (PID 12)", LockedError),
        ("IO Error: Cannot open file: Permission denied", StorageError),
        ("IO Error: Cannot open file: Read-only file system", StorageError),
        ("IO Error: Could not write all bytes: No space left on device", StorageError),
        ("Corrupt database file: wrong checksum in block at location 0", WarehouseError),
        ("IO Error: it is not a valid DuckDB database file!", WarehouseError),
    ],
)
def test_what_the_database_says_is_told_in_words(
    words: str, kind: type[OptoutError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """'block' contains 'lock': damage that is told as a lock makes people wait for nobody."""

    def refuse(*args: Any, **options: Any) -> None:
        raise duckdb.IOException(words)

    monkeypatch.setattr(duckdb, "connect", refuse)
    with pytest.raises(kind) as caught, Warehouse(tmp_path).writer():
        pass
    assert type(caught.value) is kind
    assert caught.value.mend


def test_extraction_names_the_disk_and_not_the_vendor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """'The vendor's answer is broken' for a full disk sends people to the wrong door."""
    from optout import nightly
    from optout.landing import writer

    def full(path: Path, data: bytes) -> None:
        raise StorageError("there is no space left", mend="Make room")

    with Bench(tmp_path, PLAN) as bench:
        begun(bench)
        monkeypatch.setattr(writer, "write_atomic", full)
        with pytest.raises(StorageError):
            nightly.extract(bench.project(), bench.world.night.date, build=patient)
