"""HubSpot's contacts read to the end, in whole and in incremental nights."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from optout.errors import UnexpectedAnswer
from optout.model import Source, State
from optout.records import Finding, Reading
from optout.sandbox.acts import Act
from optout.sandbox.faults import Fault, FaultKind
from optout.sandbox.hubspot.twin import HubSpotTwin
from optout.sandbox.server import Sandbox
from optout.testing.hubspot import (
    ADA,
    CUTOFF,
    PROMOTIONAL,
    START,
    Connect,
    at,
    distinct,
    fill,
    person,
    read,
    reading,
)


# --- the walk ------------------------------------------------------------
def test_all_pages_are_read_and_the_vendors_own_count_is_met(
    twin: HubSpotTwin, connect: Connect, sandbox: Sandbox
) -> None:
    """A list that ends early looks exactly like a list that ends."""
    fill(twin, 230)
    twin.delete("p7@example.org", at(days=1))
    out = read(connect(), "statuses")
    assert out.status == "complete"
    assert (out.vendor_total, out.read_total) == (229, 229)
    assert len({r.address for r in out.of(Reading) if r.store == "contacts"}) == 229
    assert {r.address for r in out.of(Reading) if r.store == "statuses"} == {
        f"p{number}@example.org" for number in range(1, 231)
    }
    assert all("{" in entry.template or "@" not in entry.template for entry in sandbox.log)


def test_a_page_without_its_rows_makes_the_night_incomplete(
    twin: HubSpotTwin, connect: Connect, sandbox: Sandbox
) -> None:
    """A hundred contacts vanished from one page and were taken for deleted."""
    fill(twin, 230)
    fault = Fault(FaultKind.MISSING_PAGE, "hubspot", "/objects/contacts", "GET", nth=2)
    sandbox.faults.plant(fault)
    out = read(connect(), "statuses")
    assert out.status == "incomplete"
    assert "130" in str(out.why)


def test_a_repeated_cursor_ends_the_read_as_an_error(
    twin: HubSpotTwin, connect: Connect, sandbox: Sandbox
) -> None:
    """A cursor that leads to itself kept a nightly run busy until the morning."""
    fill(twin, 350)
    for kind in (FaultKind.REPEATED_CURSOR, FaultKind.REPEATED_PAGE):
        sandbox.faults.clear()
        sandbox.faults.plant(Fault(kind, "hubspot", "/objects/contacts", "GET", nth=3, times=None))
        with pytest.raises(UnexpectedAnswer, match="repeats a page"):
            read(connect(), "statuses")


@pytest.mark.parametrize("endpoint", ["/statuses/batch/read", "/unsubscribe-all/read"])
def test_an_address_left_out_of_a_batch_is_asked_about_again(
    twin: HubSpotTwin, connect: Connect, sandbox: Sandbox, endpoint: str
) -> None:
    """A 207 answers most of a batch; the rest is neither in nor out until it is answered."""
    fill(twin, 3)
    sandbox.faults.plant(Fault(FaultKind.MISSING_PAGE, "hubspot", endpoint))
    out = read(connect(), "statuses")
    assert out.status == "complete"
    assert reading(out, "p2@example.org").sends == PROMOTIONAL


def test_an_address_that_is_never_answered_makes_the_night_incomplete(
    twin: HubSpotTwin, connect: Connect
) -> None:
    """Silence about one address must not become 'not specified', nor stop all the others."""
    fill(twin, 3)
    twin.http.unanswered["p2@example.org"] = 1000
    out = read(connect(timeline_days=1), "statuses")
    assert out.status == "incomplete"
    assert out.why == "1 addresses got no answer about their statuses"
    assert [f.code for f in distinct(out, Finding)] == ["unresolved"]
    assert {r.address for r in out.of(Reading) if r.store == "statuses"} == {
        "p1@example.org",
        "p3@example.org",
    }


def test_a_bad_additional_address_does_not_refuse_its_whole_batch(
    twin: HubSpotTwin, connect: Connect
) -> None:
    """One typo in a CRM field must not take a hundred people out of the audit."""
    fill(twin, 3)
    twin.add_alias("p1@example.org", "no address", at(hours=1))
    out = read(connect(), "statuses")
    assert out.status == "complete"
    assert len({r.address for r in out.of(Reading) if r.store == "statuses"}) == 3


def test_an_address_that_only_the_vendor_refuses_is_isolated(
    twin: HubSpotTwin, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What HubSpot takes for an address is stricter than any grammar of ours."""
    fill(twin, 20)
    from optout.sandbox.hubspot.asked import invalid

    shown = twin.portal.shown_statuses

    def strict(address: str, unit: int | None) -> list[dict[str, Any]]:
        if address == "p9@example.org":
            raise invalid("not an address")
        return shown(address, unit)

    monkeypatch.setattr(twin.portal, "shown_statuses", strict)
    out = read(connect(timeline_days=1), "statuses")
    assert out.status == "incomplete"
    assert len([r for r in out.of(Reading) if r.store == "statuses"]) == 19


