"""Mailchimp's members who move while they are read: nobody is lost, nobody changes silently."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optout.errors import UnexpectedAnswer
from optout.model import Source
from optout.sandbox.acts import Act, Person
from optout.sandbox.mailchimp.state import Audience, subscriber_hash
from optout.testing.mailchimp import (
    ALL_IN,
    ANA,
    BO,
    NEWS,
    NIGHT,
    OFFERS,
    World,
    act,
    by_address,
    small,
    told,
    truth,
)


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
