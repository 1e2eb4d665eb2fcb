"""The HubSpot connector against its twin, over real HTTP."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from threading import Thread
from typing import Any, TypeVar

import pytest

from optout.errors import (
    AuthenticationFailed,
    NotFound,
    PermissionMissing,
    SourceError,
    UnexpectedAnswer,
)
from optout.http.client import HttpClient
from optout.model import Categories, Source, State
from optout.records import Campaign, Change, Finding, MailEvent, Reading
from optout.sandbox.acts import Act, Mailing, Person
from optout.sandbox.faults import Fault, FaultKind
from optout.sandbox.hubspot.portal import SubscriptionType
from optout.sandbox.hubspot.twin import HubSpotTwin
from optout.sandbox.server import Sandbox
from optout.testing.outputs import Killed, MemoryOutput
from optout.vendors.base import Context, ReadRequest
from optout.vendors.hubspot.connector import HubSpot, HubSpotConfig

TOKEN = "pat-eu1-3f9a77c2-not-real"
NAMES = ("product_updates", "educational", "promotional")
CATEGORIES = Categories(NAMES)
PRODUCT, EDUCATIONAL, PROMOTIONAL = (CATEGORIES.bit(name) for name in NAMES)
START = datetime(2026, 10, 1, 8, tzinfo=UTC)
CUTOFF = datetime(2026, 10, 20, 2, tzinfo=UTC)
RowT = TypeVar("RowT")
STREAMS = ("timeline", "statuses", "emails", "email_events")
ADA = "ada@example.org"


def at(**delta: float) -> datetime:
    return START + timedelta(**delta)


def person(number: int, address: str | None = None) -> Person:
    return Person(number, address or f"p{number}@example.org", "Pat", "Doe")


@pytest.fixture
def twin() -> HubSpotTwin:
    twin = HubSpotTwin(NAMES, token=TOKEN, rng=Random(7))
    twin.now = CUTOFF + timedelta(minutes=10)
    return twin


@pytest.fixture
def sandbox(twin: HubSpotTwin) -> Iterator[Sandbox]:
    running = Sandbox([twin], limits_on=False).start()
    yield running
    # A server takes a fifth of a second to end; the next test need not wait for it.
    Thread(target=running.stop).start()


Connect = Callable[..., HubSpot]


@pytest.fixture
def connect(sandbox: Sandbox, twin: HubSpotTwin) -> Connect:
    def make(token: str = TOKEN, **options: Any) -> HubSpot:
        options.setdefault("categories", twin.category_map())
        config = HubSpotConfig(
            name="hubspot", vendor="hubspot", base_url=sandbox.base_url("hubspot"),
            token_env="HUBSPOT_TOKEN", requests_per_10s=100_000, **options,
        )  # fmt: skip
        http = HttpClient(
            "hubspot", config.base_url, HubSpot.http_options(config, token), secrets=(token,),
            sleep=lambda seconds: None, rng=Random(1),
        )  # fmt: skip
        return HubSpot(Context(config, token, CATEGORIES, http))

    return make


def night(since: datetime | None = None, cutoff: datetime = CUTOFF) -> ReadRequest:
    return ReadRequest(cutoff.date(), cutoff, since, now=cutoff + timedelta(minutes=10))


def read(connector: HubSpot, stream: str, since: datetime | None = None) -> MemoryOutput:
    out = MemoryOutput()
    connector.read(stream, night(since), out)
    return out


def distinct(out: MemoryOutput, kind: type[RowT]) -> list[RowT]:
    """The rows as the loading counts them: an address may be met twice, as contact and as
    recipient, and says the same both times."""
    return list(dict.fromkeys(out.of(kind)))


def reading(out: MemoryOutput, address: str, store: str = "statuses") -> Reading:
    found = [r for r in distinct(out, Reading) if r.address == address and r.store == store]
    assert len(found) == 1, f"{len(found)} readings"
    return found[0]


def fill(twin: HubSpotTwin, count: int) -> None:
    for number in range(1, count + 1):
        twin.add(person(number), {"promotional": State.OPTED_IN}, at(minutes=number))


# --- reading a cell ------------------------------------------------------------
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


# --- the timeline ------------------------------------------------------------
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


# --- mail ------------------------------------------------------------
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


# --- killed, refused, spoilt ------------------------------------------------------------
def world(twin: HubSpotTwin) -> None:
    """Enough of everything that each stream has several pages."""
    fill(twin, 230)
    twin.send(
        Mailing("m1", "Autumn", "promotional", at(days=1)),
        [f"p{n}@example.org" for n in range(1, 60)],
    )
    for number in range(1, 40):
        act = Act(at(days=2, minutes=number), Source.EMAIL_LINK, campaign_id="m1")
        twin.opt_out(f"p{number}@example.org", "promotional" if number % 2 else None, act)
    for number in range(60, 180):  # one moment, across the border of a page
        act = Act(at(days=2, hours=5), Source.PREFERENCE_CENTER)
        twin.opt_out(f"p{number}@example.org", "educational", act)
    twin.delete("p5@example.org", at(days=3))


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("kill_after", [False, True])
def test_a_read_killed_at_any_page_ends_with_the_same_rows(
    twin: HubSpotTwin, connect: Connect, stream: str, kill_after: bool
) -> None:
    """A crash between two pages lost a page, or read the first one twice under other ids."""
    world(twin)
    whole = read(connect(), stream)
    assert whole.status == "complete"
    for kill_at in range(1, len(whole.calls) + 1):
        out = MemoryOutput(kill_at=kill_at, kill_after=kill_after)
        with pytest.raises(Killed):
            connect().read(stream, night(), out)
        again = out.resumed()
        connect().read(stream, night(), again)
        assert again.status == "complete"
        assert set(again.rows) == set(whole.rows)
        assert again.read_total == whole.read_total


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize(
    "kind",
    [FaultKind.LIMITED, FaultKind.SERVER_ERROR, FaultKind.UNAVAILABLE, FaultKind.RESET,
     FaultKind.TRUNCATED, FaultKind.HTML, FaultKind.ERROR_IN_200, FaultKind.EMPTY,
     FaultKind.DUPLICATE_PAGE],
)  # fmt: skip
def test_passing_faults_change_nothing(
    twin: HubSpotTwin, connect: Connect, sandbox: Sandbox, stream: str, kind: FaultKind
) -> None:
    """A bad minute of the vendor's must not show in the morning."""
    world(twin)
    whole = read(connect(), stream)
    sandbox.faults.plant(*(Fault(kind, "hubspot", nth=nth) for nth in (1, 3, 6, 9)))
    spoilt = read(connect(), stream)
    assert spoilt.status == "complete"
    assert set(spoilt.rows) == set(whole.rows)


