"""Every channel against a far end that holds it to its contract."""

from __future__ import annotations

import ssl
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from pydantic import TypeAdapter

from optout.alerts.message import Message
from optout.alerts.settings import Channel
from optout.alerts.sinks import _BUILDERS
from optout.alerts.sinks.base import Misconfigured, Refused, Sink, Unavailable
from optout.testing.mail_server import MailServer
from optout.testing.receivers import CHANNEL, Fault, Receiver

NOW = datetime(2026, 11, 23, 2, 5, tzinfo=UTC)
TRIGGER = Message(
    action="trigger", dedup_key="optout:abc", revision=1, severity="page",
    environment="production", rule="unhonoured_opt_out",
    headline="12 people opted out in sell & would be mailed by <mailchimp>", reason="new",
    at=NOW.isoformat(), system="sell → mailchimp", since="2026-11-22", nights=2, people=12,
    direction="mailable although opted out", systems=("sell", "mailchimp"),
    categories=("promotional",), promise="Nobody is mailed.", deadline="2026-12-01",
    change="12, 3 more than last night (9)", suspected="The sync.", next_step="Suppress them.",
    riders=("Only 99.1 % agree",), details={"mailed_since": 0},
    links={"run": "https://dagster.test/runs/1", "runbook": "docs/runbooks/x.md"},
)  # fmt: skip
RESOLVE = replace(TRIGGER, action="resolve", revision=2)


def sink(environ: dict[str, str], folder: Path, **settings: object) -> Sink:
    channel: object = TypeAdapter(Channel).validate_python(settings)
    return _BUILDERS[channel.kind](channel, environ, folder)  # type: ignore[attr-defined]


def send(to: Sink, message: Message, thread: str | None = None, repeat: bool = False) -> str | None:
    return to.send(message, thread=thread, is_repeat=repeat, now=NOW)


def pagerduty(receiver: Receiver, folder: Path) -> Sink:
    return sink(
        receiver.environ(), folder, kind="pagerduty", routing_key_env="PD_KEY",
        base_url=receiver.url,
    )  # fmt: skip


def slack(receiver: Receiver, folder: Path) -> Sink:
    return sink(
        receiver.environ(), folder, kind="slack", token_env="SLACK_TOKEN", channel=CHANNEL,
        base_url=f"{receiver.url}/api/",
    )  # fmt: skip


def hook(receiver: Receiver, folder: Path) -> Sink:
    return sink(
        receiver.environ(), folder, kind="webhook", url=f"{receiver.url}/hook?team=a",
        secret_env="HOOK_SECRET",
    )  # fmt: skip


def test_pagerduty_opens_one_incident_and_closes_it(receiver: Receiver, tmp_path: Path) -> None:
    """An incident for every repeat wakes people for nothing; one that stays open is ignored."""
    to = pagerduty(receiver, tmp_path)
    send(to, TRIGGER)
    send(to, replace(TRIGGER, revision=3))
    send(to, replace(TRIGGER, action="acknowledge", revision=4))
    (incident,) = receiver.incidents.values()
    assert (incident.state, incident.severity, incident.opened) == ("acknowledged", "critical", 1)
    send(to, RESOLVE)
    assert incident.state == "resolved"


def test_pagerduty_takes_the_longest_headline(receiver: Receiver, tmp_path: Path) -> None:
    """A refused event is an alert that nobody hears."""
    send(pagerduty(receiver, tmp_path), replace(TRIGGER, headline="x" * 5000))
    assert len(receiver.incidents["optout:abc"].summary) == 1024


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
        (400, Refused),
        (403, Misconfigured),
    ],
)
def test_each_answer_of_pagerduty_is_understood(
    receiver: Receiver, tmp_path: Path, status: int, kind: type[Exception]
) -> None:
    """Waiting for what will never work loses the alert; giving up what would work does, too."""
    receiver.faults.append(Fault("/v2", status, {"Retry-After": "7"}))
    with pytest.raises(kind) as caught:
        send(pagerduty(receiver, tmp_path), TRIGGER)
    assert getattr(caught.value, "retry_after", None) == (
        7.0 if status in (429, 500, 503) else None
    )
    assert "R" * 32 not in str(caught.value)


