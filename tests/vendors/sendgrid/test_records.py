"""SendGrid's records as rows, read through its twin."""

from __future__ import annotations

from datetime import timedelta

from optout.records import Campaign, Change, MailEvent, Reading
from optout.sandbox.acts import Mailing
from optout.testing.sendgrid import AT, CATEGORIES, MAILING, MAPPED, link, readings
from optout.testing.sendgrid import SendGridBench as Bench


def test_a_global_unsubscribe_is_an_opt_out_of_everything_with_its_time(bench: Bench) -> None:
    """Also of the category that has no group: the list stops all mail."""
    bench.twin.opt_out("P1@example.org", None, link())
    out = bench.read("unsubscribes")
    [row] = out.of(Reading)
    assert (row.store, row.address, row.present) == ("global", "p1@example.org", False)
    assert row.outs == row.blocks == CATEGORIES.all
    assert row.global_out and not row.category_outs and not row.undeliverable
    assert "@" not in row.record_id + row.raw
    [change] = out.of(Change)
    assert (change.category, change.new, change.occurred_at) == (None, "opted_out", AT)
    assert (change.source, change.explicit, change.actor) == ("unknown", False, None)
    assert (out.status, out.read_total) == ("complete", 1)


def test_a_group_is_an_opt_out_of_its_category_dated_by_the_list_of_all(bench: Bench) -> None:
    """The group's own list has no stamps, the list of all groups has."""
    bench.twin.opt_out("p1@example.org", "promotional", link())
    out = bench.read("groups")
    [row] = out.of(Reading)
    mask = CATEGORIES.bit("promotional")
    assert (row.store, row.outs, row.category_outs, row.blocks) == ("group:20002", *3 * [mask])
    assert not row.global_out
    assert not row.present
    [change] = out.of(Change)
    assert (change.category, change.occurred_at, change.explicit) == ("promotional", AT, False)


def test_bounces_and_complaints_block_without_being_opt_outs(bench: Bench) -> None:
    """A bounce taken for an opt-out would be written to the hub as the person's wish."""
    bench.twin.bounce("p1@example.org", None, AT)
    bench.twin.complain("p2@example.org", "", AT)
    stamp = {"created": int(AT.timestamp()), "reason": "x"}
    for name in ("invalid_emails", "blocks"):
        bench.twin.main.lists[name]["p3@example.org"] = {"email": "p3@example.org", **stamp}
    bounced, invalid = bench.read("bounces").of(Reading)[0], bench.read("invalid").of(Reading)[0]
    complained = bench.read("spam_reports")
    blocked = bench.read("blocks").of(Reading)[0]
    for row in (bounced, invalid, *complained.of(Reading)):
        assert (row.outs, row.blocks, row.present) == (0, CATEGORIES.all, False)
    assert bounced.undeliverable
    assert invalid.undeliverable
    assert complained.of(Reading)[0].complained
    [event] = complained.of(MailEvent)
    assert (event.kind, event.at) == ("complained", AT)
    assert (blocked.blocks, blocked.undeliverable) == (0, False)  # mail is still attempted


def test_a_contact_is_mailable_for_mapped_categories_only(bench: Bench) -> None:
    """`events` has no group here: SendGrid is not asked to send it."""
    bench.twin.main.contacts["p1@example.org"]["alternate_emails"] = ["Other@example.org"]
    out = bench.read("contacts")
    rows = readings(out)
    assert len(rows) == 6
    row = rows["p1@example.org"]
    assert row.sends == CATEGORIES.mask(MAPPED)
    assert (row.store, row.ins, row.outs, row.present) == ("contacts", 0, 0, True)
    assert row.record_id == bench.twin.main.contacts["p1@example.org"]["id"]
    assert row.modified_at == AT + timedelta(seconds=29)
    other = rows["other@example.org"]
    assert (other.sends, other.present) == (0, True)  # known, and not mailed
    assert (out.vendor_total, out.read_total) == (5, 5)


