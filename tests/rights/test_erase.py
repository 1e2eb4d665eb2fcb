"""Erasure: nothing of the person is left, and they stay unmailed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow.parquet as pq
import pytest

from optout import nightly
from optout.address import Folding, Keyer
from optout.errors import UsageError
from optout.explain import explain
from optout.model import State
from optout.rights import erase
from optout.rights.journal import Journal
from optout.rights.pending import settle
from optout.rights.subject import Subject
from optout.trail.verify import verify
from optout.warehouse.connection import transaction

KEPT = {"optout.duckdb: key", "suppressions.jsonl: key"}
"""Where the suppression record stands."""


def search(folder: Path, address: str, key: UUID) -> set[str]:
    """Independent of the product's own search: files in which the address or the contact key is
    found, with Parquet and gzip decoded and databases read as bytes."""
    turned = (key.int ^ (1 << 127)).to_bytes(16, "little")
    found = set()
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        data = path.read_bytes()
        if path.suffix == ".parquet":
            rows = pq.read_table(path).to_pylist()
            data += json.dumps(rows, default=str, ensure_ascii=False).encode()
        if path.suffix == ".gz":
            data += gzip.decompress(data)
        name = str(path.relative_to(folder))
        if address.encode() in data.lower():
            found.add(f"{name}: address")
        if any(k in data for k in (key.bytes, turned, str(key).encode(), key.hex.encode())):
            found.add(f"{name}: key")
    return found


def run_erase(kept: Any, address: str) -> erase.Erased:
    task = erase.begin(kept.project, address, who="officer")
    return erase.carry_out(kept.project, task, nightly.publish)


def test_the_search_finds_a_person_who_was_not_erased(kept: Any) -> None:
    """A search that finds nobody proves nothing."""
    address, key = kept.person()
    found = search(kept.project.data_dir, address, key)
    assert any("landing" in name for name in found)
    assert "optout.duckdb: address" in found
    assert "optout.duckdb: key" in found or "published/optout.duckdb: key" in found


def test_after_erasure_the_data_folder_names_the_person_nowhere(kept: Any) -> None:
    """A deleted row stands on in free blocks, a rewritten file in its neighbour."""
    address, key = kept.person()
    data = kept.project.data_dir
    (data / "site").mkdir(exist_ok=True)
    (data / "site" / "drift.csv").write_text(f"contact_key,n\n{key},1\n{UUID(int=5)},2\n")
    (data / "site" / "page.html").write_text(
        f"<table><tr><td>{key}</td></tr><tr><td>other</td></tr></table>"
    )
    (data / "site" / "old.csv.tmp").write_text(f"torn {address.upper()}")
    erased = run_erase(kept, address.upper())
    assert search(data, address, key) <= KEPT
    assert erased.counts["landing"][0] > 0
    assert (data / "site" / "drift.csv").read_text() == f"contact_key,n\n{UUID(int=5)},2\n"
    assert "other" in (data / "site" / "page.html").read_text()
    with kept.project.warehouse.reader() as con:
        kept_rows = con.execute(
            "SELECT category, key_id, reason FROM core.suppression WHERE contact_key = $k",
            {"k": key},
        ).fetchall()
        basis = con.execute("SELECT * FROM audit.basis").fetchall()
    assert kept_rows == [(None, "k1", "erasure_request")]
    assert basis == [], "the next night would go on from counts in which the person still is"


def test_the_chain_verifies_after_an_erasure(kept: Any) -> None:
    """An erasure that breaks the proof of everybody else's history would never be run."""
    address, _ = kept.person()
    run_erase(kept, address)
    project = kept.project
    with project.warehouse.reader() as con:
        verdict = verify(con, project.data_dir, project.key_only.keyer)
    assert verdict.is_whole
    assert verdict.erased > 0