def test_a_missing_secret_is_said_by_its_name(tmp_path: Path) -> None:
    """'Alerts do not work' must not need a debugger."""
    to = sink({}, tmp_path, kind="pagerduty", routing_key_env="PD_KEY")
    with pytest.raises(Misconfigured, match="PD_KEY"):
        send(to, TRIGGER)


def test_slack_keeps_one_message_and_tells_changes_in_its_thread(
    receiver: Receiver, tmp_path: Path
) -> None:
    """Ten messages for one problem bury the other problems."""
    to = slack(receiver, tmp_path)
    first = send(to, TRIGGER)
    send(to, RESOLVE, thread=first)
    head, reply = receiver.messages
    assert head["thread_ts"] is None
    assert "over" in head["text"]
    assert reply["thread_ts"] == first
    assert "&amp;" in head["text"]
    assert "<mailchimp>" not in head["text"]


def test_slack_looks_before_it_posts_again(receiver: Receiver, tmp_path: Path) -> None:
    """Slack has no idempotency key: after a crash the same notice would stand there twice."""
    to = slack(receiver, tmp_path)
    receiver.faults.append(Fault("/api/chat.postMessage", is_lost_answer=True))
    with pytest.raises(Unavailable):
        send(to, TRIGGER)
    first = send(to, TRIGGER, repeat=True)
    receiver.faults.append(Fault("/api/chat.postMessage", is_lost_answer=True))
    with pytest.raises(Unavailable):
        send(to, RESOLVE, thread=first)
    send(to, RESOLVE, thread=first, repeat=True)
    assert len(receiver.messages) == 2


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        (b'{"ok":false,"error":"invalid_auth"}', Misconfigured),
        (b'{"ok":false,"error":"ratelimited"}', Unavailable),
        (b'{"ok":false,"error":"invalid_blocks"}', Refused),
        (b"<html>", Unavailable),
    ],
)
def test_each_word_of_slack_is_understood(
    receiver: Receiver, tmp_path: Path, word: bytes, kind: type[Exception]
) -> None:
    """Slack says no with a 200."""
    receiver.faults.append(Fault("/api", 200, body=word))
    with pytest.raises(kind):
        send(slack(receiver, tmp_path), TRIGGER)


def test_slack_says_how_long_to_wait(receiver: Receiver, tmp_path: Path) -> None:
    """A client that ignores it is shut out for longer."""
    receiver.faults.append(Fault("/api", 429, {"Retry-After": "30"}))
    with pytest.raises(Unavailable) as caught:
        send(slack(receiver, tmp_path), TRIGGER)
    assert caught.value.retry_after == 30.0


def test_slack_takes_an_incoming_webhook(receiver: Receiver, tmp_path: Path) -> None:
    """Many workspaces allow nothing else."""
    to = sink(receiver.environ(), tmp_path, kind="slack", webhook_env="SLACK_HOOK")
    send(to, TRIGGER)
    assert len(receiver.messages) == 1
    receiver.faults.append(Fault("/services", 403))
    with pytest.raises(Misconfigured):
        send(to, TRIGGER)


def test_the_webhook_is_signed_and_taken_once(receiver: Receiver, tmp_path: Path) -> None:
    """Whoever finds the URL could close alerts; a second delivery would open a second ticket."""
    to = hook(receiver, tmp_path)
    receiver.faults.append(Fault("/hook", is_lost_answer=True))
    with pytest.raises(Unavailable):
        send(to, TRIGGER)
    send(to, TRIGGER, repeat=True)
    (body,) = receiver.hooks.values()
    assert body["headline"] == TRIGGER.headline
    assert Message.from_json(body) == TRIGGER


