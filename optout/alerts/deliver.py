"""Empties the outbox into the channels, one process at a time, and minds the channels."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from optout.alerts import outbox
from optout.alerts.evaluate import CHANNEL_FAILED, Evaluator, Night
from optout.alerts.outbox import Health, Outcome, Row
from optout.alerts.routes import fallback
from optout.alerts.rule import AlertKey, Condition, Direction, Family, Judgement, Rule, Severity
from optout.alerts.settings import AlertsTable
from optout.alerts.sinks.base import ChannelError, Misconfigured, Refused, Sink
from optout.alerts.state import AlertState
from optout.files import make_dir

LOCK = "alerts.lock"
ALARM_AFTER = 3
"""Failures in a row after which a channel is said to have failed."""
_log = logging.getLogger(__name__)

CHANNEL_RULE = Rule(
    CHANNEL_FAILED,
    Family.DELIVERY,
    "Every notice reaches its channel; what one does not take, the next one gets.",
    lambda facts: Judgement(),
    never_muted=True,
)


@dataclass(frozen=True)
class Delivery:
    """What a pass over the outbox did."""

    sent: int = 0
    failed: int = 0
    waiting: int = 0
    is_busy: bool = False
    """Another process was at it."""


class Courier:
    """Delivers for one installation."""

    def __init__(
        self,
        state: AlertState,
        table: AlertsTable,
        sinks: Mapping[str, Sink],
        evaluator: Evaluator,
        lock: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._table = table
        self._sinks = sinks
        self._evaluator = evaluator
        self._lock = lock
        self._clock = clock

    def deliver(self, at: Night, *, seconds: float = 20.0) -> Delivery:
        """Send what is due, oldest first, for at most about `seconds`."""
        with _alone(self._lock) as alone:
            if not alone:
                return Delivery(is_busy=True)
            sent = failed = 0
            until = self._clock() + seconds
            while self._clock() < until:
                row = outbox.next_row(self._state, at.now)
                if row is None:
                    break
                if self._send(row, at):
                    sent += 1
                else:
                    failed += 1
            return Delivery(sent, failed, sum(outbox.waiting(self._state).values()))

    def _send(self, row: Row, at: Night) -> bool:
        sink = self._sinks.get(row.channel)
        if sink is None or row.message.action not in sink.actions:
            self._finish(row, Outcome.NOT_FOR_IT, at.now)
            return True
        thread = outbox.thread_of(self._state, row)
        with self._state.transaction():
            outbox.begin_attempt(self._state, row)
        try:
            reference = sink.send(
                row.message, thread=thread, is_repeat=row.attempts > 0, now=at.now
            )
        except ChannelError as error:
            _log.warning("channel %s: %s", row.channel, error)
            self._failed(row, error, at)
            return False
        self._succeeded(row, reference, at)
        return True

    def _finish(self, row: Row, outcome: Outcome, now: datetime) -> None:
        with self._state.transaction():
            outbox.finish(self._state, row, outcome, now)

    def _succeeded(self, row: Row, reference: str | None, at: Night) -> None:
        key = self._key(row.channel)
        with self._state.transaction():
            outbox.finish(self._state, row, Outcome.DELIVERED, at.now, reference=reference)
            if row.channel in outbox.failing(self._state):
                outbox.set_health(self._state, Health(row.channel))
            alarm = self._state.alert(key.dedup_key)
            if alarm is not None and alarm.is_open:
                self._evaluator.clear(key, at, "the channel took a notice again")

    def _failed(self, row: Row, error: ChannelError, at: Night) -> None:
        """Let the channel rest, or give this one notice up, and let the next channel have it."""
        with self._state.transaction():
            if isinstance(error, Refused):
                outbox.finish(self._state, row, Outcome.REFUSED, at.now, error=str(error))
                self._alarm(row, error, at)
                return
            known = outbox.health(self._state, row.channel)
            failures = known.failures + 1
            rest = outbox.rest_after(failures, error.retry_after)
            since = known.failing_since or at.now
            outbox.set_health(
                self._state, Health(row.channel, failures, since, at.now + rest, str(error))
            )
            if failures >= ALARM_AFTER or isinstance(error, Misconfigured):
                self._alarm(row, error, at)

    def _alarm(self, row: Row, error: ChannelError, at: Night) -> None:
        """Hand over to the next channel that works, with an alert of its own about this one."""
        channel = row.channel
        other = fallback(self._table, channel, outbox.failing(self._state))
        if other is not None and isinstance(error, Refused):
            outbox.copy_row(self._state, row, other, at.now)
        elif other is not None:
            outbox.copy_waiting(self._state, channel, other, at.now)
        waits = outbox.waiting(self._state).get(channel, 0)
        condition = Condition(
            key=self._key(channel),
            severity=Severity.PAGE,
            headline=f"Alerts do not reach the channel {channel}",
            count=max(1, waits),
            direction=Direction.UNSEEN,
            suspected=str(error),
            next_step=f"Mend the channel, then `optout alerts test`; {other or 'nobody'} has the "
            "notices meanwhile.",
            details={"channel": channel, "waiting": waits},
        )
        self._evaluator.raise_alert(CHANNEL_RULE, condition, at)

    def _key(self, channel: str) -> AlertKey:
        return AlertKey(CHANNEL_FAILED, scope=channel, environment=self._table.environment)


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Whether this process alone delivers; the kernel lets go when it ends, however it ends."""
    make_dir(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)
