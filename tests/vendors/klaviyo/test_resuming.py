"""Klaviyo's readings that are interrupted, and those that ask only for what changed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from optout.errors import RequestRefused
from optout.model import Source
from optout.records import Reading
from optout.sandbox.acts import Mailing
from optout.sandbox.faults import Fault, FaultKind
from optout.sandbox.klaviyo.twin import KlaviyoTwin
from optout.sandbox.server import Sandbox
from optout.testing.klaviyo import AT, Connect, act, address, of_list, people, read, request
from optout.testing.outputs import Killed, MemoryOutput
from optout.vendors.klaviyo.connector import KlaviyoConfig


# --- resuming -----------------------------------------------------------------------------------
@pytest.mark.parametrize("stream", ["profiles", "list_members", "campaigns", "events"])
@pytest.mark.parametrize("after", [False, True])
def test_a_read_killed_anywhere_goes_on_and_ends_the_same(
    connect: Connect, twin: KlaviyoTwin, stream: str, after: bool
) -> None:
    """Kill at the first durable step, the second ...: the rows are those of an undisturbed run."""
    people(twin, 210)
    twin.send(Mailing("m1", "Autumn", "promotional", AT), [address(n) for n in range(1, 211)])
    twin.opt_out(address(7), "promotional", act(Source.EMAIL_LINK))
    expected = read(connect(), stream)
    for step in range(1, len(expected.calls) + 1):
        out = MemoryOutput(kill_at=step, kill_after=after, durable_pages=2)
        with pytest.raises(Killed):
            connect().read(stream, request(), out)
        again = out.resumed()
        connect().read(stream, request(), again)
        assert set(again.rows) == set(expected.rows)
        assert again.state == expected.state
        assert again.status == "complete"


def test_a_resumed_read_does_not_ask_for_what_it_has(
    connect: Connect, twin: KlaviyoTwin, sandbox: Sandbox
) -> None:
    """Going on means going on: a million profiles are not read twice for one lost connection."""
    people(twin, 450)
    out = MemoryOutput(kill_at=4)
    with pytest.raises(Killed):
        connect().read("profiles", request(), out)
    sandbox.forget()
    connect().read("profiles", request(), out.resumed())
    assert sandbox.requests["klaviyo"] == 3, "two pages, and the one that proves the end"


@pytest.mark.parametrize("stream", ["profiles", "list_members", "events"])
def test_an_expired_cursor_begins_anew(connect: Connect, twin: KlaviyoTwin, stream: str) -> None:
    """A position from yesterday's interruption is refused: restart, and no row twice."""
    people(twin, 250)
    twin.send(Mailing("m1", "Autumn", "promotional", AT), [address(n) for n in range(1, 251)])
    expected = read(connect(), stream)
    out = MemoryOutput(kill_at=3)
    with pytest.raises(Killed):
        connect().read(stream, request(), out)
    twin.expire_cursors()
    again = out.resumed()
    connect().read(stream, request(), again)
    assert "restart" in again.calls
    assert sorted(map(repr, again.rows)) == sorted(map(repr, expected.rows))


def test_a_cursor_that_expires_during_the_reading_begins_anew_once(
    connect: Connect, twin: KlaviyoTwin, sandbox: Sandbox
) -> None:
    """Once is bad luck; for ever is a failure that must be told."""
    people(twin, 250)
    sandbox.faults.plant(Fault(FaultKind.EXPIRED_CURSOR, "klaviyo", "/api/profiles", nth=2))
    out = read(connect(), "profiles")
    assert len(out.of(Reading)) == 250
    sandbox.faults.plant(Fault(FaultKind.EXPIRED_CURSOR, "klaviyo", "/api/profiles", times=None))
    with pytest.raises(RequestRefused):
        read(connect(), "profiles")


def test_a_cursor_of_another_question_is_not_used(connect: Connect, twin: KlaviyoTwin) -> None:
    """A full read must not go on in the middle of an incremental one."""
    people(twin, 250)
    out = MemoryOutput(kill_at=2)
    with pytest.raises(Killed):
        connect().read("profiles", request(since=AT - timedelta(days=1)), out)
    again = out.resumed()
    connect().read("profiles", request(), again)
    assert again.calls[0] == "restart"
    assert len(again.of(Reading)) == 250


# --- incremental --------------------------------------------------------------------------------
def test_an_incremental_read_takes_three_feeds(connect: Connect, twin: KlaviyoTwin) -> None:
    """`updated` need not move with a consent: opt-outs come by the suppressions' own stamps."""
    people(twin, 5)
    twin.opt_out(address(1), None, act(Source.EMAIL_LINK, hours=3))
    twin.opt_out(address(2), "promotional", act(Source.PREFERENCE_CENTER, hours=3))
    twin.change_address(address(3), "new@example.org", AT + timedelta(hours=3))
    # the second of `since` itself: the vendor's filter is exclusive, ours must not be
    out = read(connect(), "profiles", request(since=AT + timedelta(hours=3)))
    found = {row.address for row in out.of(Reading) if row.store == "profile"}
    assert found == {address(1), address(2), "new@example.org"}
    assert out.note is not None and "next full read" in out.note
    assert out.status == "complete"


def test_a_lifted_list_suppression_is_closed_by_an_incremental_read(
    connect: Connect, twin: KlaviyoTwin
) -> None:
    """The profile comes without it: the row of the suppression must go as well."""
    twin.updated_moves_on_consent = True
    people(twin, 1)
    twin.opt_out(address(1), "promotional", act(Source.PREFERENCE_CENTER, hours=2))
    twin.opt_in(address(1), "promotional", act(Source.PREFERENCE_CENTER, hours=3))
    out = read(connect(), "profiles", request(since=AT + timedelta(hours=3)))
    assert [(row.deleted, row.outs) for row in of_list(out)] == [(True, 0)] * 2
    assert not any(row.deleted for row in read(connect(), "profiles").of(Reading))


def test_every_night_is_read_in_full_unless_configured_otherwise() -> None:
    """A lifted suppression shows in no feed, and a full read costs a request per hundred."""
    assert KlaviyoConfig.model_fields["full_read_every"].default == 1
