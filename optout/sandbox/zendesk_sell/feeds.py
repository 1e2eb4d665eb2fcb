"""Sell's two feeds of changes: Sync (latest states, acknowledged) and Firehose (events, 72 h)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from optout.sandbox.zendesk_sell.http import Handler, Refusal, device, here, whole
from optout.sandbox.zendesk_sell.store import Event

if TYPE_CHECKING:
    from optout.sandbox.zendesk_sell.twin import ZendeskSellTwin

RETENTION = timedelta(hours=72)


class SellFeeds:
    """The handlers of Sync and Firehose."""

    def __init__(self, twin: ZendeskSellTwin) -> None:
        self.twin = twin
        self._asked = 0

    # --- Sync -----------------------------------------------------------------------------------
    def start(self, request: Request, body: Mapping[str, Any]) -> Response:
        """A session: 201, or 204 if nothing is new."""
        try:
            session = self.twin.desk.start(device(request))
        except OverflowError:
            # How the vendor says that 100 sessions are open is not documented.
            raise Refusal(422, "incorrect_value", "Too many active sessions.") from None
        if session is None:
            return Response(status_code=204)
        session_id, count = session
        queue = {"name": "main", "pages": -(-count // 100), "total_count": count}
        data = {"id": session_id, "queues": [{"data": queue, "meta": {"type": "sync_queue"}}]}
        return JSONResponse({"data": data, "meta": {"type": "sync_session"}}, 201)

    def fetch(self, request: Request) -> Response:
        """The next batch of a session: 200, or 204 when it is drained."""
        try:
            page = self.twin.desk.fetch(device(request), request.path_params["session"])
        except KeyError:
            raise Refusal(404, "not_found", "The session was not found.") from None
        if page is None:
            return Response(status_code=204)
        items, failed, left = page
        meta: dict[str, Any] = {"type": "collection", "count": len(items), "count_left": left}
        if failed:
            meta["failed_objects"] = failed
        return JSONResponse({"items": [self._sync_item(i) for i in items], "meta": meta})

    def _sync_item(self, item: Any) -> dict[str, Any]:
        record, what = item.record, item.event_type
        if record is None:
            data = {"id": item.id, **item.foreign.data}
        elif record.is_deleted:
            data, what = {"id": item.id}, "deleted"
        else:
            data = self.twin.shapes.data(record)
        sync = {"event_type": what, "ack_key": item.ack_key, "revision": item.revision}
        return {"data": data, "meta": {"type": item.kind, "version": 1, "sync": sync}}

    def ack(self, request: Request, body: Mapping[str, Any]) -> Response:
        """What the device keeps is not offered again: 202."""
        keys = body.get("ack_keys")
        if not isinstance(keys, list):
            raise Refusal(422, "missing", "ack_keys is required.", pointer="/ack_keys")
        self.twin.desk.ack(device(request), keys)
        return Response(status_code=202)

    # --- Firehose -------------------------------------------------------------------------------
    def streamer(self, kind: str) -> Handler:
        """The event stream of one kind of record."""

        def answer(request: Request) -> Response:
            query = request.query_params
            limit = whole(query.get("limit", "25"), "limit", 1, 100)
            now = self.twin.clock()
            log = [e for e in self.twin.store.events if e.after.kind == kind]
            start = self._position(query.get("position", "tail"), log, now)
            self._asked += 1
            # A page may be empty although there is more: queues are shared, time is budgeted.
            busy = start < len(log) and self._asked % self.twin.empty_page_every == 0
            end = start if busy else min(start + limit, len(log))
            # At least once: the last event before the position may come again.
            first = start - 1 if self.twin.repeat_events and 0 < start < end else start
            shown = [e for e in log[first:end] if e.at > now - RETENTION]
            position = _opaque(end, now)
            url = f"{_root(request)}?position={position}&limit={limit}"
            links = {"self": here(request), "next": url}
            meta = {"type": "collection", "count": len(shown), "links": links,
                    "position": position, "top": end >= len(log)}  # fmt: skip
            return JSONResponse({"items": [self.twin.shapes.event(e) for e in shown], "meta": meta})

        return answer

    def _position(self, position: str, log: list[Event], now: datetime) -> int:
        oldest = now - RETENTION
        if position == "top":
            return len(log)
        if position == "tail":
            return next((i for i, e in enumerate(log) if e.at > oldest), len(log))
        try:
            start, issued = json.loads(base64.urlsafe_b64decode(position.encode()))
            if datetime.fromisoformat(issued) < oldest:
                raise Refusal(410, "gone", "The position has expired.")
            return int(start)
        except (ValueError, TypeError):
            raise Refusal(400, "invalid_param", "Unknown position.") from None


def _opaque(index: int, now: datetime) -> str:
    return base64.urlsafe_b64encode(json.dumps([index, now.isoformat()]).encode()).decode()


def _root(request: Request) -> str:
    return str(request.url.replace(query=""))
