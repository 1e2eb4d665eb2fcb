"""The commands for people's rights, as an officer calls them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from optout.explain import explain
from optout.reports.access import explain_pdf
from orchestration.cli import run


@pytest.fixture
def officer(kept: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in kept.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OPTOUT_CONFIG", str(kept.bench.file))
    monkeypatch.setenv("OPTOUT_NOW", kept.project.now.isoformat())
    return kept


def test_an_erasure_by_command_says_who_still_holds_the_person(
    officer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The vendors have to forget the person, too; the officer must know which."""
    address, _ = officer.person()
    assert run(["erase", address, "--dry-run", "--json"]) == 0
    rehearsed = json.loads(capsys.readouterr().out)
    assert rehearsed["dry_run"]
    assert run(["erase", address, "--json"]) == 0
    told = capsys.readouterr()
    done = json.loads(told.out)
    assert done["removed"] == rehearsed["removed"]
    assert set(done["held_by"]) >= {"zendesk_sell", "klaviyo"}
    assert address not in told.out + told.err
    assert run(["erase", address]) == 0
    assert "Erased before" in capsys.readouterr().out
    assert run(["verify"]) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["erase"], "whom"),
        (["erase", "not an address"], "no e-mail address"),
        (["erase", "nobody@example.org"], "nothing is held"),
        (["erase", "nobody@example.org", "--withdraw"], "no suppression record"),
        (["erase", "nobody@example.org", "--category", "promo"], "no category"),
        (["rotate-key"], "already"),
    ],
)
def test_what_cannot_be_done_is_said_calmly(
    officer: Any, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """A traceback with an address in it would be the next leak."""
    assert run(arguments) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "nobody@" not in told
    assert run(["erase", "--resume"]) == 0


def test_reports_by_command_land_where_they_are_asked_for(
    officer: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`quarterly` is three documents."""
    assert run(["report", "quarterly", "--out", str(tmp_path / "out")]) == 0
    pages = capsys.readouterr().out.split()
    assert [Path(p).parts[-3] for p in pages] == ["compliance", "quality", "touchpoints"]
    assert all(Path(p).exists() for p in pages)
    assert run(["report", "daily", "--date", "yesterday"]) == 2
    assert run(["report", "hourly"]) == 2


def test_the_answer_to_an_access_request_is_the_persons_whole_record(
    officer: Any, tmp_path: Path
) -> None:
    """An answer that leaves rows out is no answer (Art. 15)."""
    address, key = officer.person()
    file = tmp_path / "access.pdf"
    assert run(["explain", address, "--pdf", str(file)]) in (0, 1)
    assert file.read_bytes().startswith(b"%PDF")
    assert file.stat().st_mode & 0o077 == 0
    project = officer.project
    with project.warehouse.reader() as con:
        person = explain(con, key, project.reconcile_policy)
        assert person is not None
        from optout.reports import access

        sections = access._sections(con, project, person)
        tables = {t.id: t for s in sections for t in s.tables}
        changes = con.execute(
            "SELECT count(*) FROM core.known_change WHERE contact_key = $k", {"k": key}
        ).fetchone()
        mail = con.execute(
            "SELECT count(*) FROM core.mail_event WHERE contact_key = $k", {"k": key}
        ).fetchone()
        assert explain_pdf(con, project, address, person).startswith(b"%PDF")
    assert (len(tables["changes"].rows),) == changes
    assert (len(tables["mail"].rows),) == mail
    assert {r["place"] for r in tables["held"].rows} >= {"core.identity", "core.observation"}
