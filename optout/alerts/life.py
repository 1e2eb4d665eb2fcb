"""The life of an alert: open → acknowledged → resolved, and when it is told (again).

Pure functions; the clock is a parameter. What is *known* of a problem is recorded every time,
whatever is silenced; what is *told* follows from the difference between what is known now and what
was told last. So the same night judged twice tells nothing twice, and nothing is forgotten when a
silence ends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from optout.alerts.rule import AlertKey, Condition, Severity

WORSE_SHARE = 1.2
WORSE_COUNT = 10


class State(StrEnum):
    """Where an alert is in its life; a resolved one can open again as a new episode."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Action(StrEnum):
    """What a notice asks of a channel."""

    TRIGGER = "trigger"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    DIGEST = "digest"
    TEST = "test"


class Reason(StrEnum):
    """Why something is told now."""

    OPENED = "new"
    SEVERER = "more urgent than before"
    AGAIN = "it happened again"
    NEARER = "the deadline is nearer"
    WORSE = "worse than when last told"
    DUE = "still open"
    OVER = "over"
    SEEN = "acknowledged"


@dataclass(frozen=True)
class Told:
    """What was said last: by a notice of its own, or within the notice of the alert that leads."""

    at: datetime
    severity: Severity
    count: int
    band: int


@dataclass(frozen=True)
class Alert:
    """One problem and what is known of it."""

    facts: Condition
    severity: Severity
    """The highest of this episode: it may rise, never fall."""
    opened_at: datetime
    opened_night: date
    seen_night: date
    """The last night that showed it."""
    state: State = State.OPEN
    episode: int = 1
    revision: int = 0
    """Grows with each notice and never starts again: every channel's idempotency rests on it."""
    news: int = 0
    """Happenings that were not told yet."""
    is_announced: bool = False
    """A notice of its own was sent in this episode."""
    told: Told | None = None
    unknown_since: datetime | None = None
    """Since when the data does not allow to say whether it still holds."""
    resolved_at: datetime | None = None
    acknowledged_by: str | None = None
    never_muted: bool = False

    @property
    def key(self) -> AlertKey:
        """What it is about."""
        return self.facts.key

    @property
    def is_open(self) -> bool:
        """Not resolved: open or acknowledged."""
        return self.state is not State.RESOLVED

    @property
    def since(self) -> date:
        """The first night of the problem."""
        return self.facts.since or self.opened_night


@dataclass(frozen=True)
class RepeatPolicy:
    """How long an open alert may go untold."""

    page: timedelta = timedelta(hours=24)
    ticket: timedelta = timedelta(days=7)
    slack: timedelta = timedelta(hours=1)
    """A night that begins a little earlier than the last one still repeats what is due."""

    def is_due(self, alert: Alert, now: datetime) -> bool:
        """Whether a reminder is. A page that somebody took on, or that has calmed down to a ticket
        since, is repeated like a ticket."""
        if alert.told is None:
            return False
        urgent = alert.facts.severity is Severity.PAGE and alert.state is State.OPEN
        return now - alert.told.at >= (self.page if urgent else self.ticket) - self.slack


@dataclass(frozen=True)
class Notice:
    """Something to be told about one alert; `riders` are told along with it."""

    alert: Alert
    action: Action
    reason: Reason
    riders: tuple[Alert, ...] = ()


def observe(
    alert: Alert | None,
    condition: Condition,
    *,
    now: datetime,
    night: date,
    news: int = 0,
    never_muted: bool = False,
) -> Alert | None:
    """The alert after a rule found the condition; None where there is still none.

    `news` counts those of `condition.events` that were never recorded before.
    """
    if not condition.is_judged:
        return doubt(alert, now)
    if alert is None or not alert.is_open:
        return Alert(
            facts=condition,
            severity=condition.severity,
            opened_at=now,
            opened_night=night,
            seen_night=night,
            episode=alert.episode + 1 if alert else 1,
            revision=alert.revision if alert else 0,
            news=news,
            never_muted=never_muted,
        )
    severity = max(alert.severity, condition.severity, key=lambda s: s.rank)
    reopened = severity is not alert.severity or news > 0
    return replace(
        alert,
        facts=condition,
        severity=severity,
        seen_night=night,
        news=alert.news + news,
        state=State.OPEN if reopened else alert.state,
        acknowledged_by=None if reopened else alert.acknowledged_by,
        unknown_since=None,
    )


