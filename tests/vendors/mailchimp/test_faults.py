"""Mailchimp's streams killed, spoilt and refused."""

from __future__ import annotations

import logging

import pytest

from optout.errors import AuthenticationFailed, PermissionMissing, UnexpectedAnswer
from optout.http.client import Answer
from optout.records import Finding, MailEvent
from optout.sandbox.acts import Mailing
from optout.sandbox.faults import Fault, FaultKind
from optout.sandbox.mailchimp.state import subscriber_hash
from optout.testing.mailchimp import ANA, BO, CY, DAY, World, busy, small, told, truth
from optout.testing.outputs import Killed, MemoryOutput
from optout.vendors.mailchimp.connector import Mailchimp


@pytest.mark.parametrize("kill_after", [False, True])
def test_a_read_killed_at_any_page_goes_on_and_ends_the_same(
    world: World, kill_after: bool
) -> None:
    """A crash must neither lose a member nor make an unfinished read look complete."""
    world.people(30)
    connector = small(world.connector())
    whole = told(world.read("members", connector=connector))
    deaths = 0
    for call in range(1, 60):
        out = MemoryOutput(kill_at=call, kill_after=kill_after)
        try:
            world.read("members", out, connector=connector)
            break
        except Killed:
            deaths += 1
        again = world.read("members", out.resumed(), connector=connector)
        assert (again.status, told(again)) == ("complete", whole)
    assert deaths > 5


@pytest.mark.parametrize("stream", ["unsubscribes", "sent_to", "clicks", "activity", "campaigns"])
def test_every_stream_survives_a_kill_at_each_page(world: World, stream: str) -> None:
    """Events have stable ids: read again, they are the same."""
    busy(world)
    world.read("unsubscribes")
    undisturbed = world.read(stream)
    whole, total = ids(undisturbed), undisturbed.vendor_total
    for call in range(1, 40):
        out = MemoryOutput(kill_at=call)
        try:
            world.read(stream, out)
            break
        except Killed:
            pass
        again = world.read(stream, out.resumed())
        assert (again.status, ids(again)) == ("complete", whole)
        assert again.vendor_total == total
    assert whole


def ids(out: MemoryOutput) -> set[str]:
    return {getattr(row, "event_id", None) or getattr(row, "campaign_id", "") for row in out.rows}


@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.LIMITED, FaultKind.SERVER_ERROR, FaultKind.UNAVAILABLE, FaultKind.RESET,
        FaultKind.TRUNCATED, FaultKind.HTML, FaultKind.ERROR_IN_200, FaultKind.EMPTY,
        FaultKind.MISSING_PAGE, FaultKind.DUPLICATE_PAGE, FaultKind.REPEATED_PAGE,
        FaultKind.WRONG_TOTAL,
    ],
)  # fmt: skip
@pytest.mark.parametrize("nth", [1, 3])
def test_a_passing_fault_changes_nothing_of_what_is_read(
    world: World, kind: FaultKind, nth: int
) -> None:
    """Whatever goes wrong once must be noticed and asked again."""
    world.people(30)
    world.sandbox.faults.plant(Fault(kind, "mailchimp", endpoint="/members", nth=nth))
    out = world.read("members", connector=small(world.connector()))
    assert out.status == "complete"
    assert told(out) == truth(world)


@pytest.mark.parametrize("nth", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "kind", [FaultKind.MISSING_PAGE, FaultKind.WRONG_TOTAL, FaultKind.REPEATED_PAGE]
)
def test_a_report_is_read_again_until_it_is_whole(world: World, kind: FaultKind, nth: int) -> None:
    """Evidence of sends that lost a page would miss a breach."""
    addresses = world.people(30)
    world.twin.send(Mailing("c1", "May", "news", DAY), addresses)
    world.sandbox.faults.plant(Fault(kind, "mailchimp", endpoint="/sent-to", nth=nth))
    out = world.read("sent_to", connector=small(world.connector()))
    assert (out.status, out.vendor_total) == ("complete", 30)
    assert {e.address for e in out.of(MailEvent)} == set(addresses)


