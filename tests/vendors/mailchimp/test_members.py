"""Mailchimp's members as rows: what each of them says, and what a night tells of all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from optout.errors import NotFound
from optout.model import Source
from optout.records import Finding, Reading
from optout.sandbox.acts import Act, Mailing
from optout.sandbox.mailchimp.state import subscriber_hash
from optout.testing.mailchimp import (
    ANA,
    BO,
    CY,
    DAY,
    EVENTS,
    MAPPED,
    MASKS,
    NEWS,
    OFFERS,
    World,
    act,
    by_address,
)
from optout.vendors.mailchimp.members import MissingFieldError, audiences, rows_of

# --- what a member says ---------------------------------------------------------------------------


def member(**more: Any) -> dict[str, Any]:
    return {
        "id": "h" * 32, "contact_id": "c1", "email_address": "ana@example.org",
        "status": "subscribed", "interests": {"i1": True, "i2": False},
        "timestamp_signup": "", "timestamp_opt": "2026-05-01T09:00:00+00:00",
        "ip_opt": "198.51.100.7", "last_changed": "2026-05-01T09:00:30+00:00",
        "source": "Hosted Signup Form", "unsubscribe_reason": "",
    } | more  # fmt: skip


def reading(**more: Any) -> Reading:
    rows = list(rows_of(member(**more), MAPPED, (), str.upper))
    return next(row for row in rows if isinstance(row, Reading))


def test_a_subscribed_member_is_mailable_where_the_interest_is_true_and_weakly_out_where_false(
) -> None:  # fmt: skip
    """False is what an opt-out leaves, and also what was never asked."""
    got = reading()
    assert (got.ins, got.sends) == (EVENTS | NEWS, EVENTS | NEWS)
    assert (got.outs, got.category_outs, got.weak_outs) == (OFFERS, OFFERS, OFFERS)


def test_an_interest_that_is_not_told_is_unclear() -> None:
    """An absent key is no opt-out and no consent: nobody may be said to agree on it."""
    got = reading(interests={"i1": True})
    assert (got.ins, got.outs, got.unclear) == (EVENTS | NEWS, 0, OFFERS)


def test_unsubscribed_is_an_opt_out_of_all_that_the_audience_holds_and_mails_nothing() -> None:
    """The interests of an unsubscribed member often stay true and mean nothing."""
    got = reading(status="unsubscribed", interests={"i1": True, "i2": True})
    assert (got.outs, got.category_outs, got.weak_outs) == (7, 7, 0)
    assert (got.ins, got.sends, got.in_at, got.global_out) == (0, 0, None, False)


@pytest.mark.parametrize("status", ["cleaned", "pending", "transactional", "archived"])
def test_other_states_are_neither_mailable_nor_opted_out(status: str) -> None:
    """A bounce is no opt-out; an archived member is not mailed but has not said anything."""
    got = reading(status=status)
    assert (got.ins, got.outs, got.sends, got.unclear, got.present) == (0, 0, 0, 0, True)
    assert got.undeliverable is (status == "cleaned")


def test_an_unknown_status_makes_all_cells_unclear_and_is_found() -> None:
    """A word that the vendor adds must not be taken for any of the known ones."""
    rows = list(rows_of(member(status="snoozed"), MAPPED, (), str.upper))
    found = next(row for row in rows if isinstance(row, Finding))
    assert (found.code, found.detail, found.categories) == ("unknown_value", "snoozed", 7)
    got = next(row for row in rows if isinstance(row, Reading))
    assert (got.unclear, got.ins, got.outs) == (7, 0, 0)
    odd = list(rows_of(member(status="ana@example.org"), MAPPED, (), str.upper))
    assert "@" not in odd[0].detail  # type: ignore[union-attr]


def test_an_interest_that_is_no_boolean_is_unclear() -> None:
    """null is not false."""
    rows = list(rows_of(member(interests={"i1": None, "i2": True}), MAPPED, (), str.upper))
    assert [type(row) for row in rows] == [Finding, Reading]
    assert (rows[1].unclear, rows[1].ins) == (NEWS, EVENTS | OFFERS)  # type: ignore[union-attr]


@pytest.mark.parametrize("field", ["status", "interests", "email_address"])
def test_a_missing_consent_field_is_an_error(field: str) -> None:
    """Taken for nothing, it would look like a person without an opt-out."""
    for spoilt in ({k: v for k, v in member().items() if k != field}, member(**{field: None})):
        with pytest.raises(MissingFieldError, match=field):
            list(rows_of(spoilt, MAPPED, (), str.upper))


def test_a_member_without_an_address_is_found_and_not_dropped() -> None:
    """A contact with a telephone number only cannot be compared."""
    rows = list(rows_of(member(email_address=""), MAPPED, (), str.upper))
    assert [getattr(row, "code", None) for row in rows] == ["no_address"]


def test_a_time_that_is_none_is_found_and_an_empty_one_is_no_time() -> None:
    """The vendor writes '' where its specification says date-time."""
    assert reading(timestamp_opt="").in_at is None
    rows = list(rows_of(member(last_changed="soon"), MAPPED, (), str.upper))
    assert [getattr(row, "code", "") for row in rows] == ["unparsable", ""]
    assert rows[1].modified_at is None  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("more", "explicit", "source"),
    [
        ({}, True, "email_link"),
        ({"ip_opt": ""}, False, "form"),
        ({"timestamp_opt": ""}, False, "form"),
        ({"source": "API - Generic"}, False, "api"),
        ({"source": "API - Gravity Forms"}, False, "api"),
        ({"source": "Import"}, False, "import"),
        ({"source": "Admin Add"}, False, "manual"),
        ({"source": "Some Shop"}, False, "unknown"),
        ({"source": ""}, False, "unknown"),
        ({"last_changed": "2026-05-02T09:00:00+00:00"}, False, "form"),
        ({"last_changed": "2026-05-02T09:00:00+00:00", "interests": {}}, True, "email_link"),
    ],
)
def test_only_a_confirmed_sign_up_that_nobody_edited_since_is_the_persons_word(
    more: dict[str, Any], explicit: bool, source: str
) -> None:
    """A sync that passes for a person would lift opt-outs. Interests have no time of their own:
    after an edit they may be another's doing, while the subscription is still the person's."""
    got = reading(**more)
    assert (got.in_explicit, got.in_source, got.in_global) == (explicit, source, False)


def test_one_interest_may_hold_several_categories_and_a_category_several_stores() -> None:
    """The mapping is the company's, not the vendor's."""
    mapping = {"news": ("l1/i1", "l2"), "offers": ("l1/i1",)}
    found = audiences(mapping, MASKS)
    assert found["l1"].interests == {"i1": NEWS | OFFERS}
    assert (found["l2"].whole, found["l1"].mapped) == (NEWS, NEWS | OFFERS)


# --- the whole read -------------------------------------------------------------------------------
def test_every_state_is_read_from_both_audiences_and_the_archived_too(world: World) -> None:
    """The state is one of each audience; the default listing hides the archived."""
    world.join(ANA, BO, CY)
    world.twin.opt_out(ANA, None, act(Source.EMAIL_LINK))
    world.twin.opt_out(BO, "offers", act(Source.PREFERENCE_CENTER))
    world.twin.delete(CY, DAY)
    out = world.read("members")
    assert (out.status, out.vendor_total, out.is_full) == ("complete", 6, True)
    shop, second = by_address(out, world.shop), by_address(out, world.second)
    assert (shop[ANA].outs, shop[ANA].sends) == (NEWS | OFFERS, 0)
    assert (second[ANA].outs, second[BO].sends) == (EVENTS, EVENTS)
    assert (shop[BO].outs, shop[BO].weak_outs, shop[BO].sends) == (OFFERS, OFFERS, NEWS)
    assert (shop[CY].outs, shop[CY].sends, shop[CY].present) == (0, 0, True)
    assert shop[BO].in_explicit is False


def test_a_page_is_as_large_as_the_vendor_allows_and_holds_only_what_is_used(world: World) -> None:
    """A thousand whole members are megabytes; ten at a time are a hundred times the requests."""
    world.people(3)
    world.read("members")
    pages = [p for path, p in world.requests if path.endswith("/members") and p["count"] == 1000]
    assert pages
    assert all("members.status" in p["fields"] and "merge" not in p["fields"] for p in pages)


def test_the_record_keeps_its_identity_when_the_address_changes(world: World) -> None:
    """The hash of the address changes with it; an opt-out must follow to the new address."""
    world.join(ANA)
    before = by_address(world.read("members"), world.shop)[ANA]
    world.twin.change_address(ANA, BO, DAY + timedelta(hours=1))
    after = by_address(world.read("members"), world.shop)[BO]
    assert before.record_id == after.record_id
    assert subscriber_hash(ANA) not in (before.record_id, after.record_id)


def test_a_restore_without_the_person_is_not_explicit(world: World) -> None:
    """Archiving and unarchiving stamps a new opt-in time: it must lift nothing."""
    world.join(ANA)
    world.twin.opt_out(ANA, None, act(Source.EMAIL_LINK))
    world.twin.silently_mailable(ANA, None, DAY + timedelta(days=2))
    got = by_address(world.read("members"), world.shop)[ANA]
    assert (got.sends, got.in_explicit, got.in_source) == (NEWS | OFFERS, False, "api")
    assert got.in_at == DAY + timedelta(days=2)
    world.twin.opt_out(ANA, None, act(Source.EMAIL_LINK, 60))
    world.twin.opt_in(ANA, None, act(Source.FORM, 70))
    again = by_address(world.read("members"), world.shop)[ANA]
    assert (again.sends, again.in_explicit) == (NEWS | OFFERS, True)


def test_complaints_are_told_with_the_member(world: World) -> None:
    """A complaint blocks, and is neither an opt-out nor merely a bounce."""
    world.join(ANA, BO)
    world.twin.send(Mailing("c1", "May", "news", DAY), [ANA, BO])
    world.twin.complain(ANA, "c1", DAY)
    found = by_address(world.read("members"), world.shop)
    assert (found[ANA].complained, found[ANA].outs, found[BO].complained) == (True, 0, False)


def test_an_incremental_read_tells_only_what_moved_and_is_not_full(world: World) -> None:
    """Only a full read may close who is absent; a new archive shows in both kinds."""
    world.join(ANA, BO, CY)
    later = DAY + timedelta(days=3)
    world.twin.opt_out(ANA, "news", Act(later, Source.API))
    world.twin.delete(BO, later)
    out = world.read("members", since=later - timedelta(seconds=1))
    assert (out.status, out.is_full, out.vendor_total) == ("complete", False, 3)
    assert set(by_address(out, world.shop)) == {ANA, BO}


def test_a_mapped_interest_that_is_gone_ends_the_read(world: World) -> None:
    """Every member would come without an answer, and the night would look peaceful."""
    world.join(ANA)
    mapping = {**world.twin.category_map(), "offers": [f"{world.shop.id}/ffffffffff"]}
    with pytest.raises(NotFound, match="has no interest"):
        world.read("members", connector=world.connector(categories=mapping))


def test_a_mapped_list_that_is_gone_ends_the_read(world: World) -> None:
    """404 is never an empty audience."""
    with pytest.raises(NotFound):
        world.read("members", connector=world.connector(categories={"news": ["ffffffffff"]}))
