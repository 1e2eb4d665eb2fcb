"""Message logs that answer a thousand at most: windows, sources, and what cannot be proven."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

import pytest

from optout.errors import BrokenAnswer, PermissionMissing
from optout.http.client import HttpClient
from optout.http.retry import RetryPolicy
from optout.model import Categories, Source
from optout.records import Change, Finding, MailEvent
from optout.sandbox.acts import Act, Mailing
from optout.sandbox.faults import Fault, FaultKind
from optout.sandbox.sendgrid.door import Refusal
from optout.sandbox.sendgrid.twin import SendGridTwin
from optout.sandbox.server import Sandbox
from optout.testing.outputs import Killed, MemoryOutput
from optout.testing.sendgrid import AT, NOW
from optout.vendors.base import Context, ReadRequest
from optout.vendors.sendgrid import messages as sendgrid_messages
from optout.vendors.sendgrid import windows as sendgrid_windows
from optout.vendors.sendgrid.connector import SendGrid, SendGridConfig
from optout.vendors.sendgrid.messages import EmailLogs

CATEGORIES = Categories(("promotional",))
CAP = 10


@pytest.fixture
def twin() -> SendGridTwin:
    twin = SendGridTwin(CATEGORIES.names, token="SG.test", rng=Random(5))
    twin.now = NOW
    return twin


@pytest.fixture
def sandbox(twin: SendGridTwin, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    monkeypatch.setattr("optout.sandbox.sendgrid.log.MAX_MESSAGES", CAP)
    monkeypatch.setattr(sendgrid_messages, "CAP", CAP)
    monkeypatch.setattr(sendgrid_windows, "CAP", CAP)
    with Sandbox([twin], limits_on=False) as running:
        yield running


def read(
    sandbox: Sandbox,
    out: MemoryOutput | None = None,
    base_url: str = "",
    state: Mapping[str, Any] | None = None,
    stream: str = "messages",
    **settings: Any,
) -> MemoryOutput:
    out = out or MemoryOutput()
    url = sandbox.base_url("sendgrid")
    config = SendGridConfig(**{
        "name": "sendgrid", "vendor": "sendgrid", "base_url": base_url or url,
        "token_env": "SG_KEY", "categories": {"promotional": ("20001",)}, "subusers": (),
        **settings,
    })  # fmt: skip
    # The limiter would hold a thousand requests back for real minutes.
    options = SendGrid.http_options(config, "SG.test").__class__(
        headers={"Authorization": "Bearer SG.test"}
    )
    http = HttpClient("sendgrid", url, options, retry=RetryPolicy(attempts=2, base=0.0))
    request = ReadRequest(date(2026, 10, 1), NOW, None, state or {}, NOW)
    SendGrid(Context(config, "SG.test", CATEGORIES, http)).read(stream, request, out)
    return out


def send(twin: SendGridTwin, count: int, *, seconds: int, at: datetime = AT) -> set[str]:
    """Messages spread over so many seconds."""
    people = [f"p{number}@example.org" for number in range(count)]
    for number, address in enumerate(people):
        moment = at + timedelta(seconds=number * seconds // count)
        twin.send(Mailing("m", "Autumn", "promotional", moment), [address])
    return set(people)


def sent_to(out: MemoryOutput) -> list[str]:
    return [row.address or "" for row in out.of(MailEvent) if row.kind == "sent"]


@pytest.mark.parametrize("log", ["logs", "activity"])
def test_a_window_that_comes_back_full_is_halved_until_all_is_seen(
    twin: SendGridTwin, sandbox: Sandbox, log: str
) -> None:
    """The cap is silent: taken at its word it would hide most of a campaign."""
    twin.logs_on, twin.activity_on = log == "logs", log == "activity"
    people = send(twin, 60, seconds=40)
    out = read(sandbox)
    assert out.status == "complete"
    assert set(sent_to(out)) == people
    ids = {row.event_id for row in out.of(MailEvent)}
    assert len(ids) == 2 * len(people)  # sent and delivered, the same however often it is shown


def test_a_second_that_is_full_is_split_by_status(twin: SendGridTwin, sandbox: Sandbox) -> None:
    """Statuses part what time cannot."""
    send(twin, 8, seconds=1)
    mailing = Mailing("m", "Autumn", "promotional", AT)
    for number in range(8):
        twin.drop(mailing, f"d{number}@example.org")
    out = read(sandbox)
    assert out.status == "complete"
    kinds = [row.kind for row in out.of(MailEvent)]
    assert (kinds.count("sent"), kinds.count("dropped")) == (8, 8)


def test_a_second_that_is_full_is_split_into_fractions(
    twin: SendGridTwin, sandbox: Sandbox
) -> None:
    """A large single send is made at thousands a second: each night would be incomplete."""
    people = [f"r{number:03}@example.org" for number in range(3 * CAP)]
    twin.send(Mailing("m", "Autumn", "promotional", AT), people)
    out = read(sandbox)
    assert out.status == "complete"
    assert sorted(sent_to(out)) == people


def test_a_status_that_nobody_knows_hides_no_message(
    twin: SendGridTwin, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parts by status would look whole without it."""
    monkeypatch.setattr(EmailLogs, "splits", ("status IN ('bounced')",))
    people = [f"r{number:03}@example.org" for number in range(2 * CAP)]
    twin.send(Mailing("m", "Autumn", "promotional", AT), people)
    out = read(sandbox)
    assert out.status == "complete"
    assert sorted(sent_to(out)) == people


