"""HubSpot's subscription statuses as rows: what each word of a cell means."""

from __future__ import annotations

from datetime import timedelta

import pytest

from optout.model import Source, State
from optout.records import Change, Finding, Reading
from optout.sandbox.acts import Act
from optout.sandbox.hubspot.portal import SubscriptionType
from optout.sandbox.hubspot.twin import HubSpotTwin
from optout.testing.hubspot import (
    ADA,
    CATEGORIES,
    CUTOFF,
    EDUCATIONAL,
    NAMES,
    PRODUCT,
    PROMOTIONAL,
    START,
    Connect,
    at,
    distinct,
    person,
    read,
    reading,
)


def test_each_word_of_a_type_means_its_own_state(twin: HubSpotTwin, connect: Connect) -> None:
    """NOT_SPECIFIED taken for a yes would hide that nobody ever agreed; taken for a no it would
    look like an opt-out that HubSpot honours."""
    states = {"product_updates": State.OPTED_IN, "educational": State.OPTED_OUT}
    twin.add(person(1, ADA), states, START)
    row = reading(read(connect(), "statuses"), ADA)
    assert (row.ins, row.sends, row.outs) == (PRODUCT, PRODUCT, EDUCATIONAL)
    assert (row.category_outs, row.blocks, row.unclear) == (EDUCATIONAL, 0, 0)
    assert not row.global_out


def test_a_portal_wide_no_beats_every_subscribed_type(twin: HubSpotTwin, connect: Connect) -> None:
    """A per-type SUBSCRIBED beside a portal-wide UNSUBSCRIBED was read as mailable."""
    twin.add(person(1, ADA), dict.fromkeys(NAMES, State.OPTED_IN), START)
    twin.opt_out(ADA, None, Act(at(days=1), Source.PREFERENCE_CENTER))
    out = read(connect(), "statuses")
    row = reading(out, ADA)
    assert row.ins == CATEGORIES.all
    assert (row.outs, row.blocks, row.sends) == (CATEGORIES.all, CATEGORIES.all, 0)
    assert (row.global_out, row.category_outs) == (True, 0)
    contact = reading(out, ADA, "contacts")
    assert (contact.global_out, contact.outs) == (True, CATEGORIES.all)
    told = [c for c in distinct(out, Change) if c.category is None]
    assert [(c.new, c.occurred_at, c.feed) for c in told] == [("opted_out", at(days=1), "status")]


def test_a_business_unit_wide_no_stops_that_unit_only(twin: HubSpotTwin, connect: Connect) -> None:
    """Read as portal-wide, one brand's opt-out would hide that another brand goes on mailing."""
    twin.portal.types[11].unit = 5
    twin.add(person(1, ADA), dict.fromkeys(NAMES, State.OPTED_IN), START)
    twin.opt_out_unit(ADA, 5, at(days=1))
    connector = connect(business_unit_id=5, categories={"product_updates": ["11"]})
    out = read(connector, "statuses")
    row = reading(out, ADA)
    assert (row.outs, row.sends, row.ins) == (PRODUCT, 0, PRODUCT)
    assert (row.global_out, row.blocks) == (False, 0)
    assert [c.category for c in distinct(out, Change)] == ["product_updates"]
    other = connect(categories={"educational": ["12"], "promotional": ["13"]})
    assert reading(read(other, "statuses"), ADA).sends == EDUCATIONAL | PROMOTIONAL


def test_a_category_is_mailable_if_any_of_its_types_would_send(
    twin: HubSpotTwin, connect: Connect
) -> None:
    """Two types feed one category: the no to one must not hide the yes to the other."""
    twin.portal.types[30] = SubscriptionType(30, "Flash Sales")
    twin.add(person(1, ADA), {"promotional": State.OPTED_OUT}, START)
    twin.write(ADA, 30, "SUBSCRIBED", at(days=1), "Public API")
    row = reading(read(connect(categories={"promotional": ["13", "30"]}), "statuses"), ADA)
    assert (row.outs, row.sends) == (PROMOTIONAL, PROMOTIONAL)