def test_the_erasure_is_recorded_without_naming_whom(kept: Any) -> None:
    """Accountability asks for the record, minimisation for its silence."""
    address, _ = kept.person()
    erased = run_erase(kept, address)
    with kept.project.warehouse.reader() as con:
        rows = con.execute("SELECT place, removed, who, key_id FROM core.erasure").fetchall()
        columns = {c[0] for c in con.execute("DESCRIBE core.erasure").fetchall()}
    assert {(r[0], r[1]) for r in rows} == {(k, v[0]) for k, v in erased.counts.items()}
    assert {r[2:] for r in rows} == {("officer", "k1")}
    assert not columns & {"contact_key", "address"}


def test_a_dry_run_counts_and_changes_nothing(kept: Any) -> None:
    """A rehearsal that erases is no rehearsal."""
    address, _ = kept.person()
    data = kept.project.data_dir
    before = {p: p.read_bytes() for p in data.rglob("*.parquet")}
    task = erase.begin(kept.project, address, who="officer")
    looked = erase.look(kept.project, task)
    assert {p: p.read_bytes() for p in data.rglob("*.parquet")} == before
    assert erase.look(kept.project, task).counts == looked.counts
    assert not Journal(data).pending()
    done = erase.carry_out(kept.project, task, nightly.publish)
    assert {k: v for k, v in done.counts.items() if k != "files"} == dict(looked.counts)


def test_erasing_again_finds_nothing_and_adds_nothing(kept: Any) -> None:
    """A second request of the same person must not write a second record."""
    address, _ = kept.person()
    run_erase(kept, address)
    again = erase.look(kept.project, erase.begin(kept.project, address, who="officer"))
    assert not again.counts
    assert again.is_known
    assert again.is_suppressed


def test_an_unknown_address_is_told_apart(kept: Any) -> None:
    """A misspelt request answered with "erased" leaves the person stored."""
    task = erase.begin(kept.project, "nobody.at.all@example.org", who="officer")
    assert not erase.look(kept.project, task).is_known


STEPS = ("landing", "warehouse", "publish", "close")
MORE_STEPS = ("files", "record", "compact")
"""Run by `make survive`: they differ little from the others."""


@pytest.mark.parametrize("step", STEPS + MORE_STEPS)
def test_a_crash_after_any_step_is_made_good_by_the_next_run(
    kept: Any, monkeypatch: pytest.MonkeyPatch, step: str, is_full: bool
) -> None:
    """Half an erasure is a promise broken in writing."""
    if step in MORE_STEPS and not is_full:
        pytest.skip("only in full (make survive)")
    address, key = kept.person()

    class Crash(BaseException):
        pass

    def crash(*args: object, **options: object) -> None:
        raise Crash

    if step in ("compact",):
        monkeypatch.setattr(erase, "compact", crash)
    elif step == "close":
        monkeypatch.setattr(Journal, "close", crash)
    elif step != "publish":
        real = Journal.step_done

        def dies(self, task, name, counts=None):
            if name == step:
                raise Crash
            return real(self, task, name, counts)

        monkeypatch.setattr(Journal, "step_done", dies)
    task = erase.begin(kept.project, address, who="officer")
    publish = crash if step == "publish" else nightly.publish
    with pytest.raises(Crash):
        erase.carry_out(kept.project, task, publish)
    monkeypatch.undo()
    assert settle(kept.project, nightly.publish) is not None
    assert search(kept.project.data_dir, address, key) <= KEPT
    project = kept.project
    with project.warehouse.reader() as con:
        assert verify(con, project.data_dir, project.key_only.keyer).is_whole
        count = con.execute("SELECT count(*) FROM core.suppression").fetchone()
        records = con.execute("SELECT count(DISTINCT erasure_id) FROM core.erasure").fetchone()
    assert count == (1,)
    assert records == (1,)
    assert settle(kept.project, nightly.publish) is None


