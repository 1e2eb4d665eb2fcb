"""The Mailchimp connector against the twin: every trap of the vendor, every point of failure."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optout.errors import AuthenticationFailed, NotFound, PermissionMissing, UnexpectedAnswer
from optout.http.client import Answer, HttpClient
from optout.model import Categories, Source, State
from optout.records import Campaign, Change, Finding, MailEvent, Reading
from optout.sandbox.acts import Act, Mailing, Person
from optout.sandbox.faults import Fault, FaultKind
from optout.sandbox.mailchimp.state import Audience, subscriber_hash
from optout.sandbox.mailchimp.twin import MailchimpTwin
from optout.sandbox.server import Sandbox
from optout.testing.outputs import Killed, MemoryOutput
from optout.vendors.base import Context, ReadRequest
from optout.vendors.mailchimp.connector import Mailchimp, MailchimpConfig
from optout.vendors.mailchimp.content import bodies, has_postal_address, has_unsubscribe
from optout.vendors.mailchimp.events import campaign_categories
from optout.vendors.mailchimp.members import (
    Audience as Mapped,
)
from optout.vendors.mailchimp.members import (
    MissingFieldError,
    audiences,
    rows_of,
)
from optout.vendors.mailchimp.pages import Paging

SPEC = Path(__file__).parents[3] / "shared/specs/mailchimp/marketing.subset.swagger.json"
NIGHT = datetime(2026, 5, 10, 2, tzinfo=UTC)
DAY = datetime(2026, 5, 1, 12, tzinfo=UTC)
MASKS = Categories(("news", "offers", "events"))
NEWS, OFFERS, EVENTS = 1, 2, 4
ALL_IN = dict.fromkeys(MASKS.names, State.OPTED_IN)
ANA, BO, CY = "Ana@Example.org", "bo@example.net", "cy@example.com"


class World:
    """A twin behind a server, with a connector that reads it."""

    def __init__(self) -> None:
        self.twin = MailchimpTwin(MASKS.names, token="key-us1", rng=Random(7))
        self.sandbox = Sandbox([self.twin])
        self.reset()

    def reset(self) -> None:
        """An account without members behind the same server, which is slow to stop."""
        lock = self.twin.lock
        MailchimpTwin.__init__(self.twin, MASKS.names, token="key-us1", rng=Random(7))
        self.twin.lock, self.twin.now = lock, DAY
        self.sandbox.faults.clear()
        self.sandbox.forget()
        self.sandbox.latency = 0.0
        self.after_get: Callable[[], None] = lambda: None
        self.requests: list[tuple[str, dict[str, Any]]] = []

    @property
    def shop(self) -> Audience:
        return next(iter(self.twin.audiences.values()))

    @property
    def second(self) -> Audience:
        return list(self.twin.audiences.values())[1]

    def connector(self, *, token: str = "key-us1", base: str = "", **config: Any) -> Mailchimp:
        made = MailchimpConfig(
            name="mailchimp",
            vendor="mailchimp",
            base_url=base or self.sandbox.base_url("mailchimp"),
            token_env="MAILCHIMP_KEY",
            categories=config.pop("categories", self.twin.category_map()),
            **config,
        )
        world = self

        class Watched(HttpClient):
            def get(self, path: str, params: Any = None, **more: Any) -> Answer:
                answer = super().get(path, params, **more)
                world.requests.append((path, dict(params or {})))
                world.after_get()
                return answer

        options = Mailchimp.http_options(made, token)
        http = Watched(
            "mailchimp", made.base_url, options, secrets=(token,), sleep=lambda seconds: None
        )
        return Mailchimp(Context(made, token, MASKS, http))

    def read(
        self, stream: str, out: MemoryOutput | None = None, *, since: datetime | None = None,
        state: Any = None, connector: Mailchimp | None = None, now: datetime = NIGHT,
    ) -> MemoryOutput:  # fmt: skip
        out = out or MemoryOutput()
        request = ReadRequest(date(2026, 5, 10), now, since, state or {}, now)
        (connector or self.connector()).read(stream, request, out)
        return out

    def people(self, count: int) -> list[str]:
        found = [f"p{number}@example.net" for number in range(count)]
        for number, address in enumerate(found):
            at = DAY + timedelta(seconds=number // 3)
            self.twin.add(Person(number, address, "Given", "Family"), ALL_IN, at)
        return found

    def join(self, *addresses: str) -> None:
        for number, address in enumerate(addresses):
            self.twin.add(Person(number, address, "Given", "Family"), ALL_IN, DAY)


@pytest.fixture(scope="module")
def account() -> Iterator[World]:
    made = World()
    with made.sandbox:
        yield made


@pytest.fixture
def world(account: World) -> World:
    account.reset()
    return account


def act(source: Source, hours: float = 1, **more: Any) -> Act:
    return Act(DAY + timedelta(hours=hours), source, **more)


def latest(out: MemoryOutput) -> dict[tuple[str, str], Reading]:
    """What the warehouse keeps: of several readings of a record the latest, then the last."""
    found: dict[tuple[str, str], Reading] = {}
    for reading in out.of(Reading):
        key = reading.store, reading.record_id
        before = found.get(key)
        if before is None or before.modified_at <= reading.modified_at:  # type: ignore[operator]
            found[key] = reading
    return found


def by_address(out: MemoryOutput, audience: Audience) -> dict[str, Reading]:
    return {
        str(r.address): r for (store, _), r in latest(out).items() if store.endswith(audience.id)
    }


# --- what a member says ---------------------------------------------------------------------------
MAPPED = Mapped("l1", EVENTS, {"i1": NEWS, "i2": OFFERS})


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


# --- members that move while they are read --------------------------------------------------------
def small(connector: Mailchimp, *, workers: int = 1) -> Mailchimp:
    connector.paging = Paging(12, 4, workers)  # type: ignore[misc]
    return connector


def edit(world: World, rng: Random, addresses: list[str]) -> None:
    """One thing that people and systems do to an audience."""
    twin = world.twin
    assert twin.now is not None
    twin.now += timedelta(seconds=rng.choice((0, 0, 1)))
    address, at = rng.choice(addresses), twin.now
    what = rng.randrange(7)
    if what == 0:
        twin.delete(address, at)
    elif what == 1:
        twin.silently_mailable(address, None, at)
    elif what == 2:
        addresses.append(f"new{len(addresses)}@example.net")
        twin.add(Person(len(addresses), addresses[-1], "New", "One"), ALL_IN, at)
    else:
        source = rng.choice((Source.EMAIL_LINK, Source.API))
        twin.opt_out(address, rng.choice((None, "news", "offers", "events")), Act(at, source))


def truth(world: World) -> dict[tuple[str, str], tuple[str, str, int]]:
    return {
        (f"audience:{audience.id}", m.contact_id): (
            m.address, m.status, sum(m.interests.values()) if m.status == "subscribed" else 0,
        )
        for audience in (world.shop, world.second)
        for m in audience.members.values()
    }  # fmt: skip


def told(out: MemoryOutput) -> dict[tuple[str, str], tuple[str, str, int]]:
    found = {}
    for key, row in latest(out).items():
        raw = json.loads(row.raw)
        yes = sum(raw["interests"].values()) if raw["status"] == "subscribed" else 0
        found[key] = (str(row.address), raw["status"], yes)
    return found


MOVING = settings(
    max_examples=8, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


def begin_anew(world: World, size: int) -> list[str]:
    for audience in world.twin.audiences.values():
        audience.members.clear()
    world.requests.clear()
    world.twin.now = NIGHT
    return world.people(size)


@MOVING
@given(seed=st.integers(0, 10_000), size=st.integers(30, 90), busy=st.integers(1, 9))
def test_no_member_is_lost_and_none_changes_silently_while_the_list_moves(
    world: World, seed: int, size: int, busy: int
) -> None:
    """Edited members go to the end of the order and the others slip across the pages' borders:
    with plain offsets, also behind a closed window, somebody is on no page."""
    rng = Random(seed)
    addresses = begin_anew(world, size)
    moved = 0

    def move() -> None:
        nonlocal moved
        path, params = world.requests[-1]
        is_page = path.endswith(f"{world.shop.id}/members") and params["count"] == 12
        is_walk = is_page and not params.keys() & {"status", "since_last_changed"}
        if is_walk and params["offset"] + 30 < size and moved < size:
            for _ in range(rng.randint(0, busy)):
                moved += 1
                with world.twin.lock:
                    edit(world, rng, addresses)

    world.after_get = move
    mapping = {"news": world.twin.category_map()["news"]}
    try:
        out = world.read("members", connector=small(world.connector(categories=mapping)))
    finally:
        world.after_get = lambda: None
    here = {key: state for key, state in truth(world).items() if key[0].endswith(world.shop.id)}
    assert (out.status, "restart" in out.calls) == ("complete", False)
    assert told(out) == here


def test_an_edit_in_the_second_in_which_the_page_was_read_is_not_missed(world: World) -> None:
    """The stamp does not move again within a second, so nothing but reading again can tell."""
    world.join(ANA)
    world.twin.opt_out(ANA, "news", Act(NIGHT, Source.API))

    def move() -> None:
        if sum(path.endswith(f"{world.shop.id}/members") for path, _ in world.requests) == 1:
            world.twin.opt_out(ANA, "offers", Act(NIGHT, Source.API))

    world.after_get = move
    out = world.read("members")
    assert by_address(out, world.shop)[ANA].outs == NEWS | OFFERS


def test_an_edit_is_seen_although_the_vendors_clock_is_an_hour_slow(world: World) -> None:
    """The tail is found by our clock: the walk itself must tell the new state."""
    addresses = world.people(16)

    def move() -> None:
        if sum(path.endswith(f"{world.shop.id}/members") for path, _ in world.requests) == 1:
            slow = Act(NIGHT - timedelta(hours=1), Source.API)
            world.twin.opt_out(addresses[0], "news", slow)

    world.after_get = move
    out = world.read("members", connector=small(world.connector()))
    assert by_address(out, world.shop)[addresses[0]].outs == NEWS


@MOVING
@given(seed=st.integers(0, 10_000), size=st.integers(1, 30), busy=st.integers(0, 3))
def test_a_read_of_a_list_that_never_rests_is_whole_or_says_that_it_is_not(
    world: World, seed: int, size: int, busy: int
) -> None:
    """Who was there all the time is read, in a state that was true during the read."""
    rng = Random(seed)
    addresses = begin_anew(world, size)
    history = [truth(world)]

    def move() -> None:
        for _ in range(rng.randint(0, busy)):
            with world.twin.lock:
                edit(world, rng, addresses)
                history.append(truth(world))

    world.after_get = move
    try:
        out = world.read("members", connector=small(world.connector()))
    except UnexpectedAnswer:
        return
    finally:
        world.after_get = lambda: None
    read = told(out)
    assert out.status != "complete" or set(history[0]) <= set(read)
    for key, state in read.items():
        assert any(moment.get(key) == state for moment in history)


@pytest.mark.parametrize("window", [{}, {"before_last_changed": "2026-05-10T02:00:00+00:00"}])
def test_plain_offsets_lose_somebody_even_in_a_closed_window(
    world: World, window: dict[str, str]
) -> None:
    """Shows that the twin has the trap, or the tests above would prove nothing."""
    addresses = world.people(40)
    http = world.connector().http
    seen: set[str] = set()
    for offset in range(0, 40, 10):
        order = {"sort_field": "last_changed", "sort_dir": "ASC", **window}
        page = {"count": 10, "offset": offset, **order}
        members = http.get(f"/lists/{world.shop.id}/members", page).data["members"]
        seen.update(each["email_address"] for each in members)
        if offset == 0:
            world.twin.opt_out(addresses[0], "news", Act(NIGHT, Source.API))
    assert set(addresses) - seen == {addresses[10]}


def test_a_member_deleted_for_good_during_the_read_makes_it_begin_anew(world: World) -> None:
    """What was written of somebody who is gone would be believed until the next full read."""
    addresses = world.people(30)
    gone = subscriber_hash(addresses[0])

    def delete_one() -> None:
        pages = [p for path, p in world.requests if path.endswith(f"{world.shop.id}/members")]
        if len(pages) == 2:
            world.shop.members.pop(gone, None)
            world.shop.version += 1

    world.after_get = delete_one
    out = world.read("members", connector=small(world.connector()))
    assert (out.status, "restart" in out.calls) == ("complete", True)
    assert addresses[0] not in by_address(out, world.shop)
    assert told(out) == truth(world)


def test_a_status_that_the_default_listing_leaves_out_is_noticed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vendor does not document which states the listing holds: the totals by status must
    agree, or the read is incomplete."""
    world.join(ANA, BO)
    world.twin.opt_out(ANA, None, act(Source.EMAIL_LINK))
    from optout.sandbox.mailchimp import routes as routes

    whole = routes.members

    def hiding(audience: Audience, query: Any) -> list[Any]:
        rows = whole(audience, query)
        return rows if "status" in query else [m for m in rows if m.status != "unsubscribed"]

    monkeypatch.setattr(routes, "members", hiding)
    out = world.read("members")
    assert (out.status, out.vendor_total, out.read_total) == ("incomplete", 4, 2)


