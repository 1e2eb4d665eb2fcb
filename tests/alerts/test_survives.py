"""Killed with SIGKILL at any step of judging and delivering: nothing lost, nothing told twice."""

from __future__ import annotations

import os
import random
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from optout.testing.ledger import Ledger
from optout.testing.mail_server import MailServer
from optout.testing.receivers import Fault, Receiver

SAMPLES = 3
"""Of each kind of far end."""
SHARES = 12 if os.environ.get("OPTOUT_SURVIVE") == "full" else 1
"""The full loop takes an hour: its steps are dealt out, so that several processes share them."""
NIGHTS = (datetime(2026, 9, 1, 2, tzinfo=UTC), datetime(2026, 9, 2, 2, tzinfo=UTC))
TICKS = tuple(night + timedelta(minutes=m) for night in NIGHTS for m in (0, 5, 20))
"""The end of each night's run, and two ticks of a sensor: by then every channel has rested."""
SMOOTH: tuple[Fault, ...] = ()
ROUGH = (
    Fault("/v2", is_lost_answer=True),
    Fault("/api/chat.postMessage", is_lost_answer=True),
    Fault("/hook", 503),
    Fault("/beat", 500),
    Fault("/v2", 429, {"Retry-After": "60"}),
    Fault("/api/chat.update", is_lost_answer=True),
    Fault("/hook", is_lost_answer=True),
    Fault("/v2", seconds=0.05, is_harmless=True),
)
"""Answers that never come although the request was heard, refusals, slowness; in the order in which
each door meets them."""


def first_night(facts: Ledger) -> None:
    """One incident that is paged, and one source that failed."""
    tonight = facts.night(1, incomplete=("sendgrid",))
    facts.drift("unhonoured_opt_out", "mailchimp", range(3), tonight)
    facts.send("mailchimp", 1, tonight)


def second_night(facts: Ledger) -> None:
    """It happened again, and the source is back."""
    first_night(facts)
    tonight = facts.night(2)
    facts.send("mailchimp", 2, tonight)


class Worker:
    """Forks a child for each night; see `optout.testing.killable`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            # Libraries keep idle threads; the children that are forked use none of them.
            [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "optout.testing.killable"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, config: Path, now: datetime, environ: dict[str, str], kill: int = 0) -> Any:
        assert self._process.stdin and self._process.stdout
        asked = {
            "config": str(config), "now": now.isoformat(), "environ": environ, "kill": kill,
        }  # fmt: skip
        self._process.stdin.write(orjson.dumps(asked).decode() + "\n")
        self._process.stdin.flush()
        return orjson.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    one = Worker()
    yield one
    one.close()


Place = tuple[dict[str, Any], list[int]]


@pytest.fixture
def play(
    worker: Worker,
    installation: Callable[..., Any],
    copy_of: Callable[..., Path],
    channels: Callable[..., str],
    certificate: tuple[Path, ssl.SSLContext],
    tmp_path: Path,
) -> Callable[..., Place]:
    """Two nights from the start: what the far ends saw, and the steps that each tick took."""
    copies = [copy_of(tmp_path / f.__name__, f) for f in (first_night, second_night)]

    def both(faults: tuple[Fault, ...] = SMOOTH, kill: tuple[int, int] = (-1, 0)) -> Place:
        folder = tmp_path / f"{len(faults)}-{kill[0]}-{kill[1]}"
        with Receiver() as receiver, MailServer(certificate[1], password="p") as mail:
            receiver.faults.extend(faults)
            mail.lost_answers = 1 if faults else 0
            environ = receiver.environ() | {"MAIL_PASSWORD": "p"}
            place = installation(folder, channels(receiver, mail, certificate[0]), environ)
            steps = []
            for number, now in enumerate(TICKS):
                if now in NIGHTS:
                    place.publish_file(copies[NIGHTS.index(now)])
                if number == kill[0]:
                    told = worker.run(place.config, now, place.environ, kill[1])
                    assert os.waitstatus_to_exitcode(told["status"]) == -signal.SIGKILL
                told = worker.run(place.config, now, place.environ)
                assert told["status"] == 0
                steps.append(told["steps"])
            assert receiver.broken == []
            assert not receiver.faults and not mail.lost_answers, "not every fault was met"
            seen = effect(receiver, mail, place.folder)
        shutil.rmtree(folder)
        return seen, steps

    return both


@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("faults", [SMOOTH, ROUGH], ids=["smooth", "rough"])
def test_a_kill_at_any_step_loses_nothing_and_tells_nothing_twice(
    play: Callable[..., Place], faults: tuple[Fault, ...], share: int, seed: int, is_full: bool
) -> None:
    """A lost page is a person mailed against their will; a doubled one is a muted channel."""
    wanted, _ = play()
    assert len(wanted["incidents"]) == 2
    seen, steps = play(faults)
    assert seen == wanted, "far ends that fail for a moment change what is told"
    every = [(tick, k) for tick, count in enumerate(steps) for k in range(1, count + 1)]
    chosen = every[share::SHARES] if is_full else random.Random(seed).sample(every, SAMPLES)
    for kill in chosen:
        assert play(faults, kill)[0] == wanted, f"killed at {kill}"


def effect(receiver: Receiver, mail: MailServer, folder: Path) -> dict[str, Any]:
    """What people and programs at the far ends see, repeated deliveries aside where the channel
    itself drops them."""
    slack = [m["metadata"]["event_payload"]["key"] for m in receiver.messages]
    assert len(slack) == len(set(slack)), "Slack shows a notice twice"
    lines = (folder / "data" / "alerts.jsonl").read_bytes().splitlines()
    assert len(lines) == len(set(lines)), "the file holds a notice twice"
    return {
        "incidents": {
            key: (i.state, i.summary, i.severity, i.opened) for key, i in receiver.incidents.items()
        },
        "slack": sorted((m["text"], bool(m["thread_ts"])) for m in receiver.messages),
        "mails": sorted({(m["Message-ID"], m["Subject"]) for m in mail.mails}),
        "hooks": {key: body["headline"] for key, body in receiver.hooks.items()},
        "file": sorted(orjson.loads(line)["idempotency_key"] for line in lines),
        "heartbeat": receiver.beats > 0,
    }
