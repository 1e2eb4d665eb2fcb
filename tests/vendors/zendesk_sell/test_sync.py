"""Sell's Sync queue: what changed, acknowledged only when it is durable."""

from __future__ import annotations

from datetime import timedelta

import pytest

from optout.errors import BrokenAnswer, PermissionMissing, SourceError
from optout.records import Reading
from optout.sandbox.faults import Fault, FaultKind
from optout.testing.outputs import Killed, MemoryOutput
from optout.testing.zendesk_sell import (
    BEFORE,
    CUTOFF,
    EVENTS,
    NIGHT,
    TOKEN,
    Hub,
    act,
    by_id,
    drained,
    fill,
    only,
)
from optout.vendors.base import ReadRequest


def acked(hub: Hub) -> set[tuple[str, int]]:
    (device,) = hub.twin.desk._devices.values()
    return set(device.acked)


def test_sync_brings_what_changed_and_takes_every_type_from_the_queue(hub: Hub) -> None:
    """Users, deals and tags come through the same queue, and return for ever if not taken."""
    ids = fill(hub, 130)
    lead = hub.add("lea", lead=True)
    first = drained(hub)
    assert first.status == "complete"
    assert {int(r.record_id) for r in first.of(Reading) if not r.deleted} == {*ids, lead}
    assert {kind for kind, _ in acked(hub)} == {"contact", "lead", "user", "deal", "tag"}
    second = drained(hub, 1, first.state)
    assert (second.status, second.rows) == ("complete", [])
    hub.twin.opt_out("p5@example.org", "events", act())
    (reading,) = drained(hub, 2, second.state).of(Reading)
    assert (reading.store, reading.record_id) == ("contacts", str(ids[5]))
    assert reading.outs & EVENTS


def test_nothing_is_acknowledged_before_it_is_durable(hub: Hub) -> None:
    """An item that was acknowledged and then lost by a crash never comes again."""
    fill(hub, 130)
    out = MemoryOutput(kill_at=3)
    with pytest.raises(Killed):
        drained(hub, out=out)
    assert out.calls[-1] == "flush"
    assert acked(hub) == set()


