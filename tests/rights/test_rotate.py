"""Rotation: new contact keys, the same people, the same truth."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pyarrow.parquet as pq
import pytest

from optout import nightly
from optout.address import Keyer
from optout.errors import ConfigurationError, UsageError
from optout.rights import erase, rotate
from optout.rights.journal import Journal
from optout.rights.pending import settle
from optout.trail.verify import verify

NEW = "n" * 40


def configure(kept: Any, *, retired: str = '{ key_id = "k1", key_env = "OPTOUT_KEY" }') -> None:
    """What an operator does before `optout rotate-key`."""
    text = kept.bench.file.read_text()
    lines = [line for line in text.splitlines() if not line.startswith("key_env")]
    table = f'key_env = "OPTOUT_KEY_2"\nkey_id = "k2"\nretired = [{retired}]'
    text = "\n".join(lines)
    if "[identity]" in text:
        text = text.replace("[identity]", f"[identity]\n{table}")
    else:
        text = text.replace("[hub]", f"[identity]\n{table}\n\n[hub]", 1)
    kept.bench.file.write_text(text)
    kept.environ["OPTOUT_KEY_2"] = NEW


def key_variable(kept: Any) -> str:
    return kept.project.settings.identity.key_env


def run_rotation(kept: Any) -> int:
    project = kept.project
    return rotate.carry_out(project, rotate.begin(project, who="officer"), nightly.publish)


@pytest.fixture
def rotating(kept: Any) -> Any:
    name = key_variable(kept)
    configure(kept, retired=f'{{ key_id = "k1", key_env = "{name}" }}')
    return kept


def keys_in(kept: Any) -> set[tuple[UUID, str]]:
    with kept.project.warehouse.reader() as con:
        return set(con.execute("SELECT contact_key, address FROM core.identity").fetchall())


def test_every_stored_key_is_made_with_the_new_secret(rotating: Any) -> None:
    """One table left with old keys is one in which nobody is found any more."""
    before = {key for key, _ in keys_in(rotating)}
    assert run_rotation(rotating) == len(before)
    keyer = Keyer(NEW.encode(), "k2")
    after = keys_in(rotating)
    assert {key for key, _ in after} == {UUID(bytes=keyer.key(a)) for _, a in after}
    with rotating.project.warehouse.reader() as con:
        from optout.rights.tables import tables

        for table in tables(con):
            if "contact_key" in table.columns:
                rows = con.execute(f"SELECT DISTINCT contact_key FROM {table.name}").fetchall()
                assert not before & {row[0] for row in rows}, table.name
    for path in rotating.project.landing.root.rglob("*.parquet"):
        told = pq.read_table(path)
        if "contact_key" in told.column_names:
            assert not before & set(told["contact_key"].to_pylist()), path.name


def test_the_chain_verifies_after_a_rotation(rotating: Any) -> None:
    """A key that cannot be changed without breaking the proof is never changed."""
    run_rotation(rotating)
    project = rotating.project
    with project.warehouse.reader() as con:
        verdict = verify(con, project.data_dir, project.key_only.keyer)
    assert verdict.is_whole


def test_no_night_begins_with_another_key_than_the_stored_one(rotating: Any) -> None:
    """With another key everybody is a stranger, and every opt-out forgotten."""
    from optout.rights.keys import check_key

    project = rotating.project
    with project.warehouse.writer() as con, pytest.raises(ConfigurationError, match="rotate-key"):
        check_key(con, project.key_only, project.now)
    run_rotation(rotating)
    with project.warehouse.writer() as con:
        check_key(con, project.key_only, project.now)
    rotating.environ["OPTOUT_KEY_2"] = "x" * 40
    project = rotating.project
    with project.warehouse.writer() as con, pytest.raises(ConfigurationError, match="another"):
        check_key(con, project.key_only, project.now)


def test_a_rotation_without_the_former_key_is_refused(kept: Any) -> None:
    """Keys that cannot be proven to be the stored ones would be replaced by guesses."""
    kept.environ["FORMER"] = "f" * 40
    configure(kept, retired='{ key_id = "k1", key_env = "FORMER" }')
    with pytest.raises(ConfigurationError, match="retired"):
        rotate.begin(kept.project, who="officer")


def test_a_rotation_to_the_same_key_is_refused(kept: Any) -> None:
    """It would write everything and change nothing."""
    with pytest.raises(UsageError, match="already"):
        rotate.begin(kept.project, who="officer")


@pytest.mark.parametrize("step", ["landing", "warehouse", "reports", "publish"])
def test_a_crash_in_a_rotation_is_made_good(
    rotating: Any, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Half the people under each key: nobody would be joined with anybody."""

    class Crash(BaseException):
        pass

    real = Journal.step_done

    def dies(self, task, name, counts=None):
        if name == step:
            raise Crash
        return real(self, task, name, counts)

    def crash(*args: object) -> None:
        raise Crash

    monkeypatch.setattr(Journal, "step_done", dies)
    task = rotate.begin(rotating.project, who="officer")
    with pytest.raises(Crash):
        rotate.carry_out(rotating.project, task, crash if step == "publish" else nightly.publish)
    monkeypatch.undo()
    assert settle(rotating.project, nightly.publish) is not None
    keyer = Keyer(NEW.encode(), "k2")
    after = keys_in(rotating)
    assert {key for key, _ in after} == {UUID(bytes=keyer.key(a)) for _, a in after}
    project = rotating.project
    with project.warehouse.reader() as con:
        assert verify(con, project.data_dir, project.key_only.keyer).is_whole
        notes = con.execute(
            "SELECT count(*) FROM core.change_commitment WHERE kind = 'rotation'"
        ).fetchone()
    assert notes == (1,)


