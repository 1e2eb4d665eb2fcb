"""One exchange over the wire on requests' adapter: pooled, timed out, its failures named.

requests' Session is left out on purpose: it reads ~/.netrc (which would replace our credential),
keeps cookies, follows redirects, and costs more time than the exchange itself. Proxy and
certificate settings of the environment are honoured, read once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPConnectionPool
from urllib3.exceptions import (
    DecodeError,
    HTTPError,
    IncompleteRead,
    ReadTimeoutError,
)

from optout.errors import BrokenAnswer, SourceError, Unreachable
from optout.http.redact import RedactingFilter
from optout.http.urls import is_loopback

POOL_SIZE = 32
"""Connections kept open per host: above the most workers that any connector uses."""
_CHUNK = 1 << 18

# urllib3 logs each URL at level DEBUG, the query with it.
logging.getLogger("urllib3.connectionpool").addFilter(RedactingFilter())


@dataclass(frozen=True)
class Timeouts:
    """Seconds to connect, without a byte, and for one whole answer."""

    connect: float
    read: float
    total: float


@dataclass(frozen=True)
class Wire:
    """What came back, undigested."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class TooSlow(Exception):
    """The whole answer took longer than it may."""


class PooledAdapter(HTTPAdapter):
    """requests' adapter without what is worked out anew for each request and never asked for: a
    fifth of what a page costs. It remembers the pool that it used last."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._last: tuple[tuple[object, ...], HTTPConnectionPool] | None = None

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: Any,
        proxies: Mapping[str, str] | None = None,
        cert: Any = None,
    ) -> HTTPConnectionPool:
        """The pool that requests would choose."""
        origin = tuple((request.url or "").split("/", 3)[:3])
        key = (origin, verify, cert, frozenset((proxies or {}).items()))
        last = self._last
        if last is not None and last[0] == key:
            return last[1]
        found = super().get_connection_with_tls_context(request, verify, proxies, cert)
        pool = cast(HTTPConnectionPool, found)
        self._last = (key, pool)
        return pool

    def request_url(
        self, request: requests.PreparedRequest, proxies: Mapping[str, str] | None
    ) -> str:
        """What the request line says; without proxies there is none to be chosen."""
        return super().request_url(request, proxies) if proxies else request.path_url

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Status, headers and the stream; no cookies, and no guess at an encoding."""
        response = requests.Response()
        response.status_code = resp.status
        response.headers = CaseInsensitiveDict(resp.headers)
        response.raw, response.request, response.url = resp, req, req.url or ""
        return response

    def close(self) -> None:
        """Let go of the connections: urllib3 closes those of a pool that nobody holds."""
        self._last = None
        super().close()


class Transport:
    """Sends prepared requests; thread-safe, keeps connections alive."""

    def __init__(
        self,
        base_url: str,
        timeouts: Timeouts,
        *,
        adapter: BaseAdapter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._adapter = adapter or PooledAdapter(pool_connections=4, pool_maxsize=POOL_SIZE)
        self._timeouts = timeouts
        self._clock = clock
        self._environment = environment(base_url)

    def exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Wire:
        """One request and its whole answer. Raises what requests and urllib3 raise, and TooSlow;
        `failure` turns any of it into our words."""
        deadline = self._clock() + self._timeouts.total
        response = self.open(method, url, headers, body)
        try:
            chunks = []
            # read1 hands over what has come, so that a trickle cannot outlast the deadline.
            while chunk := response.raw.read1(_CHUNK, decode_content=True):
                chunks.append(chunk)
                if self._clock() > deadline:
                    raise TooSlow
        finally:
            response.close()
        return Wire(response.status_code, response.headers, b"".join(chunks))

    def close(self) -> None:
        """Close the connections that are kept alive."""
        self._adapter.close()

    def open(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        environment: Mapping[str, Any] | None = None,
    ) -> requests.Response:
        """One request; the answer's body is not read yet."""
        request = requests.PreparedRequest()
        request.method = method
        request.url = url
        request.headers = CaseInsensitiveDict(headers)
        request.body = body
        if body is not None:
            request.headers["Content-Length"] = str(len(body))
        return self._adapter.send(
            request,
            stream=True,
            timeout=(self._timeouts.connect, self._timeouts.read),
            **(environment or self._environment),
        )


def environment(url: str) -> dict[str, Any]:
    """Proxies, certificate bundle and client certificate for this host by the environment."""
    with requests.Session() as session:
        settings = session.merge_environment_settings(url, {}, None, None, None)
    # A bundle of one's own is verification too; nothing can switch verification off.
    return {
        # A proxy elsewhere cannot reach this machine's own servers.
        "proxies": {} if is_loopback(urlsplit(url).hostname or "") else settings["proxies"],
        "verify": settings["verify"] if isinstance(settings["verify"], str) else True,
        "cert": settings["cert"],
    }


FAILURES: tuple[type[Exception], ...] = (
    requests.RequestException,
    HTTPError,
    OSError,
    TooSlow,
)


def failure(cause: BaseException) -> tuple[type[SourceError], str]:
    """What a failed exchange means, without anything that the cause holds (it may hold the URL)."""
    chain = tuple(_chain(cause))
    if any(isinstance(one, IncompleteRead) for one in chain):
        return BrokenAnswer, "the answer was cut off"
    if any(isinstance(one, DecodeError) for one in chain):
        return BrokenAnswer, "the answer's compression is damaged"
    if any(isinstance(one, requests.ConnectTimeout) for one in chain):
        return Unreachable, "no connection in time"
    if any(isinstance(one, (requests.Timeout, ReadTimeoutError, TooSlow)) for one in chain):
        return Unreachable, "no answer in time"
    if any(isinstance(one, requests.exceptions.SSLError) for one in chain):
        return Unreachable, "no trusted TLS connection"
    if any(isinstance(one, requests.exceptions.ProxyError) for one in chain):
        return Unreachable, "the proxy could not be used"
    return Unreachable, "the connection failed or broke"


def _chain(cause: BaseException) -> Iterator[BaseException]:
    """The exception and what it wraps, however it wraps it."""
    seen: list[BaseException] = []
    todo: list[object] = [cause]
    while todo:
        one = todo.pop()
        if isinstance(one, BaseException) and one not in seen:
            seen.append(one)
            yield one
            todo += [*one.args, one.__cause__, one.__context__, getattr(one, "reason", None)]
