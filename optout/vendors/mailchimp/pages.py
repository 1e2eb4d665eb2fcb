"""Mailchimp's pages: offsets over collections that move while they are read.

The vendor has no cursors, only `offset` and `count`, and an edited member goes to the end of the
order by `last_changed`: everybody behind it slips one place forward, so that somebody at a page's
border is on neither page, while the total stays the same. A window closed by
`before_last_changed` does not help, since the edited member leaves it and the others slip all the
same. Therefore each page overlaps the one before. A row that is on both proves that nothing lies
unseen between them: what stood before it was on the earlier page, what stands behind it is on this
one or a later. Without such a row the reader steps back until there is one. What was edited
meanwhile is at the end, and is read there in its new state. In the end the number of different
records must be the vendor's own total; this finds what an unstable order could hide.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from optout.http.client import HttpClient
from optout.http.pagination import Call
from optout.http.parallel import ordered_map

Json = dict[str, Any]

ATTEMPTS = 3
"""How often a page that holds fewer records than told, or a walk that misses some, is repeated."""
_MOST_SLIPS = 6
"""Steps back in a row after which a list moves faster than it can be read."""


@dataclass(frozen=True)
class Paging:
    """How pages are cut: the vendor's most is a `count` of 1000, and ten connections."""

    count: int = 1000
    overlap: int = 50
    workers: int = 10

    @property
    def step(self) -> int:
        """How far one page begins behind the one before."""
        return self.count - self.overlap


@dataclass(frozen=True)
class _Page:
    offset: int
    rows: dict[str, Json]
    """By identity, each once."""
    total: int

    @property
    def is_last(self) -> bool:
        return self.offset + len(self.rows) >= self.total


class Collection:
    """One of the vendor's lists: `key` names its rows in the answer, `fields` what is asked of
    each, `identity` tells rows apart, and `version` is the field that moves when one is edited.
    """

    def __init__(
        self,
        http: HttpClient,
        call: Call,
        key: str,
        fields: tuple[str, ...],
        *,
        identity: Callable[[Json], object] = lambda row: row.get("id"),
        version: str | None = None,
        paging: Paging | None = None,
        seen: set[int] | None = None,
    ) -> None:
        asked = ",".join([*(f"{key}.{name}" for name in fields), "total_items"])
        self._call = Call(call.path, {**call.params, "fields": asked}, call.template)
        self._http = http
        self._key = key
        self._identity = identity
        self._version = version
        self._paging = paging or Paging()
        self._first: _Page | None = None
        self.seen: set[int] = set() if seen is None else seen
        """The identities met so far, as 64-bit hashes (about 70 bytes each). Should two ever share
        one, the count falls short and the read is incomplete, never the other way."""
        self.total = 0
        """The vendor's own total, by the latest page."""

    def primed(self) -> Collection:
        """This collection with its first page already fetched."""
        self._first = self._fetch(0)
        return self

    def walk(self) -> Iterator[list[Json]]:
        """All rows, again where some were missed (so a row can come twice); `total` and
        `len(seen)` tell in the end whether it is all."""
        for _ in range(ATTEMPTS):
            self.seen.clear()
            yield from self.pages()
            if len(self.seen) == self.total:
                return

    def all(self) -> dict[str, Json]:
        """The rows of a short list by identity; raises UnexpectedAnswer if some are missing."""
        rows: dict[str, Json] = {}
        for page in self.walk():
            rows |= {str(self._identity(row)): row for row in page}
        if len(self.seen) != self.total:
            raise self._call.broken(
                self._http, f"{self.total} records are told of, {len(self.seen)} are there"
            )
        return rows

    def pages(self) -> Iterator[list[Json]]:
        """The rows of each page that the page before did not have, or had in an older version."""
        offset, slips = 0, 0
        last: dict[str, Json] = {}
        while True:
            with closing(self._from(offset)) as pages:
                for page in pages:
                    offset = page.offset
                    is_joined = offset == 0 or any(name in last for name in page.rows)
                    fresh = [row for name, row in page.rows.items() if self._is_news(last, row)]
                    if not is_joined or not (fresh or page.is_last):
                        slips += 1
                        offset = offset if is_joined else offset - self._paging.step * slips
                        break
                    self.total, last, slips = page.total, page.rows, 0
                    self.seen.update(hash(name) for name in page.rows)
                    yield fresh
                    if page.is_last:
                        return
                    offset += self._paging.step
            if slips > _MOST_SLIPS:
                raise self._call.broken(
                    self._http, "the pages do not join: the list moves too fast"
                )
            offset = max(0, offset)

    def _is_news(self, last: Mapping[str, Json], row: Json) -> bool:
        before = last.get(str(self._identity(row)))
        if before is None:
            return True
        return self._version is not None and before.get(self._version) != row.get(self._version)

    def _from(self, offset: int) -> Generator[_Page, None, None]:
        """The pages from an offset on: the first alone, as it tells how many there are."""
        first, self._first = self._first, None
        if first is None or offset:
            first = self._fetch(offset)
        yield first
        further = range(offset + self._paging.step, first.total, self._paging.step)
        workers = self._paging.workers
        yield from ordered_map(
            self._fetch, further, workers, ahead=workers, name=f"{self._http.system}-pages"
        )

    def _fetch(self, offset: int) -> _Page:
        """A page; one that holds fewer rows than the vendor's own total promises is asked for
        again, since a page that came empty by mistake looks like the end of the list."""
        for _ in range(ATTEMPTS):
            page = self._ask(offset)
            if len(page.rows) >= min(self._paging.count, page.total - offset):
                break
        return page

    def _ask(self, offset: int) -> _Page:
        data = self._call.ask(self._http, {"count": self._paging.count, "offset": offset}).data
        rows = data.get(self._key) if isinstance(data, dict) else None
        total = data.get("total_items") if isinstance(data, dict) else None
        if not isinstance(rows, list) or not isinstance(total, int) or isinstance(total, bool):
            raise self._call.broken(self._http, f"no {self._key}, or no total, in the answer")
        named: dict[str, Json] = {}
        for row in rows:
            name = self._identity(row) if isinstance(row, dict) else None
            if name is None or name == "":
                raise self._call.broken(self._http, f"one of the {self._key} has no identity")
            named[str(name)] = row
        return _Page(offset, named, total)