def test_pages_are_asked_for_at_the_same_time_and_within_ten_connections(world: World) -> None:
    """One connection would wait for the vendor most of the night; an eleventh is refused."""
    world.people(300)
    world.sandbox.latency = 0.005
    out = world.read("members", connector=small(world.connector(), workers=16))
    assert (out.status, world.sandbox.limited["mailchimp"]) == ("complete", 0)
    assert told(out) == truth(world)


# --- kills, faults, refusals ----------------------------------------------------------------------
@pytest.mark.parametrize("kill_after", [False, True])
def test_a_read_killed_at_any_page_goes_on_and_ends_the_same(
    world: World, kill_after: bool
) -> None:
    """A crash must neither lose a member nor make an unfinished read look complete."""
    world.people(30)
    connector = small(world.connector())
    whole = told(world.read("members", connector=connector))
    deaths = 0
    for call in range(1, 60):
        out = MemoryOutput(kill_at=call, kill_after=kill_after)
        try:
            world.read("members", out, connector=connector)
            break
        except Killed:
            deaths += 1
        again = world.read("members", out.resumed(), connector=connector)
        assert (again.status, told(again)) == ("complete", whole)
    assert deaths > 5


@pytest.mark.parametrize("stream", ["unsubscribes", "sent_to", "clicks", "activity", "campaigns"])
def test_every_stream_survives_a_kill_at_each_page(world: World, stream: str) -> None:
    """Events have stable ids: read again, they are the same."""
    busy(world)
    world.read("unsubscribes")
    undisturbed = world.read(stream)
    whole, total = ids(undisturbed), undisturbed.vendor_total
    for call in range(1, 40):
        out = MemoryOutput(kill_at=call)
        try:
            world.read(stream, out)
            break
        except Killed:
            pass
        again = world.read(stream, out.resumed())
        assert (again.status, ids(again)) == ("complete", whole)
        assert again.vendor_total == total
    assert whole


