"""Switches that make the sandbox's answers wrong, in all the ways in which vendors' answers are.

A fault is planted for one vendor, optionally one endpoint, from its nth matching request on for a
number of times. The same kinds work for every vendor, because they act on the answer that its twin
gave: on the status, the bytes, or the parsed JSON (`optout.sandbox.spoil`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from threading import Lock
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from optout.sandbox import spoil
from optout.sandbox.acts import Twin
from optout.sandbox.limits import Verdict, refusal

Respond = Callable[[Request], Awaitable[Response]]


class FaultKind(StrEnum):
    """What goes wrong."""

    LIMITED = "limited"
    """429, with `Retry-After: seconds` if `seconds` is set."""
    SERVER_ERROR = "server_error"
    """500, after the handler ran: its effects stay."""
    UNAVAILABLE = "unavailable"
    """503, before the handler ran."""
    RESET = "reset"
    """The connection is cut without an answer, after the handler ran."""
    TRUNCATED = "truncated"
    """200 with the first half of the JSON text."""
    HTML = "html"
    """200 with a page for people."""
    ERROR_IN_200 = "error_in_200"
    """200 with the vendor's error body."""
    EMPTY = "empty"
    """200 without a body."""
    SLOW = "slow"
    """The answer takes `seconds`."""
    REPEATED_PAGE = "repeated_page"
    """The previous page of this endpoint is served again instead of this one, whatever is asked.
    One without rows is not: an empty answer to another question tells itself by nothing."""
    REPEATED_CURSOR = "repeated_cursor"
    """The link or cursor to the next page leads to this page again."""
    MISSING_PAGE = "missing_page"
    """The page's rows are gone; its cursor and total are as they were."""
    DUPLICATE_PAGE = "duplicate_page"
    """Every row of the page is there twice."""
    EXPIRED_CURSOR = "expired_cursor"
    """410, or 400 where the vendor says it so, to a request that goes on from a position."""
    WRONG_TOTAL = "wrong_total"
    """The vendor's own total is higher by `rows`."""
    UNKNOWN_ENUM = "unknown_enum"
    """`rows` rows say a word that the vendor never documented, in `field`."""
    FIELD_ABSENT = "field_absent"
    """`rows` rows lack `field` (default: the vendor's consent field)."""
    FIELD_NULL = "field_null"
    """`rows` rows have null there."""
    UNAUTHORIZED = "unauthorized"
    """401; usually `times=None`: from the nth request on."""
    SKEW = "skew"
    """All the vendor's stamps and its `Date` are off by `seconds`."""


PASSING = frozenset({
    FaultKind.LIMITED, FaultKind.SERVER_ERROR, FaultKind.UNAVAILABLE, FaultKind.RESET,
    FaultKind.TRUNCATED, FaultKind.HTML, FaultKind.ERROR_IN_200, FaultKind.EMPTY,
})  # fmt: skip
"""Faults after which asking again gives the right answer: a read must survive them."""


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong; `nth` and `times` count the requests that match it."""

    kind: FaultKind
    vendor: str
    endpoint: str | None = None
    """A part of the route's path, e.g. `/members`; None: any endpoint."""
    method: str | None = None
    nth: int = 1
    times: int | None = 1
    """None: for ever."""
    seconds: float | None = None
    field: str | None = None
    rows: int = 1
    status: int | None = None
    """Another HTTP status than the kind's own."""


class Reset(Response):
    """Cuts the connection instead of answering."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Cut; nothing is sent."""
        scope["optout.cut"]()


@dataclass
class _Planted:
    fault: Fault
    seen: int = 0
    applied: int = 0

    def meets(self, vendor: str, endpoint: str, method: str) -> bool:
        """Whether the request is one that the fault counts, and it is due; counts it."""
        fault = self.fault
        if fault.vendor != vendor or (fault.method or method) != method:
            return False
        if fault.endpoint is not None and fault.endpoint not in endpoint:
            return False
        self.seen += 1
        end = None if fault.times is None else fault.nth + fault.times
        return self.seen >= fault.nth and (end is None or self.seen < end)


class Faults:
    """The switchboard of one sandbox; safe to use from the test while requests are answered."""

    def __init__(self) -> None:
        self._planted: list[_Planted] = []
        self._pages: dict[tuple[str, str], bytes] = {}
        self._lock = Lock()

    def plant(self, *faults: Fault) -> None:
        """Switch these on, in addition to what is on already."""
        with self._lock:
            self._planted += [_Planted(fault) for fault in faults]

    def clear(self) -> None:
        """Switch everything off."""
        with self._lock:
            self._planted.clear()
            self._pages.clear()

    def applied(self) -> dict[Fault, int]:
        """How often each planted fault has struck."""
        with self._lock:
            return {planted.fault: planted.applied for planted in self._planted}

    def _due(self, vendor: str, endpoint: str, method: str) -> list[_Planted]:
        with self._lock:
            return [each for each in self._planted if each.meets(vendor, endpoint, method)]

    async def answer(
        self, twin: Twin, endpoint: str, request: Request, respond: Respond
    ) -> Response:
        """The twin's answer, spoilt by what is due for this request."""
        due = self._due(twin.vendor, endpoint, request.method)
        for planted in due:
            early = await _before(planted, twin, request)
            if early is not None:
                return early
        response = await respond(request)
        if not self._planted:
            return response
        previous = self._remember(twin.vendor, endpoint, request, await _body(response))
        for planted in due:
            response = await _after(planted, twin, request, response, previous)
        return response

    def _remember(self, vendor: str, endpoint: str, request: Request, body: bytes) -> bytes | None:
        """Keep a page for `REPEATED_PAGE`; the one before it (of the same path) is returned."""
        place = vendor + endpoint, request.url.path
        with self._lock:
            previous = self._pages.get(place)
            self._pages[place] = body
        return previous


