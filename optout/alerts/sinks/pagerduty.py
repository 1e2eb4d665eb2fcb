"""PagerDuty, Events API v2: trigger, acknowledge, resolve by `dedup_key`.

A trigger for a key that is open adds to its incident instead of opening another, and resolving
twice changes nothing: sending again is harmless by the API's own contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from optout.alerts.life import Action
from optout.alerts.message import Message
from optout.alerts.render import pagerduty_event
from optout.alerts.settings import PagerDutyChannel
from optout.alerts.sinks.base import http_client, secret, told
from optout.errors import BrokenAnswer, SourceError

_PATH = "/v2/enqueue"


class PagerDutySink:
    """One service's integration."""

    actions = frozenset({Action.TRIGGER, Action.ACKNOWLEDGE, Action.RESOLVE, Action.TEST})

    def __init__(self, settings: PagerDutyChannel, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ

    def send(
        self, message: Message, *, thread: str | None, is_repeat: bool, now: datetime
    ) -> str | None:
        """POST the event; PagerDuty answers 202 with the key."""
        key = secret(self._environ, self._settings.routing_key_env)
        client = http_client("pagerduty", self._settings.base_url, secrets=(key,))
        try:
            client.post(_PATH, pagerduty_event(message, key), ok=(200, 202))
            if message.action == Action.TEST:
                # A test must leave no incident behind.
                client.post(
                    _PATH,
                    {"routing_key": key, "event_action": "resolve", "dedup_key": message.dedup_key},
                    ok=(200, 202),
                )
        except BrokenAnswer as error:
            if error.status not in (200, 202):
                raise told(error) from None
        except SourceError as error:
            raise told(error) from None
        finally:
            client.close()
        return message.dedup_key
