"""Sell's Firehose: changes of fields, from a position that may expire."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from optout.errors import BrokenAnswer, PermissionMissing
from optout.model import State
from optout.records import Change
from optout.sandbox.faults import Fault, FaultKind
from optout.sandbox.zendesk_sell import store as native
from optout.testing.outputs import Killed, MemoryOutput
from optout.testing.zendesk_sell import CUTOFF, YESTERDAY, Hub, act


def hose(hub: Hub, nights: int = 0, state: Any = None, **more: Any) -> MemoryOutput:
    return hub.read("firehose", nights=nights, state=state, **more)


@pytest.mark.parametrize("shape", ["full", "changed"])
@pytest.mark.parametrize("values", ["name", "object"])
def test_a_changed_field_is_a_change_with_its_own_source(hub: Hub, shape: Any, values: Any) -> None:
    """The Firehose is the only field history that Sell itself keeps."""
    hub.twin.shapes.previous_shape, hub.twin.shapes.list_shape = shape, values
    id_ = hub.add("ana", {"promotional": State.OPTED_IN, "events": State.OPTED_IN}, at=YESTERDAY)
    acted = YESTERDAY + timedelta(hours=1)
    recorded = acted + timedelta(minutes=2)
    hub.twin.set_preference(
        "ana@example.org", "promotional", State.OPTED_OUT, act(acted), at_recorded=recorded
    )
    (change,) = hose(hub).of(Change)
    assert (change.feed, change.store, change.record_id) == ("firehose", "contacts", str(id_))
    assert (change.category, change.old, change.new) == ("promotional", "opted_in", "opted_out")
    assert (change.occurred_at, change.received_at) == (acted, recorded)
    assert (change.source, change.explicit, change.actor) == ("email_link", True, "person")
    assert change.address == "ana@example.org"


def test_a_bulk_edit_does_not_borrow_the_person_of_an_earlier_change(hub: Hub) -> None:
    """Rule 3: an integration that writes a yes back lifts nothing, whatever the source says."""
    hub.add("ana", {"promotional": State.OPTED_IN}, at=YESTERDAY)
    hub.twin.opt_out("ana@example.org", "promotional", act(YESTERDAY + timedelta(hours=1)))
    at = YESTERDAY + timedelta(hours=2)
    hub.twin.restore("ana@example.org", "promotional", State.OPTED_IN, at)
    change = hose(hub).of(Change)[-1]
    assert (change.old, change.new) == ("opted_out", "opted_in")
    assert (change.source, change.explicit, change.actor) == ("unknown", False, None)
    assert change.occurred_at == at


def test_the_global_flag_and_leads_come_too(hub: Hub) -> None:
    """Both streams are read, and the flag is of everything."""
    hub.add("ana", lead=True, at=YESTERDAY)
    hub.twin.opt_out("ana@example.org", None, act())
    (change,) = hose(hub).of(Change)
    assert (change.store, change.category, change.new) == ("leads", None, "opted_out")


def test_creation_other_edits_and_an_explicit_false_are_no_changes(hub: Hub) -> None:
    """What is no change of a preference would be counted as a gap of the trail."""
    id_ = hub.add("ana", {"promotional": State.OPTED_OUT}, at=YESTERDAY)
    hub.twin.change_address("ana@example.org", "new@example.org", YESTERDAY)
    hub.put(id_, {"known_via": "fair", native.GLOBAL: False})
    hub.twin.delete("new@example.org", YESTERDAY)
    out = hose(hub)
    assert (out.status, out.rows) == ("complete", [])


def changes_of_many(hub: Hub, number: int) -> None:
    for i in range(number):
        hub.add(f"p{i}", {"promotional": State.OPTED_IN}, at=YESTERDAY)
    for i in range(number):
        at = YESTERDAY + timedelta(minutes=i)
        hub.twin.opt_out(f"p{i}@example.org", "promotional", act(at))


def test_empty_pages_and_repeated_events_neither_end_nor_double_it(hub: Hub) -> None:
    """Looping on the item count would stop at the first empty page and lose the rest."""
    hub.twin.empty_page_every = 2
    changes_of_many(hub, 180)
    out = hose(hub)
    assert out.status == "complete"
    assert len(out.of(Change)) == 180
    assert len({c.event_id for c in out.of(Change)}) == 180


def test_the_next_night_goes_on_at_the_position(hub: Hub) -> None:
    """Nothing left out; what the vendor delivers twice has the same id."""
    changes_of_many(hub, 3)
    first = hose(hub)
    known = {c.event_id for c in first.of(Change)}
    hub.twin.now = CUTOFF + timedelta(days=1)
    hub.twin.opt_in("p1@example.org", "promotional", act(CUTOFF + timedelta(hours=1)))
    second = hose(hub, 1, first.state)
    fresh = [c for c in second.of(Change) if c.event_id not in known]
    assert [(c.old, c.new) for c in fresh] == [("opted_out", "opted_in")]
    assert len(second.of(Change)) <= 2
    assert second.note is None


def test_an_expired_position_begins_at_the_tail_and_says_what_is_lost(hub: Hub) -> None:
    """72 hours are kept: a longer pause leaves a gap that must not look like silence."""
    changes_of_many(hub, 3)
    first = hose(hub)
    hub.twin.now = CUTOFF + timedelta(days=4)
    hub.twin.opt_in("p1@example.org", "promotional", act(CUTOFF + timedelta(days=3)))
    out = hose(hub, 4, first.state)
    assert (out.status, len(out.of(Change))) == ("complete", 1)
    assert "only from comparing nights" in (out.note or "")


def test_a_firehose_killed_at_any_page_gives_the_same_changes(hub: Hub) -> None:
    """A crash must not cost a page of events: they are gone after three days."""
    changes_of_many(hub, 150)
    hub.add("lea", lead=True, at=YESTERDAY)
    hub.twin.opt_out("lea@example.org", "events", act())
    hub.twin.empty_page_every = 10**6
    whole = {c.event_id for c in hose(hub).of(Change)}
    for k in range(1, len(hose(hub).calls) + 1):
        for is_after in (False, True):
            out = MemoryOutput(kill_at=k, kill_after=is_after)
            with pytest.raises(Killed):
                hose(hub, out=out)
            again = hose(hub, out=out.resumed())
            assert {c.event_id for c in again.of(Change)} == whole, k


def test_a_stream_that_stands_still_is_no_end(hub: Hub) -> None:
    """Neither an endless loop nor a quiet success."""
    changes_of_many(hub, 150)
    hub.twin.empty_page_every = 10**6
    hub.sandbox.faults.plant(
        Fault(FaultKind.REPEATED_CURSOR, "zendesk_sell", "/stream", nth=2, times=None)
    )
    with pytest.raises(BrokenAnswer):
        hose(hub)


def test_no_firehose_on_the_plan_is_said(hub: Hub) -> None:
    """It is optional, unless the configuration demands it."""
    hub.twin.firehose_enabled = False
    assert "no Firehose" in (hose(hub).why or "")
    assert hose(hub, firehose="off").status == "skipped"
    with pytest.raises(PermissionMissing):
        hose(hub, firehose="on")


def test_an_answer_that_is_served_twice_hides_no_event(hub: Hub) -> None:
    """The question whether there is a Firehose is the first that the read asks anyway."""
    changes_of_many(hub, 3)
    path = "/v3/contacts/stream"
    hub.sandbox.faults.plant(Fault(FaultKind.REPEATED_PAGE, "zendesk_sell", path, nth=2))
    assert len(hose(hub).of(Change)) == 3
