"""One HTTP layer for every vendor: time-outs, bounded retries, limits, redaction, counting."""

from __future__ import annotations

import base64
import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from random import Random
from typing import Any, TypeVar

import orjson
from requests.adapters import BaseAdapter

from optout import __version__
from optout.errors import ConfigurationError, RateLimited, SourceError, UnexpectedAnswer
from optout.http.download import open_file
from optout.http.limits import Limit, shared_limiter
from optout.http.options import Answer, HttpOptions
from optout.http.redact import Redactor
from optout.http.retry import RetryPolicy
from optout.http.stats import HttpStats
from optout.http.transport import FAILURES, Timeouts, Transport, Wire, failure
from optout.http.urls import BaseUrl
from optout.http.verdict import Asked, judge

__all__ = ["Answer", "HttpClient", "HttpOptions", "HttpStats", "Limit"]

USER_AGENT = f"optout/{__version__}"
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_log = logging.getLogger(__name__)

T = TypeVar("T")


class HttpClient:
    """Asks one system. Thread-safe; one limiter per credential is shared between instances.

    `template` is the path with placeholders (`/lists/{id}/members`): what errors and logs say
    instead of the path. A `path` may be an absolute URL of the same origin (a vendor's next link);
    another host is refused, as is a redirect to one.

    `adapter`, `sleep`, `clock` (seconds that never go back), `wall` (the time of day, for waits
    told as a date) and `rng` (jitter) are for tests.
    """

    stats: HttpStats

    def __init__(
        self,
        system: str,
        base_url: str,
        options: HttpOptions,
        *,
        secrets: tuple[str, ...] = (),
        retry: RetryPolicy | None = None,
        adapter: BaseAdapter | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        rng: Random | None = None,
    ) -> None:
        self.system = system
        self.stats = HttpStats()
        self._options = options
        self._base = BaseUrl(system, base_url, allow_plain_http=options.allow_plain_http)
        self._headers = _standing_headers(system, options)
        self._retry = retry or RetryPolicy()
        self._sleep, self._clock, self._wall = sleep, clock, wall
        self._rng = rng or Random()  # noqa: S311 - jitter, not a secret
        credential = _credential(self._headers, secrets)
        self._redact = Redactor((*secrets, *_said_secrets(self._headers, options)))
        self._name = lru_cache(maxsize=256)(self._redact)
        self._limiter = shared_limiter(
            self._base.origin, credential, options.limits, clock=clock, sleep=sleep
        )
        timeouts = Timeouts(options.connect_timeout, options.read_timeout, options.total_timeout)
        self._transport = Transport(base_url, timeouts, adapter=adapter, clock=clock)

    def get(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        template: str | None = None,
        headers: Mapping[str, str] | None = None,
        ok: tuple[int, ...] = (200,),
    ) -> Answer:
        """GET; an answer with a status in `ok`, else a SourceError after bounded retries."""
        return self._ask("GET", path, params, None, template, headers, ok)

    def post(
        self,
        path: str,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        *,
        template: str | None = None,
        headers: Mapping[str, str] | None = None,
        ok: tuple[int, ...] = (200, 201, 202),
    ) -> Answer:
        """POST of a reading or otherwise repeatable kind (searches, exports, acknowledgements)."""
        body = None if json is None else orjson.dumps(json)
        return self._ask("POST", path, params, body, template, headers, ok)

    def download(self, url: str, *, template: str = "{download}") -> Iterator[bytes]:
        """Stream a file that the vendor points to, on any host, without our credential."""
        asked = Asked(self.system, f"GET {template}", "GET", (200,), self._redact)
        headers = {"Accept-Encoding": "identity", "User-Agent": USER_AGENT}
        opened = self._persist(
            lambda: open_file(
                self._transport,
                asked,
                url,
                headers,
                allow_plain_http=self._options.allow_plain_http,
                now=self._wall(),
            ),
            self._rest,
        )
        return opened.chunks()

    def close(self) -> None:
        """Close the connections that are kept alive; the client can still be used."""
        self._transport.close()

    def _ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None,
        body: bytes | None,
        template: str | None,
        headers: Mapping[str, str] | None,
        ok: tuple[int, ...],
    ) -> Answer:
        """Ask until there is an answer, or no further try is worth it."""
        endpoint = self._name(template or path.partition("?")[0])
        asked = Asked(self.system, f"{method} {endpoint}", method, ok, self._redact)
        url = self._base.join(path, params, request=asked.request)
        sent = self._headers
        if headers or body is not None:
            sent = {**sent, **(headers or {}), "User-Agent": USER_AGENT}
            _check_headers(self.system, sent)
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        return self._persist(
            lambda: self._once(asked, endpoint, url, sent, body), self._limiter.pause
        )

    def _persist(
        self,
        once: Callable[[], T | SourceError],
        pause: Callable[[float], None],
    ) -> T:
        """What `once` returns, after as many tries as the policy allows; raises its last error."""
        failed_at: float | None = None
        tries = 1
        while isinstance(outcome := once(), SourceError):
            now = self._clock()
            failed_at = now if failed_at is None else failed_at
            limited = isinstance(outcome, RateLimited)
            self.stats.count(failed=1, rate_limited=int(limited))
            wait = self._retry.wait(outcome, tries, now - failed_at, self._rng)
            _log.info(
                "%s; try %d, %s",
                outcome,
                tries,
                "last" if wait is None else f"next in {wait:.1f} s",
            )
            if wait is None:
                self.stats.count(gave_up=1)
                raise outcome
            if limited:
                pause(wait)
            else:
                self._rest(wait)
            tries += 1
            self.stats.count(retries=1)
        return outcome

    def _rest(self, seconds: float) -> None:
        """Wait before the next try of this question only."""
        self._sleep(seconds)
        self.stats.count(waited=seconds)

    def _once(
        self,
        asked: Asked,
        endpoint: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> Answer | SourceError:
        """One try: follows redirects at the same origin, returns what it comes to."""
        for _ in range(_MOST_REDIRECTS + 1):
            wire = self._exchange(asked, endpoint, url, headers, body)
            if isinstance(wire, SourceError):
                return wire
            location = wire.headers.get("Location", "")
            if wire.status not in _REDIRECTS or wire.status in asked.ok or not location:
                return judge(
                    asked, wire.status, wire.headers, wire.body, self._options, self._wall()
                )
            if asked.method != "GET" and wire.status not in (307, 308):
                return asked.error(
                    UnexpectedAnswer, "a redirect that drops the body", status=wire.status
                )
            try:
                url = self._base.same_origin(location, request=asked.request, seen_from=url)
            except UnexpectedAnswer as refused:
                return refused
        return asked.error(UnexpectedAnswer, "redirected without end")

    def _exchange(
        self,
        asked: Asked,
        endpoint: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> Wire | SourceError:
        """One request over the wire, within the limits, counted."""
        with self._limiter.slot(endpoint) as waited:
            began = self._clock()
            received = 0
            try:
                wire = self._transport.exchange(asked.method, url, headers, body)
                received = len(wire.body)
                return wire
            except FAILURES as cause:
                kind, verdict = failure(cause)
            finally:
                self.stats.count_request(
                    waited=waited, seconds=self._clock() - began, received=received
                )
        # Made outside the handler: its cause, which holds the URL, does not travel along.
        return asked.error(kind, verdict)


def _standing_headers(system: str, options: HttpOptions) -> dict[str, str]:
    """The headers of every request."""
    headers = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate", **options.headers}
    if options.basic_auth is not None:
        pair = ":".join(options.basic_auth).encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode('ascii')}"
    headers["User-Agent"] = USER_AGENT
    _check_headers(system, headers)
    return headers


def _check_headers(system: str, headers: Mapping[str, str]) -> None:
    """Refuse what a header cannot carry, before a library complains and quotes the credential."""
    for name, value in headers.items():
        if not value.isascii() or not value.isprintable() or value != value.strip():
            raise ConfigurationError(
                f"the header {name} would hold a line break, a space at an end, or a letter "
                "outside ASCII",
                key=f"{system}.token_env" if name == "Authorization" else system,
                mend="Set the variable again, without anything around the token.",
            )


def _said_secrets(headers: Mapping[str, str], options: HttpOptions) -> Iterator[str]:
    """What the requests carry that nobody may read: the password, the credential as it is sent."""
    if options.basic_auth is not None:
        yield options.basic_auth[1]
    yield headers.get("Authorization", "").rpartition(" ")[2]


def _credential(headers: Mapping[str, str], secrets: tuple[str, ...]) -> str:
    """A digest that tells credentials apart (limits are counted per credential)."""
    known = headers.get("Authorization") or "\n".join(secrets)
    return hashlib.sha256(known.encode()).hexdigest()
