"""Suppression lists whose entries move while they are read: nobody may be skipped."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optout.errors import SourceError, UnexpectedAnswer
from optout.http.client import Answer
from optout.model import Categories
from optout.records import Reading
from optout.testing.outputs import Killed, MemoryOutput
from optout.vendors.sendgrid import lists as sendgrid_lists
from optout.vendors.sendgrid.lists import read_list
from optout.vendors.sendgrid.rows import Account, Book
from optout.vendors.sendgrid.steps import Result, finish, run

NOW = datetime(2026, 10, 1, tzinfo=UTC)
BOOK = Book.of(Categories(("news",)), {}, str.upper)
PAGE = 5


@pytest.fixture(autouse=True, scope="module")
def small_pages() -> Any:
    """Pages of five, so that short lists have many borders."""
    patch = pytest.MonkeyPatch()
    patch.setattr(sendgrid_lists, "PAGE", PAGE)
    yield
    patch.undo()


class Vendor:
    """A list that is served by offset; before each page something may happen to it."""

    system = "sendgrid"

    def __init__(self, size: int, happens: Callable[[Vendor], None] = lambda vendor: None) -> None:
        self.rows = [{"email": f"u{n}@example.org", "created": 10_000 - n} for n in range(size)]
        self.gone: set[str] = set()
        self.asked = 0
        self.happens = happens
        self.serve: Callable[[int], list[dict[str, Any]]] = self.page

    def remove(self, place: int) -> None:
        if self.rows:
            row = self.rows.pop(place % len(self.rows))
            self.gone.add(str(row["email"]))

    def page(self, offset: int) -> list[dict[str, Any]]:
        return self.rows[offset : offset + PAGE]

    def get(self, path: str, params: Any, **kwargs: Any) -> Answer:
        assert params["end_time"] == int(NOW.timestamp())  # the window is closed
        self.asked += 1
        self.happens(self)
        return Answer(200, {}, self.serve(params["offset"]))


def read(vendor: Any, out: MemoryOutput) -> Result:
    result = run(
        ["main"],
        [lambda sink: read_list(vendor, "unsubscribes", BOOK, Account(), NOW, sink)],
        out,
    )
    finish(result, out)
    return result


def addresses(out: MemoryOutput) -> list[str]:
    return [row.address or "" for row in out.of(Reading)]


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 40),
    st.lists(st.lists(st.integers(0, 100), max_size=4), max_size=25),
)
def test_who_stays_on_the_list_is_read_whatever_is_removed_meanwhile(
    size: int, removals: list[list[int]]
) -> None:
    """By plain offsets every removal hides one entry at the next border: an opt-out is lost."""

    def happens(vendor: Vendor) -> None:
        for place in removals[vendor.asked - 1] if vendor.asked <= len(removals) else ():
            vendor.remove(place)

    vendor = Vendor(size, happens)
    out = MemoryOutput()
    read(vendor, out)
    assert out.status == "complete"
    found = addresses(out)
    assert {str(row["email"]) for row in vendor.rows} <= set(found)
    assert len(found) == len(set(found))


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 40),
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 100)), max_size=6),
    st.integers(1, 12),
)
def test_a_read_that_is_killed_and_resumed_skips_nobody(
    size: int, removals: list[tuple[int, int]], kill_at: int
) -> None:
    """After a crash only the border entry is known; the proof must hold with that alone."""

    def happens(vendor: Vendor) -> None:
        for when, place in removals:
            if when == vendor.asked:
                vendor.remove(place)

    vendor = Vendor(size, happens)
    out = MemoryOutput(kill_at=kill_at)
    try:
        read(vendor, out)
    except Killed:
        out = out.resumed()
        read(vendor, out)
    found = addresses(out)
    assert out.status == "complete"
    assert {str(row["email"]) for row in vendor.rows} <= set(found)
    assert len(found) == len(set(found))


@pytest.mark.parametrize("size", [0, 1, 4, 5, 6, 9, 10, 11, 25])
def test_every_length_is_read_to_its_end(size: int) -> None:
    """Lengths around a multiple of the page are where ends are missed."""
    vendor, out = Vendor(size), MemoryOutput()
    assert read(vendor, out).read == size
    assert out.status == "complete"
    assert len(addresses(out)) == size


@pytest.mark.parametrize("size", [6, 40])
def test_an_ignored_offset_is_an_error_and_no_endless_reading(size: int) -> None:
    """The first page over and over would look like a list of five."""
    vendor, out = Vendor(size), MemoryOutput()
    vendor.serve = lambda offset: vendor.rows[:PAGE]
    with pytest.raises(UnexpectedAnswer, match="offset is not heeded"):
        read(vendor, out)
    assert out.status is None


def test_an_order_that_changes_once_is_noticed_by_the_count() -> None:
    """An entry that moved in front of what was read is at no border: only its lack shows."""

    def happens(vendor: Vendor) -> None:
        if vendor.asked == 2:
            rows = vendor.rows
            rows[0], rows[7] = rows[7], rows[0]

    vendor, out = Vendor(12, happens), MemoryOutput()
    read(vendor, out)
    assert "restart" in out.calls
    assert out.status == "complete"
    assert len(addresses(out)) == 12


def test_an_order_that_changes_with_every_page_is_incomplete() -> None:
    """Without a stable order an offset proves nothing, and that must be said."""
    vendor, out = Vendor(40), MemoryOutput()

    def shuffled(offset: int) -> list[dict[str, Any]]:
        turn = (vendor.asked * 7) % 40
        rows = vendor.rows[turn:] + vendor.rows[:turn]
        return rows[offset : offset + PAGE]

    vendor.serve = shuffled
    try:
        read(vendor, out)
    except SourceError:
        return
    everybody = {str(row["email"]) for row in vendor.rows}
    assert out.status == "incomplete" or set(addresses(out)) == everybody


@pytest.mark.parametrize("answer", [{"result": []}, [{"created": 1}], ["a@example.org"], None])
def test_what_is_no_list_of_entries_is_an_error(answer: Any) -> None:
    """Anything else that is taken for an empty list makes everybody mailable."""
    vendor, out = Vendor(3), MemoryOutput()
    vendor.serve = lambda offset: answer
    with pytest.raises(UnexpectedAnswer):
        read(vendor, out)
