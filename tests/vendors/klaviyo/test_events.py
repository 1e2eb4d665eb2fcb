"""Klaviyo's events: what was mailed, and who changed which preference."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from optout.errors import UnexpectedAnswer
from optout.model import Source
from optout.records import Change, Finding, MailEvent
from optout.sandbox.acts import Mailing
from optout.sandbox.faults import Fault, FaultKind
from optout.sandbox.klaviyo.twin import KlaviyoTwin
from optout.sandbox.server import Sandbox
from optout.testing.klaviyo import (
    AT,
    CUTOFF,
    PROMOTIONAL,
    Connect,
    act,
    address,
    list_of,
    people,
    read,
    request,
)


def test_events_become_mail_and_changes(connect: Connect, twin: KlaviyoTwin) -> None:
    """What was sent, to whom, for which category, and who left by which link."""
    people(twin, 3)
    twin.send(Mailing("m1", "Autumn", "promotional", AT), [address(n) for n in (1, 2, 3)])
    twin.click(address(1), "m1", AT + timedelta(hours=1))
    twin.bounce(address(2), "m1", AT + timedelta(hours=1))
    twin.complain(address(3), "m1", AT + timedelta(hours=2))
    twin.opt_out(address(1), None, act(Source.EMAIL_LINK, hours=3, campaign="m1"))
    out = read(connect(), "events")
    kinds = sorted(event.kind for event in out.of(MailEvent))
    assert kinds == ["bounced", "clicked", "complained"] + ["delivered"] * 3
    campaign_id = twin.campaigns["m1"].id
    assert {event.campaign_id for event in out.of(MailEvent)} == {campaign_id}
    assert {event.categories for event in out.of(MailEvent)} == {PROMOTIONAL}
    assert not any(event.transactional for event in out.of(MailEvent))
    (change,) = out.of(Change)
    assert (change.feed, change.category, change.new) == ("event", None, "opted_out")
    assert (change.source, change.explicit) == ("email_link", True)
    assert (change.campaign_id, change.occurred_at) == (campaign_id, AT + timedelta(hours=3))
    assert out.status == "complete"


def test_list_events_speak_of_the_lists_category(connect: Connect, twin: KlaviyoTwin) -> None:
    """Events name the list by its name only."""
    people(twin, 1)
    twin.opt_out(address(1), "promotional", act(Source.PREFERENCE_CENTER, hours=1))
    twin.opt_in(address(1), "promotional", act(Source.PREFERENCE_CENTER, hours=2))
    twin.silently_mailable(address(1), "promotional", AT + timedelta(hours=3))
    changes = [c for c in read(connect(), "events").of(Change) if c.category]
    told = [(c.category, c.new, c.source, c.explicit) for c in changes]
    assert sorted(told) == [
        ("promotional", "opted_in", "api", False),
        ("promotional", "opted_in", "preference_center", True),
        ("promotional", "opted_out", "preference_center", True),
    ]


def test_staffs_suppressions_are_told_and_their_end_is_no_opt_in(
    connect: Connect, twin: KlaviyoTwin
) -> None:
    """Unsuppressing gives nobody's consent."""
    people(twin, 1)
    twin.opt_out(address(1), None, act(Source.SUPPORT_REQUEST, hours=1))
    profile = twin.profile(address(1))
    assert profile is not None
    twin.unsuppress(profile, AT + timedelta(hours=2))
    changes = read(connect(), "events").of(Change)
    assert sorted((c.new, c.source, c.explicit) for c in changes) == [
        ("not_set", "manual", False), ("opted_out", "manual", False),
    ]  # fmt: skip


def test_lists_of_the_same_name_are_read_protectively(connect: Connect, twin: KlaviyoTwin) -> None:
    """An opt-out covers all lists of the name; an opt-in only what they share: nothing."""
    people(twin, 1)
    for listed in twin.lists.values():
        listed.name = "News"
    twin.opt_out(address(1), "promotional", act(Source.EMAIL_LINK, hours=1))
    twin.opt_in(address(1), "promotional", act(Source.PREFERENCE_CENTER, hours=2))
    changes = [c for c in read(connect(), "events").of(Change) if c.category]
    assert sorted((c.category or "", c.new, c.store) for c in changes) == [
        ("product_updates", "opted_out", None), ("promotional", "opted_out", None),
    ]  # fmt: skip


def test_an_event_of_a_list_that_is_gone_is_a_finding(connect: Connect, twin: KlaviyoTwin) -> None:
    """A renamed list's old events cannot be told apart: shown, not guessed."""
    people(twin, 1)
    twin.opt_out(address(1), "promotional", act(Source.EMAIL_LINK))
    twin.lists[list_of(twin, "promotional")].name = "Another name"
    out = read(connect(), "events")
    assert out.of(Change) == []
    assert [(f.code, f.field) for f in out.of(Finding)] == [("unresolved", "List")]


