"""Sell's records walked page by page while they move."""

from __future__ import annotations

from typing import Any

import pytest

from optout.errors import (
    AuthenticationFailed,
    BrokenAnswer,
    SourceError,
    Transient,
    UnexpectedAnswer,
)
from optout.records import Reading
from optout.sandbox.faults import Fault, FaultKind
from optout.testing.outputs import Killed, MemoryOutput
from optout.testing.zendesk_sell import CUTOFF, Hub, by_id, fill
from optout.vendors.zendesk_sell.walk import window


def test_the_walk_reads_every_page_and_ends(hub: Hub) -> None:
    """The default page has 25 records and no total is told."""
    ids = fill(hub, 345)
    out = hub.read("contacts")
    assert [int(r.record_id) for r in out.of(Reading)] == ids
    assert (out.status, out.is_full, out.read_total) == ("complete", True, 346)


def test_windows_always_overlap_and_seldom_waste() -> None:
    """The proof of the walk: a window begins before the end of the one before it."""
    read, asked = 0, 0
    while read < 20_000:
        page, size = window(read)
        assert 1 <= size <= 100
        start, end = (page - 1) * size, page * size
        assert start < read or read == 0
        assert end > read
        read, asked = end, asked + 1
    assert asked < 20_000 / 100 * 1.2


@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_deletion_during_the_walk_hides_nobody(hub: Hub, page: int) -> None:
    """Records move forward over the border of two pages when an earlier one goes."""
    ids = fill(hub, 345)
    connector = hub.connector()
    asked = connector.api.http.get
    calls = 0

    def get(path: str, *args: Any, **more: Any) -> Any:
        nonlocal calls
        answer = asked(path, *args, **more)
        calls += path == "/v2/contacts"
        if path == "/v2/contacts" and calls == page:
            for i in range(5):
                hub.twin.delete(f"p{i}@example.org", CUTOFF)
        return answer

    connector.api.http.get = get  # type: ignore[method-assign]
    out = hub.read("contacts", connector=connector)
    assert out.status == "complete"
    assert {int(r.record_id) for r in out.of(Reading)} >= set(ids[5:])
    assert len(out.of(Reading)) == len(set(by_id(out)))


def test_most_records_deleted_during_the_walk_still_ends(hub: Hub) -> None:
    """The walk steps back to its own track, however far that is."""
    ids = fill(hub, 450)
    with pytest.raises(Killed):
        hub.read("contacts", out=(out := MemoryOutput(kill_at=5)))
    for i in range(380):
        hub.twin.delete(f"p{i}@example.org", CUTOFF)
    again = hub.read("contacts", out=out.resumed())
    assert again.status == "complete"
    assert {int(r.record_id) for r in again.of(Reading)} >= set(ids[380:])


@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("durable_pages", [1, 2])
def test_a_walk_killed_at_any_page_gives_the_same_rows(
    hub: Hub, is_after: bool, durable_pages: int
) -> None:
    """A crash must neither lose nor double a record."""
    fill(hub, 345)
    whole = hub.read("contacts")
    for k in range(1, len(whole.calls) + 1):
        out = MemoryOutput(kill_at=k, kill_after=is_after, durable_pages=durable_pages)
        with pytest.raises(Killed):
            hub.read("contacts", out=out)
        again = hub.read("contacts", out=out.resumed())
        assert again.rows == whole.rows, k
        assert (again.status, again.read_total) == ("complete", whole.read_total)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.REPEATED_PAGE, BrokenAnswer),
        (FaultKind.MISSING_PAGE, BrokenAnswer),
        (FaultKind.DUPLICATE_PAGE, BrokenAnswer),
        (FaultKind.UNAUTHORIZED, AuthenticationFailed),
        (FaultKind.TRUNCATED, BrokenAnswer),
        (FaultKind.ERROR_IN_200, BrokenAnswer),
        (FaultKind.EMPTY, BrokenAnswer),
    ],
)
def test_a_wrong_page_never_ends_as_a_complete_walk(
    hub: Hub, kind: FaultKind, error: type[SourceError]
) -> None:
    """A repeated, emptied or doubled page must not look like the end, or like success."""
    fill(hub, 345)
    hub.sandbox.faults.plant(Fault(kind, "zendesk_sell", "/contacts", nth=2, times=None))
    out = MemoryOutput()
    with pytest.raises(error) as caught:
        hub.read("contacts", out=out)
    assert out.status is None
    assert "example.org" not in str(caught.value)


@pytest.mark.parametrize(
    "kind",
    [FaultKind.REPEATED_PAGE, FaultKind.MISSING_PAGE, FaultKind.SERVER_ERROR, FaultKind.RESET,
     FaultKind.LIMITED, FaultKind.HTML, FaultKind.REPEATED_CURSOR, FaultKind.DUPLICATE_PAGE],
)  # fmt: skip
def test_a_passing_fault_is_survived_by_reading_on(hub: Hub, kind: FaultKind) -> None:
    """One bad answer may cost a request, never a record."""
    ids = fill(hub, 345)
    hub.sandbox.faults.plant(Fault(kind, "zendesk_sell", "/contacts", nth=3))
    out = MemoryOutput()
    for _ in range(3):
        try:
            hub.read("contacts", out=out)
            break
        except SourceError as error:
            assert isinstance(error, Transient)
            out = out.resumed()
    assert out.status == "complete"
    assert [int(r.record_id) for r in out.of(Reading)] == ids


@pytest.mark.parametrize(("stream", "endpoint"), [("contacts", "/contacts"), ("sync", "/queues")])
def test_rows_lost_from_the_only_page_are_missed(hub: Hub, stream: str, endpoint: str) -> None:
    """An emptied page without a next one looks like an empty account, but for its count."""
    fill(hub, 5)
    hub.sandbox.faults.plant(Fault(FaultKind.MISSING_PAGE, "zendesk_sell", endpoint))
    out = MemoryOutput()
    with pytest.raises(BrokenAnswer, match="0 items where the page says"):
        hub.read(stream, out=out)
    again = hub.read(stream, out=out.resumed())
    assert (again.status, len(by_id(again))) == ("complete", 5 + (stream == "sync"))


def test_a_server_that_ignores_the_order_is_refused(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the order by id no walk by page number can be proven."""
    fill(hub, 30)
    connector = hub.connector()
    asked = connector.api.http.get

    def get(path: str, params: Any = None, **more: Any) -> Any:
        params = {**params, "sort_by": "id:desc"} if params else params
        return asked(path, params, **more)

    monkeypatch.setattr(connector.api.http, "get", get)
    with pytest.raises(UnexpectedAnswer, match="order"):
        hub.read("contacts", connector=connector)
