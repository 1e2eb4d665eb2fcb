"""Lists are read to their end, in order, once; never in circles, never half."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optout.errors import ServerFault, UnexpectedAnswer
from optout.http import paging
from optout.http.client import Answer, HttpClient
from optout.http.pagination import Call, Cursor, NextLink, Offset, Page, PageNumber, Paginator

CALL = Call("/things", {"sort": "id"}, template="/things")


class Asked:
    """An HttpClient whose vendor is a function of path and parameters."""

    system = "esp"

    def __init__(self, vendor: Callable[[str, Mapping[str, Any]], Any]) -> None:
        self.vendor = vendor
        self.asked: list[Any] = []
        self.lock = threading.Lock()

    def get(
        self, path: str, params: Any = None, *, template: Any = None, headers: Any = None
    ) -> Any:
        with self.lock:
            self.asked.append((path, params))
        return Answer(200, {}, self.vendor(path, params or {}))

    def post(self, path: str, json: Any, params: Any = None, **_: Any) -> Any:
        self.asked.append(json)
        return Answer(200, {}, self.vendor(path, json))


def read(
    paginator: Paginator, vendor: Callable[..., Any], cursor: Any = None, call: Call = CALL
) -> tuple[list[Any], list[Page], Asked]:
    """All items, the pages, and what was asked."""
    http = Asked(vendor)
    pages = list(paginator.pages(http, call, cursor))  # type: ignore[arg-type]
    return [item for page in pages for item in page.items], pages, http


def by_offset(
    number: int, *, cap: int = 10_000, total: bool = True, start: str = "offset"
) -> Callable[..., Any]:
    """A vendor with `number` items who gives at most `cap` a page."""

    def vendor(path: str, params: Mapping[str, Any]) -> Any:
        begin = params[start]
        items = list(range(number))[begin : begin + min(cap, params["limit"])]
        return {"items": items, "total": number} if total else items

    return vendor


def by_page(number: int, size: int, *, link: bool = False) -> Callable[..., Any]:
    """A vendor with numbered pages, who may tell whether another follows."""

    def vendor(path: str, params: Mapping[str, Any]) -> Any:
        page = params["page"]
        items = list(range(number))[(page - 1) * size : page * size]
        meta = {"next": f"p{page + 1}"} if link and page * size < number else {}
        return {"items": items, "meta": meta}

    return vendor


def by_token(number: int, size: int) -> Callable[..., Any]:
    """A vendor with a token in the body, and the same as a link."""

    def vendor(path: str, params: Mapping[str, Any]) -> Any:
        begin = int(params.get("after") or path.partition("after=")[2] or 0)
        end = begin + size
        more = {"after": str(end), "link": f"https://a.example/things?after={end}"}
        return {"items": list(range(number))[begin:end], "paging": more if end < number else {}}

    return vendor


sizes = st.integers(1, 7)
WAYS = {
    "page": lambda n, s: (PageNumber(items="items", size=s), by_page(n, s)),
    "page_more": lambda n, s: (
        PageNumber(items="items", size=s, more="meta.next", workers=3),
        by_page(n, s, link=True),
    ),
    "page_ahead": lambda n, s: (PageNumber(items="items", size=s, workers=3), by_page(n, s)),
    "offset": lambda n, s: (Offset(items="", size=s), by_offset(n, total=False)),
    "offset_ahead": lambda n, s: (Offset(items="", size=s, workers=3), by_offset(n, total=False)),
    "offset_total": lambda n, s: (
        Offset(items="items", size=s, total="total", workers=3),
        by_offset(n),
    ),
    "offset_capped": lambda n, s: (
        Offset(items="items", size=s + 3, total="total", workers=3),
        by_offset(n, cap=s),
    ),
    "offset_capped_untold": lambda n, s: (
        Offset(items="", size=s + 3, workers=3),
        by_offset(n, cap=s, total=False),
    ),
    "cursor": lambda n, s: (
        Cursor(items="items", token="paging.after", param="after"),
        by_token(n, s),
    ),
    "link": lambda n, s: (NextLink(items="items", link="paging.link"), by_token(n, s)),
}


@pytest.mark.parametrize("way", WAYS)
@given(number=st.integers(0, 40), size=sizes)
def test_every_item_comes_once_and_in_order(way: str, number: int, size: int) -> None:
    """One page missed or read twice is people missed or counted twice."""
    paginator, vendor = WAYS[way](number, size)
    items, pages, _ = read(paginator, vendor)
    assert items == list(range(number))
    assert pages[-1].read == number
    assert [page.cursor["done"] for page in pages] == [False] * (len(pages) - 1) + [True]


@pytest.mark.parametrize("way", WAYS)
@given(number=st.integers(1, 30), size=sizes, stop=st.integers(1, 40))
def test_a_read_goes_on_where_it_was_interrupted(
    way: str, number: int, size: int, stop: int
) -> None:
    """The cursor travels through JSON; behind the last page nothing is read again."""
    paginator, vendor = WAYS[way](number, size)
    walk = paginator.pages(Asked(vendor), CALL)  # type: ignore[arg-type]
    first = [page for page, _ in zip(walk, range(stop), strict=False)]
    cursor = orjson.loads(orjson.dumps(first[-1].cursor))
    rest, pages, _ = read(paginator, vendor, cursor)
    assert [item for page in first for item in page.items] + rest == list(range(number))
    assert (pages or first)[-1].read == number


@pytest.mark.parametrize(
    ("paginator", "vendor"),
    [
        (PageNumber(items="", size=2), lambda p, q: [1, 2]),
        (Offset(items="", size=2, workers=3), lambda p, q: [1, 2]),
        (NextLink(items="i", link="n"), lambda p, q: {"i": [1], "n": "https://a.example/x"}),
        (Cursor(items="i", token="n", param="c"), lambda p, q: {"i": [1], "n": "same"}),
    ],
)
def test_a_repeated_page_ends_the_read_with_an_error(paginator: Paginator, vendor: Any) -> None:
    """A vendor that ignores the page parameter would be read until the disk is full."""
    with pytest.raises(UnexpectedAnswer, match="esp GET /things: the vendor repeats a page"):
        read(paginator, vendor)


def test_a_circle_of_pages_is_noticed() -> None:
    """a → b → c → a repeats no neighbour."""
    circle = {None: "b", "b": "c", "c": "b"}
    vendor = lambda p, q: {"i": [q.get("c")], "n": circle[q.get("c")]}  # noqa: E731
    with pytest.raises(UnexpectedAnswer, match="repeats"):
        read(Cursor(items="i", token="n", param="c"), vendor)


def test_pages_without_end_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """New tokens and nothing behind them, for ever; or more pages than anyone has."""
    tokens = count()
    monkeypatch.setattr(paging, "MOST_EMPTY", 5)
    endless = Cursor(items="i", token="n", param="c")
    with pytest.raises(UnexpectedAnswer, match="empty pages without end"):
        read(endless, lambda p, q: {"i": [], "n": str(next(tokens))})
    bounded = Cursor(items="i", token="n", param="c", max_pages=3)
    with pytest.raises(UnexpectedAnswer, match="more than 3 pages"):
        read(bounded, lambda p, q: {"i": [1], "n": str(next(tokens))})


def test_as_many_pages_as_the_bound_are_no_fault() -> None:
    """The last page is not one too many."""
    items, _, _ = read(
        Cursor(items="items", token="paging.after", param="after", max_pages=3), by_token(9, 3)
    )
    assert len(items) == 9


@pytest.mark.parametrize("answer", [{"data": [1]}, {"items": {"a": 1}}, {"items": None}, [1], None])
def test_an_answer_without_its_list_is_not_an_empty_list(answer: Any) -> None:
    """Another shape is another API version: stop, do not guess."""
    for paginator in (
        PageNumber(items="items", size=2),
        Cursor(items="items", token="n", param="c"),
        NextLink(items="items"),
    ):
        with pytest.raises(UnexpectedAnswer, match="no list"):
            read(paginator, lambda p, q: answer)


@pytest.mark.parametrize("total", [None, "12", True, -1])
def test_a_missing_total_is_said(total: Any) -> None:
    """The proof of completeness rests on it."""
    with pytest.raises(UnexpectedAnswer, match="total"):
        read(Offset(items="i", size=2, total="t"), lambda p, q: {"i": [1], "t": total})


@pytest.mark.parametrize("token", [True, {"a": 1}, 1.5])
def test_a_token_of_another_kind_is_said(token: Any) -> None:
    """It would be sent as its Python text."""
    with pytest.raises(UnexpectedAnswer, match="token"):
        read(Cursor(items="i", token="n", param="c"), lambda p, q: {"i": [1], "n": token})


def test_more_without_a_token_is_said() -> None:
    """The end of the tokens is not the end of the list."""
    paginator = Cursor(items="i", token="n", param="c", more="more")
    with pytest.raises(UnexpectedAnswer, match="no token"):
        read(paginator, lambda p, q: {"i": [1], "more": True})


def test_a_feed_ends_at_its_top_not_at_an_empty_page() -> None:
    """The Firehose gives empty pages before the top, and repeats its position while it waits."""
    script = iter(
        [
            {"i": [1], "position": "a", "top": False},
            {"i": [], "position": "a", "top": False},
            {"i": [], "position": "b", "top": False},
            {"i": [2], "position": "c", "top": True},
        ]
    )
    feed = Cursor(
        items="i", token="position", param="position", more=lambda d: not d["top"], waits=True
    )
    items, pages, http = read(
        feed, lambda p, q: next(script), call=Call("/s", {"position": "tail"})
    )
    assert items == [1, 2]
    assert [params["position"] for _, params in http.asked] == ["tail", "a", "a", "b"]
    assert pages[-1].cursor["next"] == "c"


def test_a_feed_that_repeats_items_is_in_a_circle() -> None:
    """Only an empty page may wait at its position."""
    feed = Cursor(items="i", token="position", param="position", waits=True)
    with pytest.raises(UnexpectedAnswer, match="repeats"):
        read(feed, lambda p, q: {"i": [1], "position": "a"})


def test_a_search_by_post_carries_its_token_in_the_body() -> None:
    """HubSpot and Sell search that way."""
    call = Call("/search", template="/search", body={"limit": 3})
    paginator = Cursor(items="items", token="paging.after", param="after")
    items, _, http = read(paginator, by_token(7, 3), call=call)
    assert items == list(range(7))
    assert http.asked[1] == {"limit": 3, "after": "3"}


def test_a_link_is_followed_as_it_is() -> None:
    """It holds the parameters already; given twice, some vendors refuse them."""
    _, _, http = read(NextLink(items="items", link="paging.link"), by_token(4, 3))
    assert http.asked == [
        ("/things", {"sort": "id"}),
        ("https://a.example/things?after=3", None),
    ]


def test_a_total_that_changes_is_told() -> None:
    """Items may have slipped between pages: the connector must not call the list complete."""
    totals = iter([6, 7, 7, 7, 7])

    def vendor(path: str, params: Mapping[str, Any]) -> Any:
        total = next(totals)
        return {"i": list(range(total))[params["offset"] :][:2], "t": total}

    items, pages, _ = read(Offset(items="i", size=2, total="t"), vendor)
    assert items == list(range(7))
    assert [page.moved for page in pages] == [False, True, True, True]
    assert (pages[-1].total, pages[-1].read) == (7, 7)


def test_pages_ahead_are_bounded_and_their_failure_comes_in_its_place() -> None:
    """A failed page must not hide the good ones before it, nor be hidden by the end."""

    def vendor(path: str, params: Mapping[str, Any]) -> Any:
        if params["offset"] == 20:
            raise ServerFault("down", system="esp")
        return by_offset(1000)(path, params)

    http = Asked(vendor)
    got: list[Any] = []
    with pytest.raises(ServerFault):
        for page in Offset(items="items", size=2, total="total", workers=4).pages(http, CALL):  # type: ignore[arg-type]
            got += page.items
    assert got == list(range(20))
    assert len(http.asked) <= 11 + 4
    assert not [t for t in threading.enumerate() if t.name.startswith("esp-pages")]


def test_a_short_page_among_full_ones_hides_nothing() -> None:
    """What was fetched ahead began where the short page should have ended: it is dropped."""

    def vendor(path: str, params: Mapping[str, Any]) -> Any:
        begin, size = params["offset"], params["limit"]
        return list(range(30))[begin : begin + (1 if begin == 9 else size)]

    items, _, _ = read(Offset(items="", size=3, workers=3), vendor)
    assert items == list(range(30))


def test_a_vendors_own_cap_does_not_end_the_fetching_ahead() -> None:
    """Asked for 500 and given 100, a read one by one takes the night."""
    running: list[int] = []
    together = threading.Event()

    def vendor(path: str, params: Mapping[str, Any]) -> Any:
        running.append(1)
        if len(running) > 1:
            together.set()
        if params["offset"] >= 4:
            together.wait(5)
        running.pop()
        return by_offset(20, cap=2)(path, params)

    items, _, http = read(Offset(items="items", size=5, total="total", workers=2), vendor)
    assert items == list(range(20))
    assert together.is_set()
    assert len(http.asked) == 10


def test_stopping_early_leaves_no_thread_behind() -> None:
    """A connector that has seen enough must not go on asking."""
    http = Asked(by_offset(1000))
    walk = Offset(items="items", size=2, total="total", workers=4).pages(http, CALL)  # type: ignore[arg-type]
    next(walk)
    next(walk)
    walk.close()  # type: ignore[attr-defined]
    asked = len(http.asked)
    assert not [t for t in threading.enumerate() if t.name.startswith("esp-pages")]
    assert asked <= 6


@pytest.mark.parametrize("cursor", [{"offset": 3}, "x", 7, [1]])
def test_a_cursor_of_somebody_else_is_refused(cursor: Any) -> None:
    """Read from anywhere else, the list would have a hole."""
    with pytest.raises(UnexpectedAnswer, match="cursor"):
        read(Offset(items="", size=2), by_offset(3, total=False), cursor)


def test_pages_over_real_http(vendor: Any, connect: Callable[..., HttpClient]) -> None:
    """A next link is absolute and has the base URL's prefix in it."""

    def answer(seen: Any) -> Any:
        page = int(seen.path.rpartition("=")[2]) if "=" in seen.path else 1
        link = f"{vendor.url}/esp/api/x?page={page + 1}" if page < 3 else None
        return vendor.reply(200, {"data": [page], "links": {"next": link}})

    vendor.answer = answer
    pages = NextLink(items="data").pages(connect(path="/esp"), Call("/api/x"))
    assert [page.items for page in pages] == [[1], [2], [3]]
