"""What all paginators share: the question, the page, the cursor, and never looping."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from optout.errors import UnexpectedAnswer
from optout.http.client import Answer, HttpClient

Selector = str | Callable[[Any], Any]
"""Where something is in the parsed body: a dotted path (`meta.links.next_page`; "" is the body
itself), or a function of the body. What is absent is None."""

MOST_EMPTY = 1000
"""Empty pages in a row after which a list counts as endless."""


@dataclass(frozen=True)
class Call:
    """The question that is asked page by page. With a `body` it is a POST, and the page's
    parameters go into the body."""

    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    template: str | None = None
    headers: Mapping[str, str] | None = None
    body: Mapping[str, Any] | None = None

    def ask(self, http: HttpClient, page: Mapping[str, Any]) -> Answer:
        """The page that these parameters name."""
        if self.body is not None:
            body = {**self.body, **page}
            return http.post(
                self.path, body, self.params, template=self.template, headers=self.headers
            )
        params = {**self.params, **page}
        return http.get(self.path, params, template=self.template, headers=self.headers)

    def follow(self, http: HttpClient, link: str) -> Answer:
        """The page behind a link, which holds all parameters already."""
        return http.get(link, template=self.template or self.path, headers=self.headers)

    def broken(self, http: HttpClient, why: str) -> UnexpectedAnswer:
        """The error that ends the reading."""
        method = "GET" if self.body is None else "POST"
        request = f"{method} {self.template or self.path}"
        return UnexpectedAnswer(why, system=http.system, request=request)


@dataclass(frozen=True)
class Page:
    """One page."""

    answer: Answer
    items: list[Any]
    cursor: dict[str, Any]
    """Where a later read goes on behind this page (JSON)."""
    read: int
    """Items up to here, earlier interrupted reads of the same cursor included."""
    total: int | None
    """The vendor's latest total; None where it tells none."""
    moved: bool
    """The total is not what it was at first: the list changed while it was read, so that items
    may have slipped from one page to another unseen."""


@dataclass(frozen=True)
class Progress:
    """How far a list is read; its JSON is the cursor."""

    next: Any = None
    """Position, link or token of the next page; None: the first."""
    pages: int = 0
    read: int = 0
    total: int | None = None
    first_total: int | None = None
    done: bool = False

    @classmethod
    def of(cls, cursor: Any) -> Progress:
        """What a saved cursor says; None and {} are the beginning.

        Raises UnexpectedAnswer for what no paginator wrote.
        """
        try:
            return cls(**(cursor or {}))
        except TypeError:
            pass
        raise UnexpectedAnswer("the saved cursor is not a paginator's: read from the start")

    def cursor(self) -> dict[str, Any]:
        """As JSON."""
        return dict(vars(self))

    def page(self, answer: Answer, items: list[Any]) -> Page:
        """The page that led here."""
        moved = self.total != self.first_total
        return Page(answer, items, self.cursor(), self.read, self.total, moved)


@dataclass(frozen=True, kw_only=True)
class Paginator(ABC):
    """What all ways have in common."""

    items: Selector
    """The page's list; an answer without one raises UnexpectedAnswer."""
    max_pages: int | None = None
    """More pages than this raise UnexpectedAnswer."""

    def pages(
        self, http: HttpClient, call: Call, cursor: Any = None
    ) -> Generator[Page, None, None]:
        """The pages behind `cursor` (None: all), in order; ends only when the list does."""
        progress = Progress.of(cursor)
        empty = 0
        with closing(self._walk(http, call, progress)) as walk:
            for page in walk:
                empty = 0 if page.items else empty + 1
                if empty > MOST_EMPTY:
                    raise call.broken(http, "empty pages without end")
                yield page
                if self._is_beyond(page):
                    raise call.broken(http, f"more than {self.max_pages} pages")

    def _is_beyond(self, page: Page) -> bool:
        """Whether another page would be one too many."""
        over = self.max_pages is not None and page.cursor["pages"] >= self.max_pages
        return over and not page.cursor["done"]

    @abstractmethod
    def _walk(
        self, http: HttpClient, call: Call, progress: Progress
    ) -> Generator[Page, None, None]:
        """The pages from `progress` on."""

    def _items(self, http: HttpClient, call: Call, answer: Answer) -> list[Any]:
        """The page's list."""
        found = pick(answer.data, self.items)
        if not isinstance(found, list):
            raise call.broken(http, "the answer has no list where the vendor documents one")
        return found


def pick(data: Any, selector: Selector) -> Any:
    """What the selector finds in a parsed body; None where there is nothing."""
    if callable(selector):
        return selector(data)
    for name in filter(None, selector.split(".")):
        if not isinstance(data, dict):
            return None
        data = data.get(name)
    return data
