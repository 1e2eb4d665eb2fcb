"""The forms of a message: lines of text, a subject, Slack's blocks, PagerDuty's event."""

from __future__ import annotations

from typing import Any

from optout.alerts.life import Action
from optout.alerts.message import Message

SUMMARY_LIMIT = 1024
"""PagerDuty's `payload.summary`."""
HEADER_LIMIT = 150
SECTION_LIMIT = 3000
_PAGERDUTY_SEVERITY = {"page": "critical", "ticket": "warning", "digest": "info"}


def subject(message: Message) -> str:
    """One line: level, place of use unless it is production, what is wrong."""
    where = "" if message.environment == "production" else f"[{message.environment}] "
    return f"[{_level(message)}] {where}{message.headline}"


def lines(message: Message) -> list[str]:
    """The message as plain text; what does not apply is left out."""
    told = [subject(message), f"Why now: {message.reason}"]
    told += [f"{label}: {value}" for label, value in facts(message)]
    if message.riders:
        label = "Contents" if message.action == Action.DIGEST else "With it, of the same cause"
        told += [f"{label}:", *(f"  - {rider}" for rider in message.riders)]
    told += [f"{label.capitalize()}: {url}" for label, url in message.links.items()]
    return told


def text(message: Message) -> str:
    """The lines as one text."""
    return "\n".join(lines(message)) + "\n"


def facts(message: Message) -> list[tuple[str, str]]:
    """Label and value of everything that is known of the problem, in reading order."""
    since = None
    if message.since and message.nights:
        since = f"{message.since} ({message.nights} night{'s' * (message.nights != 1)})"
    rows: list[tuple[str, str | None]] = [
        ("Since", since),
        ("People", None if message.people is None else f"{message.people:,}"),
        ("Direction", message.direction),
        ("Systems", ", ".join(message.systems)),
        ("Categories", ", ".join(message.categories)),
        ("Change", message.change),
        ("Rule", message.promise),
        ("Deadline", message.deadline),
        ("First suspected cause", message.suspected),
        ("Next step", message.next_step),
        ("Owner", message.owner),
        *((name.replace("_", " ").capitalize(), str(v)) for name, v in message.details.items()),
    ]
    return [(label, value) for label, value in rows if value]


def slack_text(message: Message) -> str:
    """What Slack shows where it shows no blocks (notifications)."""
    return _escaped(subject(message))


def slack_blocks(message: Message) -> list[dict[str, Any]]:
    """Slack's Block Kit: header, facts, links."""
    body = "\n".join(f"*{label}:* {_escaped(value)}" for label, value in facts(message))
    blocks: list[dict[str, Any]] = [
        {
            "type": "header",
            "text": {"type": "plain_text", "text": _cut(subject(message), HEADER_LIMIT)},
        },
        _section(f"_{_escaped(message.reason)}_\n{body}" if body else message.reason),
    ]
    if message.riders:
        blocks.append(_section("\n".join(f"• {_escaped(rider)}" for rider in message.riders)))
    if message.links:
        links = " · ".join(
            f"<{url}|{label}>" if url.startswith("http") else f"{label}: {_escaped(url)}"
            for label, url in message.links.items()
        )
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": links}]})
    return blocks


def pagerduty_event(message: Message, routing_key: str) -> dict[str, Any]:
    """An event of PagerDuty's Events API v2."""
    action = "trigger" if message.action == Action.TEST else message.action
    event: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": message.dedup_key,
    }
    if action != Action.TRIGGER:
        return event
    details = dict(facts(message)) | {"Why now": message.reason}
    if message.riders:
        details["With it, of the same cause"] = "\n".join(message.riders)
    event["payload"] = {
        "summary": _cut(message.headline, SUMMARY_LIMIT),
        "source": f"optout {message.environment}: {message.system}",
        "severity": _PAGERDUTY_SEVERITY[message.severity],
        "timestamp": message.at,
        "component": message.system,
        "group": message.group or message.rule,
        "class": message.rule,
        "custom_details": details,
    }
    event["links"] = [
        {"href": url, "text": label} for label, url in message.links.items() if "://" in url
    ]
    return event


def _level(message: Message) -> str:
    if message.action == Action.TEST:
        return "test"
    if message.action == Action.RESOLVE:
        return f"{message.severity}, over"
    if message.action == Action.ACKNOWLEDGE:
        return f"{message.severity}, acknowledged"
    return message.severity


def _section(markdown: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": _cut(markdown, SECTION_LIMIT)}}


def _escaped(value: str) -> str:
    """Slack's three control characters."""
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(value: str, limit: int) -> str:
    return value if len(value) <= limit else value[: limit - 1] + "…"
