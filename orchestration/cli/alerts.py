"""`optout alerts`: what is open, who took it on, what is silenced, and whether channels work."""

from __future__ import annotations

import getpass
import re
from datetime import timedelta
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from optout.alerts.heartbeat import check
from optout.alerts.life import Alert
from optout.alerts.outbox import waiting
from optout.alerts.rules.words import plural
from optout.alerts.service import Alerting, facts_of, identity
from optout.alerts.state import AlertState, Silence
from optout.alerts.trial import send_tests
from optout.errors import UsageError
from optout.nightly import latest_night
from orchestration.cli.common import (
    EXIT_MISSED,
    EXIT_OK,
    EXIT_USAGE,
    Invocation,
    echo_json,
    iso,
)

_SHORTEST_KEY = 4
_SPAN = re.compile(r"(\d{1,4})([hdw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@click.group(name="alerts")
def command() -> None:
    """See open alerts, take them on, silence them for a time, test the channels."""


@command.command(name="list")
@click.option("--all", "show_all", is_flag=True, help="Resolved ones, too.")
@click.option("--rule", help="Only this rule.")
@click.option("--system", help="Only alerts about this system.")
@click.option("--json", "as_program", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_command(
    invocation: Invocation, show_all: bool, rule: str | None, system: str | None, as_program: bool
) -> int:
    """Show open alerts, the most urgent first. Exit code 1 where one is open."""
    with Alerting(invocation.project()) as alerting:
        silences = alerting.state.silences(invocation.now)
        alerts = [
            a
            for a in alerting.state.alerts(only_open=not show_all)
            if (not rule or a.key.rule == rule) and (not system or system in a.key.systems)
        ]
        waits = waiting(alerting.state)
    alerts.sort(key=lambda a: (not a.is_open, -a.severity.rank, a.opened_at))
    rows = [_row(a, silences, invocation) for a in alerts]
    if as_program:
        for row in rows:
            echo_json(row)
    else:
        _echo_table(rows)
        for channel, count in waits.items():
            click.echo(f"{plural(count, 'notice')} still to be sent through {channel}.", err=True)
    return EXIT_MISSED if any(a.is_open for a in alerts) else EXIT_OK


@command.command(name="show")
@click.argument("key")
@click.option("--json", "as_program", is_flag=True, help="One JSON object.")
@click.pass_obj
def show_command(invocation: Invocation, key: str, as_program: bool) -> int:
    """Show one alert (KEY or its beginning) with everything that happened to it."""
    with Alerting(invocation.project()) as alerting:
        alert = _find(alerting.state, key)
        history = alerting.state.history(alert.key.dedup_key)
        silences = alerting.state.silences(invocation.now)
        row = _row(alert, silences, invocation) | {"facts": alert.facts.as_json()}
    if as_program:
        echo_json(row | {"history": history})
        return EXIT_OK
    console = Console(width=max(100, Console().width), highlight=False)
    for name, value in row.items():
        if name != "facts" and value not in (None, "", ()):
            console.print(f"{name.replace('_', ' '):>16}  {value}", markup=False)
    console.print(f"{'cause':>16}  {alert.facts.suspected}", markup=False)
    console.print(f"{'next step':>16}  {alert.facts.next_step}", markup=False)
    table = Table("When", "Night", "What", "Count", "Severity", "Who", "Note")
    for entry in history:
        table.add_row(
            str(entry["at"])[:19], *(
                "" if entry[n] is None else str(entry[n])
                for n in ("night", "what", "count", "severity", "who", "note")
            )
        )  # fmt: skip
    console.print(table)
    return EXIT_OK


@command.command(name="ack")
@click.argument("key")
@click.option("--by", "who", help="Who takes it on (default: the user of this machine).")
@click.option("--note", help="What is being done.")
@click.pass_obj
def ack_command(invocation: Invocation, key: str, who: str | None, note: str | None) -> int:
    """Take an alert on: it is repeated like a ticket from then on, unless it gets worse."""
    with Alerting(invocation.project()) as alerting:
        alert = _find(alerting.state, key)
        taken = alerting.evaluator.acknowledge(
            alert.key.dedup_key, alerting.moment, who or getpass.getuser(), note
        )
        if taken is None:
            raise UsageError("the alert is over", mend="See `optout alerts list`")
        alerting.deliver()
    click.echo(f"{alert.key.dedup_key}: acknowledged")
    return EXIT_OK


@command.command(name="silence")
@click.argument("key", required=False)
@click.option("--rule", help="Instead of KEY: everything of this rule.")
@click.option("--system", help="With --rule: only about this system.")
@click.option("--for", "span", required=True, help="How long: 8h, 3d, 2w.")
@click.option("--why", required=True, help="The reason, for those who wonder later.")
@click.option("--by", "who", help="Who (default: the user of this machine).")
@click.pass_obj
def silence_command(
    invocation: Invocation,
    key: str | None,
    rule: str | None,
    system: str | None,
    span: str,
    why: str,
    who: str | None,
) -> int:
    """Tell nothing of an alert for a time. It is recorded all the same, and told afterwards if it
    still holds. What was sent after an opt-out cannot be silenced."""
    if bool(key) == bool(rule):
        raise UsageError("either KEY or --rule is needed", mend="See `optout alerts list`")
    with Alerting(invocation.project()) as alerting:
        alert = _find(alerting.state, key) if key else None
        name = alert.key.rule if alert else rule
        known = {r.name: r for r in alerting.rules}
        if name not in known:
            raise UsageError(f"there is no rule '{name}'", mend=f"Use one of: {', '.join(known)}")
        if known[name].never_muted:
            raise UsageError(f"{name} cannot be silenced", mend="Acknowledge it instead")
        until = invocation.now + _span(span)
        dedup_key = alert.key.dedup_key if alert else None
        silence = Silence(until, who or getpass.getuser(), why, dedup_key, rule, system)
        with alerting.state.transaction():
            alerting.state.silence(silence, invocation.now)
            if alert:
                note = f"until {until:%Y-%m-%d %H:%M} UTC: {why}"
                alerting.state.note(alert, "silenced", invocation.now, who=silence.who, note=note)
    click.echo(f"silenced until {until:%Y-%m-%d %H:%M} UTC")
    return EXIT_OK


@command.command(name="test")
@click.option("--json", "as_program", is_flag=True, help="One JSON object a channel.")
@click.pass_obj
def test_command(invocation: Invocation, as_program: bool) -> int:
    """Send one test notice of each level through every route. Exit code 2 where one failed."""
    results = send_tests(invocation.project())
    for result in results:
        if as_program:
            echo_json(
                {
                    "channel": result.channel,
                    "severity": result.severity,
                    "route": result.route,
                    "delivered": result.error is None,
                    "error": result.error,
                }
            )
        else:
            said = result.error or "delivered"
            click.echo(f"{result.route:<12} {result.severity:<7} {result.channel:<14} {said}")
    return EXIT_USAGE if any(r.error for r in results) else EXIT_OK


@command.command(name="heartbeat-check")
@click.option("--json", "as_program", is_flag=True, help="One JSON object.")
@click.pass_obj
def heartbeat_command(invocation: Invocation, as_program: bool) -> int:
    """For another scheduler: is there a good night of the last day, and did every notice get out?
    Exit code 0 if so, 1 if not."""
    project = invocation.project()
    newest = None
    if identity(project) is not None:
        with facts_of(project) as facts:
            newest = latest_night(facts.con) if facts else None
    with Alerting(project) as alerting:
        pulse = check(alerting.state, newest, alerting.table, invocation.now)
    if as_program:
        echo_json(
            {
                "well": pulse.is_well,
                "why_not": pulse.why_not or None,
                "night": pulse.night,
                "waiting": pulse.waiting,
            }
        )
    else:
        click.echo(f"well: night {pulse.night}" if pulse.is_well else f"not well: {pulse.why_not}")
    return EXIT_OK if pulse.is_well else EXIT_MISSED


def _find(state: AlertState, key: str) -> Alert:
    """The alert whose key begins so, the word `optout:` left out or not; raises UsageError."""
    text = key.removeprefix("optout:")
    found = [a for a in state.alerts() if a.key.dedup_key.startswith(f"optout:{text}")]
    if len(text) < _SHORTEST_KEY or len(found) != 1:
        what = "no alert" if not found else "more than one alert"
        raise UsageError(f"{what} begins with '{key}'", mend="See `optout alerts list --all`")
    return found[0]


def _span(text: str) -> timedelta:
    match = _SPAN.fullmatch(text)
    if not match:
        raise UsageError(f"'{text}' is no length of time", mend="Write it as 8h, 3d or 2w")
    return int(match[1]) * _UNITS[match[2]]


def _row(alert: Alert, silences: list[Silence], invocation: Invocation) -> dict[str, Any]:
    silence = next((s for s in silences if s.covers(alert, invocation.now)), None)
    return {
        "key": alert.key.dedup_key,
        "rule": alert.key.rule,
        "severity": alert.severity.value,
        "state": alert.state.value,
        "headline": alert.facts.headline,
        "source": alert.key.source or None,
        "target": alert.key.target or None,
        "scope": alert.key.scope,
        "count": alert.facts.count,
        "people": alert.facts.people,
        "since": alert.since,
        "opened_at": iso(alert.opened_at.replace(tzinfo=None)),
        "seen_night": alert.seen_night,
        "unknown": alert.unknown_since is not None,
        "deadline": alert.facts.deadline,
        "acknowledged_by": alert.acknowledged_by,
        "resolved_at": iso(alert.resolved_at.replace(tzinfo=None)) if alert.resolved_at else None,
        "silenced_until": iso(silence.until.replace(tzinfo=None)) if silence else None,
    }


def _echo_table(rows: list[dict[str, Any]]) -> None:
    if not rows:
        click.echo("No alert is open.")
        return
    table = Table("Key", "Level", "State", "Since", "What")
    for row in rows:
        state = "unknown" if row["unknown"] else row["state"]
        if row["silenced_until"]:
            state = f"{state}, silenced"
        table.add_row(
            row["key"][len("optout:") :][:8], row["severity"], state, str(row["since"]),
            row["headline"],
        )  # fmt: skip
    Console(width=max(120, Console().width), highlight=False).print(table)