def busy(world: World) -> None:
    """Two campaigns, with all that can happen to them."""
    world.join(ANA, BO, CY)
    world.twin.send(Mailing("c1", "May", "news", DAY), [ANA, BO, CY])
    world.twin.send(Mailing("c2", "Fair", "events", DAY + timedelta(days=1)), [ANA, BO])
    world.twin.click(BO, "c1", DAY + timedelta(hours=2))
    world.twin.opt_out(ANA, None, act(Source.EMAIL_LINK, campaign_id="c1", reason="Too many"))
    world.twin.opt_out(BO, None, act(Source.SUPPORT_REQUEST, 30))
    world.twin.bounce(CY, "c1", DAY)


def ids(out: MemoryOutput) -> set[str]:
    return {getattr(row, "event_id", None) or getattr(row, "campaign_id", "") for row in out.rows}


@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.LIMITED, FaultKind.SERVER_ERROR, FaultKind.UNAVAILABLE, FaultKind.RESET,
        FaultKind.TRUNCATED, FaultKind.HTML, FaultKind.ERROR_IN_200, FaultKind.EMPTY,
        FaultKind.MISSING_PAGE, FaultKind.DUPLICATE_PAGE, FaultKind.REPEATED_PAGE,
        FaultKind.WRONG_TOTAL,
    ],
)  # fmt: skip
@pytest.mark.parametrize("nth", [1, 3])
def test_a_passing_fault_changes_nothing_of_what_is_read(
    world: World, kind: FaultKind, nth: int
) -> None:
    """Whatever goes wrong once must be noticed and asked again."""
    world.people(30)
    world.sandbox.faults.plant(Fault(kind, "mailchimp", endpoint="/members", nth=nth))
    out = world.read("members", connector=small(world.connector()))
    assert out.status == "complete"
    assert told(out) == truth(world)