async def _before(planted: _Planted, twin: Twin, request: Request) -> Response | None:
    """Faults that strike instead of the handler."""
    fault = planted.fault
    style = twin.limit_style
    answer: Response | None = None
    if fault.kind is FaultKind.LIMITED:
        answer = refusal(style, Verdict(False), 1)
        if "retry-after" in answer.headers:
            del answer.headers["retry-after"]
        if fault.seconds is not None:
            answer.headers["retry-after"] = str(int(fault.seconds))
    elif fault.kind is FaultKind.UNAVAILABLE:
        answer = _refuse(twin, fault.status or 503)
    elif fault.kind is FaultKind.UNAUTHORIZED:
        answer = _refuse(twin, fault.status or 401)
    elif fault.kind is FaultKind.EXPIRED_CURSOR and spoil.goes_on(request):
        answer = _refuse(twin, fault.status or (410 if twin.vendor == "zendesk_sell" else 400))
    elif fault.kind is FaultKind.SLOW:
        planted.applied += 1
        await asyncio.sleep(fault.seconds or 0.0)
    if answer is not None:
        planted.applied += 1
    return answer


def _refuse(twin: Twin, status: int) -> Response:
    return JSONResponse(spoil.error_body(twin.vendor, status), status)


async def _body(response: Response) -> bytes:
    """The whole body; a streamed answer is turned into a plain one in place."""
    if isinstance(response, StreamingResponse):
        chunks = [chunk async for chunk in response.body_iterator]
        return b"".join(c.encode() if isinstance(c, str) else bytes(c) for c in chunks)
    return bytes(response.body)


async def _after(
    planted: _Planted, twin: Twin, request: Request, response: Response, previous: bytes | None
) -> Response:
    """Faults that spoil the handler's answer."""
    fault = planted.fault
    changed = _replaced(fault, twin, bytes(response.body), previous)
    if changed is None and response.status_code < 300:
        changed = _rewritten(fault, twin, request, response)
    if changed is None:
        return response
    planted.applied += 1
    return changed


def _replaced(fault: Fault, twin: Twin, body: bytes, previous: bytes | None) -> Response | None:
    """Another answer altogether."""
    kind = fault.kind
    if kind is FaultKind.SERVER_ERROR:
        return _refuse(twin, fault.status or 500)
    if kind is FaultKind.RESET:
        return Reset()
    if kind is FaultKind.TRUNCATED:
        return Response(body[: len(body) // 2] or b"{", media_type="application/json")
    if kind is FaultKind.HTML:
        return HTMLResponse("<!doctype html><title>Maintenance</title><p>Back soon.</p>")
    if kind is FaultKind.ERROR_IN_200:
        return JSONResponse(spoil.error_body(twin.vendor, fault.status or 500), 200)
    if kind is FaultKind.EMPTY:
        return Response(b"", 200, media_type="application/json")
    if kind is FaultKind.REPEATED_PAGE and previous is not None and spoil.has_rows(previous):
        return Response(previous, 200, media_type="application/json")
    return None


def _rewritten(fault: Fault, twin: Twin, request: Request, response: Response) -> Response | None:
    """The same answer with other JSON; None where the fault finds nothing to spoil."""
    try:
        data: Any = orjson.loads(bytes(response.body))
    except orjson.JSONDecodeError:
        return None
    if not _spoil(fault, twin, request, data):
        return None
    changed = Response(orjson.dumps(data), response.status_code)
    changed.headers["content-type"] = response.headers.get("content-type", "application/json")
    if fault.kind is FaultKind.SKEW and twin.now is not None:
        changed.headers["date"] = spoil.skewed_date(twin.now, fault.seconds or 0.0)
    return changed


def _spoil(fault: Fault, twin: Twin, request: Request, data: Any) -> bool:
    """Rewrite parsed JSON in place; False where the fault finds nothing to spoil."""
    usual = spoil.ENUM_FIELD if fault.kind is FaultKind.UNKNOWN_ENUM else spoil.CONSENT_FIELD
    field = fault.field or usual.get(twin.vendor, "")
    ways: dict[FaultKind, Callable[[], bool]] = {
        FaultKind.REPEATED_CURSOR: lambda: spoil.repeat_cursor(data, request),
        FaultKind.MISSING_PAGE: lambda: spoil.drop_rows(data),
        FaultKind.DUPLICATE_PAGE: lambda: spoil.double_rows(data),
        FaultKind.WRONG_TOTAL: lambda: spoil.raise_totals(data, fault.rows),
        FaultKind.UNKNOWN_ENUM: lambda: spoil.set_field(data, field, "mystery", fault.rows),
        FaultKind.FIELD_NULL: lambda: spoil.set_field(data, field, None, fault.rows),
        FaultKind.FIELD_ABSENT: lambda: spoil.drop_field(data, field, fault.rows),
        FaultKind.SKEW: lambda: spoil.shift_stamps(data, fault.seconds or 0.0),
    }
    way = ways.get(fault.kind)
    return way is not None and way()


def plan(
    seed: int, vendors: Sequence[str], count: int, *, kinds: Sequence[FaultKind] | None = None
) -> list[Fault]:
    """`count` faults at random places of the first 40 requests of each vendor."""
    rng = Random(seed)  # noqa: S311
    choice = tuple(kinds) if kinds else tuple(sorted(PASSING))
    return [
        Fault(rng.choice(choice), rng.choice(tuple(vendors)), nth=rng.randint(1, 40))
        for _ in range(count)
    ]
