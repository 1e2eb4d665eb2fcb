"""What a notice says, before any channel gives it a form: plain values, no personal data.

Composed once, when the alert changed, and stored with it in the outbox: a notice that is sent again
after a crash says the very same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date, datetime
from hashlib import sha256
from typing import Any

from optout.alerts.life import Action, Alert, Notice, Reason
from optout.alerts.rule import Condition, Severity
from optout.alerts.settings import AlertsTable
from optout.http.redact import Redactor

_redact = Redactor()
_SHOWN_RIDERS = 20


@dataclass(frozen=True)
class Message:
    """One notice in words and figures."""

    action: str
    dedup_key: str
    revision: int
    severity: str
    environment: str
    rule: str
    headline: str
    reason: str
    at: str
    """ISO 8601, UTC."""
    system: str = ""
    """Where it lies: `sell → mailchimp`."""
    group: str = ""
    since: str | None = None
    nights: int | None = None
    people: int | None = None
    direction: str | None = None
    systems: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    promise: str = ""
    deadline: str | None = None
    change: str = ""
    suspected: str = ""
    next_step: str = ""
    owner: str = ""
    riders: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt to send this notice."""
        text = f"{self.dedup_key}|{self.action}|{self.revision}"
        return sha256(text.encode()).hexdigest()[:40]

    def as_json(self) -> dict[str, Any]:
        """Plain values; the shape that the webhook and the file carry."""
        return asdict(self) | {"idempotency_key": self.idempotency_key}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Message:
        """The reverse of `as_json`."""
        names = {f.name for f in fields(cls)}
        known = {name: value for name, value in data.items() if name in names}
        for name in ("systems", "categories", "riders"):
            known[name] = tuple(known.get(name, ()))
        return cls(**known)


@dataclass(frozen=True)
class Writer:
    """Turns notices into messages with one installation's names and links."""

    table: AlertsTable
    promises: Mapping[str, str]
    """Rule → the promise in words."""
    now: datetime
    night: date | None = None
    run_id: str | None = None

    def compose(self, notice: Notice, *, owner: str = "") -> Message:
        """The message of a notice. Its revision is the one that the alert has after it."""
        alert, facts = notice.alert, notice.alert.facts
        told_night = self.night or alert.seen_night
        over = notice.action is Action.RESOLVE
        return Message(
            action=notice.action,
            dedup_key=facts.key.dedup_key,
            revision=alert.revision,
            severity=alert.severity,
            environment=facts.key.environment,
            rule=facts.key.rule,
            headline=f"Over: {facts.headline}" if over else facts.headline,
            reason=_reason(notice),
            at=self.now.isoformat(timespec="seconds"),
            system=_place(alert),
            group=facts.group,
            since=alert.since.isoformat(),
            nights=max(1, (told_night - alert.since).days + 1),
            people=facts.people,
            direction=facts.direction,
            systems=facts.systems or tuple(sorted(facts.key.systems)),
            categories=facts.categories,
            promise=self.promises.get(facts.key.rule, ""),
            deadline=facts.deadline.isoformat() if facts.deadline else None,
            change="" if over else change_in_words(facts.count, facts.previous),
            suspected="" if over else facts.suspected,
            next_step="Nothing: a complete night found it mended." if over else facts.next_step,
            owner=owner,
            riders=tuple(r.facts.headline for r in notice.riders[:_SHOWN_RIDERS]),
            links=self.links(facts.key.rule),
            details=facts.details,
        )

    def digest(self, dedup_key: str, revision: int, members: Sequence[Alert]) -> Message:
        """One message for all that only has to be known."""
        lines = [_redact(f"{'Over: ' if not a.is_open else ''}{a.facts.headline}") for a in members]
        return Message(
            action=Action.DIGEST,
            dedup_key=dedup_key,
            revision=revision,
            severity=Severity.DIGEST,
            environment=self.table.environment,
            rule="digest",
            headline=f"{len(lines)} thing{'s' * (len(lines) != 1)} to know about opt-outs",
            reason="digest",
            at=self.now.isoformat(timespec="seconds"),
            riders=tuple(lines),
            links=self.links(""),
        )

    def links(self, rule: str) -> dict[str, str]:
        """Where to look: the run, the dashboard, the runbook; those that are configured."""
        links = {}
        if self.table.dagster_url:
            base = self.table.dagster_url.rstrip("/")
            links["run"] = f"{base}/runs/{self.run_id}" if self.run_id else f"{base}/runs"
        if self.table.dashboard_url:
            links["dashboard"] = self.table.dashboard_url
        if rule:
            links["runbook"] = f"{self.table.runbook_url.rstrip('/')}/{rule}.md"
        return links


def cleaned(condition: Condition) -> Condition:
    """The condition without what vendors' names and messages may hold of people."""
    return replace(
        condition,
        key=replace(condition.key, scope=_redact(condition.key.scope)),
        headline=_redact(condition.headline),
        suspected=_redact(condition.suspected),
        next_step=_redact(condition.next_step),
        details={k: _redact(v) if isinstance(v, str) else v for k, v in condition.details.items()},
    )


def change_in_words(count: int, previous: int | None) -> str:
    """The trend against last night."""
    if previous is None:
        return f"{count:,}; no figure of last night to compare"
    if count == previous:
        return f"{count:,}, as last night"
    more = "more" if count > previous else "fewer"
    return f"{count:,}, {abs(count - previous):,} {more} than last night ({previous:,})"


def _reason(notice: Notice) -> str:
    if notice.action is Action.RESOLVE:
        return Reason.OVER
    if notice.reason is Reason.AGAIN:
        return f"{Reason.AGAIN}: {notice.alert.news:,} new"
    return notice.reason


def _place(alert: Alert) -> str:
    key = alert.key
    return " → ".join(part for part in (key.source, key.target) if part) or "all systems"