@pytest.mark.parametrize("nth", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "kind", [FaultKind.MISSING_PAGE, FaultKind.WRONG_TOTAL, FaultKind.REPEATED_PAGE]
)
def test_a_report_is_read_again_until_it_is_whole(world: World, kind: FaultKind, nth: int) -> None:
    """Evidence of sends that lost a page would miss a breach."""
    addresses = world.people(30)
    world.twin.send(Mailing("c1", "May", "news", DAY), addresses)
    world.sandbox.faults.plant(Fault(kind, "mailchimp", endpoint="/sent-to", nth=nth))
    out = world.read("sent_to", connector=small(world.connector()))
    assert (out.status, out.vendor_total) == ("complete", 30)
    assert {e.address for e in out.of(MailEvent)} == set(addresses)


@pytest.mark.parametrize(
    "kind", [FaultKind.MISSING_PAGE, FaultKind.WRONG_TOTAL, FaultKind.REPEATED_PAGE]
)
def test_a_lasting_fault_never_looks_complete(world: World, kind: FaultKind) -> None:
    """An empty page that stays empty is not the end of the list."""
    world.people(30)
    fault = Fault(kind, "mailchimp", endpoint="/members", nth=2, times=None)
    world.sandbox.faults.plant(fault)
    out = MemoryOutput()
    try:
        world.read("members", out, connector=small(world.connector()))
    except UnexpectedAnswer:
        return
    assert out.status == "incomplete"