@pytest.mark.parametrize("is_after", [False, True])
def test_a_drain_killed_at_any_call_gives_the_same_rows(
    hub: Hub, is_after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between writing and acknowledging gives duplicates only."""
    monkeypatch.setattr("optout.vendors.zendesk_sell.sync.ACK_AFTER", 100)
    fill(hub, 345)
    whole = drained(hub, device_uuid="device-0000")
    for k in range(1, len(whole.calls) + 1):
        device = f"device-{k:04}"
        out = MemoryOutput(kill_at=k, kill_after=is_after)
        with pytest.raises(Killed):
            drained(hub, out=out, device_uuid=device)
        again = drained(hub, out=out.resumed(), device_uuid=device)
        assert again.status == "complete"
        assert set(again.rows) == set(whole.rows), k


def test_the_later_state_speaks_whatever_the_order(hub: Hub) -> None:
    """Availability is preferred over order: an older yes must not overwrite a newer no."""
    ids = fill(hub, 40)
    for i in range(40):
        hub.twin.opt_out(f"p{i}@example.org", "events", act())
    hub.twin.desk.stale_copies = True
    newest: dict[str, Reading] = {}
    for reading in drained(hub).of(Reading):
        if not reading.deleted:
            newest[reading.record_id] = reading
    assert len(newest) == len(ids)
    assert all(reading.outs & EVENTS for reading in newest.values())


def test_a_deletion_tells_only_the_id(hub: Hub) -> None:
    """A deleted record must end; its address is not told any more."""
    ids = fill(hub, 3)
    state = drained(hub).state
    hub.twin.delete("p1@example.org", CUTOFF)
    (reading,) = drained(hub, 1, state).of(Reading)
    assert (reading.record_id, reading.deleted, reading.address) == (str(ids[1]), True, None)


def test_a_record_that_lost_its_address_is_gone_as_in_the_walk(hub: Hub) -> None:
    """Else its last reading would speak of the person for ever."""
    id_ = hub.add("ana")
    state = drained(hub).state
    record = hub.twin.store.records["contact", id_]
    hub.twin.store.update(record, CUTOFF, attributes={"email": None})
    (reading,) = drained(hub, 1, state).of(Reading)
    assert (reading.record_id, reading.deleted) == (str(id_), True)


def test_an_item_with_no_more_than_an_id_is_looked_up(hub: Hub) -> None:
    """The event's type is a hint: an update without data is no deletion."""
    ids = fill(hub, 3)
    hub.sandbox.faults.plant(
        Fault(FaultKind.FIELD_ABSENT, "zendesk_sell", "/queues", field="email", rows=9)
    )
    out = drained(hub)
    assert {r.record_id for r in out.of(Reading) if not r.deleted} == {str(i) for i in ids}


def test_failed_objects_are_fetched_by_their_id(hub: Hub) -> None:
    """What should have been in the page and was not is lost in silence otherwise."""
    ids = fill(hub, 5)
    hub.twin.desk.withheld = {("contact", ids[2]), ("deal", 1)}
    out = drained(hub)
    assert out.status == "complete"
    assert only(out, ids[2]).address == "p2@example.org"


def test_a_failed_object_that_cannot_be_fetched_leaves_the_stream_open(hub: Hub) -> None:
    """An error is not an empty answer."""
    ids = fill(hub, 5)
    hub.twin.desk.withheld = {("contact", ids[2])}
    hub.sandbox.faults.plant(
        Fault(FaultKind.SERVER_ERROR, "zendesk_sell", "/contacts/{id}", times=None)
    )
    out = MemoryOutput()
    with pytest.raises(SourceError):
        drained(hub, out=out)
    assert out.status is None


@pytest.mark.parametrize("kind", [FaultKind.TRUNCATED, FaultKind.RESET, FaultKind.EMPTY])
def test_a_batch_lost_on_its_way_is_not_missed(hub: Hub, kind: FaultKind) -> None:
    """The session goes on behind it; only the next one brings it again."""
    ids = fill(hub, 230)
    hub.sandbox.faults.plant(Fault(kind, "zendesk_sell", "/queues/main", nth=2))
    out = drained(hub)
    assert out.status == "complete"
    assert set(by_id(out)) >= {str(i) for i in ids}


def test_a_queue_that_repeats_itself_is_no_end(hub: Hub) -> None:
    """The official client would spin for ever here."""
    fill(hub, 130)
    hub.sandbox.faults.plant(
        Fault(FaultKind.REPEATED_PAGE, "zendesk_sell", "/queues/main", nth=2, times=None)
    )
    with pytest.raises(BrokenAnswer):
        drained(hub)


def test_without_the_scope_or_plan_the_walk_runs_every_night(hub: Hub) -> None:
    """No queue must not mean that nothing changed."""
    fill(hub, 5)
    hub.twin.sync_enabled = False
    connector = hub.connector()
    out = drained(hub, connector=connector)
    assert (out.status, "no Sync" in (out.why or "")) == ("skipped", True)
    out = hub.read("contacts", since=BEFORE, connector=connector)
    assert (len(out.of(Reading)), out.is_full) == (5, True)
    with pytest.raises(PermissionMissing):
        drained(hub, sync="on")
    assert drained(hub, sync="off").status == "skipped"


def test_between_full_reads_the_queue_stands_in_for_the_walk(hub: Hub) -> None:
    """And says so: absence from such a night is no deletion."""
    fill(hub, 5)
    first = drained(hub)
    connector = hub.connector()
    drained(hub, 1, first.state, connector=connector)
    out = hub.read("contacts", nights=1, since=BEFORE, connector=connector)
    assert (out.status, out.rows, out.is_full) == ("complete", [], False)
    assert out.note
    full = hub.read("contacts", nights=1, since=None, connector=connector)
    assert (len(full.of(Reading)), full.is_full) == (5, True)


@pytest.mark.parametrize("broken", ["a night between", "a first night", "another process"])
def test_a_broken_row_of_nights_is_walked(hub: Hub, broken: str) -> None:
    """What an incomplete night acknowledged does not come again: only a walk finds it."""
    fill(hub, 5)
    first = drained(hub)
    connector = hub.connector()
    nights = 2 if broken == "a night between" else 1
    state = None if broken == "a first night" else first.state
    drained(hub, nights, state, connector=connector)
    if broken == "another process":
        connector = hub.connector()
    out = hub.read("contacts", nights=nights, since=BEFORE, connector=connector)
    assert (len(out.of(Reading)), out.is_full) == (5, True)


def test_a_backfill_leaves_the_queue_alone(hub: Hub) -> None:
    """It would spend today's states on a night that is over."""
    fill(hub, 5)
    late = CUTOFF + timedelta(days=3)
    out = MemoryOutput()
    hub.connector().read("sync", ReadRequest(NIGHT, CUTOFF, None, {}, late), out)
    assert out.status == "skipped"
    assert hub.twin.desk._devices == {}


def test_the_device_is_the_same_every_night_and_ones_own(hub: Hub) -> None:
    """Another UUID means everything anew; a shared one steals another's changes."""
    assert hub.connector().device == hub.connector().device
    assert hub.connector(device_uuid="0000-1111").device == "0000-1111"
    assert TOKEN not in hub.connector().device