@pytest.mark.parametrize("fraction", ["is cut off", "is refused", "is of no use"])
def test_a_second_that_cannot_be_split_is_incomplete(
    twin: SendGridTwin, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, fraction: str
) -> None:
    """Sends that no query shows are unknown, and never zero."""
    people = [f"r{number:03}@example.org" for number in range(3 * CAP)]
    if fraction == "is of no use":
        monkeypatch.setattr("optout.sandbox.sendgrid.twin._PACE", timedelta(0))

    def odd(text: str) -> datetime:
        if "." in text and fraction == "is refused":
            raise Refusal(400, "invalid timestamp in the query", "query")
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return at.replace(microsecond=0) if fraction == "is cut off" else at

    monkeypatch.setattr("optout.sandbox.sendgrid.log._at", odd)
    twin.send(Mailing("m", "Autumn", "promotional", AT), people)
    out = read(sandbox)
    assert out.status == "incomplete"
    assert out.why and "within one second" in out.why


@pytest.mark.parametrize("kill_at", range(1, 9))
def test_a_killed_read_goes_on_at_its_second(
    twin: SendGridTwin, sandbox: Sandbox, kill_at: int
) -> None:
    """Nothing twice that is not the same, and nothing missing."""
    people = send(twin, 30, seconds=20)
    whole = {row.event_id for row in read(sandbox).of(MailEvent)}
    out = MemoryOutput(kill_at=kill_at)
    try:
        read(sandbox, out)
    except Killed:
        out = out.resumed()
        read(sandbox, out)
    assert out.status == "complete"
    assert set(sent_to(out)) == people
    assert {row.event_id for row in out.of(MailEvent)} == whole


def test_a_late_unsubscribe_through_an_older_message_is_found(
    twin: SendGridTwin, sandbox: Sandbox
) -> None:
    """People read mail the day after: the log is by the message's time, not the act's."""
    send(twin, 1, seconds=1, at=AT - timedelta(days=1))
    act = Act(AT, Source.EMAIL_LINK, campaign_id="m", ip="198.51.100.9")
    twin.opt_out("p0@example.org", "promotional", act)
    [change] = read(sandbox).of(Change)
    assert (change.occurred_at, change.ip, change.explicit) == (AT, "198.51.100.9", True)


def test_after_missed_nights_the_log_is_read_from_where_it_ended(
    twin: SendGridTwin, sandbox: Sandbox
) -> None:
    """On a night of a full read `since` is not told; the nights between must not fall out."""
    send(twin, 1, seconds=1, at=AT - timedelta(days=9))
    assert sent_to(read(sandbox)) == []
    out = read(sandbox, state={"read_to": (AT - timedelta(days=8)).isoformat()})
    assert sent_to(out) == ["p0@example.org"]
    assert out.state == {"read_to": NOW.isoformat()}


