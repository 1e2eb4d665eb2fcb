"""Work ahead: in order, bounded, and over when it is over."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optout.http.parallel import ordered_map


@settings(max_examples=30)
@given(st.lists(st.integers(), max_size=30), st.integers(0, 5), st.integers(1, 9))
def test_results_come_in_the_order_of_the_items(items: list[int], workers: int, ahead: int) -> None:
    """Pages out of order would give cursors that skip."""
    assert list(ordered_map(lambda n: n * 2, items, workers, ahead=ahead)) == [n * 2 for n in items]


@pytest.mark.parametrize("workers", [1, 3])
def test_items_are_drawn_only_a_bounded_way_ahead(workers: int) -> None:
    """A million pages fetched ahead of a slow writer fill the memory."""
    drawn = 0

    def items() -> Iterator[int]:
        nonlocal drawn
        while True:
            drawn += 1
            yield drawn

    results = ordered_map(lambda n: n, items(), workers, ahead=5)
    for taken in range(1, 50):
        assert next(results) == taken
        assert drawn <= taken + 5
    results.close()


def test_the_first_failure_in_order_is_raised() -> None:
    """The pages before the failed one are good and must be handed out."""
    second_failed = threading.Event()

    def work(n: int) -> int:
        if n == 2:
            second_failed.set()
            raise RuntimeError("two")
        if n == 1:
            second_failed.wait(5)
            raise RuntimeError("one")
        return n

    results = ordered_map(work, range(100), 3, ahead=6)
    assert next(results) == 0
    with pytest.raises(RuntimeError, match="one"):
        next(results)


def test_nothing_begins_after_a_failure() -> None:
    """A request that goes out after the read has failed may acknowledge what was never kept."""
    begun: list[int] = []
    all_are_queued = threading.Event()

    def items() -> Iterator[int]:
        yield from range(20)
        all_are_queued.set()

    def work(n: int) -> int:
        begun.append(n)
        all_are_queued.wait(5)
        if n == 0:
            raise RuntimeError("zero")
        threading.Event().wait(0.05)
        return n

    with pytest.raises(RuntimeError, match="zero"):
        list(ordered_map(work, items(), 2, ahead=30))
    assert len(begun) < 10
    assert not [t for t in threading.enumerate() if t.name.startswith("optout_")]


def test_threads_bear_their_works_name() -> None:
    """A stack dump of a stuck night must say who waits."""
    names = set(ordered_map(lambda _: threading.current_thread().name, range(4), 2, name="sell"))
    assert names <= {"sell_0", "sell_1"}
