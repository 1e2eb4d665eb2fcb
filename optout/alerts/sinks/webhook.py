"""A signed webhook: JSON, an idempotency key, and an HMAC that covers time stamp and body.

The receiver computes `HMAC-SHA-256(secret, timestamp + "." + body)` over the bytes as they came,
compares it with the signature in constant time, refuses stamps older than five minutes (replay),
and drops a second request with the same Idempotency-Key.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from urllib.parse import urlsplit

import orjson

from optout.alerts.message import Message
from optout.alerts.settings import WebhookChannel
from optout.alerts.sinks.base import ConfiguredSink, talk

TIMESTAMP = "X-Optout-Timestamp"
SIGNATURE = "X-Optout-Signature"
IDEMPOTENCY = "Idempotency-Key"


def sign(key: str, timestamp: str, body: bytes) -> str:
    """The value of the signature header."""
    digest = hmac.new(key.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"v1={digest.hexdigest()}"


class WebhookSink(ConfiguredSink[WebhookChannel]):
    """One receiver."""

    def send(
        self, message: Message, *, thread: str | None, is_repeat: bool, now: datetime
    ) -> str | None:
        """POST; 409 means that the receiver has it already."""
        key = self._secret(self._settings.secret_env)
        parts = urlsplit(self._settings.url)
        body = message.as_json()
        stamp = str(int(now.timestamp()))
        headers = {
            TIMESTAMP: stamp,
            SIGNATURE: sign(key, stamp, orjson.dumps(body)),
            IDEMPOTENCY: message.idempotency_key,
        }
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        with talk("webhook", f"{parts.scheme}://{parts.netloc}", secrets=(key,)) as client:
            client.post(
                path or "/", body, headers=headers, template="{hook}",
                ok=(200, 201, 202, 204, 409),
            )  # fmt: skip
        return message.idempotency_key
