"""All records of a store by page number, with the proof that none was passed over.

Sell pages by number only and tells no total. While one reads, a deletion on an earlier page moves
every later record forward, and one of them slips across the border of two pages unseen. Each
window is therefore laid so that it begins with a record that was already read: as the records
come sorted by id, nothing can then be missing between the windows. Where the last record read is
not in its window any more, the walk steps back until it finds its own track.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from optout.vendors.zendesk_sell.api import PAGE, Batch, SellApi


@dataclass(frozen=True)
class Track:
    """How far the walk has come: `read` records, the last of them with the id `last`."""

    read: int = 0
    last: int = 0

    @classmethod
    def of(cls, cursor: Any) -> Track:
        """From what `cursor` gave in an earlier attempt of the night."""
        return cls(**cursor) if cursor else cls()

    def cursor(self) -> dict[str, int]:
        """As JSON."""
        return {"read": self.read, "last": self.last}


def window(read: int) -> tuple[int, int]:
    """Page number and size of the window that reaches farthest beyond `read` records and still
    holds the last of them (counted from 0, it covers (page - 1) * size to page * size)."""
    if read == 0:
        return 1, PAGE
    size = max(range(PAGE // 2, PAGE + 1), key=lambda s: ((read - 1) // s + 1) * s)
    return (read - 1) // size + 1, size


def walk(api: SellApi, store: str, cursor: Any) -> Iterator[tuple[list[Mapping[str, Any]], Track]]:
    """The records after the cursor, a page at a time, each with the track behind it.

    Raises UnexpectedAnswer where the order is not by id or the pages do not meet, BrokenAnswer
    where a page comes twice.
    """
    track = Track.of(cursor)
    place, seen, idle = track.read, list[int](), 0
    while True:
        page, size = window(place)
        start = (page - 1) * size
        batch = api.page(store, page, size)
        ids = _ids(api, batch)
        has_next = bool(batch.meta["links"].get("next_page"))
        if has_next and not ids:
            raise api.broken(batch.request, "an empty page with a next one")
        if ids and ids == seen:
            raise api.broken(batch.request, "the same page twice")
        seen = ids
        idle = 0 if ids and ids[-1] > track.last else idle + 1
        if idle > 10 + 2 * track.read // PAGE:
            raise api.unexpected(batch.request, "pages that do not meet")
        if start > 0 and not (ids and ids[0] <= track.last):
            place = max(0, start - PAGE)
            continue
        fresh = [item["data"] for item in batch.items if int(item["data"]["id"]) > track.last]
        place = start + len(ids)
        track = Track(place, max([track.last, *ids]))
        yield fresh, track
        if not has_next:
            return


def _ids(api: SellApi, batch: Batch) -> list[int]:
    try:
        ids = [int(item["data"]["id"]) for item in batch.items]
    except (TypeError, ValueError):
        raise api.unexpected(batch.request, "an id that is no number") from None
    if any(b <= a for a, b in pairwise(ids)):
        raise api.unexpected(batch.request, "records that are not in the order of their ids")
    return ids