@pytest.mark.parametrize("word", ["mystery", None])
def test_an_unknown_word_is_unclear_and_a_finding(
    twin: HubSpotTwin, connect: Connect, word: str | None
) -> None:
    """A new word of the vendor's was taken for 'not unsubscribed'."""
    twin.add(person(1, ADA), {}, START)
    twin.write(ADA, 13, word, at(days=1), "Public API")  # type: ignore[arg-type]
    out = read(connect(), "statuses")
    assert reading(out, ADA).unclear == PROMOTIONAL
    [finding] = distinct(out, Finding)
    assert finding.code == ("unknown_value" if word else "missing_field")
    assert (finding.categories, finding.detail) == (PROMOTIONAL, word or "")


def test_a_type_left_out_of_the_answer_is_not_taken_for_never_said(
    twin: HubSpotTwin, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer without a mapped type hid an opt-out behind 'not specified'."""
    twin.add(person(1, ADA), {"promotional": State.OPTED_OUT}, START)
    shown = twin.portal.shown_statuses
    monkeypatch.setattr(twin.portal, "shown_statuses", lambda *a: shown(*a)[:-1])
    out = read(connect(), "statuses")
    assert reading(out, ADA).unclear == PROMOTIONAL
    assert [f.code for f in distinct(out, Finding)] == ["missing_field"]


def test_a_contact_without_any_subscription_is_present_and_neither(
    twin: HubSpotTwin, connect: Connect
) -> None:
    """Somebody known but never asked must not look absent, nor mailable."""
    twin.add(person(1, ADA), {}, START)
    out = read(connect(), "statuses")
    row, contact = reading(out, ADA), reading(out, ADA, "contacts")
    assert (row.ins, row.outs, row.sends, row.present) == (0, 0, 0, False)
    assert contact.present
    assert contact.created_at == START


def test_an_address_of_a_deleted_contact_keeps_its_opt_out(
    twin: HubSpotTwin, connect: Connect
) -> None:
    """The opt-out lives on the address: lost from sight with its contact, the next import of
    the address would mail a person who said no."""
    twin.add(person(1, ADA), dict.fromkeys(NAMES, State.OPTED_IN), START)
    twin.opt_out(ADA, None, Act(at(days=1), Source.EMAIL_LINK))
    twin.delete(ADA, at(days=2))
    out = read(connect(), "statuses")
    assert [r.store for r in out.of(Reading)] == ["statuses"] * len(out.of(Reading))
    assert {r.global_out for r in out.of(Reading)} == {True}


def test_an_archived_contact_is_asked_about_though_the_timeline_forgot_it(
    twin: HubSpotTwin, connect: Connect
) -> None:
    """An old opt-out of a deleted contact comes back with its restoration."""
    twin.add(person(1, ADA), {"promotional": State.OPTED_OUT}, START)
    twin.delete(ADA, at(days=2))
    out = read(connect(timeline_days=1), "statuses")
    assert reading(out, ADA).outs == PROMOTIONAL


def test_only_the_types_of_the_configured_unit_are_asked_for(
    twin: HubSpotTwin, connect: Connect
) -> None:
    """Units multiply statuses: another brand's word must not be read as this one's."""
    twin.portal.types[11].unit = 5
    twin.add(person(1, ADA), dict.fromkeys(NAMES, State.OPTED_IN), START)
    connector = connect(categories={"educational": ["12"], "promotional": ["13"]})
    raw = reading(read(connector, "statuses"), ADA).raw
    assert '"subscriptionId":12' in raw
    assert '"subscriptionId":11' not in raw


def test_a_recipient_who_never_was_a_contact_is_found_in_the_timeline(
    twin: HubSpotTwin, connect: Connect
) -> None:
    """A status can exist without any contact record; only the timeline names its address."""
    twin.opt_out("ghost@example.org", "promotional", Act(at(days=1), Source.EMAIL_LINK))
    row = reading(read(connect(), "statuses"), "ghost@example.org")
    assert (row.outs, row.present) == (PROMOTIONAL, False)


def test_additional_addresses_are_read_each_with_its_own_status(
    twin: HubSpotTwin, connect: Connect
) -> None:
    """A merge leaves an address in `hs_additional_emails`; unread, it is mailed unseen."""
    twin.add(person(1, ADA), {"promotional": State.OPTED_OUT}, START)
    twin.add_alias(ADA, "ada.second@example.org", at(hours=1))
    twin.write("ada.second@example.org", 13, "SUBSCRIBED", at(days=1), "Contact import")
    out = read(connect(), "statuses")
    assert reading(out, "ada.second@example.org").sends == PROMOTIONAL
    contacts = [r for r in out.of(Reading) if r.store == "contacts"]
    assert {r.address for r in contacts} == {ADA, "ada.second@example.org"}
    assert len({r.record_id for r in contacts}) == 2


def test_a_hard_bounce_blocks_and_is_no_opt_out(twin: HubSpotTwin, connect: Connect) -> None:
    """A bounce counted as an opt-out would pass for a wish that nobody expressed."""
    twin.add(person(1, ADA), {"promotional": State.OPTED_IN}, START)
    twin.bounce(ADA, None, at(days=1))
    contact = reading(read(connect(), "statuses"), ADA, "contacts")
    assert (contact.undeliverable, contact.blocks, contact.outs) == (True, CATEGORIES.all, 0)


def test_a_yes_by_import_is_no_act_of_the_person(twin: HubSpotTwin, connect: Connect) -> None:
    """An import that says SUBSCRIBED must not lift an opt-out as if the person had asked."""
    twin.add(person(1, ADA), {"promotional": State.OPTED_IN}, START)
    out = read(connect(), "statuses")
    row = reading(out, ADA)
    assert (row.in_at, row.in_source, row.in_explicit) == (START, "import", False)
    assert distinct(out, Change) == []


def test_a_yes_on_the_preference_page_is_told_as_the_persons_own(
    twin: HubSpotTwin, connect: Connect
) -> None:
    """Without it, a person who came back would stay suppressed everywhere else."""
    twin.add(person(1, ADA), {"promotional": State.OPTED_OUT}, START)
    twin.opt_in(ADA, "promotional", Act(at(days=1), Source.PREFERENCE_CENTER))
    out = read(connect(), "statuses")
    [change] = distinct(out, Change)
    assert (change.new, change.explicit, change.source) == ("opted_in", True, "preference_center")
    assert reading(out, ADA).in_explicit


def test_one_stamp_for_several_yeses_is_the_oldest_and_only_as_good_as_the_worst(
    twin: HubSpotTwin, connect: Connect
) -> None:
    """One fresh personal yes would have lent its date to an old import of another category."""
    twin.add(person(1, ADA), {"promotional": State.OPTED_IN}, START)
    twin.opt_in(ADA, "educational", Act(at(days=3), Source.PREFERENCE_CENTER))
    row = reading(read(connect(), "statuses"), ADA)
    assert (row.in_at, row.in_explicit, row.in_source) == (START, False, "unknown")


def test_a_colleagues_address_in_the_source_does_not_become_a_channel(
    twin: HubSpotTwin, connect: Connect
) -> None:
    """The source is free text: an address in it would travel on beyond the landing."""
    twin.add(person(1, ADA), {}, START)
    twin.write(ADA, 13, "UNSUBSCRIBED", at(days=1), "Set by eve@shop.example.org")
    [change] = distinct(read(connect(), "statuses"), Change)
    assert change.channel is None
    twin.write(ADA, 13, "UNSUBSCRIBED", at(days=1), "Contact import")
    [change] = distinct(read(connect(), "statuses"), Change)
    assert (change.channel, change.source) == ("Contact import", "import")


def test_a_status_dated_after_the_cut_off_is_no_change_tonight(
    twin: HubSpotTwin, connect: Connect
) -> None:
    """Dated changes after the cut-off wait for the next night, or no two reads agree."""
    twin.add(person(1, ADA), {}, START)
    twin.opt_out(ADA, "promotional", Act(CUTOFF + timedelta(minutes=5), Source.EMAIL_LINK))
    connector = connect()
    out = read(connector, "statuses")
    assert reading(out, ADA).outs == PROMOTIONAL
    assert distinct(out, Change) == []
    assert read(connector, "timeline").of(Change) == []
