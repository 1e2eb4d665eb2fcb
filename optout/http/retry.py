"""When to ask again: full-jitter back-off, the vendor's own wait, and bounds on both."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from random import Random

from optout.errors import RateLimited, SourceError, Transient
from optout.http.options import Answer


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long a transient failure is met with another try.

    Waits are drawn evenly between zero and min(`cap`, `base` · 2ⁿ) seconds ("full jitter"), so
    that threads which failed together do not come back together.
    """

    attempts: int = 6
    """Requests in all for one question, the first included."""
    limited_attempts: int = 12
    """The same where the vendor says 'too many': others may be using up the same quota."""
    base: float = 0.5
    cap: float = 30.0
    budget: float = 600.0
    """Seconds since the first failure of a question after which no other try begins."""
    longest_told_wait: float = 120.0
    """A vendor that asks for a longer wait (seconds) ends the question instead."""

    def wait(self, error: SourceError, tries: int, elapsed: float, rng: Random) -> float | None:
        """Seconds to wait after the `tries`-th try failed with `error`; None: give up."""
        allowed = self.limited_attempts if isinstance(error, RateLimited) else self.attempts
        if not isinstance(error, Transient) or tries >= allowed:
            return None
        wait = rng.uniform(0, min(self.cap, self.base * 2 ** (tries - 1)))
        if error.retry_after is not None:
            if error.retry_after > self.longest_told_wait:
                return None
            wait = error.retry_after or wait
        return wait if elapsed + wait <= self.budget else None


def told_wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """The seconds of a Retry-After header, in either of its forms; None if absent or unreadable.

    A date is read against the answer's own Date header, so that a wrong clock on either side does
    no harm; against `now` (aware, UTC) where the vendor sends none.
    """
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value):
        return float(value)
    until = _http_date(value)
    if until is None:
        return None
    return max(0.0, (until - (_http_date(headers.get("Date", "")) or now)).total_seconds())


def wait_until_epoch(answer: Answer, header: str, now: datetime) -> float | None:
    """The seconds until the epoch second in `header` (SendGrid's X-RateLimit-Reset).

    Read against the answer's Date header where it has one, else against `now`.
    """
    value = answer.headers.get(header, "").strip()
    if not re.fullmatch(r"\d{1,12}", value):
        return None
    seen = _http_date(answer.headers.get("Date", "")) or now
    return max(0.0, int(value) - seen.timestamp())


def _http_date(value: str) -> datetime | None:
    """An HTTP date as an aware datetime."""
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError):
        return None
    return moment if moment.tzinfo else None
