"""What an answer means: the vendor's JSON, or one of our errors."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import orjson

from optout.errors import (
    AuthenticationFailed,
    BrokenAnswer,
    Gone,
    NotFound,
    PermissionMissing,
    RateLimited,
    RequestRefused,
    ServerFault,
    SourceError,
    UnexpectedAnswer,
    Unreachable,
)
from optout.http.options import Answer, HttpOptions
from optout.http.retry import told_wait

T = TypeVar("T")

_BOM = b"\xef\xbb\xbf"

_CLIENT_ERRORS: Mapping[int, tuple[type[SourceError], str, str]] = {
    401: (
        AuthenticationFailed,
        "the credential was not accepted",
        "Check the token in the variable that token_env names; it may be expired or revoked.",
    ),
    403: (
        PermissionMissing,
        "the credential may not do this",
        "Give it the scope, or check that the plan includes the feature.",
    ),
    404: (NotFound, "not found", "Check base_url and the identifiers in optout.toml."),
    # Not a wrong request but a slow one: the vendor gave up waiting for it.
    408: (Unreachable, "the vendor gave up waiting for the request", ""),
    410: (Gone, "gone: a position or cursor has expired", ""),
}


@dataclass(frozen=True)
class Asked:
    """One question, as errors name it: never with values."""

    system: str
    request: str
    """Method and path template: `GET /lists/{id}/members`."""
    method: str
    ok: tuple[int, ...]
    redact: Callable[[str], str]
    """Goes over each message; the connector's own words are in some."""

    def error(
        self,
        kind: type[SourceError],
        verdict: str,
        *,
        status: int | None = None,
        mend: str = "",
        retry_after: float | None = None,
    ) -> SourceError:
        """An error of this kind about this question."""
        return kind(
            self.redact(f"{status}, {verdict}" if status else verdict),
            system=self.system,
            request=self.request,
            status=status,
            mend=mend or None,
            retry_after=retry_after,
        )


def judge(
    asked: Asked,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    options: HttpOptions,
    now: datetime,
) -> Answer | SourceError:
    """The answer, if it has a status that was asked for and holds what it must; else the error."""
    data, defect = _parse(headers, body)
    answer = Answer(status, headers, data, body)
    if status == 429 or _hook(options.is_limited, answer, otherwise=False):
        wait = _vendor_wait(answer, options, now)
        return asked.error(RateLimited, "too many requests", status=status, retry_after=wait)
    if status not in asked.ok:
        return _failure(asked, answer, options, now)
    if 200 <= status < 300:
        return _success(asked, answer, defect, options)
    return answer


def _success(
    asked: Asked, answer: Answer, defect: str | None, options: HttpOptions
) -> Answer | SourceError:
    """A 2xx answer, unless it cannot be what the vendor meant."""
    if defect is None and not answer.body and _wants_body(asked, answer.status):
        # Taken for "nothing there", a cut-off answer would look like an empty list.
        defect = "the answer is empty"
    if defect is None and answer.body:
        otherwise = "the answer has not the shape that the vendor documents"
        defect = _hook(options.refusal, answer, otherwise=otherwise)
    if defect is not None:
        return asked.error(BrokenAnswer, defect, status=answer.status)
    return answer


def _wants_body(asked: Asked, status: int) -> bool:
    """Whether only an answer with a body says anything; who takes 204 takes silence, too."""
    return (asked.method == "GET" and status == 200) or 204 not in asked.ok


def _failure(asked: Asked, answer: Answer, options: HttpOptions, now: datetime) -> SourceError:
    """The error for a status that was not asked for."""
    status = answer.status
    if status in _CLIENT_ERRORS:
        kind, verdict, mend = _CLIENT_ERRORS[status]
        return asked.error(kind, verdict, status=status, mend=mend)
    if 400 <= status < 500:
        return asked.error(RequestRefused, "the vendor refused the request", status=status)
    if status >= 500:
        wait = _vendor_wait(answer, options, now)
        return asked.error(ServerFault, "the vendor failed", status=status, retry_after=wait)
    return asked.error(
        UnexpectedAnswer, "a status that the vendor does not document", status=status
    )


def _vendor_wait(answer: Answer, options: HttpOptions, now: datetime) -> float | None:
    """The wait that the vendor asks for: its own way first, then the standard header."""
    own = _hook(options.retry_after, answer, otherwise=None)
    if own is not None and math.isfinite(own):
        return max(0.0, own)
    return told_wait(answer.headers, now)


def _hook(
    hook: Callable[[Answer], T | None] | None, answer: Answer, *, otherwise: T | None
) -> T | None:
    """What a connector's function makes of an answer; `otherwise` if its shape surprises it."""
    try:
        return None if hook is None else hook(answer)
    except (LookupError, TypeError, AttributeError, ValueError):
        return otherwise


def _parse(headers: Mapping[str, str], body: bytes) -> tuple[Any, str | None]:
    """The body's JSON, or what is wrong with it.

    A JSON scalar is wrong too: no vendor answers with one, but a proxy or a cut-off answer may,
    and `null` would pass for an empty answer.
    """
    if not body:
        return None, None
    kind = headers.get("Content-Type", "").split(";")[0].strip().lower()
    if "html" in kind or "xml" in kind:
        return None, f"not JSON but {kind}"
    body = body.removeprefix(_BOM)
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            data = _leniently(body)
        except (ValueError, RecursionError):
            return None, "cut off, or not JSON"
    if not isinstance(data, (dict, list)):
        return None, "neither an object nor an array"
    return data, None


def _leniently(body: bytes) -> Any:
    """An answer that is whole but for text that JSON does not allow: bare control characters, and
    halves of a pair that makes one character, as vendors leave them where they cut a name. One such
    name would keep a system from ever being read completely. Halves become U+FFFD, with which no
    address is valid; raises ValueError where anything else is wrong, other encodings included."""
    text = json.dumps(json.loads(body.decode(), strict=False), ensure_ascii=False)
    return orjson.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
