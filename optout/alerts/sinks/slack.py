"""Slack: one message an alert, updated on each change, with the changes in its thread.

Slack has no idempotency key for messages. Each carries one in its metadata, and an attempt that may
have gone through looks for it first (the bot needs `channels:history`, or `groups:history` for a
private channel, beside `chat:write`). An incoming webhook can neither look nor update.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.webhook import WebhookClient

from optout.alerts.life import Action
from optout.alerts.message import Message
from optout.alerts.render import slack_blocks, slack_text
from optout.alerts.settings import SlackChannel
from optout.alerts.sinks.base import (
    ChannelError,
    ConfiguredSink,
    Misconfigured,
    Refused,
    Unavailable,
)

_TIMEOUT = 15
_WORD = re.compile(r"[a-z_]+")
_EVENT = "optout_notice"
_OUR_FAULT = frozenset(
    {"invalid_blocks", "msg_too_long", "no_text", "invalid_arguments", "metadata_too_large",
     "msg_blocks_too_long"}
)  # fmt: skip
_LATER = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable",
     "request_timeout", "team_added_to_org"}
)  # fmt: skip
_LOOK_BACK = timedelta(days=2)


class SlackSink(ConfiguredSink[SlackChannel]):
    """A bot in one channel."""

    def send(
        self, message: Message, *, thread: str | None, is_repeat: bool, now: datetime
    ) -> str | None:
        """Post the first notice, or update it and tell the change in its thread."""
        client = self._client()
        try:
            if thread:
                return self._change(client, message, thread, is_repeat)
            known = self._posted(client, message, now) if is_repeat else None
            return known or self._post(client, message, None)
        except (SlackClientError, OSError) as error:
            raise _told(error) from None

    def _client(self) -> WebClient:
        return WebClient(
            token=self._secret(self._settings.token_env),
            base_url=self._settings.base_url,
            timeout=_TIMEOUT,
            retry_handlers=[],
        )

    def _change(self, client: WebClient, message: Message, thread: str, is_repeat: bool) -> str:
        if message.action in (Action.TRIGGER, Action.RESOLVE, Action.ACKNOWLEDGE):
            client.chat_update(
                channel=self._channel, ts=thread, text=slack_text(message),
                blocks=slack_blocks(message),
            )  # fmt: skip
        known = None
        if is_repeat:
            answer = client.conversations_replies(
                channel=self._channel, ts=thread, include_all_metadata=True, limit=200
            )
            known = _found(answer.get("messages") or [], message)
        return known or self._post(client, message, thread)

    def _post(self, client: WebClient, message: Message, thread: str | None) -> str:
        answer = client.chat_postMessage(
            channel=self._channel,
            text=slack_text(message),
            blocks=slack_blocks(message),
            thread_ts=thread,
            unfurl_links=False,
            metadata={"event_type": _EVENT, "event_payload": {"key": message.idempotency_key}},
        )
        return str(answer["ts"])

    def _posted(self, client: WebClient, message: Message, now: datetime) -> str | None:
        since = min(datetime.fromisoformat(message.at), now - _LOOK_BACK)
        answer = client.conversations_history(
            channel=self._channel, include_all_metadata=True, limit=200,
            oldest=f"{since.timestamp():.6f}",
        )  # fmt: skip
        return _found(answer.get("messages") or [], message)

    @property
    def _channel(self) -> str:
        return self._settings.channel or ""


class SlackWebhookSink(ConfiguredSink[SlackChannel]):
    """An incoming webhook: messages only, each by itself."""

    def send(
        self, message: Message, *, thread: str | None, is_repeat: bool, now: datetime
    ) -> str | None:
        """POST the blocks; Slack answers `ok`."""
        url = self._secret(self._settings.webhook_env)
        client = WebhookClient(url, timeout=_TIMEOUT, retry_handlers=[])
        try:
            answer = client.send(text=slack_text(message), blocks=slack_blocks(message))
        except (SlackClientError, OSError) as error:
            raise _told(error) from None
        if answer.status_code == 200:
            return None
        raise _of_status(answer.status_code, dict(answer.headers))


def _found(messages: list[Any], message: Message) -> str | None:
    for one in messages:
        payload = (one.get("metadata") or {}).get("event_payload") or {}
        if payload.get("key") == message.idempotency_key:
            return str(one["ts"])
    return None


def _told(error: Exception) -> ChannelError:
    if not isinstance(error, SlackApiError):
        return Unavailable(f"slack: {type(error).__name__}")
    status = int(getattr(error.response, "status_code", 200) or 200)
    if status >= 400:
        return _of_status(status, dict(getattr(error.response, "headers", {})))
    word = str(error.response.get("error", "")) if error.response else ""
    if not _WORD.fullmatch(word):
        return Unavailable("slack: that was no answer of Slack")
    if word in _OUR_FAULT:
        return Refused(f"slack: {word}")
    return Unavailable(f"slack: {word}") if word in _LATER else Misconfigured(f"slack: {word}")


def _of_status(status: int, headers: Mapping[str, str]) -> ChannelError:
    if status in (408, 429) or status >= 500:
        error = Unavailable(f"slack: {status}")
        wait = {name.lower(): value for name, value in headers.items()}.get("retry-after", "")
        error.retry_after = float(wait) if wait.isdigit() else None
        return error
    kind = Refused if status in (400, 413) else Misconfigured
    return kind(f"slack: {status}")
