"""The far ends of alert channels, on this machine: they check what they are sent, and can fail.

`Receiver` speaks PagerDuty's Events API v2, Slack's Web API and incoming webhooks, the signed
webhook and a heartbeat URL. It keeps what took effect apart from what merely arrived, so that a
second delivery of the same notice shows. Mail goes to `optout.testing.mail_server`.
"""

from __future__ import annotations

import hmac
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import orjson

from optout.testing.serving import Quiet, Served

ROUTING_KEY = "R" * 32
SLACK_TOKEN = "xoxb-test"  # noqa: S105
HOOK_SECRET = "hook-secret"  # noqa: S105
CHANNEL = "C0ALERTS"
_PAGERDUTY_ACTIONS = ("trigger", "acknowledge", "resolve")
_PAGERDUTY_SEVERITIES = ("critical", "error", "warning", "info")


@dataclass
class Fault:
    """How the next request to a path goes wrong: a status without effect, or a lost answer."""

    path: str
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    is_lost_answer: bool = False
    """The request takes effect, but the connection ends before its answer."""
    seconds: float = 0.0
    """How long the answer takes."""
    is_harmless: bool = False
    """The request takes effect and is answered: it is only slow."""


@dataclass
class Incident:
    """What PagerDuty shows of one key."""

    state: str
    summary: str
    severity: str
    events: int = 1
    opened: int = 1


Answer = tuple[int, bytes]


class Receiver(Served):
    """All HTTP channels behind one port; use it as a context."""

    def __init__(self) -> None:
        self.faults: deque[Fault] = deque()
        self.requests: list[str] = []
        self.broken: list[str] = []
        """Requests that break a contract, with why."""
        self.incidents: dict[str, Incident] = {}
        self.messages: list[dict[str, Any]] = []
        """Slack's channel, thread replies among them."""
        self.hooks: dict[str, dict[str, Any]] = {}
        """Idempotency key → body, as the signed webhook's receiver keeps them."""
        self.beats = 0
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"receiver": self})
        super().__init__(_Server(("127.0.0.1", 0), handler))

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"

    def environ(self) -> dict[str, str]:
        """The secrets of its channels."""
        return {
            "PD_KEY": ROUTING_KEY, "SLACK_TOKEN": SLACK_TOKEN, "HOOK_SECRET": HOOK_SECRET,
            "SLACK_HOOK": f"{self.url}/services/T/B/x", "BEAT": f"{self.url}/beat/secret",
        }  # fmt: skip

    def pager(self) -> str:
        """PagerDuty as a channel of optout.toml; its secret is in `environ`."""
        return f"""
[alerts.channel.pager]
kind = "pagerduty"
routing_key_env = "PD_KEY"
base_url = "{self.url}"
"""

    def answer(
        self, path: str, headers: Mapping[str, str], query: str, body: bytes
    ) -> tuple[Answer, Fault | None]:
        """The answer to one request, and how it is to be spoilt."""
        with self._lock:
            self.requests.append(path)
            fault = next((f for f in self.faults if path.startswith(f.path)), None)
            if fault:
                self.faults.remove(fault)
                if not fault.is_lost_answer and not fault.is_harmless:
                    return (fault.status, fault.body), fault
            for prefix, door in _DOORS.items():
                if path.startswith(prefix):
                    return door(self, path, headers, query, body), fault
            return (404, b"{}"), fault

    def pagerduty(self, path: str, headers: Mapping[str, str], query: str, body: bytes) -> Answer:
        """POST /v2/enqueue, as documented."""
        event = orjson.loads(body)
        wrong = _wrong_event(event)
        if wrong:
            self.broken.append(f"pagerduty: {', '.join(wrong)}")
            return 400, orjson.dumps({"status": "invalid event", "errors": wrong})
        key, action = event["dedup_key"], event["event_action"]
        known = self.incidents.get(key)
        if action == "trigger":
            payload = event["payload"]
            if known is None or known.state == "resolved":
                opened = known.opened + 1 if known else 1
                self.incidents[key] = Incident(
                    "triggered", payload["summary"], payload["severity"], opened=opened
                )
            else:
                known.events += 1
                known.summary, known.severity = payload["summary"], payload["severity"]
        elif known is not None and known.state != "resolved":
            known.state = "resolved" if action == "resolve" else "acknowledged"
        return 202, orjson.dumps(
            {"status": "success", "message": "Event processed", "dedup_key": key}
        )

    def slack(self, path: str, headers: Mapping[str, str], query: str, body: bytes) -> Answer:
        """The Web API: always 200, with `ok` and an error's word."""
        if headers.get("Authorization") != f"Bearer {SLACK_TOKEN}":
            return _slack_says("invalid_auth")
        asked = {k: v[0] for k, v in parse_qs(query).items()}
        if body:
            is_json = "json" in headers.get("Content-Type", "")
            asked |= (
                orjson.loads(body)
                if is_json
                else {k: v[0] for k, v in parse_qs(body.decode()).items()}
            )
        if asked.get("channel") != CHANNEL:
            return _slack_says("channel_not_found")
        method = path.rpartition("/")[2]
        if method.startswith("conversations."):
            return self._slack_list(method, asked)
        wrong = _wrong_blocks(asked)
        if wrong:
            self.broken.append(f"slack: {wrong}")
            return _slack_says(wrong)
        if method == "chat.update":
            return self._slack_update(asked)
        stamp = f"{1700000000 + len(self.messages)}.000100"
        thread = asked.get("thread_ts")
        if thread and not any(m["ts"] == thread for m in self.messages):
            return _slack_says("thread_not_found")
        self.messages.append(
            {
                "ts": stamp, "text": asked["text"], "blocks": asked.get("blocks"),
                "metadata": asked.get("metadata"), "thread_ts": thread,
            }
        )  # fmt: skip
        return 200, orjson.dumps({"ok": True, "ts": stamp, "channel": CHANNEL})

    def _slack_update(self, asked: dict[str, Any]) -> Answer:
        for message in self.messages:
            if message["ts"] == asked.get("ts"):
                message |= {"text": asked["text"], "blocks": asked.get("blocks")}
                return 200, orjson.dumps({"ok": True, "ts": message["ts"], "channel": CHANNEL})
        return _slack_says("message_not_found")

    def _slack_list(self, method: str, asked: dict[str, Any]) -> Answer:
        thread = asked.get("ts") if method.endswith("replies") else None
        found = [
            m for m in self.messages
            if (m["thread_ts"] == thread or m["ts"] == thread if thread else not m["thread_ts"])
        ]  # fmt: skip
        return 200, orjson.dumps({"ok": True, "messages": found[::-1]})

    def slack_webhook(
        self, path: str, headers: Mapping[str, str], query: str, body: bytes
    ) -> Answer:
        """An incoming webhook."""
        asked = orjson.loads(body)
        wrong = _wrong_blocks(asked)
        if wrong:
            self.broken.append(f"slack webhook: {wrong}")
            return 400, wrong.encode()
        self.messages.append({"ts": "", "text": asked["text"], "thread_ts": None, "metadata": None})
        return 200, b"ok"

    def hook(self, path: str, headers: Mapping[str, str], query: str, body: bytes) -> Answer:
        """The signed webhook's receiver, written from docs/operations.md alone."""
        stamp = headers.get("X-Optout-Timestamp", "")
        wanted = hmac.new(HOOK_SECRET.encode(), f"{stamp}.".encode() + body, sha256).hexdigest()
        if not hmac.compare_digest(headers.get("X-Optout-Signature", ""), f"v1={wanted}"):
            self.broken.append("webhook: bad signature")
            return 401, b"{}"
        key = headers["Idempotency-Key"]
        if key in self.hooks:
            return 409, b"{}"
        self.hooks[key] = orjson.loads(body)
        return 200, b"thanks"

    def beat(self, path: str, headers: Mapping[str, str], query: str, body: bytes) -> Answer:
        """A dead man's switch."""
        self.beats += 1
        return 200, b"OK"