def test_a_contact_without_the_property_email_stops_the_read(
    twin: HubSpotTwin, connect: Connect, sandbox: Sandbox
) -> None:
    """A token that lost sight of the property would make everyone's address disappear."""
    fill(twin, 3)
    fault = Fault(FaultKind.FIELD_ABSENT, "hubspot", "/objects/contacts", "GET", field="email")
    sandbox.faults.plant(fault)
    with pytest.raises(UnexpectedAnswer, match="property email"):
        read(connect(), "statuses")


def test_a_contact_without_an_address_is_counted_not_dropped(
    twin: HubSpotTwin, connect: Connect
) -> None:
    """Records that cannot be used must be seen, or the totals never agree."""
    contact = twin.portal.make_contact({"email": ADA}, START)
    contact.put("email", None, START)
    out = read(connect(), "statuses")
    assert [f.code for f in distinct(out, Finding)] == ["no_address"]
    assert out.read_total == 1


def test_a_mapped_type_that_does_not_exist_stops_the_read(
    twin: HubSpotTwin, connect: Connect
) -> None:
    """A deleted type would look like a category about which nobody ever said anything."""
    with pytest.raises(UnexpectedAnswer, match="subscription type 99"):
        read(connect(categories={"promotional": ["99"]}), "statuses")


# --- incremental nights ------------------------------------------------------------
def test_an_incremental_night_reads_what_changed_and_nothing_else(
    twin: HubSpotTwin, connect: Connect
) -> None:
    """Statuses change without touching the contact, contacts change without any status."""
    fill(twin, 30)
    since = at(days=10)
    twin.opt_out("p1@example.org", "promotional", Act(at(days=11), Source.EMAIL_LINK))
    twin.bounce("p2@example.org", None, at(days=12))
    twin.add(person(99, "new@example.org"), {"promotional": State.OPTED_IN}, at(days=13))
    twin.delete("p3@example.org", at(days=14))
    twin.delete("p4@example.org", at(days=2))
    out = read(connect(), "statuses", since)
    assert out.status == "complete"
    assert {r.address for r in out.of(Reading)} == {
        f"{name}@example.org" for name in ("p1", "p2", "p3", "new")
    }
    gone = reading(out, "p3@example.org", "contacts")
    assert (gone.deleted, gone.present) == (True, False)
    assert reading(out, "p1@example.org").outs == PROMOTIONAL


def test_changed_contacts_beyond_a_page_are_all_found(twin: HubSpotTwin, connect: Connect) -> None:
    """Search reaches 10,000 records by offset; reading on by stamp has no such end."""
    fill(twin, 450)
    twin.http.lists.search_cap = 200
    out = read(connect(), "statuses", START)
    assert len({r.address for r in out.of(Reading) if r.store == "contacts"}) == 450


def test_more_changes_of_one_moment_than_a_page_fall_back_to_the_whole_list(
    twin: HubSpotTwin, connect: Connect
) -> None:
    """A bulk edit stamps thousands alike; reading on by stamp would never get past them."""
    fill(twin, 250)
    for contact in twin.portal.contacts.values():
        contact.put("hs_marketable_status", "true", at(days=11))
    out = read(connect(), "statuses", at(days=10))
    assert out.status == "complete"
    assert len({r.address for r in out.of(Reading) if r.store == "contacts"}) == 250


def test_what_the_index_does_not_know_yet_comes_with_the_next_nights_overlap(
    twin: HubSpotTwin, connect: Connect
) -> None:
    """A change within the index's lag was skipped for ever once the cursor had passed it."""
    twin.http.lists.index_lag = timedelta(seconds=60)
    twin.add(person(1, ADA), {}, CUTOFF - timedelta(seconds=1))
    twin.now = CUTOFF
    assert read(connect(), "statuses", CUTOFF - timedelta(days=3)).of(Reading) == []
    twin.now = CUTOFF + timedelta(days=1)
    out = read(connect(), "statuses", CUTOFF - timedelta(days=2))
    assert reading(out, ADA, "contacts").present