@pytest.mark.parametrize("stream", STREAMS)
def test_a_revoked_token_fails_the_read_and_tells_no_one(
    twin: HubSpotTwin,
    connect: Connect,
    sandbox: Sandbox,
    stream: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A failed read is never an empty list; and its error holds neither token nor address."""
    world(twin)
    caplog.set_level(logging.DEBUG)
    sandbox.faults.plant(Fault(FaultKind.UNAUTHORIZED, "hubspot", nth=2, times=None))
    if stream == "emails":
        sandbox.faults.plant(Fault(FaultKind.UNAUTHORIZED, "hubspot", times=None))
    out = MemoryOutput()
    with pytest.raises(AuthenticationFailed) as failed:
        connect().read(stream, night(), out)
    assert out.status is None
    text = str(failed.value) + caplog.text
    assert TOKEN not in text
    assert "example.org" not in text


@pytest.mark.parametrize(
    ("stream", "scope"),
    [
        ("timeline", "content"),
        ("statuses", "communication_preferences.statuses.batch.read"),
        ("statuses", "crm.objects.contacts.read"),
        ("statuses", "communication_preferences.read"),
        ("email_events", "content"),
    ],
)
def test_a_missing_scope_is_named(
    twin: HubSpotTwin, connect: Connect, stream: str, scope: str
) -> None:
    """'403' sends people to the manual; the scope's name sends them to the right checkbox."""
    world(twin)
    twin.http.missing_scopes = {scope}
    with pytest.raises(PermissionMissing) as failed:
        read(connect(), stream)
    assert f"the scope {scope}" in str(failed.value)


def test_a_daily_limit_ends_the_read_at_once(
    twin: HubSpotTwin, connect: Connect, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retrying against a daily quota only uses up the next day's."""
    from optout.sandbox import faults
    from optout.sandbox.limits import Verdict, refusal

    verdict = Verdict(False, policy="DAILY")
    monkeypatch.setattr(faults, "refusal", lambda style, _v, n: refusal(style, verdict, n))
    sandbox.faults.plant(Fault(FaultKind.LIMITED, "hubspot", times=None))
    with pytest.raises(SourceError):
        read(connect(), "timeline")
    assert sandbox.requests["hubspot"] == 1


# --- check ------------------------------------------------------------
def test_check_is_silent_about_a_good_account_but_for_unmapped_types(connect: Connect) -> None:
    """A check that cries without cause is not read when there is one."""
    problems = list(connect().check())
    assert [(p.key, p.fatal) for p in problems] == [("esp.hubspot.categories", False)]
    assert "One to One" in problems[0].message


def test_check_names_every_problem_at_once(twin: HubSpotTwin, connect: Connect) -> None:
    """One problem a run makes setting up a matter of days."""
    twin.portal.types[12].is_active = False
    twin.portal.types[13].unit = 3
    twin.http.missing_scopes = {"content", "communication_preferences.statuses.batch.read"}
    categories = {"product_updates": ["99"], "educational": ["12"], "promotional": ["13"]}
    problems = {p.message: p for p in connect(categories=categories).check() if p.fatal}
    text = " / ".join(problems)
    assert "type 99 does not exist" in text
    assert "type 12 is archived" in text
    assert "type 13 belongs to business unit 3" in text
    scopes = {p.mend.rpartition(" ")[2] for p in problems.values() if p.key.endswith("token_env")}
    assert scopes == {"content", "communication_preferences.statuses.batch.read"}


def test_check_says_when_the_timeline_is_gone(
    twin: HubSpotTwin, connect: Connect, sandbox: Sandbox
) -> None:
    """The only trail is a legacy endpoint: its end must be noticed, not logged."""
    gone = Fault(FaultKind.SERVER_ERROR, "hubspot", "/timeline", times=None, status=404)
    sandbox.faults.plant(gone)
    [problem] = [p for p in connect().check() if p.fatal]
    assert "/subscriptions/timeline" in problem.message
    with pytest.raises(NotFound):
        read(connect(), "timeline")


def test_check_with_a_wrong_token_raises(connect: Connect) -> None:
    """Nothing more can be asked with a token that is not accepted."""
    with pytest.raises(AuthenticationFailed):
        list(connect(token="wrong").check())


def test_type_ids_that_are_no_numbers_are_refused_by_the_settings() -> None:
    """A type's name in place of its id would match nothing and say nothing."""
    with pytest.raises(ValueError, match="numeric ids"):
        HubSpotConfig(
            name="hubspot", vendor="hubspot", base_url="https://api.hubapi.com",
            token_env="T", categories={"promotional": ("Newsletter",)},
        )  # fmt: skip
