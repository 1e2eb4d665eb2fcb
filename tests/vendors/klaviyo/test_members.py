"""Members of Klaviyo's lists: whom a category would be mailed to."""

from __future__ import annotations

from optout.model import Source, State
from optout.records import Change, Reading
from optout.sandbox.acts import Person
from optout.sandbox.faults import Fault, FaultKind
from optout.sandbox.klaviyo.twin import KlaviyoTwin
from optout.sandbox.server import Sandbox
from optout.testing.klaviyo import (
    ALL,
    AT,
    CATEGORIES,
    PRODUCT,
    PROMOTIONAL,
    Connect,
    act,
    address,
    list_of,
    people,
    read,
    request,
)


def test_members_would_be_mailed_for_their_lists_category(
    connect: Connect, twin: KlaviyoTwin
) -> None:
    """Being on a list is no consent, but it is what gets mail."""
    people(twin, 3, promotional=State.OPTED_IN, product_updates=State.NOT_SET)
    twin.add(Person(4, address(4), "Pat", "Doe"), {"product_updates": State.OPTED_IN}, AT)
    out = read(connect(), "list_members")
    rows = {(row.address, row.sends, row.ins) for row in out.of(Reading)}
    assert rows == {(address(n), PROMOTIONAL, PROMOTIONAL) for n in (1, 2, 3)} | {
        (address(4), PRODUCT, PRODUCT)
    }
    assert {(row.in_at, row.in_explicit) for row in out.of(Reading)} == {(AT, False)}
    assert out.status == "complete"


def test_a_list_that_two_categories_share_counts_for_both(
    connect: Connect, twin: KlaviyoTwin
) -> None:
    """A company may send two kinds of mail to one list."""
    people(twin, 1)
    list_id = list_of(twin, "promotional")
    both = {"promotional": [list_id], "product_updates": [list_id]}
    connector = connect(categories=both)
    (row,) = read(connector, "list_members").of(Reading)
    assert row.sends == ALL
    twin.opt_out(address(1), "promotional", act(Source.EMAIL_LINK))
    changes = read(connector, "profiles").of(Change)
    assert [change.category for change in changes] == list(CATEGORIES)
    assert len({change.event_id for change in changes}) == 2


def test_a_mapped_list_that_is_gone_makes_the_night_incomplete(
    connect: Connect, twin: KlaviyoTwin
) -> None:
    """Taken for an empty list, it would close every opt-in of the category."""
    people(twin, 2)
    connector = connect(categories={**twin.category_map(), "product_updates": ["Gone01"]})
    out = read(connector, "list_members")
    assert out.status == "incomplete"
    assert out.why is not None and "Gone01" in out.why
    assert len(out.of(Reading)) == 2, "the other lists are read nevertheless"


def test_a_list_that_shrank_is_held_against_the_vendors_count(
    connect: Connect, twin: KlaviyoTwin, sandbox: Sandbox
) -> None:
    """People may leave a list; a page that the vendor lost must not look like that."""
    people(twin, 150)
    first = read(connect(), "list_members")
    sandbox.forget()
    assert read(connect(), "list_members", request(state=first.state)).status == "complete"
    assert "/api/lists/{id}" not in {entry.template for entry in sandbox.log}
    members = twin.lists[list_of(twin, "promotional")]
    for profile_id in list(members.members)[:100]:
        members.leave(profile_id)
    assert read(connect(), "list_members", request(state=first.state)).status == "complete"
    assert "/api/lists/{id}" in {entry.template for entry in sandbox.log}
    sandbox.faults.plant(Fault(FaultKind.WRONG_TOTAL, "klaviyo", "/api/lists/{id}", times=None))
    assert read(connect(), "list_members", request(state=first.state)).status == "incomplete"
