"""Sell's HTTP surface over the twin's store: envelopes, errors, paging, Sync and Firehose.

Strict as the vendor's: a User-Agent, the token, the scope and the plan are asked for on every
call; an unknown parameter, field or choice is refused. Where the vendor's answer is not
documented, a comment says so.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from optout.sandbox.zendesk_sell.feeds import SellFeeds
from optout.sandbox.zendesk_sell.http import Handler, Refusal, here, unwrapped, whole
from optout.sandbox.zendesk_sell.shapes import definition_data
from optout.sandbox.zendesk_sell.store import Record

if TYPE_CHECKING:
    from optout.sandbox.zendesk_sell.twin import ZendeskSellTwin

_LIST_PARAMETERS = frozenset({"page", "per_page", "sort_by", "ids", "email", "name"})
_SORTABLE = ("id", "created_at", "updated_at", "name", "first_name", "last_name")
_PLURAL = {"contact": "contacts", "lead": "leads"}


class SellApi:
    """The routes of one twin."""

    def __init__(self, twin: ZendeskSellTwin) -> None:
        self.twin = twin
        self.store = twin.store
        self.shapes = twin.shapes

    def routes(self) -> list[Route]:
        """Everything that the audit and the official client use."""
        get, post, put = ["GET"], ["POST"], ["PUT"]
        feeds = SellFeeds(self.twin)
        routes = [
            Route("/v2/accounts/self", self._guarded(self._account, "profile"), methods=get),
            Route("/v2/users/self", self._guarded(self._user, "profile"), methods=get),
            Route("/v2/sync/start", self._guarded(feeds.start, "sync"), methods=post),
            Route(
                "/v2/sync/{session}/queues/main", self._guarded(feeds.fetch, "sync"), methods=get
            ),
            Route("/v2/sync/ack", self._guarded(feeds.ack, "sync"), methods=post),
        ]
        for kind, plural in _PLURAL.items():
            one = f"/v2/{plural}/{{id}}"
            routes += [
                Route(f"/v2/{plural}", self._guarded(self._lister(kind), "read"), methods=get),
                Route(one, self._guarded(self._getter(kind), "read"), methods=get),
                Route(one, self._guarded(self._putter(kind), "write"), methods=put),
                Route(
                    f"/v2/{kind}/custom_fields",
                    self._guarded(self._definitions(kind), "read"),
                    methods=get,
                ),
                Route(
                    f"/v3/{plural}/stream",
                    self._guarded(feeds.streamer(kind), "firehose"),
                    methods=get,
                ),
            ]
        return routes

    # --- the door -------------------------------------------------------------------------------
    def _guarded(self, handler: Handler, scope: str) -> Handler:
        async def endpoint(request: Request) -> Response:
            logref = uuid.UUID(int=self.twin.rng.getrandbits(128), version=4).hex[:16] + "-IAD"
            try:
                self._admit(request, scope)
                body = await unwrapped(request) if request.method in ("PUT", "POST") else None
                answer: Response = handler(request, body) if body is not None else handler(request)
            except Refusal as refusal:
                return refusal.response(logref)
            answer.headers["X-Request-Id"] = logref
            return answer

        return endpoint

    def _admit(self, request: Request, scope: str) -> None:
        if not request.headers.get("user-agent", "").strip():
            raise Refusal(400, "invalid_user_agent", "A User-Agent header is required.")
        if request.headers.get("authorization") != f"Bearer {self.twin.token}":
            raise Refusal(401, "unauthorized", "The access token is invalid or has been revoked.")
        needed = "read" if scope == "firehose" else scope
        # What a plan without the feature answers is not documented; 403 is assumed.
        lacks = (scope == "sync" and not self.twin.sync_enabled) or (
            scope == "firehose" and not self.twin.firehose_enabled
        )
        if needed not in self.twin.scopes or lacks:
            raise Refusal(403, "insufficient_scope", "The token does not give access to this.")

    # --- account --------------------------------------------------------------------------------
    def _account(self, request: Request) -> Response:
        data = {"id": 1, "name": "Example Shop", "plan": "growth", "currency": "EUR"}
        return JSONResponse({"data": data, "meta": {"type": "account"}})

    def _user(self, request: Request) -> Response:
        data = {"id": 1, "name": "Sandbox Admin", "email": "admin@shop.example.org",
                "status": "active", "confirmed": True, "role": self.twin.user_role}  # fmt: skip
        return JSONResponse({"data": data, "meta": {"type": "user"}})

    # --- Core -----------------------------------------------------------------------------------
    def _definitions(self, kind: str) -> Handler:
        def answer(request: Request) -> Response:
            items = [
                {"data": definition_data(kind, d), "meta": {"type": "custom_field"}}
                for d in self.store.definitions[kind]
            ]
            meta = {"type": "collection", "count": len(items), "links": {"self": here(request)}}
            return JSONResponse({"items": items, "meta": meta})

        return answer

    def _lister(self, kind: str) -> Handler:
        def answer(request: Request) -> Response:
            query = request.query_params
            for name in query:
                if name not in _LIST_PARAMETERS:
                    raise Refusal(400, "invalid_param", f"Unknown query parameter {name}.")
            page = whole(query.get("page", "1"), "page", 1, 10**9)
            size = whole(query.get("per_page", "25"), "per_page", 1, 100)
            found = self._found(kind, query)
            start = (page - 1) * size
            shown = found[start : start + size]
            links = {"self": here(request, page, size)}
            if page > 1:
                links["prev_page"] = here(request, page - 1, size)
            if start + size < len(found):
                links["next_page"] = here(request, page + 1, size)
            items = [{"data": self.shapes.data(r), "meta": {"type": kind}} for r in shown]
            meta = {"type": "collection", "count": len(items), "links": links}
            return JSONResponse({"items": items, "meta": meta})

        return answer

    def _found(self, kind: str, query: Mapping[str, str]) -> list[Record]:
        found = list(self.store.live(kind))
        if "ids" in query:
            wanted = {part.strip() for part in query["ids"].split(",")}
            found = [r for r in found if str(r.id) in wanted]
        for name in ("email", "name"):
            if name in query:
                found = [r for r in found if r.attributes.get(name) == query[name]]
        # Without sort_by the order is not documented: latest first shows who relies on another.
        by, _, way = query.get("sort_by", "updated_at:desc").partition(":")
        if by not in _SORTABLE or way not in ("", "asc", "desc"):
            raise Refusal(400, "invalid_param", "Unknown sort_by.")
        shape = {"id": lambda r: r.id, "created_at": lambda r: (r.created_at, r.id)}
        shape["updated_at"] = lambda r: (r.updated_at, r.id)
        key = shape.get(by, lambda r: (str(r.attributes.get(by) or ""), r.id))
        return sorted(found, key=key, reverse=way == "desc")

    def _getter(self, kind: str) -> Handler:
        def answer(request: Request) -> Response:
            record = self._record(kind, request)
            return JSONResponse({"data": self.shapes.data(record), "meta": {"type": kind}})

        return answer

    def _putter(self, kind: str) -> Handler:
        def answer(request: Request, body: Mapping[str, Any]) -> Response:
            record = self._record(kind, request)
            changes = dict(body)
            custom = changes.pop("custom_fields", {}) or {}
            for name, value in custom.items():
                self._validate(kind, name, value)
            for name in changes:
                if name not in record.attributes or name == "is_organization":
                    raise Refusal(422, "unknown", "Unknown attribute.", resource=kind,
                                  pointer=f"/{name}")  # fmt: skip
            self.store.update(record, self.twin.clock(), attributes=changes, values=custom)
            return JSONResponse({"data": self.shapes.data(record), "meta": {"type": kind}})

        return answer

    def _record(self, kind: str, request: Request) -> Record:
        text = request.path_params["id"]
        record = self.store.records.get((kind, int(text))) if text.isdigit() else None
        if record is None or record.is_deleted:
            raise Refusal(404, "not_found", "The resource was not found.", resource=kind)
        return record

    def _validate(self, kind: str, name: str, value: Any) -> None:
        pointer = f"/custom_fields/{name}"
        try:
            definition = self.store.definition(kind, name)
        except KeyError:
            # Refused rather than ignored: likely, not documented.
            raise Refusal(422, "unknown", "Unknown custom field.", resource=kind,
                          pointer=pointer) from None  # fmt: skip
        wrong = (
            (definition.type == "list" and value not in (None, *definition.choices))
            or (definition.type == "bool" and not isinstance(value, bool | None))
            or (definition.type in ("string", "text") and not isinstance(value, str | None))
        )
        if wrong:
            code = "incorrect_value" if definition.type == "list" else "invalid_type"
            raise Refusal(422, code, "The value is wrong.", resource=kind, pointer=pointer)