def test_activity_tells_the_same_with_less(twin: SendGridTwin, sandbox: Sandbox) -> None:
    """No machine, no event ids: the ids must be stable all the same."""
    twin.logs_on, twin.activity_on = False, True
    send(twin, 2, seconds=1)
    twin.opt_out("p0@example.org", "promotional", Act(AT, Source.EMAIL_LINK, campaign_id="m"))
    twin.click("p1@example.org", "m", AT)
    twin.click("p1@example.org", "m", AT)
    twin.bounce("p1@example.org", "m", AT + timedelta(hours=1))
    first, second = read(sandbox), read(sandbox)
    [change] = first.of(Change)
    assert (change.feed, change.category, change.explicit) == ("activity", "promotional", True)
    assert change.missing == "ip"
    kinds = [row.kind for row in first.of(MailEvent) if row.address == "p1@example.org"]
    assert sorted(kinds) == ["bounced", "clicked", "clicked", "delivered", "sent"]
    assert {r.event_id for r in first.of(MailEvent)} == {r.event_id for r in second.of(MailEvent)}


def test_without_a_log_the_stream_says_so(twin: SendGridTwin, sandbox: Sandbox) -> None:
    """No log is no proof of no mail; where it was promised it is a failure."""
    twin.logs_on = False
    out = read(sandbox)
    assert out.status == "skipped"
    assert out.why and "cannot be proven" in out.why
    with pytest.raises(PermissionMissing):
        read(sandbox, messages="on")
    assert read(sandbox, messages="off").status == "skipped"


def test_activity_of_a_european_account_is_not_believed(
    twin: SendGridTwin, sandbox: Sandbox
) -> None:
    """It answers with an empty list there, whatever was sent."""
    twin.logs_on, twin.activity_on = False, True
    out = read(sandbox, base_url="https://api.eu.sendgrid.com")
    assert out.status == "skipped"
    assert out.why and "EU" in out.why


def test_a_group_that_is_not_mapped_and_a_new_event_are_findings(
    twin: SendGridTwin, sandbox: Sandbox
) -> None:
    """What is not understood is counted and shown, never dropped."""
    send(twin, 1, seconds=1)
    [message] = twin.main.messages.values()
    twin.event(message, "group_unsubscribe", AT, asm_group_id=4711)
    twin.event(message, "group_unsubscribe", AT, asm_group_id=20_001)
    twin.event(message, "telepathy", AT)
    out = read(sandbox)
    assert {(row.code, row.detail) for row in out.of(Finding)} == {
        ("unmapped_group", "4711"),
        ("unknown_value", "telepathy"),
    }
    assert len(out.of(Change)) == 1


def test_a_complaint_has_one_id_in_list_and_log(twin: SendGridTwin, sandbox: Sandbox) -> None:
    """Counted twice it would double the complaint rate."""
    send(twin, 1, seconds=1)
    twin.complain("p0@example.org", "m", AT + timedelta(hours=1))
    logged = [row for row in read(sandbox).of(MailEvent) if row.kind == "complained"]
    listed = [row for row in read(sandbox, stream="spam_reports").of(MailEvent)]
    assert [row.event_id for row in logged] == [row.event_id for row in listed]
    assert len(logged) == 1


def test_a_temporary_block_is_no_bounce(twin: SendGridTwin, sandbox: Sandbox) -> None:
    """The address may be alive: it must not count as undeliverable."""
    send(twin, 1, seconds=1)
    [message] = twin.main.messages.values()
    twin.event(message, "bounce", AT, type="blocked", reason="try later")
    assert "bounced" not in {row.kind for row in read(sandbox).of(MailEvent)}


@pytest.mark.parametrize("log", ["logs", "activity"])
def test_messages_of_another_time_than_asked_end_the_read(
    twin: SendGridTwin, sandbox: Sandbox, log: str
) -> None:
    """A cache that knows paths only would give one window's messages for all."""
    twin.logs_on, twin.activity_on = log == "logs", log == "activity"
    send(twin, 60, seconds=40)
    path = "/v3/logs" if log == "logs" else "/v3/messages"
    sandbox.faults.plant(Fault(FaultKind.REPEATED_PAGE, "sendgrid", path, nth=3))
    with pytest.raises(BrokenAnswer, match="another time"):
        read(sandbox)


def test_the_first_question_is_the_one_that_finds_the_log(
    twin: SendGridTwin, sandbox: Sandbox
) -> None:
    """A probe of its own could be given once more, as if nothing else had been sent."""
    people = send(twin, CAP - 1, seconds=4)
    sandbox.faults.plant(Fault(FaultKind.REPEATED_PAGE, "sendgrid", "/v3/logs", nth=2))
    assert set(sent_to(read(sandbox))) == people
