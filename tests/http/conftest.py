"""A vendor of our own on the loopback, which answers as told, and a clock that only we move."""

from __future__ import annotations

import socket
import struct
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import pytest
from hypothesis import settings

from optout.http.client import HttpClient, HttpOptions

# The machine may be busy: slowness is no finding.
settings.register_profile("http", deadline=None)
settings.load_profile("http")

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class FakeClock:
    """Monotonic seconds and the time of day; sleeping moves both."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.now += seconds

    def wall(self) -> datetime:
        return START + timedelta(seconds=self.now - 1000.0)


@dataclass
class Reply:
    """What the vendor sends: JSON of `data`, or `body` as it is; `cut` keeps back some bytes,
    `reset` closes the connection by RST after what was sent."""

    data: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    cut: int = 0
    reset: bool = False
    silent: bool = False
    chunks: list[bytes] | None = None
    """Sent as a chunked body without its end."""


@dataclass
class Seen:
    """A request that the vendor got."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Server(ThreadingHTTPServer):
    """Says nothing of clients that hang up, as ours does after a time-out."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Vendor:
    """Gives the replies in `script`, then those of `answer`."""

    def __init__(self) -> None:
        self.script: deque[Reply] = deque()
        self.answer: Callable[[Seen], Reply] = lambda seen: Reply({"ok": True})
        self.seen: list[Seen] = []
        self.lock = threading.Lock()
        self.server = Server(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    @staticmethod
    def reply(status: int = 200, data: Any = None, **more: Any) -> Reply:
        return Reply({} if data is None else data, status, **more)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def _reply(self, seen: Seen) -> Reply:
        with self.lock:
            self.seen.append(seen)
            if self.script:
                return self.script.popleft()
        return self.answer(seen)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16
            timeout = 5

            def log_message(self, format: str, *args: Any) -> None:
                """The tests' output stays quiet."""

            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                seen = Seen(self.command, self.path, dict(self.headers), self.rfile.read(length))
                send(self, vendor._reply(seen))

            do_POST = do_GET  # noqa: N815 - the name that http.server looks for

        return Handler


def send(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    """Put the reply on the wire, faults included."""
    body = orjson.dumps(reply.data) if reply.body is None else reply.body
    if not reply.silent:
        handler.send_response_only(reply.status)
        headers = {"Content-Type": "application/json", **reply.headers}
        if reply.chunks is not None:
            headers["Transfer-Encoding"] = "chunked"
        elif reply.status != 204:
            headers.setdefault("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        for chunk in reply.chunks or ():
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        if reply.chunks is None:
            handler.wfile.write(body[: len(body) - reply.cut])
        handler.wfile.flush()
    if reply.cut or reply.silent or reply.chunks is not None:
        handler.close_connection = True
    if reply.reset:
        linger = struct.pack("ii", 1, 0)
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        handler.connection.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    vendor = Vendor()
    yield vendor
    vendor.close()


@pytest.fixture
def unused_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def connect(vendor: Vendor, clock: FakeClock) -> Iterator[Callable[..., HttpClient]]:
    """Clients of the vendor, on the fake clock."""
    made: list[HttpClient] = []

    def connect(options: HttpOptions | None = None, *, path: str = "", **more: Any) -> HttpClient:
        client = HttpClient(
            "sell",
            vendor.url + path,
            options or HttpOptions(),
            **{"sleep": clock.sleep, "clock": clock, "wall": clock.wall, **more},
        )
        made.append(client)
        return client

    yield connect
    for client in made:
        client.close()
