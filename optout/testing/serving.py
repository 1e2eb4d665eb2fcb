"""A server of the standard library for the length of a test, on this machine only."""

from __future__ import annotations

import socketserver
import threading
from typing import Any, Self


class Quiet:
    """For a threading server: clients that end in the middle are what tests are about."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed or gave up is no finding."""


class Served:
    """Serves from a thread of its own while it is used as a context."""

    def __init__(self, server: socketserver.TCPServer) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(0.01,))

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *told: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