def test_mail_goes_out_encrypted_and_is_one_thread(
    mail: MailServer, certificate: tuple[Path, ssl.SSLContext], tmp_path: Path
) -> None:
    """Mail in clear tells a stranger what is wrong; ten subjects are ten problems to a reader."""
    to = sink(
        {"MAIL_PASSWORD": "mail-secret"}, tmp_path, kind="email", host="127.0.0.1",
        port=mail.port, ca_file=str(certificate[0]), user="optout", password_env="MAIL_PASSWORD",
        to=["oncall@example.test"], **{"from": "optout <optout@example.test>"},
    )  # fmt: skip
    first = send(to, TRIGGER)
    send(to, TRIGGER, repeat=True)
    send(to, RESOLVE, thread=first)
    one, again, over = mail.mails
    assert one["Message-ID"] == again["Message-ID"] == first
    assert over["In-Reply-To"] == first
    assert one["Subject"].startswith("[page] 12 people opted out")


@pytest.mark.parametrize(
    ("verb", "answer", "kind"),
    [
        ("AUTH", "535 no", Misconfigured),
        ("RCPT", "550 nobody", Misconfigured),
        ("MAIL", "451 later", Unavailable),
        (".", "554 spam", Refused),
        (".", "451 later", Unavailable),
        ("EHLO", "421 busy", Unavailable),
    ],
)
def test_each_refusal_of_mail_is_understood(
    mail: MailServer, certificate: tuple[Path, ssl.SSLContext], tmp_path: Path,
    verb: str, answer: str, kind: type[Exception],
) -> None:  # fmt: skip
    """A mail server's answer quotes the recipients: it must not reach a log."""
    mail.refusals.append((verb, f"{answer} oncall@example.test"))
    if verb == "EHLO":
        mail.refusals.append(("HELO", answer))
    to = sink(
        {"P": "mail-secret"}, tmp_path, kind="email", host="127.0.0.1", port=mail.port,
        ca_file=str(certificate[0]), user="optout", password_env="P",
        to=["oncall@example.test"], **{"from": "optout@example.test"},
    )  # fmt: skip
    with pytest.raises(kind) as caught:
        send(to, TRIGGER)
    assert "@" not in str(caught.value)


def test_mail_to_an_untrusted_server_is_not_sent(mail: MailServer, tmp_path: Path) -> None:
    """A stranger in between must not read alerts, whatever it costs."""
    to = sink(
        {}, tmp_path, kind="email", host="127.0.0.1", port=mail.port, to=["a@example.test"],
        **{"from": "b@example.test"},
    )  # fmt: skip
    with pytest.raises(Misconfigured, match="TLS"):
        send(to, TRIGGER)
    assert mail.mails == []


def test_the_file_has_each_notice_once_even_after_half_a_line(tmp_path: Path) -> None:
    """A crash in the middle of a line must not eat the next notice."""
    to = sink({}, tmp_path, kind="file")
    send(to, TRIGGER)
    with (tmp_path / "alerts.jsonl").open("ab") as file:
        file.write(b'{"half":')
    send(to, RESOLVE)
    send(to, RESOLVE, repeat=True)
    lines = (tmp_path / "alerts.jsonl").read_bytes().splitlines()
    assert [orjson.loads(line)["action"] for line in (lines[0], lines[2])] == ["trigger", "resolve"]
    assert len(lines) == 3


def test_the_console_shows_the_whole_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dry run that hides the next step is no rehearsal."""
    send(sink({}, tmp_path, kind="console"), TRIGGER)
    told = capsys.readouterr().err
    for part in ("[page]", "2026-11-22 (2 nights)", "3 more than last night", "Suppress them"):
        assert part in told


def test_apprise_carries_the_long_tail(receiver: Receiver, tmp_path: Path) -> None:
    """Teams and a hundred others, through one kept library."""
    url = receiver.url.replace("http://", "json://") + "/beat"
    to = sink({"TEAMS": url}, tmp_path, kind="apprise", url_env="TEAMS")
    send(to, TRIGGER)
    assert receiver.beats == 1
    receiver.faults.append(Fault("/beat", 500))
    with pytest.raises(Unavailable):
        send(to, TRIGGER)
    with pytest.raises(Misconfigured):
        send(sink({"TEAMS": "nonsense://"}, tmp_path, kind="apprise", url_env="TEAMS"), TRIGGER)
