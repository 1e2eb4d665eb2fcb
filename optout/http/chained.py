"""Pages that name their successor, by a link or a token: one after the other."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

from optout.http.client import Answer, HttpClient
from optout.http.paging import Call, Page, Paginator, Progress, Selector, pick


@dataclass(frozen=True, kw_only=True)
class _Chain(Paginator):
    """Pages that name their successor."""

    def _walk(
        self, http: HttpClient, call: Call, progress: Progress
    ) -> Generator[Page, None, None]:
        seen = {hash(progress.next)}
        while not progress.done:
            answer = self._fetch(http, call, progress.next)
            items = self._items(http, call, answer)
            successor = self._successor(http, call, answer)
            done = successor is None or self._ends(answer)
            if not done and hash(successor) in seen and not self._waits(items):
                raise call.broken(http, "the vendor repeats a page")
            seen.add(hash(successor))
            progress = replace(
                progress,
                next=successor,
                pages=progress.pages + 1,
                read=progress.read + len(items),
                done=done,
            )
            yield progress.page(answer, items)

    @abstractmethod
    def _fetch(self, http: HttpClient, call: Call, token: str | int | None) -> Answer:
        """The page of this link or token; None: the first."""

    @abstractmethod
    def _successor(self, http: HttpClient, call: Call, answer: Answer) -> str | int | None:
        """The next page's link or token, if the answer holds one."""

    def _ends(self, answer: Answer) -> bool:
        """Whether the answer says that it is the last, though it holds a token."""
        return False

    def _waits(self, items: list[Any]) -> bool:
        """Whether the same token again only means 'not yet'."""
        return False


@dataclass(frozen=True, kw_only=True)
class NextLink(_Chain):
    """The body holds the next page's URL, at the same origin; none on the last page.

    Raises UnexpectedAnswer for a link to another host.
    """

    link: Selector = "links.next"

    def _fetch(self, http: HttpClient, call: Call, token: str | int | None) -> Answer:
        return call.ask(http, {}) if token is None else call.follow(http, str(token))

    def _successor(self, http: HttpClient, call: Call, answer: Answer) -> str | None:
        link = pick(answer.data, self.link)
        if link is not None and not isinstance(link, str):
            raise call.broken(http, "the link to the next page is not text")
        return link or None


@dataclass(frozen=True, kw_only=True)
class Cursor(_Chain):
    """The body holds a token that asks for the next page as parameter `param`.

    The list ends where the token is absent; or, if `more` is given, where that is not true
    (the Firehose always tells a position, and `top` when there is nothing behind it; its last
    position stays in the cursor as `next`).
    """

    token: Selector
    param: str
    more: Selector | None = None
    waits: bool = False
    """An empty page may tell the same token again: nothing is there yet, but it is not the end."""

    def _fetch(self, http: HttpClient, call: Call, token: str | int | None) -> Answer:
        return call.ask(http, {} if token is None else {self.param: token})

    def _successor(self, http: HttpClient, call: Call, answer: Answer) -> str | int | None:
        token = pick(answer.data, self.token)
        if token is not None and (isinstance(token, bool) or not isinstance(token, (str, int))):
            raise call.broken(http, "the next page's token is neither text nor a number")
        if token in (None, "") and self.more is not None and not self._ends(answer):
            raise call.broken(http, "more pages are told, but no token to ask for them")
        return None if token == "" else token

    def _ends(self, answer: Answer) -> bool:
        return self.more is not None and not pick(answer.data, self.more)

    def _waits(self, items: list[Any]) -> bool:
        return self.waits and not items