def test_the_night_after_a_rotation_finds_the_truth_and_knows_the_erased(living: Any) -> None:
    """Rotation must open and close no drift of its own, and must not give an erased person back."""
    gone, former = living.person()
    project = living.project
    erase.carry_out(project, erase.begin(project, gone, who="officer"), nightly.publish)
    name = key_variable(living)
    configure(living, retired=f'{{ key_id = "k1", key_env = "{name}" }}')
    living.bench.environ.update(living.environ)
    run_rotation(living)
    living.bench.world.advance()
    living.night()
    project = living.project
    key = UUID(bytes=project.key_only.keyer.key(gone))
    with project.warehouse.reader() as con:
        stands = con.execute("SELECT contact_key, key_id FROM core.suppression").fetchall()
        states = con.execute(
            "SELECT DISTINCT state FROM audit.expected WHERE contact_key = $k", {"k": key}
        ).fetchall()
        found = con.execute(
            "SELECT class, system, category, address FROM audit.drift"
            " JOIN core.identity USING (contact_key) WHERE closed_night IS NULL"
        ).fetchall()
        doubled = con.execute(
            "SELECT count(*) - count(DISTINCT (system, stream, store, record_id))"
            " FROM core.observation WHERE night_to IS NULL"
        ).fetchone()
        told_twice = con.execute(
            "SELECT count(*) - count(DISTINCT change_id) FROM core.change"
        ).fetchone()
        assert verify(con, project.data_dir, project.key_only.keyer).is_whole
    assert stands == [(key, "k2")]
    assert key != former
    assert states == [("opted_out",)]
    assert doubled == (0,)
    assert told_twice == (0,)
    mapped = {c.name: tuple(c.categories) for c in project.settings.esp}
    mapped[project.settings.hub.name] = project.settings.categories
    cells = {
        (kind, system, each, address)
        for kind, system, category, address in found
        for each in ((category,) if category else mapped[system])
        if address != gone
    }
    truth = {
        (row.drift_class.value, row.system, row.category, row.address)
        for row in living.bench.world.truth(2).drift
        if row.address != gone
    }
    assert cells == truth
