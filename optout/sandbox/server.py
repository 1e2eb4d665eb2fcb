"""All twins behind one port of 127.0.0.1, over real HTTP.

Each twin is mounted below `/<vendor>`; its handlers run one at a time under the lock that the
world holds while it acts. The server adds what the vendors' front doors do: rate limits, dates,
and (for the tests) the faults of `optout.sandbox.faults`. It writes no log; `Sandbox.log` keeps
method, path template and status, never an address or a query.
"""

from __future__ import annotations

import asyncio
import inspect
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC
from email.utils import format_datetime
from typing import Any, NamedTuple, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from optout.sandbox.acts import Twin
from optout.sandbox.faults import Faults, Reset
from optout.sandbox.limits import Clock, Limiter, refusal

Handler = Callable[[Request], Awaitable[Response]]


class Logged(NamedTuple):
    """One request as the log keeps it."""

    vendor: str
    method: str
    template: str
    status: int
    """0: the connection was cut without an answer."""


@dataclass(frozen=True)
class _Mounted:
    twin: Twin
    limiter: Limiter


class Sandbox:
    """A running set of twins; a context manager.

    `latency` is the time in seconds that each answer takes at least: without one, requests under
    way at the same time could not be told, and Mailchimp's limit could not be hit.
    """

    def __init__(
        self,
        twins: Iterable[Twin],
        *,
        limits_on: bool = True,
        latency: float = 0.0,
        clock: Clock = time.time,
    ) -> None:
        self.lock = threading.RLock()
        self.limits_on = limits_on
        self.latency = latency
        self.faults = Faults()
        self.log: list[Logged] = []
        self._clock = clock
        self._mounted: dict[str, _Mounted] = {}
        for twin in twins:
            twin.lock = self.lock
            limiter = Limiter(twin.limit_style, twin.limits, twin.endpoint_limits, clock)
            self._mounted[twin.vendor] = _Mounted(twin, limiter)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._port = 0

    # --- running --------------------------------------------------------------------------------
    def start(self, port: int = 0) -> Self:
        """Serve on a free port (or the given one); returns when requests are answered."""
        listener = _listener(port)
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._app(), http=_Protocol, ws="none", lifespan="off", loop="asyncio",
            log_config=None, log_level="critical", access_log=False, date_header=False,
            server_header=False, proxy_headers=False, timeout_graceful_shutdown=1,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="sandbox", daemon=True
        )
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the sandbox server did not start")
            time.sleep(0.002)
        return self

    @property
    def port(self) -> int:
        """Where it answers, once started."""
        return self._port

    def stop(self) -> None:
        """End the server; connections are closed."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(timeout=10)
        self._server = self._thread = None

    def __enter__(self) -> Self:
        return self if self._server else self.start()

    def __exit__(self, *told: object) -> None:
        self.stop()

    # --- what tests and the configuration ask ---------------------------------------------------
    @property
    def url(self) -> str:
        """Where the server listens."""
        return f"http://127.0.0.1:{self._port}"

    def base_url(self, vendor: str) -> str:
        """The `base_url` of one twin, as it is written into optout.toml."""
        return f"{self.url}/{vendor}{self._mounted[vendor].twin.base_path}"

    @property
    def vendors(self) -> tuple[str, ...]:
        """The mounted vendors, in the order in which they were given."""
        return tuple(self._mounted)

    def twin(self, vendor: str) -> Twin:
        """The twin of one vendor; KeyError if it is not mounted."""
        return self._mounted[vendor].twin

    @property
    def requests(self) -> Counter[str]:
        """Requests per vendor since the start or `forget`."""
        return Counter(entry.vendor for entry in self.log)

    @property
    def limited(self) -> Counter[str]:
        """Requests per vendor that the vendor's own rate limit refused."""
        return Counter({name: each.limiter.refused for name, each in self._mounted.items()})

    def forget(self) -> None:
        """Empty the request log and the count of refusals."""
        self.log.clear()
        for each in self._mounted.values():
            each.limiter.refused = 0

    # --- answering ------------------------------------------------------------------------------
    def _app(self) -> Starlette:
        routes = []
        for mounted in self._mounted.values():
            prefix = f"/{mounted.twin.vendor}"
            for route in mounted.twin.routes():
                answer = self._door(mounted, route)
                methods = sorted(route.methods or {"GET"})
                routes.append(Route(prefix + route.path, answer, methods=methods))
        return Starlette(routes=routes, exception_handlers={404: self._stray, 405: self._stray})

    async def _stray(self, request: Request, error: Exception) -> Response:
        """A path that no twin knows, or a method that it does not take there."""
        vendor = request.url.path.split("/")[1]
        status = int(getattr(error, "status_code", 404))
        self.log.append(Logged(vendor, request.method, "{unknown}", status))
        return JSONResponse({"error": "unknown path"}, status)

    def _door(self, mounted: _Mounted, route: Route) -> Handler:
        """What stands before one handler: the limits, the faults, the date and the log."""
        twin = mounted.twin

        async def respond(request: Request) -> Response:
            return await self._respond(twin, route, request)

        async def door(request: Request) -> Response:
            response = await self._admit(mounted, route.path, request, respond)
            status = 0 if isinstance(response, Reset) else response.status_code
            self.log.append(Logged(twin.vendor, request.method, route.path, status))
            if twin.now is not None:
                now = twin.now.astimezone(UTC)
                response.headers.setdefault("date", format_datetime(now, usegmt=True))
            return response

        return door

    async def _respond(self, twin: Twin, route: Route, request: Request) -> Response:
        """The handler's answer. The body is read before, so that a handler never waits while it
        holds the lock."""
        await request.body()
        if self.latency:
            await asyncio.sleep(self.latency)
        handler: Callable[[Request], Any] = route.endpoint
        with self.lock:
            answer = handler(request)
            if inspect.isawaitable(answer):
                answer = await answer
        if not isinstance(answer, Response):
            raise TypeError(f"{twin.vendor}: {route.path} returned no response")
        return answer

    async def _admit(
        self, mounted: _Mounted, endpoint: str, request: Request, respond: Handler
    ) -> Response:
        """The answer, or the vendor's own way of saying 'too many'."""
        twin, limiter = mounted.twin, mounted.limiter
        if not self.limits_on:
            return await self.faults.answer(twin, endpoint, request, respond)
        credential = request.headers.get("authorization", "")
        verdict = limiter.enter(credential, endpoint)
        if not verdict.allowed:
            return refusal(twin.limit_style, verdict, limiter.refused)
        try:
            response = await self.faults.answer(twin, endpoint, request, respond)
        finally:
            limiter.leave(credential, endpoint)
        if response.status_code != 429:
            for name, value in verdict.headers.items():
                response.headers.setdefault(name, value)
        return response


def _listener(port: int) -> socket.socket:
    """A listening socket that says it is TCP: only then asyncio switches off Nagle's delay, which
    costs 40 ms for every answer on a kept connection."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    return listener


class _Protocol(H11Protocol):
    """HTTP/1.1 that lets a response cut its own connection (`Reset`)."""

    def connection_made(self, transport: Any) -> None:
        """Give the application the means to cut this connection."""
        super().connection_made(transport)
        self.app = _with_cut(self.app, transport)


def _with_cut(app: Any, transport: asyncio.Transport) -> Any:
    """The application, told how to reset its connection."""

    def cut() -> None:
        linger = struct.pack("ii", 1, 0)  # close sends RST, not FIN
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        scope["optout.cut"] = cut
        await app(scope, receive, send)

    return wrapped
