"""Files that a vendor points to: streamed, without our credential, complete or an error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import requests

from optout.errors import (
    RateLimited,
    ServerFault,
    SourceError,
    UnexpectedAnswer,
)
from optout.http.options import HttpOptions
from optout.http.transport import FAILURES, Transport, environment, failure
from optout.http.urls import is_loopback
from optout.http.verdict import Asked, judge

CHUNK = 1 << 18


@dataclass(frozen=True)
class OpenFile:
    """A file whose transfer has begun."""

    asked: Asked
    response: requests.Response

    def chunks(self) -> Iterator[bytes]:
        """The file's bytes as they are stored (a .gz stays one).

        Raises BrokenAnswer if it ends short of its Content-Length (urllib3 compares), Unreachable
        if the connection breaks. A server that tells no length cannot be checked here: a .gz has
        its own end mark.
        """
        try:
            while chunk := self._next():
                yield chunk
        finally:
            self.response.close()

    def _next(self) -> bytes:
        """The next bytes; none at the end."""
        try:
            data: bytes = self.response.raw.read(CHUNK, decode_content=False)
            return data
        except FAILURES as cause:
            kind, verdict = failure(cause)
        raise self.asked.error(kind, verdict)


def open_file(
    transport: Transport,
    asked: Asked,
    url: str,
    headers: Mapping[str, str],
    *,
    allow_plain_http: bool,
    now: datetime,
) -> OpenFile | SourceError:
    """Begin the transfer of `url`, or say why not."""
    if not _is_usable(url, allow_plain_http):
        return asked.error(UnexpectedAnswer, "the link to the file is not an https URL")
    try:
        response = transport.open("GET", url, headers, None, environment(url))
    except FAILURES as cause:
        kind, verdict = failure(cause)
    else:
        return _opened(asked, response, now)
    return asked.error(kind, verdict)


def _is_usable(url: str, allow_plain_http: bool) -> bool:
    """Whether the URL may be opened: https, or http to this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    plain = parts.scheme == "http" and (allow_plain_http or is_loopback(host))
    return bool(host) and "@" not in parts.netloc and (parts.scheme == "https" or plain)


def _opened(asked: Asked, response: requests.Response, now: datetime) -> OpenFile | SourceError:
    """The file, if the server gives it."""
    if response.status_code == 200:
        return OpenFile(asked, response)
    response.close()
    status = response.status_code
    found = judge(asked, status, response.headers, b"", HttpOptions(), now)
    if isinstance(found, (RateLimited, ServerFault)):
        return found
    kind = type(found) if isinstance(found, SourceError) else UnexpectedAnswer
    return asked.error(kind, "the link to the file is wrong or has expired", status=status)
