"""Which channels an alert goes to: the first route that matches."""

from __future__ import annotations

from dataclasses import dataclass

from optout.alerts.rule import Condition, Severity
from optout.alerts.settings import AlertsTable, RouteTable


@dataclass(frozen=True)
class Target:
    """Where an alert goes, and who looks after it."""

    channels: tuple[str, ...]
    owner: str = ""


def route(table: AlertsTable, facts: Condition, severity: Severity) -> Target:
    """The channels for one alert. Without a matching route it goes to the first channel: an alert
    that nobody routed must not vanish."""
    for one in table.route:
        if _matches(one, facts, severity):
            return Target(one.channels, one.owner)
    return Target((next(iter(table.channels)),))


def fallback(table: AlertsTable, channel: str, failing: frozenset[str]) -> str | None:
    """The next channel in their configured order that works, as far as is known."""
    names = list(table.channels)
    at = names.index(channel) if channel in names else -1
    for name in (*names[at + 1 :], *names[: max(at, 0)]):
        if name not in failing:
            return name
    return None


def _matches(one: RouteTable, facts: Condition, severity: Severity) -> bool:
    systems = {*facts.systems, *facts.key.systems}
    return (
        (not one.severity or severity in one.severity)
        and (not one.rule or facts.key.rule in one.rule)
        and (not one.system or bool(systems & set(one.system)))
        and (not one.category or bool(set(facts.categories) & set(one.category)))
    )
