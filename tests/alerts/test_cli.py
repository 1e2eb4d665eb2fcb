"""`optout alerts`: what people do with alerts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from optout.alerts.service import evaluate_and_deliver
from optout.testing.ledger import Ledger
from optout.testing.receivers import Fault, Receiver
from orchestration.cli import run

NOW = datetime(2026, 9, 1, 2, tzinfo=UTC)
Install = Callable[..., Any]
Said = tuple[int, str]
ROUTES = """
[alerts.channel.log]
kind = "file"
[[alerts.route]]
severity = ["page"]
channels = ["pager"]
[[alerts.route]]
channels = ["log"]
"""


def bad(facts: Ledger) -> None:
    tonight = facts.night(1)
    facts.drift("unhonoured_opt_out", "mailchimp", range(3), tonight)
    facts.send("sendgrid", 9, tonight)


@pytest.fixture
def place(
    receiver: Receiver, installation: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    one = installation(tmp_path, receiver.pager() + ROUTES, receiver.environ())
    for name, value in one.environ.items():
        monkeypatch.setenv(name, value)
    one.publish(bad)
    evaluate_and_deliver(one.project(NOW))
    return one


@pytest.fixture
def optout(place: Any, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def call(*arguments: str, now: datetime = NOW) -> Said:
        code = run(["--config", str(place.config), "--now", now.isoformat(), *arguments])
        told = capsys.readouterr()
        return code, told.out + told.err

    return call


def test_list_shows_what_is_open_the_most_urgent_first(optout: Callable[..., Said]) -> None:
    """Who is woken wants the worst line first, and a program wants JSON."""
    code, said = optout("alerts", "list", "--json")
    rows = [orjson.loads(line) for line in said.splitlines()]
    assert code == 1
    assert [(r["rule"], r["severity"]) for r in rows] == [
        ("breach", "page"),
        ("unhonoured_opt_out", "ticket"),
    ]
    assert "sendgrid sent 1 message" in optout("alerts", "list")[1]
    assert optout("alerts", "list", "--system", "hubspot") == (0, "No alert is open.\n")


def test_show_tells_the_whole_history(optout: Callable[..., Said]) -> None:
    """'Who silenced this, and why?' is asked at the worst moment."""
    key = orjson.loads(optout("alerts", "list", "--json")[1].splitlines()[1])["key"]
    optout("alerts", "silence", key, "--for", "2d", "--why", "being mended", "--by", "ana")
    code, said = optout("alerts", "show", key[len("optout:") :][:8])
    assert code == 0
    for part in ("opened", "told", "silenced", "being mended", "ana", "next step"):
        assert part in said
    assert orjson.loads(optout("alerts", "show", key, "--json")[1])["history"]


def test_ack_reaches_the_pager(optout: Callable[..., Said], receiver: Receiver) -> None:
    """An acknowledgement that stays here lets the pager wake the next person."""
    key = orjson.loads(optout("alerts", "list", "--json")[1].splitlines()[0])["key"]
    assert optout("alerts", "ack", key, "--by", "ana")[0] == 0
    assert receiver.incidents[key].state == "acknowledged"


def test_a_silence_ends_by_itself(optout: Callable[..., Said], place: Any) -> None:
    """A silence without an end is a rule that was deleted."""
    code, _ = optout(
        "alerts", "silence", "--rule", "unhonoured_opt_out", "--for", "8d", "--why", "x"
    )
    assert code == 0
    evaluate_and_deliver(place.project(NOW + timedelta(days=7, hours=1)))
    lines = (place.folder / "data" / "alerts.jsonl").read_bytes().splitlines()
    assert len([x for x in lines if b"unhonoured" in x]) == 1
    evaluate_and_deliver(place.project(NOW + timedelta(days=9)))
    lines = (place.folder / "data" / "alerts.jsonl").read_bytes().splitlines()
    assert len([x for x in lines if b'"rule":"unhonoured_opt_out"' in x]) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("silence", "--rule", "breach", "--for", "1d", "--why", "x"), "cannot be silenced"),
        (("silence", "--rule", "nonsense", "--for", "1d", "--why", "x"), "no rule"),
        (("silence", "--rule", "deadline", "--for", "soon", "--why", "x"), "8h, 3d or 2w"),
        (("silence", "--for", "1d", "--why", "x"), "either KEY or --rule"),
        (("ack", "zzzz"), "no alert begins with"),
        (("show", "abc"), "alert"),
    ],
)
def test_what_cannot_be_done_is_said(
    optout: Callable[..., Said], arguments: tuple[str, ...], said: str
) -> None:
    """A silence over people who are being mailed must not be possible by a slip."""
    code, told = optout("alerts", *arguments)
    assert code == 2
    assert said in told


def test_test_sends_through_every_route_and_leaves_no_incident(
    optout: Callable[..., Said], receiver: Receiver
) -> None:
    """The first real page must not be the first page."""
    code, said = optout("alerts", "test", "--json")
    rows = [orjson.loads(line) for line in said.splitlines()]
    assert code == 0
    assert [(r["route"], r["severity"], r["channel"]) for r in rows] == [
        ("route 1", "page", "pager"),
        ("route 2", "digest", "log"),
        ("route 2", "ticket", "log"),
        ("route 2", "page", "log"),
    ]
    tests = [i for i in receiver.incidents.values() if "Test of optout" in i.summary]
    assert [i.state for i in tests] == ["resolved"]
    receiver.faults.append(Fault("/v2", 403))
    assert optout("alerts", "test")[0] == 2


def test_heartbeat_check_is_for_another_scheduler(optout: Callable[..., Said]) -> None:
    """Nobody inside can tell that everything stands still."""
    assert optout("alerts", "heartbeat-check")[0] == 0
    code, said = optout("alerts", "heartbeat-check", "--json", now=NOW + timedelta(hours=27))
    assert code == 1
    assert "29 hours ago" in orjson.loads(said)["why_not"]
