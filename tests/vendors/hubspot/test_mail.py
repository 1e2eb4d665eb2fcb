"""HubSpot's e-mails and their events."""

from __future__ import annotations

from datetime import timedelta

import pytest

from optout.errors import UnexpectedAnswer
from optout.records import Campaign, MailEvent
from optout.sandbox.acts import Mailing
from optout.sandbox.faults import Fault, FaultKind
from optout.sandbox.hubspot.twin import HubSpotTwin
from optout.sandbox.server import Sandbox
from optout.testing.hubspot import ADA, CUTOFF, PROMOTIONAL, Connect, at, read


def test_events_are_read_with_category_campaign_and_message(
    twin: HubSpotTwin, connect: Connect
) -> None:
    """Sends after an opt-out are only a violation if their category can be told."""
    twin.send(Mailing("m1", "Autumn", "promotional", at(days=1)), [ADA, "bob@example.org"])
    twin.send(Mailing("m2", "Receipt", None, at(days=1, hours=1)), [ADA])
    twin.click(ADA, "m1", at(days=2))
    twin.bounce("bob@example.org", "m1", at(days=2))
    twin.complain(ADA, "m1", at(days=3))
    out = read(connect(), "email_events")
    kinds = sorted(event.kind for event in out.of(MailEvent))
    assert kinds == ["bounced", "clicked", "complained", *["delivered"] * 3, *["sent"] * 3]
    email = str(twin.portal.by_mailing["m1"].id)
    promo = [e for e in out.of(MailEvent) if e.campaign_id == email]
    assert {(e.categories, e.transactional) for e in promo} == {(PROMOTIONAL, False)}
    assert {e.categories for e in out.of(MailEvent) if e.transactional} == {0}
    sent = {e.message_id for e in promo if e.kind == "sent"}
    assert {e.message_id for e in promo if e.kind != "sent"} == sent


def test_the_campaign_of_an_archived_email_is_still_told(
    twin: HubSpotTwin, connect: Connect
) -> None:
    """Archiving a mailing must not make its sends unaccountable."""
    twin.send(Mailing("m1", "Autumn", "promotional", at(days=1)), [ADA])
    twin.portal.by_mailing["m1"].shown["archived"] = True
    [sent] = [e for e in read(connect(), "email_events").of(MailEvent) if e.kind == "sent"]
    assert sent.categories == PROMOTIONAL


def test_a_campaign_that_is_gone_leaves_the_send_in_sight(
    twin: HubSpotTwin, connect: Connect
) -> None:
    """A send whose campaign cannot be looked up is still a send."""
    twin.portal.event("SENT", ADA, at(days=18), emailCampaignId=777)
    [sent] = read(connect(), "email_events").of(MailEvent)
    assert (sent.campaign_id, sent.categories, sent.kind) == ("777", 0, "sent")


def test_emails_tell_sender_and_duties(twin: HubSpotTwin, connect: Connect) -> None:
    """The from address hides in `replyTo`; taken for the reply address it is checked wrongly."""
    twin.send(Mailing("m1", "Good", "promotional", at(days=1)), [ADA])
    twin.send(
        Mailing("m2", "Bad", "promotional", at(days=2), has_unsubscribe=False,
                has_postal_address=False), [ADA],
    )  # fmt: skip
    twin.portal.by_mailing["m2"].shown |= {"emailTemplateMode": "DESIGN_MANAGER"}
    twin.send(Mailing("m3", "Later", "promotional", CUTOFF + timedelta(hours=1)), [])
    out = read(connect(), "emails")
    good, bad = sorted(out.of(Campaign), key=lambda c: c.campaign_id)
    assert (good.from_address, good.reply_to) == ("news@shop.example.org", "help@shop.example.org")
    assert (good.has_unsubscribe, good.has_postal_address) == (True, True)
    assert (good.categories, good.sent_count, good.sent_at) == (PROMOTIONAL, 1, at(days=1))
    assert bad.has_unsubscribe is None, "a coded template may hold the link out of sight"
    assert bad.has_postal_address is False
    twin.portal.by_mailing["m2"].shown |= {"emailTemplateMode": "DRAG_AND_DROP"}
    assert [c.has_unsubscribe for c in read(connect(), "emails").of(Campaign)] == [True, False]


def test_an_answer_to_another_question_ends_the_read(
    twin: HubSpotTwin, connect: Connect, sandbox: Sandbox
) -> None:
    """A cache on the way that gives what was delivered for what bounced."""
    twin.send(Mailing("m1", "Autumn", "promotional", at(days=1)), [ADA, "bob@example.org"])
    twin.bounce("bob@example.org", "m1", at(days=2))
    sandbox.faults.plant(Fault(FaultKind.REPEATED_PAGE, "hubspot", "/v1/events", nth=2))
    with pytest.raises(UnexpectedAnswer, match="another type"):
        read(connect(), "email_events")
