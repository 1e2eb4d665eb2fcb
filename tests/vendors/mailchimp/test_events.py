"""Mailchimp's reports and activity feeds: who left when, and who was mailed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from optout.errors import UnexpectedAnswer
from optout.model import Source
from optout.records import Change, MailEvent
from optout.sandbox.acts import Mailing
from optout.sandbox.faults import Fault, FaultKind
from optout.sandbox.mailchimp.state import subscriber_hash
from optout.testing.mailchimp import ANA, BO, CY, DAY, EVENTS, NEWS, NIGHT, World, act, busy


def test_a_report_gives_the_time_of_an_unsubscribe_for_each_category_of_its_audience(
    world: World,
) -> None:
    """The member has no time; without the report the opt-out could be any day."""
    busy(world)
    out = world.read("unsubscribes")
    assert (out.status, out.vendor_total) == ("complete", 1)
    changes = out.of(Change)
    assert [c.category for c in changes] == ["news", "offers"]
    first = changes[0]
    assert (first.occurred_at, first.occurred_from) == (DAY + timedelta(hours=1),) * 2
    assert (first.source, first.explicit, first.campaign_id) == ("email_link", True, "c1")
    assert (first.address, first.reason, first.new) == (ANA, "Too many", "opted_out")
    assert len({c.event_id for c in changes}) == 2
    assert all(subscriber_hash(ANA) not in c.event_id for c in changes)


def test_addresses_in_the_free_text_of_a_reason_are_removed(world: World) -> None:
    """People write anything into that box."""
    world.join(ANA)
    world.twin.send(Mailing("c1", "May", "news", DAY), [ANA])
    reason = "write to me@example.com instead"
    world.twin.opt_out(ANA, None, act(Source.EMAIL_LINK, campaign_id="c1", reason=reason))
    assert world.read("unsubscribes").of(Change)[0].reason == "write to [address] instead"


def test_old_reports_are_read_again_only_when_their_count_moves(world: World) -> None:
    """Thousands of old reports every night are too many; a late opt-out in one still counts."""
    busy(world)
    far = NIGHT + timedelta(days=200)
    first = world.read("unsubscribes", now=far)
    assert first.state == {"counts": {"c1": [1], "c2": [0]}}
    world.requests.clear()
    again = world.read("unsubscribes", now=far, since=far, state=first.state)
    assert (again.rows, again.state) == ([], first.state)
    assert [path for path, _ in world.requests] == ["/reports"]
    world.twin.opt_out(CY, None, act(Source.EMAIL_LINK, 9, campaign_id="c1"))
    world.shop.members[subscriber_hash(CY)].status = "subscribed"
    world.twin.opt_out(CY, None, act(Source.EMAIL_LINK, 9, campaign_id="c1"))
    late = world.read("unsubscribes", now=far, since=far, state=first.state)
    assert {c.address for c in late.of(Change)} == {ANA, CY}
    assert late.state == {"counts": {"c1": [2], "c2": [0]}}


def test_the_activity_dates_who_is_in_no_report_and_says_who_did_it(world: World) -> None:
    """An agent's unsubscribe is in no report; its time is only in the member's own feed."""
    busy(world)
    connector = world.connector()
    world.read("unsubscribes", connector=connector)
    world.requests.clear()
    out = world.read("activity", connector=connector)
    changes = out.of(Change)
    assert {c.address for c in changes if c.store == f"audience:{world.shop.id}"} == {BO}
    bo = [c for c in changes if c.address == BO]
    assert {c.category for c in bo} == {"news", "offers", "events"}
    assert {(c.source, c.explicit, c.actor) for c in bo} == {("manual", False, "agent")}
    assert {c.occurred_at for c in bo} == {DAY + timedelta(hours=30)}
    feeds = [path for path, _ in world.requests if path.endswith("/activity-feed")]
    assert len(feeds) == 3  # Bo in both audiences, Ana in the one without a report
    assert out.state == {"through": NIGHT.isoformat()}


def test_a_report_of_an_earlier_unsubscribe_does_not_explain_a_new_one(world: World) -> None:
    """Who came back and was unsubscribed by an agent would keep the old time."""
    busy(world)
    world.twin.opt_in(ANA, None, act(Source.FORM, 40))
    world.twin.opt_out(ANA, None, act(Source.SUPPORT_REQUEST, 50))
    connector = world.connector()
    world.read("unsubscribes", connector=connector)
    times = {
        c.occurred_at
        for c in world.read("activity", connector=connector).of(Change)
        if c.address == ANA and c.store == f"audience:{world.shop.id}"
    }
    assert times == {DAY + timedelta(hours=1), DAY + timedelta(hours=50)}


def test_the_report_and_the_activity_tell_of_one_change_once(world: World) -> None:
    """An opt-out counted twice would spoil every rate."""
    busy(world)
    from_report = {c.event_id for c in world.read("unsubscribes").of(Change)}
    from_feed = {c.event_id for c in world.read("activity").of(Change)}
    assert from_report < from_feed


def test_only_the_latest_are_asked_up_to_the_limit_and_the_rest_is_said(world: World) -> None:
    """A hundred thousand members unsubscribed by an import would be as many requests."""
    addresses = world.people(8)
    for hours, address in enumerate(addresses):
        world.twin.opt_out(address, "events", act(Source.API, hours))
    out = world.read("activity", connector=world.connector(activity_limit=3))
    assert {c.address for c in out.of(Change)} == set(addresses[-3:])
    assert out.note == "5 unsubscribes stay undated: activity_limit is reached"
    world.requests.clear()
    again = world.read("activity", state={"through": (NIGHT + timedelta(days=9)).isoformat()})
    assert (again.status, again.rows) == ("complete", [])


def test_a_feed_of_somebody_deleted_meanwhile_is_left_out(world: World) -> None:
    """404 of one person must not cost the others their times."""
    busy(world)
    fault = Fault(FaultKind.UNAUTHORIZED, "mailchimp", endpoint="/activity-feed", status=404)
    world.sandbox.faults.plant(fault)
    assert world.read("activity").status == "complete"


def test_sent_to_tells_who_was_mailed_with_the_campaigns_time_as_an_estimate(world: World) -> None:
    """No row has a time; bounced mail was sent as well."""
    busy(world)
    out = world.read("sent_to")
    events = out.of(MailEvent)
    assert (out.status, out.vendor_total) == ("complete", 5)
    sent = [e for e in events if e.kind == "sent" and e.campaign_id == "c1"]
    assert {(e.address, e.at, e.at_kind, e.categories) for e in sent} == {
        (address, DAY, "estimated", NEWS) for address in (ANA, BO, CY)
    }
    assert [e.address for e in events if e.kind == "bounced"] == [CY]
    assert {e.categories for e in events if e.campaign_id == "c2"} == {EVENTS}
    same = world.read("sent_to", since=DAY, state=out.state)
    assert (same.rows, same.state) == ([], out.state)
    old = world.read("sent_to", now=NIGHT + timedelta(days=200))
    assert (old.status, old.rows) == ("complete", [])


def test_messages_of_an_automation_have_no_time(world: World) -> None:
    """They go out for months: the campaign's time is no one's."""
    world.join(ANA)
    world.twin.send(Mailing("c1", "Welcome", "news", DAY), [ANA])
    world.twin.campaigns["c1"].kind = "automation"
    out = world.read("sent_to")
    assert [(e.at, e.at_kind) for e in out.of(MailEvent)] == [(None, "estimated")]
    assert out.note == "1 messages of automations have no time"


def test_clicks_and_complaints_are_dated_events(world: World) -> None:
    """Both have the vendor's own times."""
    busy(world)
    world.twin.complain(BO, "c2", DAY + timedelta(days=2))
    clicks = world.read("clicks").of(MailEvent)
    assert [(e.kind, e.address, e.at_kind) for e in clicks] == [("clicked", BO, "source")]
    complaints = world.read("abuse_reports").of(MailEvent)
    assert [(e.kind, e.address, e.campaign_id) for e in complaints] == [("complained", BO, "c2")]
    without = world.connector(engagement=False)
    names = [stream.name for stream in without.streams(without.config)]
    assert "clicks" not in names


def test_members_of_another_status_than_asked_end_the_read(world: World) -> None:
    """A cache that knows paths only would give whom it gave before, and nobody would be dated."""
    busy(world)
    world.join("dee@example.org")
    connector = world.connector()
    fault = Fault(FaultKind.REPEATED_PAGE, "mailchimp", "/members", nth=2, times=None)
    world.sandbox.faults.plant(fault)
    connector.http.get(f"/lists/{world.shop.id}/members", {"status": "subscribed"})
    with pytest.raises(UnexpectedAnswer, match="another status"):
        world.read("activity", connector=connector)
