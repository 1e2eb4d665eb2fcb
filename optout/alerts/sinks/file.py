"""A file, one JSON object a line: for dry runs, tests, and installations without a channel."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import orjson

from optout.alerts.message import Message
from optout.alerts.sinks.base import ALL_ACTIONS, Unavailable
from optout.files import make_dir


class FileSink:
    """Appends; what an earlier attempt has written is not written again."""

    actions = ALL_ACTIONS

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(
        self, message: Message, *, thread: str | None, is_repeat: bool, now: datetime
    ) -> str | None:
        """One line, on disk when this returns."""
        line = orjson.dumps(message.as_json()) + b"\n"
        try:
            if is_repeat and self._has(message.idempotency_key):
                return message.idempotency_key
            self._append(line)
        except OSError as error:
            raise Unavailable(f"the file cannot be written ({type(error).__name__})") from None
        return message.idempotency_key

    def _append(self, line: bytes) -> None:
        make_dir(self._path.parent)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                # A crash in the middle of a line must not spoil the next one.
                line = line if file.read(1) == b"\n" else b"\n" + line
            file.seek(0, os.SEEK_END)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def _has(self, key: str) -> bool:
        if not self._path.exists():
            return False
        return any(_key(line) == key for line in self._path.read_bytes().splitlines())


def _key(line: bytes) -> str | None:
    try:
        return str(orjson.loads(line)["idempotency_key"])
    except (ValueError, KeyError, TypeError):
        return None