def doubt(alert: Alert | None, now: datetime) -> Alert | None:
    """The alert after a night that could not judge it: as it was, and known to be unknown."""
    if alert is None or not alert.is_open:
        return alert
    return replace(alert, unknown_since=alert.unknown_since or now)


def resolve(alert: Alert, now: datetime) -> Alert:
    """The alert after its rule ran on complete data and found nothing."""
    return replace(
        alert, state=State.RESOLVED, resolved_at=now, unknown_since=None, acknowledged_by=None
    )


def acknowledge(alert: Alert, by: str) -> Alert:
    """Somebody took it on."""
    return replace(alert, state=State.ACKNOWLEDGED, acknowledged_by=by)


def reason_to_tell(alert: Alert, policy: RepeatPolicy, now: datetime) -> Reason | None:
    """Why an open alert should be told now, by itself; None: it need not be."""
    if alert.unknown_since is not None and not alert.never_muted:
        return None
    told = alert.told
    if told is None:
        return Reason.OPENED
    if alert.severity.rank > told.severity.rank:
        return Reason.SEVERER
    if alert.news:
        return Reason.AGAIN
    if alert.facts.band > told.band:
        return Reason.NEARER
    if is_worse(alert.facts.count, told.count):
        return Reason.WORSE
    return Reason.DUE if policy.is_due(alert, now) else None


def is_worse(count: int, told: int) -> bool:
    """A fifth more, and at least ten."""
    return count >= told * WORSE_SHARE and count - told >= WORSE_COUNT


def plan(
    alerts: Iterable[Alert], silenced: Collection[str], policy: RepeatPolicy, now: datetime
) -> list[Notice]:
    """What has to be told of all open alerts above the digest, one notice a presumed cause.

    The most urgent alert of a cause leads; the others ride along in its notice and get one of their
    own only when the one that led them is over. What may never be muted never rides.
    """
    groups: defaultdict[str, list[Alert]] = defaultdict(list)
    for alert in alerts:
        key = alert.key.dedup_key
        if not alert.is_open or alert.severity is Severity.DIGEST:
            continue
        if not alert.never_muted and (key in silenced or is_unheard(alert)):
            continue
        groups[f"group:{alert.facts.group}" if alert.facts.group else key].append(alert)
    notices = (_notice_of(m, policy, now) for group in groups.values() for m in _split(group))
    return [notice for notice in notices if notice]


def _split(group: Sequence[Alert]) -> list[list[Alert]]:
    """The lead with its riders; what may never be muted can lead, but never rides along."""
    lead = min(group, key=_precedence)
    riders = [a for a in group if a is not lead and not a.never_muted]
    return [[lead, *riders], *([a] for a in group if a is not lead and a.never_muted)]


def is_unheard(alert: Alert) -> bool:
    """Nobody was told of it, and whether it still holds is unknown."""
    return alert.unknown_since is not None and not alert.is_announced


def _notice_of(members: Sequence[Alert], policy: RepeatPolicy, now: datetime) -> Notice | None:
    lead, *riders = members
    reason = reason_to_tell(lead, policy, now)
    if not lead.is_announced:
        reason = Reason.OPENED
    if reason in (None, Reason.DUE):
        others = {reason_to_tell(a, policy, now) for a in riders} - {None, Reason.DUE}
        if others:
            reason = Reason.WORSE
    return Notice(lead, Action.TRIGGER, reason, tuple(riders)) if reason else None


def _precedence(alert: Alert) -> tuple[int, bool, bool, int, int, datetime, str]:
    """The most urgent first, among equals what nothing mutes, then what people already know, then
    what names the cause."""
    return (
        -alert.severity.rank, not alert.never_muted, not alert.is_announced, -alert.facts.telling,
        -alert.facts.count, alert.opened_at, alert.key.dedup_key,
    )  # fmt: skip


def after_telling(alert: Alert, now: datetime, *, leads: bool) -> Alert:
    """The alert after it was told, by a notice of its own or within another's."""
    told = Told(now, alert.severity, alert.facts.count, alert.facts.band)
    return replace(
        alert,
        told=told,
        news=0,
        is_announced=alert.is_announced or leads,
        revision=alert.revision + 1 if leads else alert.revision,
    )
