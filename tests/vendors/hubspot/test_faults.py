"""HubSpot's streams killed, refused and spoilt."""

from __future__ import annotations

import logging

import pytest

from optout.errors import AuthenticationFailed, PermissionMissing, SourceError
from optout.model import Source
from optout.sandbox.acts import Act, Mailing
from optout.sandbox.faults import Fault, FaultKind
from optout.sandbox.hubspot.twin import HubSpotTwin
from optout.sandbox.server import Sandbox
from optout.testing.hubspot import TOKEN, Connect, at, fill, night, read
from optout.testing.outputs import Killed, MemoryOutput

STREAMS = ("timeline", "statuses", "emails", "email_events")


def world(twin: HubSpotTwin) -> None:
    """Enough of everything that each stream has several pages."""
    fill(twin, 230)
    twin.send(
        Mailing("m1", "Autumn", "promotional", at(days=1)),
        [f"p{n}@example.org" for n in range(1, 60)],
    )
    for number in range(1, 40):
        act = Act(at(days=2, minutes=number), Source.EMAIL_LINK, campaign_id="m1")
        twin.opt_out(f"p{number}@example.org", "promotional" if number % 2 else None, act)
    for number in range(60, 180):  # one moment, across the border of a page
        act = Act(at(days=2, hours=5), Source.PREFERENCE_CENTER)
        twin.opt_out(f"p{number}@example.org", "educational", act)
    twin.delete("p5@example.org", at(days=3))


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("kill_after", [False, True])
def test_a_read_killed_at_any_page_ends_with_the_same_rows(
    twin: HubSpotTwin, connect: Connect, stream: str, kill_after: bool
) -> None:
    """A crash between two pages lost a page, or read the first one twice under other ids."""
    world(twin)
    whole = read(connect(), stream)
    assert whole.status == "complete"
    for kill_at in range(1, len(whole.calls) + 1):
        out = MemoryOutput(kill_at=kill_at, kill_after=kill_after)
        with pytest.raises(Killed):
            connect().read(stream, night(), out)
        again = out.resumed()
        connect().read(stream, night(), again)
        assert again.status == "complete"
        assert set(again.rows) == set(whole.rows)
        assert again.read_total == whole.read_total


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize(
    "kind",
    [FaultKind.LIMITED, FaultKind.SERVER_ERROR, FaultKind.UNAVAILABLE, FaultKind.RESET,
     FaultKind.TRUNCATED, FaultKind.HTML, FaultKind.ERROR_IN_200, FaultKind.EMPTY,
     FaultKind.DUPLICATE_PAGE],
)  # fmt: skip
def test_passing_faults_change_nothing(
    twin: HubSpotTwin, connect: Connect, sandbox: Sandbox, stream: str, kind: FaultKind
) -> None:
    """A bad minute of the vendor's must not show in the morning."""
    world(twin)
    whole = read(connect(), stream)
    sandbox.faults.plant(*(Fault(kind, "hubspot", nth=nth) for nth in (1, 3, 6, 9)))
    spoilt = read(connect(), stream)
    assert spoilt.status == "complete"
    assert set(spoilt.rows) == set(whole.rows)


@pytest.mark.parametrize("stream", STREAMS)
def test_a_revoked_token_fails_the_read_and_tells_no_one(
    twin: HubSpotTwin,
    connect: Connect,
    sandbox: Sandbox,
    stream: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A failed read is never an empty list; and its error holds neither token nor address."""
    world(twin)
    caplog.set_level(logging.DEBUG)
    sandbox.faults.plant(Fault(FaultKind.UNAUTHORIZED, "hubspot", nth=2, times=None))
    if stream == "emails":
        sandbox.faults.plant(Fault(FaultKind.UNAUTHORIZED, "hubspot", times=None))
    out = MemoryOutput()
    with pytest.raises(AuthenticationFailed) as failed:
        connect().read(stream, night(), out)
    assert out.status is None
    text = str(failed.value) + caplog.text
    assert TOKEN not in text
    assert "example.org" not in text


@pytest.mark.parametrize(
    ("stream", "scope"),
    [
        ("timeline", "content"),
        ("statuses", "communication_preferences.statuses.batch.read"),
        ("statuses", "crm.objects.contacts.read"),
        ("statuses", "communication_preferences.read"),
        ("email_events", "content"),
    ],
)
def test_a_missing_scope_is_named(
    twin: HubSpotTwin, connect: Connect, stream: str, scope: str
) -> None:
    """'403' sends people to the manual; the scope's name sends them to the right checkbox."""
    world(twin)
    twin.http.missing_scopes = {scope}
    with pytest.raises(PermissionMissing) as failed:
        read(connect(), stream)
    assert f"the scope {scope}" in str(failed.value)


def test_a_daily_limit_ends_the_read_at_once(
    twin: HubSpotTwin, connect: Connect, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retrying against a daily quota only uses up the next day's."""
    from optout.sandbox import faults
    from optout.sandbox.limits import Verdict, refusal

    verdict = Verdict(False, policy="DAILY")
    monkeypatch.setattr(faults, "refusal", lambda style, _v, n: refusal(style, verdict, n))
    sandbox.faults.plant(Fault(FaultKind.LIMITED, "hubspot", times=None))
    with pytest.raises(SourceError):
        read(connect(), "timeline")
    assert sandbox.requests["hubspot"] == 1


def test_batches_that_come_back_empty_are_asked_for_again(
    twin: HubSpotTwin, connect: Connect, sandbox: Sandbox
) -> None:
    """The same batch, empty each time it was asked for: a hundred people without a status."""
    world(twin)
    whole = read(connect(), "statuses")
    sandbox.faults.plant(Fault(FaultKind.EMPTY, "hubspot", "/statuses/batch/read", times=4))
    spoilt = read(connect(), "statuses")
    assert spoilt.status == "complete"
    assert set(spoilt.rows) == set(whole.rows)