def test_other_peoples_rows_lose_the_mention_and_nothing_else(kept: Any) -> None:
    """An opt-out of somebody else must not go because its reason names the person who asked."""
    address, _ = kept.person()
    project = kept.project
    with project.warehouse.writer() as con:
        from optout.trail.chain import chained

        other = con.execute(
            "SELECT contact_key FROM core.identity WHERE address <> $a ORDER BY address LIMIT 1",
            {"a": address},
        ).fetchone()
        with transaction(con), chained(con):
            con.execute(
                "INSERT INTO core.change SELECT * REPLACE ("
                " (SELECT max(change_seq) + 1 FROM core.change_number) AS change_seq,"
                " uuid() AS change_id, $other AS contact_key, $why AS reason)"
                " FROM core.change WHERE new_state = 'opted_out' LIMIT 1",
                {"other": other[0], "why": f"asked for by {address.upper()} on the phone"},
            )
        before = con.execute("SELECT count(*) FROM core.change WHERE contact_key = $1", other)
        count = before.fetchone()
    run_erase(kept, address)
    project = kept.project
    with project.warehouse.reader() as con:
        after = con.execute("SELECT count(*) FROM core.change WHERE contact_key = $1", other)
        assert after.fetchone() == count
        told = con.execute("SELECT count(*) FROM core.change WHERE reason = '[erased]'").fetchone()
        assert told == (1,)
        assert verify(con, project.data_dir, project.key_only.keyer).is_whole


def test_after_a_full_re_extraction_the_person_is_still_suppressed(living: Any) -> None:
    """Everything gone means mailed again at the next import: the record is what prevents it."""
    address, key = living.person()
    run_erase(living, address)
    living.bench.world.advance()
    living.night()
    project = living.project
    with project.warehouse.reader() as con:
        states = con.execute(
            "SELECT DISTINCT state FROM audit.expected WHERE contact_key = $k", {"k": key}
        ).fetchall()
        told = con.execute(
            "SELECT count(*) FROM core.observation WHERE contact_key = $k", {"k": key}
        ).fetchone()
        person = explain(con, key, project.reconcile_policy)
        assert verify(con, project.data_dir, project.key_only.keyer).is_whole
        again = con.execute(
            "SELECT count(*) FROM audit.drift WHERE contact_key = $k AND actual = 'mailable'"
            " AND class <> 'unhonoured_opt_out'",
            {"k": key},
        ).fetchone()
    assert told > (0,), "the vendors were asked to send the person again"
    assert states == [("opted_out",)]
    assert again == (0,)
    assert person is not None
    assert {d.state for d in person.decisions.values()} == {State.OPTED_OUT}
    tonight = str(living.bench.world.night.date)
    found = search(project.data_dir, address, key)
    old = {n for n in found if n.startswith("landing") and tonight not in n}
    assert not old, "nights before the erasure stay clean"


def test_a_person_who_wants_mail_again_can_withdraw(living: Any) -> None:
    """Nothing lifts the record but the person's own new wish."""
    from optout.rights.suppression import suppressed, withdraw

    address, _ = living.person()
    run_erase(living, address)
    subject = Subject.of(address, erase.keyers_of(living.project))
    living.night()
    with living.project.warehouse.writer() as con, transaction(con):
        assert con.execute("SELECT count(*) FROM audit.basis").fetchone() == (1,)
        assert suppressed(con, subject) == [None]
        assert withdraw(con, subject) == 1
        assert con.execute("SELECT count(*) FROM audit.basis").fetchone() == (0,)
        assert suppressed(con, subject) == []


def test_files_that_are_not_ours_are_named_and_hold_no_night_up(living: Any) -> None:
    """To delete an operator's back-up is damage; to call the person erased beside it is a lie."""
    address, _ = living.person()
    mine = living.project.data_dir / "my-backup.gz"
    mine.write_bytes(gzip.compress(f"back-up of {address.upper()}".encode()))
    erased = run_erase(living, address)
    assert erased.left == (mine,)
    assert mine.exists()
    assert Journal(living.project.data_dir).pending() is not None
    living.bench.world.advance()
    living.night()
    with pytest.raises(UsageError, match="open"):
        run_erase(living, "somebody.else@example.org")
    mine.unlink()
    assert settle(living.project, nightly.publish) is not None
    assert Journal(living.project.data_dir).pending() is None


