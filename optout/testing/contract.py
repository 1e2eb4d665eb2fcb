"""What the contract suite asks of every vendor's connector, and the networks that it puts in place.

A vendor needs nothing here: it is found through the registry, and read from the sandbox's world.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPResponse

from optout.landing.manifest import Manifest
from optout.sandbox.limits import Limiter
from optout.sandbox.world.world import Plan
from optout.testing.nights import Bench, Landed, landed

PLAN = Plan(people=10, seed=5, campaign_size=8, drift=0)
"""Everybody's reading of the small world is done in a third of a second."""
_POSITIONS = frozenset({"offset", "after", "page", "page[cursor]", "position", "cursor"})
"""Parameters by which a request goes on from a position."""
_SIZES = frozenset({"limit", "count", "per_page", "page[size]"})


@dataclass(frozen=True)
class Reading:
    """One night of one system."""

    bench: Bench
    manifests: Mapping[str, Manifest]
    rows: Mapping[str, frozenset[Landed]]
    """Stream → its distinct rows."""

    @property
    def incomplete(self) -> dict[str, str]:
        """Stream → why it is not complete."""
        return {m.stream: m.why_not or "" for m in self.manifests.values() if not m.is_complete}

    @property
    def findings(self) -> list[Landed]:
        """What was put into quarantine."""
        return [row for rows in self.rows.values() for row in rows if row.kind == "finding"]

    def records(self, stream: str) -> set[tuple[str, str]]:
        """Store and id of everybody whose state the stream tells."""
        rows = self.rows[stream]
        return {(row["store"], row["record_id"]) for row in rows if row.kind == "reading"}

    @property
    def requests(self) -> int:
        """Requests by the vendor's own log."""
        return len(self.bench.sandbox.log)


def read_once(bench: Bench, vendor: str, adapter: BaseAdapter | None = None) -> Reading:
    """Read a system's first night, or what is missing of it."""
    manifests = bench.read(vendor, adapter=adapter)
    rows = landed(bench.project().landing, bench.world.night.date, vendor)
    return Reading(bench, {m.stream: m for m in manifests}, rows)


class _Network(BaseAdapter):
    """The real network, for adapters that change what comes over it."""

    def __init__(self) -> None:
        super().__init__()
        self._network = HTTPAdapter(pool_connections=4, pool_maxsize=32)
        self._lock = Lock()

    def close(self) -> None:
        """Close the connections."""
        self._network.close()


class RepeatingAdapter(_Network):
    """Serves the page before once more to every request that goes on from a position."""

    def __init__(self) -> None:
        super().__init__()
        self.repeated = 0
        self._pages: dict[str, tuple[CaseInsensitiveDict[str], bytes]] = {}

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        """The answer to the question's first page, whichever page is asked for."""
        url = urlsplit(str(request.url))
        query = dict(parse_qsl(url.query))
        asked = {name: value for name, value in query.items() if name not in _POSITIONS | _SIZES}
        place = f"{request.method} {url.path} {sorted(asked.items())}"
        goes_on = any(query.get(name, "0") not in ("", "0", "1", "tail") for name in _POSITIONS)
        if goes_on and place in self._pages:
            with self._lock:
                self.repeated += 1
            return answer(200, *self._pages[place])
        response = self._network.send(request, *args, **options)
        body = response.raw.read(decode_content=True)
        headers = CaseInsensitiveDict(response.headers)
        for name in ("content-encoding", "content-length", "transfer-encoding"):
            headers.pop(name, None)
        if response.status_code == 200:
            self._pages[place] = headers, body
        return answer(response.status_code, headers, body)


class RedirectingAdapter(_Network):
    """Sends every request on to another host, and remembers who was asked."""

    def __init__(self, status: int = 302) -> None:
        super().__init__()
        self.hosts: set[str] = set()
        self._status = status

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        """The way to somebody else."""
        self.hosts.add(str(urlsplit(str(request.url)).hostname))
        headers = CaseInsensitiveDict({"Location": "http://elsewhere.example.net/steal"})
        return answer(self._status, headers, b"")


class LimitedAdapter(BaseAdapter):
    """A vendor that does nothing but count requests against its limits, by the clock that the
    connector waits by; `templates` names a path's route."""

    def __init__(self, limiter: Limiter, template: Callable[[str], str]) -> None:
        super().__init__()
        self._limiter = limiter
        self._template = template

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        """An empty object, or the refusal."""
        endpoint = self._template(urlsplit(str(request.url)).path)
        credential = request.headers.get("Authorization", "")
        verdict = self._limiter.enter(credential, endpoint)
        if not verdict.allowed:
            return answer(429, CaseInsensitiveDict(), b"")
        self._limiter.leave(credential, endpoint)
        return answer(200, CaseInsensitiveDict({"Content-Type": "application/json"}), b"{}")

    def close(self) -> None:
        """Nothing is open."""


def answer(status: int, headers: CaseInsensitiveDict[str], body: bytes) -> Response:
    """An answer as requests' own adapter would give it."""
    response = Response()
    response.status_code = status
    response.headers = headers
    response.raw = HTTPResponse(io.BytesIO(body), preload_content=False, status=status)
    return response