def test_a_category_with_two_groups_is_blocked_only_where_both_hold_the_address(
    bench: Bench,
) -> None:
    """Mail of the category through the other group would still go out to who left one."""
    for email in ("p1@example.org", "p2@example.org"):
        bench.twin.main.suppress(20_001, email, AT)
    bench.twin.main.suppress(20_002, "p2@example.org", AT)
    mapped = {"promotional": ("20001", "20002")}
    rows = bench.read("groups", categories=mapped).of(Reading)
    mask = CATEGORIES.bit("promotional")
    assert {(r.address, r.store): (r.outs, r.blocks) for r in rows} == {
        ("p1@example.org", "group:20001"): (mask, 0),
        ("p2@example.org", "group:20001"): (mask, mask),
        ("p2@example.org", "group:20002"): (mask, mask),
    }


def test_a_link_in_a_message_is_the_persons_own_act(bench: Bench) -> None:
    """Only these changes may lift an opt-out: with time, machine, browser and campaign."""
    bench.twin.send(MAILING, ["p1@example.org", "p2@example.org"])
    act = link(AT + timedelta(hours=2), campaign_id="m1")
    bench.twin.opt_out("p1@example.org", "promotional", act)
    bench.twin.opt_in("p1@example.org", "promotional", link(AT + timedelta(hours=3)))
    bench.twin.opt_out("p2@example.org", None, act)
    out = bench.read("messages")
    told = {(c.address, c.new): c for c in out.of(Change)}
    assert set(told) == {
        ("p1@example.org", "opted_out"), ("p1@example.org", "opted_in"),
        ("p2@example.org", "opted_out"),
    }  # fmt: skip
    change = told["p1@example.org", "opted_out"]
    assert (change.category, change.source, change.explicit) == ("promotional", "email_link", True)
    assert (change.ip, change.user_agent) == (act.ip, act.user_agent)
    assert told["p1@example.org", "opted_in"].explicit
    assert told["p2@example.org", "opted_out"].category is None
    [campaign] = bench.read("campaigns").of(Campaign)
    assert change.campaign_id == campaign.campaign_id


def test_what_was_sent_is_told_with_its_category_and_bypass(bench: Bench) -> None:
    """A send to a suppressed address is only possible by a bypass, which is what to show."""
    bench.twin.opt_out("p1@example.org", None, link())
    bench.twin.send(MAILING, ["p1@example.org", "p2@example.org"])
    bench.twin.drop(MAILING, "p3@example.org")
    sent = {(e.address, e.kind): e for e in bench.read("messages").of(MailEvent)}
    mask = CATEGORIES.bit("promotional")
    for address in ("p1@example.org", "p2@example.org"):
        for kind in ("sent", "delivered"):
            assert sent[address, kind].categories == mask
    assert sent["p1@example.org", "sent"].bypass
    assert not sent["p2@example.org", "sent"].bypass
    assert ("p3@example.org", "sent") not in sent
    assert ("p3@example.org", "dropped") in sent


def test_transactional_mail_is_told_apart(bench: Bench) -> None:
    """An order confirmation after an opt-out is no violation."""
    bench.twin.send(Mailing("t", "Order", None, AT), ["p1@example.org"])
    assert all(e.transactional and not e.categories for e in bench.read("messages").of(MailEvent))


def test_a_single_send_without_a_way_out_is_told(bench: Bench) -> None:
    """It has neither group nor own page nor tag: its readers cannot leave."""
    bench.twin.send(MAILING, ["p1@example.org"])
    bare = Mailing("m2", "Bare", "promotional", AT, has_unsubscribe=False, has_postal_address=False)
    bench.twin.send(bare, ["p1@example.org"])
    good, bad = sorted(bench.read("campaigns").of(Campaign), key=lambda c: c.name or "")
    assert (good.has_unsubscribe, good.has_postal_address) == (True, True)
    assert (good.from_address, good.reply_to) == ("news@shop.example.org", "help@shop.example.org")
    assert (bad.has_unsubscribe, bad.has_postal_address) == (False, False)
    assert good.categories == bad.categories == CATEGORIES.bit("promotional")
