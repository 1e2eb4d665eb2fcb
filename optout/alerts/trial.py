"""`optout alerts test`: one notice of each level through every route, marked as a test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from optout.alerts.life import Action
from optout.alerts.message import Message
from optout.alerts.rule import AlertKey, Severity
from optout.alerts.settings import AlertsTable, RouteTable
from optout.alerts.sinks import build_sinks
from optout.alerts.sinks.base import ChannelError
from optout.project import Project


@dataclass(frozen=True)
class Trial:
    """How one test notice fared."""

    route: str
    severity: str
    channel: str
    error: str | None = None


def send_tests(project: Project) -> list[Trial]:
    """Send them straight, past the outbox: the answer is wanted now. One a (level, channel)."""
    table = project.settings.alerts
    sinks = build_sinks(table, project.environ, project.data_dir)
    results: list[Trial] = []
    for name, severity, channel in _ways(table):
        error = None
        message = _message(project, name, severity, channel)
        if Action.TEST in sinks[channel].actions:
            try:
                sinks[channel].send(message, thread=None, is_repeat=False, now=project.now)
            except ChannelError as failed:
                error = str(failed)
        results.append(Trial(name, severity, channel, error))
    return results


def _ways(table: AlertsTable) -> Iterator[tuple[str, Severity, str]]:
    """Every route with every level that it can carry and every channel; without a route, the
    first channel, which takes what nobody routed."""
    everything = RouteTable(channels=(next(iter(table.channels)),))
    for number, route in enumerate(table.route or (everything,), 1):
        for severity in route.severity or tuple(Severity):
            for channel in route.channels:
                yield f"route {number}" if table.route else "default", severity, channel


def _message(project: Project, route: str, severity: Severity, channel: str) -> Message:
    environment = project.settings.alerts.environment
    return Message(
        action=Action.TEST,
        dedup_key=AlertKey(
            "test", scope=f"{route}:{severity}:{channel}", environment=environment
        ).dedup_key,
        revision=int(project.now.timestamp()),
        severity=severity,
        environment=environment,
        rule="test",
        headline=f"Test of optout's alerts: {severity} through {route}, channel {channel}",
        reason="somebody ran `optout alerts test`",
        at=project.now.isoformat(timespec="seconds"),
        promise="Every route reaches its channel.",
        next_step="None: nothing is wrong.",
    )
