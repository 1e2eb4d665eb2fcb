"""The vendors' rate limits and their ways of saying no, kept by the sandbox server.

Two of the five announce nothing at all (Sell, Mailchimp), one only when it refuses (Klaviyo), two
always (SendGrid, HubSpot); sources: the sheets of facts about each vendor's API, `docs/vendors.md`.
Clocks are functions that return epoch seconds, so that tests need not wait.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import JSONResponse, Response

from optout.http.client import Limit

Clock = Callable[[], float]

_PER_ENDPOINT = frozenset({"klaviyo", "sendgrid"})
"""Styles whose windows count one endpoint; the others count all requests of a credential."""
_ROLLING = frozenset({"hubspot", "sell"})
"""Styles whose windows slide with time; the others start anew at fixed moments."""


class Window:
    """Counts requests in one time window; `rolling` or starting anew when it is over."""

    def __init__(self, limit: Limit, *, rolling: bool) -> None:
        self.size = limit.requests or 0
        self.seconds = limit.seconds
        self.rolling = rolling
        self._times: deque[float] = deque()
        self._start = -math.inf

    def _forget(self, now: float) -> None:
        if self.rolling:
            while self._times and self._times[0] <= now - self.seconds:
                self._times.popleft()
        elif now >= self._start + self.seconds:
            self._start = math.floor(now / self.seconds) * self.seconds
            self._times.clear()

    def remaining(self, now: float) -> int:
        """How many more requests fit."""
        self._forget(now)
        return max(0, self.size - len(self._times))

    def take(self, now: float) -> None:
        """Count one request."""
        self._times.append(now)

    def reset_at(self, now: float) -> float:
        """Epoch seconds at which a full window has room again."""
        self._forget(now)
        if not self.rolling:
            return self._start + self.seconds
        return (self._times[0] if self._times else now) + self.seconds


@dataclass
class _Account:
    """The windows of one credential (and endpoint), and how many requests are under way."""

    windows: list[Window]
    concurrent: int | None
    running: int = 0


@dataclass(frozen=True)
class Verdict:
    """Whether a request is let in, and what the vendor's headers say of it."""

    allowed: bool
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0.0
    """Seconds until there is room, where refused."""
    policy: str = ""
    """HubSpot's name of the limit that was hit."""


class Limiter:
    """The limits of one vendor. Used by one thread (the server's loop)."""

    def __init__(
        self,
        style: str,
        limits: Sequence[Limit],
        endpoint_limits: Mapping[str, Sequence[Limit]],
        clock: Clock,
    ) -> None:
        self.style = style
        self._limits = tuple(limits)
        self._endpoint_limits = endpoint_limits
        self._clock = clock
        self._accounts: dict[tuple[str, str], _Account] = {}
        self.refused = 0

    def _account(self, credential: str, endpoint: str) -> _Account:
        own = self._endpoint_limits.get(endpoint)
        place = endpoint if own is not None or self.style in _PER_ENDPOINT else ""
        account = self._accounts.get((credential, place))
        if account is None:
            limits = self._limits if own is None else tuple(own)
            rolling = self.style in _ROLLING
            account = _Account(
                [Window(each, rolling=rolling) for each in limits if each.requests is not None],
                min((each.concurrent for each in limits if each.concurrent), default=None),
            )
            self._accounts[credential, place] = account
        return account

    def enter(self, credential: str, endpoint: str) -> Verdict:
        """Ask for one request; an allowed one must `leave` at its end."""
        now = self._clock()
        account = self._account(credential, endpoint)
        full = [window for window in account.windows if not window.remaining(now)]
        crowded = account.concurrent is not None and account.running >= account.concurrent
        if full or crowded:
            self.refused += 1
            wait = max((window.reset_at(now) - now for window in full), default=0.0)
            headers = announce(self.style, account.windows, now)
            return Verdict(False, headers, wait, _policy(full))
        for window in account.windows:
            window.take(now)
        account.running += 1
        return Verdict(True, announce(self.style, account.windows, now))

    def leave(self, credential: str, endpoint: str) -> None:
        """An allowed request has been answered."""
        self._account(credential, endpoint).running -= 1


def _policy(full: Sequence[Window]) -> str:
    if any(window.seconds >= 86_400 for window in full):
        return "DAILY"
    return "TEN_SECONDLY_ROLLING" if any(w.seconds > 1 for w in full) else "SECONDLY"


def announce(style: str, windows: Sequence[Window], now: float) -> dict[str, str]:
    """The headers by which a vendor tells how much is left; empty where it tells nothing."""
    if not windows:
        return {}
    longest = max(windows, key=lambda window: window.seconds)
    shortest = min(windows, key=lambda window: window.seconds)
    if style == "sendgrid":
        return {
            "X-RateLimit-Limit": str(longest.size),
            "X-RateLimit-Remaining": str(longest.remaining(now)),
            "X-RateLimit-Reset": str(math.ceil(longest.reset_at(now))),
        }
    if style == "klaviyo":
        return {
            "RateLimit-Limit": str(longest.size),
            "RateLimit-Remaining": str(longest.remaining(now)),
            "RateLimit-Reset": str(math.ceil(longest.reset_at(now) - now)),
        }
    if style == "hubspot":
        return {
            "X-HubSpot-RateLimit-Daily": str(longest.size),
            "X-HubSpot-RateLimit-Daily-Remaining": str(longest.remaining(now)),
            "X-HubSpot-RateLimit-Max": str(shortest.size),
            "X-HubSpot-RateLimit-Remaining": str(shortest.remaining(now)),
            "X-HubSpot-RateLimit-Interval-Milliseconds": str(int(shortest.seconds * 1000)),
        }
    return {}


def refusal(style: str, verdict: Verdict, count: int) -> Response:
    """The vendor's answer to one request too many; `count` alternates the forms where a vendor
    has two (Sell's body need not be JSON, Mailchimp may say a bare 403)."""
    headers = dict(verdict.headers)
    if style == "mailchimp" and count % 2 == 0:
        return Response(status_code=403, headers=headers)
    if style == "sell" and count % 2 == 0:
        return Response("Too Many Requests", 429, headers, "text/plain")
    if style == "klaviyo":
        headers = {"Retry-After": str(max(1, math.ceil(verdict.wait)))}
    return JSONResponse(_body(style, verdict.policy), 429, headers, _media_type(style))


def _media_type(style: str) -> str:
    types = {"klaviyo": "application/vnd.api+json", "mailchimp": "application/problem+json"}
    return types.get(style, "application/json")


def _body(style: str, policy: str) -> dict[str, Any]:
    if style == "sell":
        error = {"code": "rate_limit_exceeded", "message": "Too many requests."}
        meta = {"type": "errors", "http_status": "429 Too Many Requests"}
        return {"errors": [{"error": error, "meta": {"type": "error"}}], "meta": meta}
    if style == "mailchimp":
        detail = "You have exceeded the limit of 10 simultaneous connections."
        return {"type": "about:blank", "title": "Too Many Requests", "status": 429,
                "detail": detail, "instance": "sandbox"}  # fmt: skip
    if style == "klaviyo":
        error = {"id": "sandbox", "status": "429", "code": "throttled",
                 "title": "Request was throttled.", "detail": "Request was throttled."}  # fmt: skip
        return {"errors": [error]}
    if style == "hubspot":
        return {"status": "error", "errorType": "RATE_LIMIT", "policyName": policy or "SECONDLY",
                "message": "You have reached your limit.", "correlationId": "sandbox"}  # fmt: skip
    return {"errors": [{"field": None, "message": "too many requests"}]}
