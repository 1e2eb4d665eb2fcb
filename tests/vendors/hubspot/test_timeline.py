"""HubSpot's timeline of subscription changes: who did what, once, and to its end."""

from __future__ import annotations

import pytest

from optout.errors import UnexpectedAnswer
from optout.model import Source
from optout.records import Change, Finding
from optout.sandbox.acts import Act, Mailing
from optout.sandbox.faults import Fault, FaultKind
from optout.sandbox.hubspot.twin import HubSpotTwin
from optout.sandbox.server import Sandbox
from optout.testing.hubspot import (
    ADA,
    CATEGORIES,
    PROMOTIONAL,
    START,
    Connect,
    at,
    fill,
    person,
    read,
)


def test_the_timeline_tells_who_did_what_and_by_which_mailing(
    twin: HubSpotTwin, connect: Connect
) -> None:
    """This is the only trail of HubSpot's: an entry without source or campaign proves little."""
    twin.add(person(1, ADA), {}, START)
    twin.send(Mailing("m1", "Autumn", "promotional", at(days=1)), [ADA])
    twin.opt_out(ADA, "promotional", Act(at(days=2), Source.EMAIL_LINK, campaign_id="m1"))
    twin.opt_out(ADA, None, Act(at(days=3), Source.PREFERENCE_CENTER))
    twin.opt_in(ADA, "promotional", Act(at(days=4), Source.SUPPORT_REQUEST))
    out = read(connect(), "timeline")
    first, second, third = sorted(out.of(Change), key=lambda c: c.occurred_at or START)
    email = str(twin.portal.by_mailing["m1"].id)
    assert (first.source, first.explicit, first.campaign_id) == ("email_link", True, email)
    assert (first.category, first.new, first.occurred_at) == (
        "promotional",
        "opted_out",
        at(days=2),
    )
    assert first.evidence_ref
    assert (second.category, second.source, second.explicit) == (None, "preference_center", True)
    assert (third.new, third.source, third.explicit) == ("opted_in", "manual", False)


def test_an_unmapped_type_a_bounce_and_a_complaint_change_no_preference(
    twin: HubSpotTwin, connect: Connect
) -> None:
    """A bounce in the trail was counted as an opt-out by the person."""
    twin.send(Mailing("m1", "Autumn", "promotional", at(days=1)), [ADA])
    twin.bounce(ADA, "m1", at(days=2))
    twin.complain(ADA, "m1", at(days=2))
    twin.write(ADA, 10, "UNSUBSCRIBED", at(days=3), "CRM user")
    out = read(connect(), "timeline")
    assert out.rows == []
    assert out.status == "complete"


def test_an_unknown_change_is_a_finding_for_the_cells_that_it_may_mean(
    twin: HubSpotTwin, connect: Connect
) -> None:
    """A new type of change could be an opt-out; dropped, nobody would ever know."""
    changes = [
        {"change": "PAUSED", "changeType": "SUBSCRIPTION_STATUS", "subscriptionId": 13},
        {"change": "UNSUBSCRIBED", "changeType": "BRAND_STATUS"},
    ]
    twin.portal.tell(ADA, at(days=1), [{**c, "source": "SOURCE_RECIPIENT"} for c in changes])
    found = read(connect(), "timeline").of(Finding)
    assert [(f.field, f.detail, f.categories) for f in found] == [
        ("change", "PAUSED", PROMOTIONAL),
        ("changeType", "BRAND_STATUS", CATEGORIES.all),
    ]


def test_the_timeline_is_paged_to_its_end_within_the_window(
    twin: HubSpotTwin, connect: Connect
) -> None:
    """Newest first: stopping at the first page would always lose the oldest opt-outs."""
    for number in range(1, 351):
        act = Act(at(minutes=number), Source.EMAIL_LINK)
        twin.opt_out(f"p{number}@example.org", "promotional", act)
    out = read(connect(), "timeline")
    assert len({c.event_id for c in out.of(Change)}) == 350
    part = read(connect(), "timeline", at(minutes=300))
    assert len(part.of(Change)) == 51, "both ends of the window are included"
    old = read(connect(timeline_days=1), "timeline")
    assert old.of(Change) == [], "the first read is bounded"


def test_an_expired_offset_goes_on_by_time(
    twin: HubSpotTwin, connect: Connect, sandbox: Sandbox
) -> None:
    """The token is not long-lived: a slow night must neither fail for it nor lose the rest."""
    for number in range(1, 351):
        act = Act(at(minutes=number), Source.EMAIL_LINK)
        twin.opt_out(f"p{number}@example.org", "promotional", act)
    sandbox.faults.plant(Fault(FaultKind.EXPIRED_CURSOR, "hubspot", "/timeline", nth=3))
    out = read(connect(), "timeline")
    assert out.status == "complete"
    assert len({c.event_id for c in out.of(Change)}) == 350


def test_a_timeline_page_that_stays_empty_makes_the_trail_incomplete(
    twin: HubSpotTwin, connect: Connect, sandbox: Sandbox
) -> None:
    """`hasMore` promised records, none came: silence is not the end of the list."""
    fill(twin, 250)
    lost = Fault(FaultKind.MISSING_PAGE, "hubspot", "/timeline", nth=2, times=1)
    sandbox.faults.plant(lost)
    assert read(connect(), "timeline").status == "complete", "asked again, it came"
    sandbox.faults.clear()
    sandbox.faults.plant(Fault(FaultKind.MISSING_PAGE, "hubspot", "/timeline", nth=2, times=2))
    assert read(connect(), "timeline").status == "incomplete"


def test_a_repeated_offset_is_an_error(
    twin: HubSpotTwin, connect: Connect, sandbox: Sandbox
) -> None:
    """An offset that leads back to a page already read would go round for ever."""
    fill(twin, 350)
    sandbox.faults.plant(Fault(FaultKind.REPEATED_PAGE, "hubspot", "/timeline", nth=2, times=None))
    with pytest.raises(UnexpectedAnswer, match="repeats a page"):
        read(connect(), "timeline")


def test_an_answer_that_does_not_say_whether_more_follows_is_refused(
    twin: HubSpotTwin, connect: Connect, sandbox: Sandbox
) -> None:
    """Without `hasMore` the first page would pass for the whole trail."""
    fill(twin, 250)
    fault = Fault(FaultKind.FIELD_ABSENT, "hubspot", "/timeline", field="hasMore")
    sandbox.faults.plant(fault)
    with pytest.raises(UnexpectedAnswer):
        read(connect(), "timeline")


def test_the_same_change_has_the_same_id_whenever_it_is_read(
    twin: HubSpotTwin, connect: Connect
) -> None:
    """The overlap reads two days again each night; another id would double the trail."""
    twin.opt_out(ADA, None, Act(at(days=15), Source.PREFERENCE_CENTER))
    before = read(connect(), "timeline").of(Change)
    twin.opt_out(ADA, "promotional", Act(at(days=16), Source.EMAIL_LINK))
    after = read(connect(), "timeline", at(days=14)).of(Change)
    assert {c.event_id for c in before} < {c.event_id for c in after}
