"""Klaviyo's pages: cursors, several questions at once, empty pages asked for twice.

One stream may consist of several questions (a list each, a metric each, a feed each). They are
read at the same time, a page of each in turn, so that rows are added by one thread and the order
is always the same; the saved cursor holds the position of every question.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

from optout.errors import Gone, NotFound, RequestRefused
from optout.http.client import HttpClient
from optout.http.pagination import Call, Cursor, Page
from optout.vendors.base import StreamOutput

WORKERS = 4
"""Questions asked at the same time."""

Item = Mapping[str, Any]
Take = Callable[[str, list[Item], Mapping[str, Any]], None]
"""What is done with a page: the question's name, its records, the whole answer."""


def ask_pages(http: HttpClient, call: Call, cursor: Any = None) -> Iterator[Page]:
    """The pages of a JSON:API list behind `cursor`.

    The token of `links.next` is taken, not the link: the question stays ours, whatever host the
    vendor names. An empty page is asked for a second time, since nothing else tells a page that
    was lost on the way from a list without records; raises UnexpectedAnswer if it was lost.
    """

    def token(data: Any) -> str | None:
        links = data.get("links")
        if not isinstance(links, dict):
            raise call.broken(http, "the answer does not say whether it is the last page")
        link = links.get("next")
        if link is None:
            return None
        found = parse_qs(urlsplit(str(link)).query).get("page[cursor]")
        if not found:
            raise call.broken(http, "the link to the next page has no cursor")
        return found[0]

    asked: str | None = (cursor or {}).get("next")
    pages = Cursor(items="data", token=token, param="page[cursor]").pages(http, call, cursor)
    for page in pages:
        for item in page.items:
            if not _is_resource(item):
                raise call.broken(http, "a record without id or attributes")
        if not page.items:
            again = call.ask(http, {"page[cursor]": asked} if asked else {})
            if again.data.get("data") or not page.cursor["done"]:
                raise call.broken(http, "a page came empty that is not")
        yield page
        asked = page.cursor["next"]


def _is_resource(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and isinstance(item.get("id"), str)
        and isinstance(item.get("attributes"), dict)
    )


def ask_all(http: HttpClient, call: Call) -> list[Any]:
    """Every record of a short list; the same record on two pages counts once."""
    found: dict[str, Any] = {}
    for page in ask_pages(http, call):
        found.update((item["id"], item) for item in page.items)
    return list(found.values())


class Reading:
    """The reading of one stream, which can be killed at any page and goes on there.

    `tally` is for figures that must survive with the cursor (counts); `missing` names the
    questions that the vendor answered with 404, where `tolerate_missing` lets the others go on.
    """

    def __init__(
        self,
        http: HttpClient,
        out: StreamOutput,
        calls: Mapping[str, Call],
        *,
        tolerate_missing: bool = False,
    ) -> None:
        self._http = http
        self._out = out
        self._calls = calls
        self._tolerant = tolerate_missing
        asked = [[name, call.path, sorted(call.params.items())] for name, call in calls.items()]
        self._question = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]
        self.tally: dict[str, Any] = {}
        self._goes_on = False
        self.missing: list[str] = []

    def run(self, take: Take) -> None:
        """Read all pages. A cursor that the vendor no longer takes (400 or 410) makes the whole
        stream begin anew, once; raises SourceError for everything else."""
        saved = self._out.cursor
        if saved is not None and saved.get("question") != self._question:
            # What was asked before the interruption was another question.
            self._out.restart()
            saved = None
        try:
            self._read(take, saved)
        except (RequestRefused, Gone):
            if not self._goes_on:
                raise
            self._out.restart()
            self._read(take, None)

    def _read(self, take: Take, saved: Mapping[str, Any] | None) -> None:
        positions: dict[str, Any] = dict(saved["positions"]) if saved else {}
        self.tally = dict(saved["tally"]) if saved else {}
        self.missing = []
        self._goes_on = bool(positions)
        sources = {name: self._source(name, positions.get(name)) for name in self._calls}
        for name, page in _in_turn(sources):
            items = {item["id"]: item for item in page.items}
            take(name, list(items.values()), page.answer.data)
            positions[name] = page.cursor
            self._goes_on = True
            self._out.page_done({
                "question": self._question, "positions": positions, "tally": self.tally,
            })  # fmt: skip

    def _source(self, name: str, position: Any) -> Iterator[Page]:
        try:
            yield from ask_pages(self._http, self._calls[name], position)
        except NotFound:
            if not self._tolerant:
                raise
            self.missing.append(name)


def _in_turn(sources: Mapping[str, Iterator[Page]]) -> Iterator[tuple[str, Page]]:
    """A page of each source in turn; the next ones are fetched meanwhile, one ahead of each."""
    pool = ThreadPoolExecutor(max(1, min(WORKERS, len(sources))), thread_name_prefix="klaviyo")
    try:
        waiting: deque[tuple[str, Future[Page | None]]] = deque(
            (name, pool.submit(next, source, None)) for name, source in sources.items()
        )
        while waiting:
            name, future = waiting.popleft()
            page = future.result()
            if page is not None:
                waiting.append((name, pool.submit(next, sources[name], None)))
                yield name, page
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