@pytest.mark.parametrize("kind", [FaultKind.FIELD_ABSENT, FaultKind.FIELD_NULL])
@pytest.mark.parametrize("field", ["status", "interests"])
def test_a_consent_field_that_is_missing_ends_the_read(
    world: World, kind: FaultKind, field: str
) -> None:
    """A vendor that stops telling the status must not empty our list of opt-outs."""
    world.people(3)
    endpoint = "/members"
    world.sandbox.faults.plant(Fault(kind, "mailchimp", endpoint=endpoint, field=field, times=None))
    with pytest.raises(UnexpectedAnswer, match=field):
        world.read("members")


def test_an_unknown_word_is_found_and_the_night_stays_complete(world: World) -> None:
    """One strange member makes its cells not comparable, not all the others."""
    world.people(3)
    fault = Fault(FaultKind.UNKNOWN_ENUM, "mailchimp", endpoint="/members", times=None)
    world.sandbox.faults.plant(fault)
    out = world.read("members")
    assert out.status == "complete"
    assert {f.code for f in out.of(Finding)} == {"unknown_value"}


def test_a_bare_403_is_throttling_and_one_with_a_reason_is_a_missing_permission(
    world: World,
) -> None:
    """The vendor says "too many" in two ways, one of which looks like a wrong key."""
    options = Mailchimp.http_options(world.connector().config, "k")
    assert options.is_limited is not None
    assert options.is_limited(Answer(403, {}, None))
    assert not options.is_limited(Answer(403, {}, {"title": "Forbidden", "status": 403}))
    fault = Fault(FaultKind.UNAUTHORIZED, "mailchimp", endpoint="/lists", times=None, status=403)
    world.sandbox.faults.plant(fault)
    with pytest.raises(PermissionMissing):
        world.read("members")


def test_a_key_revoked_during_the_read_is_an_error(world: World) -> None:
    """401 on the second page must not end the list there."""
    world.people(30)
    fault = Fault(FaultKind.UNAUTHORIZED, "mailchimp", endpoint="/members", nth=2, times=None)
    world.sandbox.faults.plant(fault)
    with pytest.raises(AuthenticationFailed):
        world.read("members", connector=small(world.connector()))