def test_transactional_mail_of_flows_is_no_breach(
    connect: Connect, twin: KlaviyoTwin, sandbox: Sandbox
) -> None:
    """A receipt may go to somebody who opted out; whether it is one, only the flow tells."""
    people(twin, 2)
    twin.send(Mailing("m1", "Receipt", None, AT), [address(1), address(2)])
    out = read(connect(), "events")
    assert [event.transactional for event in out.of(MailEvent)] == [True, True]
    sandbox.forget()
    known = request(state=out.state)
    again = read(connect(), "events", known)
    assert [event.transactional for event in again.of(MailEvent)] == [True, True]
    asked = {entry.template for entry in sandbox.log}
    assert "/api/flow-messages/{id}" not in asked, "remembered for a week"
    later = replace(known, cutoff=CUTOFF + timedelta(days=8), since=AT)
    read(connect(), "events", later)
    assert "/api/flow-messages/{id}" in {entry.template for entry in sandbox.log}
    twin.scopes.discard("flows:read")
    out = read(connect(), "events")
    assert [event.transactional for event in out.of(MailEvent)] == [False, False]
    assert out.note is not None and "flows:read" in out.note


def test_events_are_read_with_an_overlap_and_only_up_to_the_cutoff(
    connect: Connect, twin: KlaviyoTwin
) -> None:
    """Events come late with older stamps; those after the cut-off wait for the next night."""
    people(twin, 1)
    for days in (-100, -3, -1):
        twin.send(Mailing(f"m{days}", "Mail", "promotional", CUTOFF + timedelta(days=days)),
                  [address(1)])  # fmt: skip
    twin.send(Mailing("next", "Mail", "promotional", CUTOFF + timedelta(hours=1)), [address(1)])
    first = read(connect(), "events")
    assert len(first.of(MailEvent)) == 2, "90 days on the first night"
    second = read(connect(), "events", request(state=first.state))
    assert len(second.of(MailEvent)) == 1, "48 hours afterwards"
    assert set(second.of(MailEvent)) < set(first.of(MailEvent))
    wide = request(state=first.state, since=CUTOFF - timedelta(days=10))
    assert len(read(connect(), "events", wide).of(MailEvent)) == 2


def test_a_belated_night_does_not_take_the_state_back(connect: Connect, twin: KlaviyoTwin) -> None:
    """A backfill reads old events; the next night must go on where the last one ended."""
    people(twin, 1)
    through = (CUTOFF + timedelta(days=3)).isoformat()
    asked = request(state={"through": through}, since=CUTOFF - timedelta(days=1))
    out = read(connect(), "events", asked)
    assert out.state is not None and out.state["through"] == through


def test_metrics_of_others_with_the_same_name_are_left_alone(
    connect: Connect, twin: KlaviyoTwin, sandbox: Sandbox
) -> None:
    """An integration may name its metric like Klaviyo's: its events are no mail of ours."""
    people(twin, 1)
    twin.foreign_metrics["Sh0001"] = "Received Email"
    sandbox.forget()
    assert read(connect(), "events").status == "complete"
    alone = sum(entry.template == "/api/events" for entry in sandbox.log)
    del twin.metrics["Dropped Email"]
    twin.foreign_metrics["Sh0002"] = "Dropped Email"
    sandbox.forget()
    assert read(connect(), "events").status == "complete"
    assert sum(entry.template == "/api/events" for entry in sandbox.log) == alone, "the only one"
    twin.foreign_metrics.clear()
    assert read(connect(), "events").note == "no metric 'Dropped Email'"


def test_an_opt_out_that_names_a_message_came_by_its_link(
    connect: Connect, twin: KlaviyoTwin
) -> None:
    """No specification promises a `method` on events; the message is what else they tell."""
    people(twin, 1)
    twin.send(Mailing("m1", "Autumn", "promotional", AT), [])
    twin.opt_out(address(1), None, act(Source.EMAIL_LINK, campaign="m1"))
    twin.opt_out(address(1), None, act(Source.API))
    told = twin.events["Unsubscribed from Email Marketing"]
    told[:] = [replace(each, properties={**each.properties, "method": None}) for each in told]
    changes = read(connect(), "events").of(Change)
    assert sorted((c.source, c.explicit, c.actor or "") for c in changes) == [
        ("email_link", True, "person"), ("unknown", False, ""),
    ]  # fmt: skip


def test_complaints_count_once(connect: Connect, twin: KlaviyoTwin) -> None:
    """Suppression and event tell the same complaint: the rate must not double."""
    people(twin, 2)
    twin.send(Mailing("m1", "Autumn", "promotional", AT), [address(1), address(2)])
    twin.complain(address(1), "m1", AT)
    twin.complain(address(2), "m1", CUTOFF - timedelta(days=200))
    profiles = read(connect(), "profiles")
    assert [event.address for event in profiles.of(MailEvent)] == [address(2)]
    later = replace(request(state=profiles.state), cutoff=CUTOFF + timedelta(days=300))
    again = read(connect(), "profiles", later)
    assert [event.address for event in again.of(MailEvent)] == [address(2)]


def test_an_answer_to_another_question_ends_the_read(
    connect: Connect, twin: KlaviyoTwin, sandbox: Sandbox
) -> None:
    """A cache on the way that gives one metric's page for another's turns clicks into opt-outs."""
    people(twin, 2)
    twin.send(Mailing("m1", "Autumn", "promotional", AT), [address(1), address(2)])
    twin.click(address(1), "m1", AT + timedelta(hours=1))
    sandbox.faults.plant(Fault(FaultKind.REPEATED_PAGE, "klaviyo", "/events", times=None, nth=2))
    with pytest.raises(UnexpectedAnswer, match=r"another metric|came empty"):
        read(connect(), "events")
