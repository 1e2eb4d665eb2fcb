"""Sell's endpoints, as far as an audit asks them, with the proof that each answer is whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optout.errors import BrokenAnswer, SourceError, UnexpectedAnswer
from optout.http.client import Answer, HttpClient

PAGE = 100
"""The most that a page of v2 or of the Firehose may hold."""
DEVICE_HEADER = "X-Basecrm-Device-UUID"
STORES: Mapping[str, str] = {"contacts": "contact", "leads": "lead"}
"""Store → the vendor's name of one record."""


@dataclass(frozen=True)
class Definition:
    """A custom field as an administrator made it; the name may change, the id does not."""

    id: str
    name: str
    type: str
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Batch:
    """A page of any of the three APIs: its items with their envelopes, and the page's meta."""

    items: Sequence[Mapping[str, Any]]
    meta: Mapping[str, Any]
    request: str


@dataclass(frozen=True)
class SellApi:
    """Asks one account."""

    http: HttpClient

    # --- Core -------------------------------------------------------------------------------------
    def user(self) -> Mapping[str, Any]:
        """The token's owner; needs the scope `profile`."""
        return self._single(self.http.get("/v2/users/self"), "GET /v2/users/self")

    def definitions(self, store: str) -> list[Definition]:
        """The custom fields of contacts or leads."""
        path = f"/v2/{STORES[store]}/custom_fields"
        batch = self._batch(self.http.get(path), f"GET {path}")
        return [_definition(item["data"]) for item in batch.items]

    def page(self, store: str, page: int, size: int) -> Batch:
        """One page of all records by id; a next page exists if and only if `meta.links` tells."""
        path = f"/v2/{store}"
        params = {"page": page, "per_page": size, "sort_by": "id"}
        batch = self._batch(self.http.get(path, params), f"GET {path}")
        if len(batch.items) > size:
            raise self.broken(batch.request, "more items than were asked for")
        if not isinstance(batch.meta.get("links"), Mapping):
            raise self.unexpected(batch.request, "a list without links")
        return batch

    def record(self, store: str, record_id: str) -> Mapping[str, Any]:
        """One record as it is now; NotFound if it is gone."""
        template = f"/v2/{store}/{{id}}"
        answer = self.http.get(f"/v2/{store}/{record_id}", template=template)
        return self._single(answer, f"GET {template}")

    # --- Sync -------------------------------------------------------------------------------------
    def sync_start(self, device: str) -> str | None:
        """A session's id; None: nothing new for this device."""
        path = "/v2/sync/start"
        headers = {DEVICE_HEADER: device}
        answer = self.http.post(path, headers=headers, ok=(200, 201, 204))
        if answer.status == 204:
            return None
        session = self._single(answer, f"POST {path}").get("id")
        if not session:
            raise self.unexpected(f"POST {path}", "a session without an id")
        return str(session)

    def sync_fetch(self, device: str, session: str) -> Batch | None:
        """The session's next batch; None: drained. There is no page number: every call goes on."""
        template = "/v2/sync/{session}/queues/main"
        answer = self.http.get(
            f"/v2/sync/{session}/queues/main",
            template=template,
            headers={DEVICE_HEADER: device},
            ok=(200, 204),
        )
        return None if answer.status == 204 else self._batch(answer, f"GET {template}")

    def sync_ack(self, device: str, keys: Sequence[str]) -> None:
        """Tell what is durable here; it will not be offered again."""
        headers = {DEVICE_HEADER: device}
        body = {"data": {"ack_keys": list(keys)}}
        self.http.post("/v2/sync/ack", body, headers=headers, ok=(200, 201, 202, 204))

    def sync_probe(self, device: str) -> None:
        """Whether Sync answers at all, without opening a session: PermissionMissing if not."""
        self.http.get(
            "/v2/sync/none/queues/main",
            template="/v2/sync/{session}/queues/main",
            headers={DEVICE_HEADER: device},
            ok=(200, 204, 400, 404, 422),
        )

    # --- Firehose ---------------------------------------------------------------------------------
    def events(self, store: str, position: str, limit: int = PAGE) -> Batch:
        """One page of events from a position; Gone if it is older than 72 hours."""
        path = f"/v3/{store}/stream"
        params = {"position": position, "limit": limit}
        batch = self._batch(self.http.get(path, params), f"GET {path}")
        has_position = isinstance(batch.meta.get("position"), str) and batch.meta["position"]
        if not has_position or not isinstance(batch.meta.get("top"), bool):
            raise self.unexpected(batch.request, "a page without position and top")
        return batch

    # --- inner works ------------------------------------------------------------------------------
    def unexpected(self, request: str, what: str) -> SourceError:
        """The answer breaks what the vendor documents."""
        return UnexpectedAnswer(what, system=self.http.system, request=request)

    def broken(self, request: str, what: str) -> SourceError:
        """The answer cannot be what the vendor meant; asking again may help."""
        return BrokenAnswer(what, system=self.http.system, request=request)

    def _single(self, answer: Answer, request: str) -> Mapping[str, Any]:
        data = answer.data.get("data") if isinstance(answer.data, Mapping) else None
        if not isinstance(data, Mapping):
            raise self.broken(request, "an answer without data")
        return data

    def _batch(self, answer: Answer, request: str) -> Batch:
        body = answer.data if isinstance(answer.data, Mapping) else {}
        items, meta = body.get("items"), body.get("meta")
        if not isinstance(items, list) or not isinstance(meta, Mapping):
            raise self.broken(request, "a list without items")
        count = meta.get("count")
        # The count is that of this page: rows that got lost on the way show here.
        if isinstance(count, int) and count <= PAGE and count != len(items):
            raise self.broken(request, f"{len(items)} items where the page says {count}")
        for item in items:
            if not isinstance(item, Mapping) or not isinstance(item.get("data"), Mapping):
                raise self.unexpected(request, "an item without data")
            if "id" not in item["data"]:
                raise self.unexpected(request, "an item without an id")
        return Batch(items, meta, request)


def _definition(data: Mapping[str, Any]) -> Definition:
    # Newer answers say `choices`, older ones `options`.
    choices = data.get("choices") or data.get("options") or ()
    names = (str(c.get("name")) if isinstance(c, Mapping) else str(c) for c in choices)
    kind = str(data.get("type", "")).lower()
    return Definition(str(data["id"]), str(data.get("name", "")), kind, tuple(names))