@pytest.mark.parametrize(
    "kind", [FaultKind.MISSING_PAGE, FaultKind.WRONG_TOTAL, FaultKind.REPEATED_PAGE]
)
def test_a_lasting_fault_never_looks_complete(world: World, kind: FaultKind) -> None:
    """An empty page that stays empty is not the end of the list."""
    world.people(30)
    fault = Fault(kind, "mailchimp", endpoint="/members", nth=2, times=None)
    world.sandbox.faults.plant(fault)
    out = MemoryOutput()
    try:
        world.read("members", out, connector=small(world.connector()))
    except UnexpectedAnswer:
        return
    assert out.status == "incomplete"


@pytest.mark.parametrize("kind", [FaultKind.FIELD_ABSENT, FaultKind.FIELD_NULL])
@pytest.mark.parametrize("field", ["status", "interests"])
def test_a_consent_field_that_is_missing_ends_the_read(
    world: World, kind: FaultKind, field: str
) -> None:
    """A vendor that stops telling the status must not empty our list of opt-outs."""
    world.people(3)
    endpoint = "/members"
    world.sandbox.faults.plant(Fault(kind, "mailchimp", endpoint=endpoint, field=field, times=None))
    with pytest.raises(UnexpectedAnswer, match=field):
        world.read("members")


def test_an_unknown_word_is_found_and_the_night_stays_complete(world: World) -> None:
    """One strange member makes its cells not comparable, not all the others."""
    world.people(3)
    fault = Fault(FaultKind.UNKNOWN_ENUM, "mailchimp", endpoint="/members", times=None)
    world.sandbox.faults.plant(fault)
    out = world.read("members")
    assert out.status == "complete"
    assert {f.code for f in out.of(Finding)} == {"unknown_value"}


def test_a_bare_403_is_throttling_and_one_with_a_reason_is_a_missing_permission(
    world: World,
) -> None:
    """The vendor says "too many" in two ways, one of which looks like a wrong key."""
    options = Mailchimp.http_options(world.connector().config, "k")
    assert options.is_limited is not None
    assert options.is_limited(Answer(403, {}, None))
    assert not options.is_limited(Answer(403, {}, {"title": "Forbidden", "status": 403}))
    fault = Fault(FaultKind.UNAUTHORIZED, "mailchimp", endpoint="/lists", times=None, status=403)
    world.sandbox.faults.plant(fault)
    with pytest.raises(PermissionMissing):
        world.read("members")


def test_a_key_revoked_during_the_read_is_an_error(world: World) -> None:
    """401 on the second page must not end the list there."""
    world.people(30)
    fault = Fault(FaultKind.UNAUTHORIZED, "mailchimp", endpoint="/members", nth=2, times=None)
    world.sandbox.faults.plant(fault)
    with pytest.raises(AuthenticationFailed):
        world.read("members", connector=small(world.connector()))


def test_no_address_hash_or_key_is_in_any_error_or_log_line(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Errors are shown to people and kept."""
    busy(world)
    caplog.set_level(logging.DEBUG)
    texts = []
    for kind, endpoint in (
        (FaultKind.FIELD_ABSENT, "/members"), (FaultKind.SERVER_ERROR, "/activity-feed"),
        (FaultKind.UNAUTHORIZED, "/unsubscribed"), (FaultKind.HTML, "/content"),
    ):  # fmt: skip
        world.sandbox.faults.clear()
        world.sandbox.faults.plant(Fault(kind, "mailchimp", endpoint=endpoint, times=None))
        for stream in ("members", "unsubscribes", "activity", "campaigns"):
            try:
                world.read(stream)
            except Exception as error:
                texts.append(f"{error} {error.__cause__} {error.__context__}")
    assert len(texts) >= 4
    told_ = " ".join([*texts, caplog.text]).casefold()
    for address in (ANA, BO, CY):
        assert address.casefold() not in told_
        assert subscriber_hash(address) not in told_
    assert "key-us1" not in told_