def _slack_says(word: str) -> Answer:
    return 200, orjson.dumps({"ok": False, "error": word})


_DOORS: dict[str, Callable[..., Answer]] = {
    "/v2/enqueue": Receiver.pagerduty,
    "/api/": Receiver.slack,
    "/services/": Receiver.slack_webhook,
    "/hook": Receiver.hook,
    "/beat": Receiver.beat,
}


def _wrong_event(event: dict[str, Any]) -> list[str]:
    """What PagerDuty would refuse, by its documentation."""
    wrong = []
    if event.get("routing_key") != ROUTING_KEY:
        wrong.append("routing_key")
    if event.get("event_action") not in _PAGERDUTY_ACTIONS:
        wrong.append("event_action")
    if not 0 < len(event.get("dedup_key", "")) <= 255:
        wrong.append("dedup_key")
    if event.get("event_action") != "trigger":
        return wrong
    payload = event.get("payload", {})
    if not 0 < len(payload.get("summary", "")) <= 1024:
        wrong.append("payload.summary")
    if not payload.get("source"):
        wrong.append("payload.source")
    if payload.get("severity") not in _PAGERDUTY_SEVERITIES:
        wrong.append("payload.severity")
    if any(set(link) - {"href", "text"} or "href" not in link for link in event.get("links", [])):
        wrong.append("links")
    return wrong


def _wrong_blocks(asked: Mapping[str, Any]) -> str:
    """What Slack would refuse, by its documentation of blocks."""
    if not asked.get("text"):
        return "no_text"
    blocks = asked.get("blocks") or []
    blocks = orjson.loads(blocks) if isinstance(blocks, str) else blocks
    for block in blocks:
        text = (block.get("text") or {}).get("text", "x")
        limit = {"header": 150, "section": 3000}.get(block.get("type"), 3000)
        if not 0 < len(text) <= limit:
            return "invalid_blocks"
    return "invalid_blocks" if len(blocks) > 50 else ""


class _Server(Quiet, ThreadingHTTPServer):
    """Its threads end with it."""


class _Handler(BaseHTTPRequestHandler):
    receiver: ClassVar[Receiver]
    protocol_version = "HTTP/1.1"
    timeout = 5

    def log_message(self, format: str, *args: Any) -> None:
        """The tests' output stays quiet."""

    def do_GET(self) -> None:
        """Any request."""
        self._do()

    def do_POST(self) -> None:
        """Any request."""
        self._do()

    def _do(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        parts = urlsplit(self.path)
        headers = dict(self.headers.items())
        (status, data), fault = self.receiver.answer(parts.path, headers, parts.query, body)
        if fault:
            time.sleep(fault.seconds)
        if fault and fault.is_lost_answer:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in (fault.headers if fault else {}).items():
            self.send_header(name, value)
        plain = data in (b"ok", b"OK", b"thanks")
        self.send_header("Content-Type", "text/plain" if plain else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
