"""PagerDuty, Events API v2: trigger, acknowledge, resolve by `dedup_key`.

A trigger for a key that is open adds to its incident instead of opening another, and resolving
twice changes nothing: sending again is harmless by the API's own contract.
"""

from __future__ import annotations

from datetime import datetime

from optout.alerts.life import Action
from optout.alerts.message import Message
from optout.alerts.render import pagerduty_event
from optout.alerts.settings import PagerDutyChannel
from optout.alerts.sinks.base import ConfiguredSink, talk

_PATH = "/v2/enqueue"
_TAKEN = (200, 202)


class PagerDutySink(ConfiguredSink[PagerDutyChannel]):
    """One service's integration."""

    actions = frozenset({Action.TRIGGER, Action.ACKNOWLEDGE, Action.RESOLVE, Action.TEST})

    def send(
        self, message: Message, *, thread: str | None, is_repeat: bool, now: datetime
    ) -> str | None:
        """POST the event; PagerDuty answers 202 with the key."""
        key = self._secret(self._settings.routing_key_env)
        with talk("pagerduty", self._settings.base_url, secrets=(key,), taken=_TAKEN) as client:
            client.post(_PATH, pagerduty_event(message, key), ok=_TAKEN)
            if message.action == Action.TEST:
                # A test must leave no incident behind.
                client.post(
                    _PATH,
                    {"routing_key": key, "event_action": "resolve", "dedup_key": message.dedup_key},
                    ok=_TAKEN,
                )
        return message.dedup_key
