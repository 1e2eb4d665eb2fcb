"""The history field of Sell's records: every change with its evidence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from optout.model import Source, State
from optout.records import Change, Finding
from optout.sandbox.acts import HistoryFault
from optout.sandbox.zendesk_sell import store as native
from optout.testing.outputs import MemoryOutput
from optout.testing.zendesk_sell import YESTERDAY, Hub, act


def history_of(out: MemoryOutput, record_id: int) -> list[Change]:
    return [c for c in out.of(Change) if c.feed == "history" and c.record_id == str(record_id)]


def test_history_gives_one_change_for_each_field_with_all_its_evidence(hub: Hub) -> None:
    """The trail is judged by these rows."""
    id_ = hub.add("ana", {"promotional": State.OPTED_IN})
    hub.twin.opt_out("ana@example.org", "promotional", act(reason="bored"))
    hub.twin.opt_out("ana@example.org", None, act(YESTERDAY + timedelta(hours=1), Source.FORM))
    first, second, third = history_of(hub.read("contacts"), id_)
    assert (first.old, first.new, first.source) == ("not_set", "opted_in", "import")
    assert not first.explicit
    assert (second.category, second.old, second.new) == ("promotional", "opted_in", "opted_out")
    assert (second.occurred_at, second.occurred_from) == (YESTERDAY, YESTERDAY)
    assert (second.source, second.explicit, second.actor) == ("email_link", True, "person")
    assert (second.position, second.missing, second.reason) == (1, None, "bored")
    assert (second.ip, second.user_agent) == ("198.51.100.7", "Mozilla/5.0 (sandbox)")
    assert (third.category, third.old, third.new) == (None, "opted_in", "opted_out")
    assert not third.explicit


@pytest.mark.parametrize(
    "field", ["at", "source", "ip", "user_agent", "contact_id", "email", "changes.old"]
)
def test_each_required_field_that_is_lacking_is_named(hub: Hub, field: str) -> None:
    """An incomplete entry that passes for complete is what an auditor looks for."""
    id_ = hub.add("ana", {"promotional": State.OPTED_IN})
    fault = HistoryFault("missing_required_field", field)
    hub.twin.set_preference("ana@example.org", "promotional", State.OPTED_OUT, act(), fault=fault)
    change = history_of(hub.read("contacts"), id_)[-1]
    assert change.missing == field
    assert change.new == "opted_out"


def test_a_lacking_new_value_is_what_the_chain_led_to(hub: Hub) -> None:
    """The change happened, whatever its entry forgot: it counts, as incomplete."""
    id_ = hub.add("ana", {"promotional": State.OPTED_IN})
    fault = HistoryFault("missing_required_field", "changes.new")
    hub.twin.set_preference("ana@example.org", "promotional", State.OPTED_OUT, act(), fault=fault)
    change = history_of(hub.read("contacts"), id_)[-1]
    assert (change.new, change.missing) == ("opted_out", "changes.new")
    before = change.event_id
    hub.twin.opt_in("ana@example.org", "promotional", act(YESTERDAY + timedelta(hours=1)))
    again = history_of(hub.read("contacts"), id_)
    assert again[1].new == "opted_out"
    assert again[1].event_id == before


def test_the_reason_is_not_required_and_a_source_can_be_relaxed(hub: Hub) -> None:
    """The policy says which fields; an import has no IP of a person."""
    id_ = hub.add("ana")
    bare = act(source=Source.IMPORT, ip=None, user_agent=None)
    hub.twin.opt_out("ana@example.org", "promotional", bare)
    assert history_of(hub.read("contacts"), id_)[0].missing == "ip,user_agent"
    relaxed = {"import": ("ip", "user_agent")}
    out = hub.read("contacts", history_relaxed=relaxed)
    assert history_of(out, id_)[0].missing is None
    out = hub.read("contacts", history_required=("at", "reason"))
    assert history_of(out, id_)[0].missing == "reason"


def test_an_unknown_part_of_an_entry_is_refused_in_the_configuration(hub: Hub) -> None:
    """A misspelt requirement would silently demand nothing."""
    with pytest.raises(ValidationError, match="userAgent"):
        hub.connector(history_required=("userAgent",))


def test_an_unparsable_entry_is_told_and_the_rest_kept(hub: Hub) -> None:
    """One bad entry must not hide the opt-out in the next."""
    id_ = hub.add("ana", {"promotional": State.OPTED_IN})
    hub.twin.set_preference(
        "ana@example.org", "events", State.OPTED_OUT, act(), fault=HistoryFault("unparsable")
    )
    hub.twin.opt_out("ana@example.org", "promotional", act(YESTERDAY + timedelta(hours=1)))
    out = hub.read("contacts")
    assert [c.position for c in history_of(out, id_)] == [0, 2]
    assert [f.code for f in out.of(Finding)] == ["unparsable"]


ENTRY = (
    '{"at": "2026-03-01T10:00:00+02:00", "changes": {"email_pref_promotional": {"old": "not_set",'
    ' "new": "opted_out"}}, "source": "Email Link", "ip": "192.0.2.1", "user_agent": "x",'
    ' "contact_id": 1, "email": "ana@example.org"}'
)


@pytest.mark.parametrize(
    ("text", "changes", "findings"),
    [
        (f"[{ENTRY}]", 1, 0),
        (ENTRY, 1, 0),
        (f"[{ENTRY}, {ENTRY[:90]}", 1, 1),
        (f"[null, 7, {ENTRY}]", 1, 2),
        ("", 0, 0),
        ("  ", 0, 0),
        ("[]", 0, 0),
        ("opted out by phone", 0, 1),
        ("7", 0, 1),
    ],
)
def test_history_is_read_as_far_as_it_can_be(
    hub: Hub, text: str, changes: int, findings: int
) -> None:
    """A text field that was cut off keeps its beginning; anything else is told, never raised."""
    id_ = hub.add("ana")
    hub.put(id_, {native.HISTORY: text})
    out = hub.read("contacts")
    found = history_of(out, id_)
    assert (len(found), len(out.of(Finding))) == (changes, findings)
    for change in found:
        assert change.occurred_at == datetime(2026, 3, 1, 8, tzinfo=UTC)
        assert (change.source, change.explicit, change.channel) == (
            "email_link", True, "Email Link"
        )  # fmt: skip


def test_a_history_that_is_a_list_already_is_read(hub: Hub) -> None:
    """Some integrations give structured values back."""
    id_ = hub.add("ana")
    change = {"email_opt_out_global": {"old": None, "new": True}}
    hub.put(id_, {native.HISTORY: [{"at": "2026-03-01T10:00:00", "changes": change}]})
    (told,) = history_of(hub.read("contacts"), id_)
    assert (told.category, told.old, told.new) == (None, "not_set", "opted_out")
    assert told.occurred_at == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert told.missing == "source,ip,user_agent,contact_id,email"


def test_a_time_that_is_none_is_told_and_the_change_kept(hub: Hub) -> None:
    """An opt-out with a broken time is still an opt-out."""
    id_ = hub.add("ana")
    change = {"email_pref_events": {"old": "opted_in", "new": "OPTED_OUT"}}
    hub.put(id_, {native.HISTORY: [{"at": "yesterday", "changes": change}]})
    out = hub.read("contacts", history_required=("at",))
    (told,) = history_of(out, id_)
    assert (told.new, told.occurred_at, told.missing) == ("opted_out", None, "at")
    assert [f.code for f in out.of(Finding)] == ["unparsable"]


def test_event_ids_outlive_new_entries_and_tell_true_repeats_apart(hub: Hub) -> None:
    """An id by place would turn one change into two when an entry is put before it."""
    id_ = hub.add("ana")
    entry = {"at": "2026-03-01T10:00:00Z", "source": "api",
             "changes": {"email_pref_events": {"old": "opted_in", "new": "opted_out"}}}  # fmt: skip
    hub.put(id_, {native.HISTORY: [entry, entry]})
    first = [c.event_id for c in history_of(hub.read("contacts"), id_)]
    assert len(set(first)) == 2
    earlier = {**entry, "at": "2026-02-01T10:00:00Z"}
    respelt = {**entry, "at": "2026-03-01T12:00:00+02:00"}
    hub.put(id_, {native.HISTORY: [earlier, respelt, entry]})
    assert [c.event_id for c in history_of(hub.read("contacts"), id_)][1:] == first
    assert not any("example.org" in event_id for event_id in first)


def test_history_belongs_to_the_records_present_address(hub: Hub) -> None:
    """An address is edited; the record's trail goes with it."""
    id_ = hub.add("ana", {"promotional": State.OPTED_IN})
    hub.twin.opt_out("ana@example.org", "promotional", act())
    hub.twin.change_address("ana@example.org", "new@example.org", YESTERDAY)
    assert {c.address for c in history_of(hub.read("contacts"), id_)} == {"new@example.org"}
