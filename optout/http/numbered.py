"""Pages that are asked for by position, so that several can be fetched at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from optout.http.client import Answer, HttpClient
from optout.http.paging import Call, Page, Paginator, Progress, Selector, pick
from optout.http.parallel import ordered_map


@dataclass(frozen=True, kw_only=True)
class _Numbered(Paginator):
    """Ends where the vendor says so (`more` false, `total` reached), else at an empty page: a
    page shorter than asked for may be the vendor's cap, and what follows it must not be missed.
    """

    size: int
    """Items per page to ask for."""
    more: Selector | None = None
    """True where another page follows."""
    total: Selector | None = None
    """The number of items in the whole list; it may change while the list is read."""
    workers: int = 1
    """Threads; up to as many pages are fetched ahead. Pages still come in order."""

    @property
    @abstractmethod
    def _first(self) -> int:
        """The first page's position."""

    @abstractmethod
    def _params(self, position: int) -> dict[str, Any]:
        """The parameters that ask for the page at this position."""

    @abstractmethod
    def _advance(self, position: int, items: int) -> int:
        """The position behind a page that held so many items."""

    @abstractmethod
    def _end(self, total: int, full: int) -> int:
        """The position behind a list of `total` items in pages of `full`."""

    @abstractmethod
    def _has_all(self, progress: Progress, total: int) -> bool:
        """Whether the total is reached."""

    def _walk(
        self, http: HttpClient, call: Call, progress: Progress
    ) -> Generator[Page, None, None]:
        """Fetch one page alone; while pages are full, fetch ahead; where one ended earlier than
        thought, drop what was fetched ahead and go on from where it really ended."""
        position: int = self._first if progress.next is None else progress.next
        before: list[Any] = []
        full = self.size
        wide = False
        while not progress.done:
            places = self._places(position, progress.total, full) if wide else (position,)
            with closing(self._fetch(http, call, places)) as answers:
                for answer in answers:
                    items = self._items(http, call, answer)
                    if items and items == before:
                        raise call.broken(http, "the vendor repeats a page")
                    if items and len(items) == len(before):
                        full = len(items)
                    before = items
                    expected = self._advance(position, full)
                    position = self._advance(position, len(items))
                    progress = self._behind(http, call, progress, position, answer, items)
                    if not items and not progress.done and position != expected:
                        raise call.broken(http, "an empty page, though more is told")
                    yield progress.page(answer, items)
                    wide = position == expected
                    if progress.done or not wide:
                        break

    def _places(self, position: int, total: int | None, full: int) -> Iterable[int]:
        """The positions of the pages from here on, as far as is known."""
        stride = self._advance(0, full)
        if total is None:
            return count(position, stride)
        return range(position, self._end(total, full), stride) or (position,)

    def _fetch(
        self, http: HttpClient, call: Call, places: Iterable[int]
    ) -> Generator[Answer, None, None]:
        """The pages at these positions, in order."""
        workers = 1 if isinstance(places, tuple) else self.workers
        return ordered_map(
            lambda place: call.ask(http, self._params(place)),
            places,
            workers,
            ahead=workers,
            name=f"{http.system}-pages",
        )

    def _behind(
        self,
        http: HttpClient,
        call: Call,
        progress: Progress,
        position: int,
        answer: Answer,
        items: list[Any],
    ) -> Progress:
        """The progress behind this page."""
        total = self._told(http, call, answer)
        behind = replace(
            progress,
            next=position,
            pages=progress.pages + 1,
            read=progress.read + len(items),
            total=total,
            first_total=total if progress.first_total is None else progress.first_total,
        )
        if self.more is not None:
            done = not pick(answer.data, self.more)
        else:
            done = not items or (total is not None and self._has_all(behind, total))
        return replace(behind, done=done)

    def _told(self, http: HttpClient, call: Call, answer: Answer) -> int | None:
        """The total that the answer tells."""
        if self.total is None:
            return None
        told = pick(answer.data, self.total)
        if isinstance(told, bool) or not isinstance(told, int) or told < 0:
            raise call.broken(http, "the answer does not tell the total")
        return told


@dataclass(frozen=True, kw_only=True)
class PageNumber(_Numbered):
    """Pages with numbers: `page=1&per_page=100`."""

    page_param: str = "page"
    size_param: str | None = "per_page"
    first: int = 1
    """The first page's number."""

    @property
    def _first(self) -> int:
        return self.first

    def _params(self, position: int) -> dict[str, Any]:
        size = {} if self.size_param is None else {self.size_param: self.size}
        return {self.page_param: position, **size}

    def _advance(self, position: int, items: int) -> int:
        return position + 1

    def _end(self, total: int, full: int) -> int:
        return self.first + -(-total // full)

    def _has_all(self, progress: Progress, total: int) -> bool:
        return progress.read >= total


@dataclass(frozen=True, kw_only=True)
class Offset(_Numbered):
    """Pages by offset: `offset=200&limit=100`. The next offset is where the last page really
    ended, not where it should have."""

    offset_param: str = "offset"
    size_param: str | None = "limit"

    @property
    def _first(self) -> int:
        return 0

    def _params(self, position: int) -> dict[str, Any]:
        size = {} if self.size_param is None else {self.size_param: self.size}
        return {self.offset_param: position, **size}

    def _advance(self, position: int, items: int) -> int:
        return position + items

    def _end(self, total: int, full: int) -> int:
        return total

    def _has_all(self, progress: Progress, total: int) -> bool:
        return progress.next >= total  # type: ignore[no-any-return]