def test_no_address_hash_or_key_is_in_any_error_or_log_line(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Errors are shown to people and kept."""
    busy(world)
    caplog.set_level(logging.DEBUG)
    texts = []
    for kind, endpoint in (
        (FaultKind.FIELD_ABSENT, "/members"), (FaultKind.SERVER_ERROR, "/activity-feed"),
        (FaultKind.UNAUTHORIZED, "/unsubscribed"), (FaultKind.HTML, "/content"),
    ):  # fmt: skip
        world.sandbox.faults.clear()
        world.sandbox.faults.plant(Fault(kind, "mailchimp", endpoint=endpoint, times=None))
        for stream in ("members", "unsubscribes", "activity", "campaigns"):
            try:
                world.read(stream)
            except Exception as error:
                texts.append(f"{error} {error.__cause__} {error.__context__}")
    assert len(texts) >= 4
    told_ = " ".join([*texts, caplog.text]).casefold()
    for address in (ANA, BO, CY):
        assert address.casefold() not in told_
        assert subscriber_hash(address) not in told_
    assert "key-us1" not in told_


# --- events ---------------------------------------------------------------------------------------
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


# --- campaigns ------------------------------------------------------------------------------------
def test_campaigns_tell_who_wrote_and_what_was_missing(world: World) -> None:
    """The duty to identify and to offer an opt-out is checked on what was really sent."""
    world.join(ANA, BO)
    world.twin.send(Mailing("good", "May", "news", DAY), [ANA, BO])
    bare = Mailing("bare", "Bare", "offers", DAY, has_unsubscribe=False, has_postal_address=False)
    world.twin.send(bare, [ANA])
    world.twin.opt_out(ANA, None, act(Source.EMAIL_LINK, campaign_id="good"))
    world.twin.bounce(BO, "good", DAY)
    found = {c.campaign_id: c for c in world.read("campaigns").of(Campaign)}
    good, poor = found["good"], found["bare"]
    assert (good.has_unsubscribe, good.has_postal_address) == (True, True)
    assert (poor.has_unsubscribe, poor.has_postal_address) == (False, False)
    assert (good.sent_count, good.delivered_count, good.opt_out_count) == (2, 1, 1)
    assert (good.from_address, good.categories, poor.categories) == (
        "help@shop.example.org", NEWS, OFFERS,
    )  # fmt: skip


CONTACT = {"address1": "1 Sandbox Street", "city": "Springfield", "zip": "01101"}


@pytest.mark.parametrize(
    ("html", "unsubscribe", "address"),
    [
        ('<a href="*|UNSUB|*">off</a> *|LIST:ADDRESS|*', True, True),
        ("*|unsub|* *|HTML:LIST_ADDRESS_HTML|*", True, True),
        ("https://x.us1.list-manage.com/unsubscribe?u=1", True, False),
        ("1 Sandbox&nbsp;Street,<br> SPRINGFIELD", False, True),
        ("1 Sandbox Street", False, False),
        ("<!-- *|UNSUB|* *|LIST:ADDRESS|* -->", False, False),
        ("<!-- open *|UNSUB|*", False, False),
    ],
)
def test_the_content_is_searched_for_merge_tags_and_for_what_they_become(
    html: str, unsubscribe: bool, address: bool
) -> None:
    """A tag in a comment offers nothing to anybody."""
    found = bodies({"html": html})
    assert has_unsubscribe(found, {}) is unsubscribe
    assert has_postal_address(found, {}, CONTACT) is address


def test_every_variant_must_offer_the_opt_out_and_no_content_is_unknown() -> None:
    """A test mail without the link is mail without the link."""
    variants = [{"html": "*|UNSUB|*"}, {"html": "nothing"}]
    assert has_unsubscribe(bodies({"variate_contents": variants}), {}) is False
    assert has_unsubscribe([], {}) is None
    assert has_postal_address([], {}, CONTACT) is None
    assert has_unsubscribe([], {"auto_footer": True}) is True
    assert has_postal_address(["*|LIST:ADDRESS|*"], {}, {"address1": ""}) is False
    assert has_postal_address(["x"], {"auto_footer": True}, {}) is False


@pytest.mark.parametrize(
    ("conditions", "audience", "expected"),
    [
        ([{"op": "interestcontains", "value": ["i1", "i2"]}], MAPPED, NEWS | OFFERS),
        ([{"op": "interestnotcontains", "value": ["i1"]}], MAPPED, EVENTS),
        ([], MAPPED, EVENTS),
        ([], Mapped("l2", 0, {"i1": NEWS, "i2": OFFERS}), 0),
        ([], Mapped("l2", 0, {"i1": NEWS}), NEWS),
        ([{"op": "interestcontains", "value": ["i1"]}], None, 0),
    ],
)
def test_a_campaign_belongs_to_the_interests_of_its_segment_else_to_its_audience(
    conditions: list[Any], audience: Mapped | None, expected: int
) -> None:
    """Mail to a whole audience that holds several categories is of a kind that nobody tells."""
    campaign = {"recipients": {"segment_opts": {"conditions": conditions}}}
    assert campaign_categories(campaign, audience) == expected


# --- against the vendor's own specification -------------------------------------------------------
def documented(path: str, paths: dict[str, Any]) -> dict[str, Any]:
    """The documented parameters of the operation that a path is, by name."""
    parts = path.split("/")
    for template, operations in paths.items():
        names = template.split("/")
        if len(names) == len(parts) and all(
            name == part or name.startswith("{") for name, part in zip(names, parts, strict=True)
        ):
            given = operations.get("parameters", []) + operations["get"].get("parameters", [])
            return {each["name"]: each for each in given if each["in"] == "query"}
    raise AssertionError(f"no documented path: {path}")


@pytest.mark.specs
def test_every_request_is_one_that_the_vendor_documents(world: World) -> None:
    """A parameter that the vendor ignores would look as if it filtered."""
    if not SPEC.exists():
        pytest.skip("the vendor's specification is not beside the repository")
    paths = json.loads(SPEC.read_text())["paths"]
    busy(world)
    connector = world.connector()
    assert list(connector.check()) == []
    for stream in connector.streams(connector.config):
        world.read(stream.name, connector=connector)
    state = {"through": DAY.isoformat()}
    world.read("members", since=DAY)
    world.read("activity", state=state)
    assert len(world.requests) > 50
    for path, params in world.requests:
        known = documented(path, paths)
        for name, value in params.items():
            assert name in known, (path, name)
            rule = known[name]
            words = rule.get("enum", [value])
            assert value in words or [value] in words
            assert rule["type"] != "integer" or value <= rule.get("maximum", value)


# --- check ----------------------------------------------------------------------------------------
def test_check_finds_nothing_wrong_with_a_right_configuration(world: World) -> None:
    """A check that always complains is not read."""
    assert list(world.connector().check()) == []


def test_check_names_the_key_and_the_base_url_when_they_are_wrong(world: World) -> None:
    """The two first mistakes of everybody."""
    (problem,) = world.connector(token="other").check()
    assert (problem.key, problem.fatal) == ("esp.mailchimp.token_env", True)
    base = world.sandbox.base_url("mailchimp").removesuffix("/3.0")
    (problem,) = world.connector(base=base).check()
    assert problem.key == "esp.mailchimp.base_url"
    assert "/3.0" in problem.mend


def test_check_finds_lists_and_interests_that_do_not_exist_and_audiences_left_out(
    world: World,
) -> None:
    """All at once, with what exists: the first night is too late."""
    extra = world.twin.make_audience("Partners", ["tips"])
    stranger = next(iter(extra.interests))
    mapping = {
        "news": [f"{world.shop.id}/{stranger}"],
        "offers": [f"{world.shop.id}/ffffffffff"],
        "events": ["eeeeeeeeee"],
    }
    problems = {p.message: p for p in world.connector(categories=mapping).check()}
    told_ = " | ".join(problems)
    assert f"the interest '{stranger}' belongs to the list '{extra.id}'" in told_
    assert "has no interest 'ffffffffff'" in told_
    assert "there is no list 'eeeeeeeeee'" in told_
    assert sum(not p.fatal for p in problems.values()) == 2
    assert all(world.shop.id in p.mend for p in problems.values() if "no list" in p.message)


def test_a_store_that_is_written_wrongly_is_refused_at_once() -> None:
    """A mapping with a space or a second slash would ask for something else."""
    for store in ("a/b/c", "a b", "/b", "../x"):
        with pytest.raises(ValueError, match="list id"):
            MailchimpConfig(
                name="m", vendor="mailchimp", base_url="http://127.0.0.1", token_env="T",
                categories={"news": (store,)},
            )  # fmt: skip
