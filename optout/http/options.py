"""What a vendor's answer is, and how a vendor wants to be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from optout.http.limits import Limit


@dataclass(frozen=True)
class Answer:
    """A vendor's answer: `data` is the parsed JSON (None for an empty body).

    `headers` ignores the case of names. An answer with a status 2xx that holds a body always has
    `data` (an object or an array); one with another status has `data` only if its body is JSON.
    """

    status: int
    headers: Mapping[str, str]
    data: Any = field(repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class HttpOptions:
    """A vendor's way of being asked, and its ways of saying no.

    The three functions see any answer, also one without `data`. One that stumbles over the shape
    of an answer (KeyError, TypeError ...) has not recognised it; where `refusal` does, the answer
    is broken.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    basic_auth: tuple[str, str] | None = field(default=None, repr=False)
    limits: tuple[Limit, ...] = ()
    retry_after: Callable[[Answer], float | None] | None = None
    """Seconds to wait by the vendor's own header or body, besides the standard Retry-After."""
    is_limited: Callable[[Answer], bool] | None = None
    """Other answers than 429 that mean 'too many' (Mailchimp's bare 403); asked of each answer."""
    refusal: Callable[[Answer], str | None] | None = None
    """Says why an answer with status 2xx is an error after all; its words are shown to people, so
    they must be the connector's own, never the body's."""
    connect_timeout: float = 10.0
    read_timeout: float = 120.0
    """Seconds without a single byte from the vendor."""
    total_timeout: float = 600.0
    """Seconds for one whole body, however steadily it trickles in."""
    allow_plain_http: bool = False
    """Allow http:// to other hosts than this machine; the credential then travels in clear."""
