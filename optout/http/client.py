"""One HTTP layer for every vendor: time-outs, bounded retries, limits, redaction, counting."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Limit:
    """A vendor's limit: `requests` per `seconds`, or `concurrent` requests at a time."""

    requests: int | None = None
    seconds: float = 1.0
    concurrent: int | None = None


@dataclass(frozen=True)
class Answer:
    """A vendor's answer: `data` is the parsed JSON (None for an empty body)."""

    status: int
    headers: Mapping[str, str]
    data: Any
    body: bytes = b""


@dataclass(frozen=True)
class HttpOptions:
    """A vendor's way of being asked, and its ways of saying no."""

    headers: Mapping[str, str] = field(default_factory=dict)
    basic_auth: tuple[str, str] | None = None
    limits: tuple[Limit, ...] = ()
    retry_after: Callable[[Answer], float | None] | None = None
    """Seconds to wait by the vendor's own header or body, besides the standard Retry-After."""
    is_limited: Callable[[Answer], bool] | None = None
    """Other answers than 429 that mean 'too many' (Mailchimp's bare 403)."""
    refusal: Callable[[Answer], str | None] | None = None
    """Says why an answer with status 2xx is an error after all."""
    connect_timeout: float = 10.0
    read_timeout: float = 120.0


@dataclass
class HttpStats:
    """What the requests of one read cost; goes into the manifest and the extraction page."""

    requests: int = 0
    retries: int = 0
    rate_limited: int = 0
    waited_seconds: float = 0.0
    failed: int = 0
    latency_seconds: list[float] = field(default_factory=list)


class HttpClient:
    """Asks one system. Thread-safe; one limiter per credential is shared between instances.

    `template` is the path with placeholders (`/lists/{id}/members`): what errors and logs say
    instead of the path. A `path` may be an absolute URL of the same origin (a vendor's next link);
    another host is refused, as is a redirect to one.
    """

    stats: HttpStats

    def __init__(self, system: str, base_url: str, options: HttpOptions, *, secrets: tuple[str, ...] = ()) -> None:
        raise NotImplementedError

    def get(self, path: str, params: Mapping[str, Any] | None = None, *, template: str | None = None,
            headers: Mapping[str, str] | None = None, ok: tuple[int, ...] = (200,)) -> Answer:
        """GET; an answer with a status in `ok`, else a SourceError after bounded retries."""
        raise NotImplementedError

    def post(self, path: str, json: Any = None, params: Mapping[str, Any] | None = None, *,
             template: str | None = None, headers: Mapping[str, str] | None = None,
             ok: tuple[int, ...] = (200, 201, 202)) -> Answer:
        """POST of a reading or otherwise repeatable kind (searches, exports, acknowledgements)."""
        raise NotImplementedError

    def download(self, url: str, *, template: str = "{download}") -> Iterator[bytes]:
        """Stream a file that the vendor points to, on any host, without our credential."""
        raise NotImplementedError