def test_a_database_restored_from_before_the_erasure_stays_suppressed(living: Any) -> None:
    """A back-up brings everybody back; the record beside it says who must not be mailed."""
    import shutil

    address, key = living.person()
    path = living.project.warehouse.path
    shutil.copy(path, living.bench.folder / "backup")
    run_erase(living, address)
    shutil.copy(living.bench.folder / "backup", path)
    living.bench.world.advance()
    living.night()
    with living.project.warehouse.reader() as con:
        states = con.execute(
            "SELECT DISTINCT state FROM audit.expected WHERE contact_key = $k", {"k": key}
        ).fetchall()
    assert states == [("opted_out",)]


def test_sends_to_an_erased_person_are_violations(kept: Any) -> None:
    """The suppression record is an opt-out like any other: mail after it is a breach."""
    from optout.rights.suppression import suppress
    from optout.warehouse.clocks import clock_policy, clocks

    project = kept.project
    with project.warehouse.writer() as con:
        row = con.execute(
            "SELECT i.address, i.contact_key, max(m.occurred_at) FROM core.mail_event AS m"
            " JOIN core.identity AS i USING (contact_key) WHERE m.kind = 'sent'"
            " AND NOT m.transactional AND m.categories <> 0 AND i.contact_key NOT IN"
            " (SELECT contact_key FROM audit.violation) GROUP BY ALL ORDER BY ALL LIMIT 1"
        ).fetchone()
        assert row is not None
        address, key, sent_at = row
        subject = Subject.of(address, erase.keyers_of(project))
        with transaction(con):
            suppress(con, subject, None, sent_at.replace(year=sent_at.year - 1))
            night = con.execute("SELECT max(night) FROM core.night").fetchone()[0]
            clocks(con, night, policy=clock_policy(project.settings))
        found = con.execute(
            "SELECT DISTINCT grade, opted_out_in FROM audit.violation WHERE contact_key = $k",
            {"k": key},
        ).fetchall()
    assert found == [("legal_breach", "suppression")]


SPELLINGS = (
    "Jane.Doe+x@Exämple.org",
    "jane.doe+x@xn--exmple-cua.org",
    "JANE.DOE+X@EXÄMPLE.ORG",
    "jane.doe+x@exa\u0308mple.org",
    "jane.doe%2Bx%40ex%C3%A4mple.org",
    r"jane.doe+x\u0040ex\u00e4mple.org",
    "jane.doe+x&#64;ex&auml;mple.org",
    "mailto:jane.doe+x@exämple.org?subject=x",
)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_an_address_is_recognised(spelling: str) -> None:
    """What a search does not recognise, an erasure leaves."""
    subject = Subject.of("jane.doe+x@exämple.org", [Keyer(b"k" * 32, "k1")])
    text = f'{{"note":"write to {spelling}."}}'
    assert subject.clue in text.lower()
    assert subject.names(text)


@pytest.mark.parametrize(
    "other", ["mary-jane@example.org", "jane@example.org.uk", "jane@example.organic", "jane at x"]
)
def test_other_addresses_are_not_taken_for_the_persons(other: str) -> None:
    """Blanking somebody else's evidence is damage."""
    subject = Subject.of("jane@example.org", [Keyer(b"k" * 32, "k1")])
    assert not subject.names(f"write to {other}, please")


def test_folded_spellings_are_the_person_where_the_policy_says_so() -> None:
    """Folding makes one person of several spellings: all of them go."""
    keyer = Keyer(b"k" * 32, "k1", Folding(plus_tags=True, dots=True))
    subject = Subject.of("janedoe@example.org", [keyer])
    text = "from J.a.n.e.Doe+shop@Example.org to us"
    assert subject.clue in text.lower()
    assert subject.names(text)
    plain = Subject.of("janedoe@example.org", [Keyer(b"k" * 32, "k1")])
    assert not plain.names(text)
