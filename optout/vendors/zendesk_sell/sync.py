"""The Sync API's queue: latest states of what changed, offered until they are acknowledged.

The order is the promise: rows durable first, acknowledgement after. A crash between the two
brings the same items again, never fewer. An answer that gets lost on its way takes its items with
it until the *next* session; hence the queue counts as drained only if the vendor says that there
is nothing new, or after a session in which no request had to be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from optout.errors import NotFound
from optout.vendors.base import StreamOutput
from optout.vendors.zendesk_sell.api import STORES, Batch, SellApi
from optout.vendors.zendesk_sell.values import Unclear, moment

ACK_AFTER = 1000
"""Items that are made durable together: one file of each kind instead of ten."""
_ACK_SIZE = 100
_MOST_SESSIONS = 10
_MOST_IDLE = 3

Emit = Callable[[str, Mapping[str, Any], bool], None]
"""Takes the store, the record's data, and whether it is gone (then only `id` is there)."""


@dataclass
class Drain:
    """Empties one device's queue into a stream's output."""

    api: SellApi
    device: str
    out: StreamOutput
    emit: Emit
    seen: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STORES, 0))
    """Records per store."""
    _newest: dict[tuple[str, str], tuple[int, float]] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)
    _pending: list[str] = field(default_factory=list)

    def run(self, session: str | None) -> bool:
        """Read to the end, beginning with a session that was started; whether the end is proven."""
        for _ in range(_MOST_SESSIONS):
            if session is None:
                return True
            repeated = self.api.http.stats.retries
            self._session(session)
            if self.api.http.stats.retries == repeated:
                return True
            session = self.api.sync_start(self.device)
        return False

    def _session(self, session: str) -> None:
        idle = 0
        while (batch := self.api.sync_fetch(self.device, session)) is not None:
            is_new = self._batch(batch)
            if not is_new or len(self._pending) >= ACK_AFTER:
                self._acknowledge()
            idle = 0 if is_new else idle + 1
            if idle >= _MOST_IDLE:
                raise self.api.broken(batch.request, "the queue repeats itself")
        self._acknowledge()

    def _batch(self, batch: Batch) -> bool:
        """Emit a batch; whether it held anything that this read has not had."""
        fresh = 0
        for item in batch.items:
            kind, sync = _envelope(self.api, batch, item)
            key = str(sync["ack_key"])
            if key in self._taken:
                continue
            self._taken.add(key)
            self._pending.append(key)
            fresh += 1
            store = _STORE_OF.get(kind)
            if store and self._is_newest(store, item["data"], sync):
                self._take(store, item["data"], is_gone=sync.get("event_type") == "deleted")
        failed = batch.meta.get("failed_objects") or ()
        for each in failed:
            self._take_failed(each)
        self.out.page_done()
        return bool(fresh or failed)

    def _take(self, store: str, data: Mapping[str, Any], *, is_gone: bool) -> None:
        """The event's type is a hint only: what has no more than an id is looked up."""
        if is_gone or "email" in data:
            self._emit(store, data, is_gone)
        else:
            self._fetch(store, str(data["id"]))

    def _emit(self, store: str, data: Mapping[str, Any], is_gone: bool) -> None:
        self.seen[store] += 1
        self.emit(store, data, is_gone)

    def _is_newest(self, store: str, data: Mapping[str, Any], sync: Mapping[str, Any]) -> bool:
        """Order is not promised: of two states of a record the later one speaks, by the vendor's
        revision, else by its stamp; of equals the one that arrives later."""
        place = store, str(data["id"])
        rank = _rank(data, sync)
        if rank < self._newest.get(place, rank):
            return False
        self._newest[place] = rank
        return True

    def _take_failed(self, each: Any) -> None:
        """What the vendor could not put into the page, asked for by its id; an error ends the read
        as incomplete, because to pass over it would lose it silently."""
        store = _STORE_OF.get(str(each.get("type", "")).lower()) if isinstance(each, dict) else None
        if store is not None:
            self._fetch(store, str(each["id"]))

    def _fetch(self, store: str, record_id: str) -> None:
        try:
            data = self.api.record(store, record_id)
        except NotFound:
            self._emit(store, {"id": record_id}, True)
            return
        self._emit(store, data, False)

    def _acknowledge(self) -> None:
        if not self._pending:
            return
        self.out.flush()
        for start in range(0, len(self._pending), _ACK_SIZE):
            self.api.sync_ack(self.device, self._pending[start : start + _ACK_SIZE])
        self._pending.clear()


_STORE_OF = {kind: store for store, kind in STORES.items()}


def _envelope(api: SellApi, batch: Batch, item: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    meta = item.get("meta")
    sync = meta.get("sync") if isinstance(meta, Mapping) else None
    if not isinstance(sync, Mapping) or not sync.get("ack_key"):
        raise api.unexpected(batch.request, "an item without an ack_key")
    kind, data = item["meta"].get("type"), item.get("data")
    if not isinstance(kind, str) or not kind.strip():
        raise api.unexpected(batch.request, "an item without a type")
    # A record that has no name of its own would be taken for another, and this one for unchanged.
    record_id = data.get("id") if isinstance(data, Mapping) else None
    if isinstance(record_id, bool) or not isinstance(record_id, int | str) or record_id == "":
        raise api.unexpected(batch.request, "an item without an id")
    return kind.lower(), sync


def _rank(data: Mapping[str, Any], sync: Mapping[str, Any]) -> tuple[int, float]:
    """A deletion has no stamp: where there are no revisions either, it is the last word."""
    revision = sync.get("revision")
    try:
        at = moment(data.get("updated_at"))
    except Unclear:
        at = None
    return (
        revision if isinstance(revision, int) else -1,
        at.timestamp() if at else float("inf"),
    )
