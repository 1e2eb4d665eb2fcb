"""From one night's facts to alerts and notices, in one transaction.

What is judged is read from the published copy; what changes is written to `alerts.sqlite` together
with the notices that tell it. Killed at any point, either all of it happened or nothing did, and
the next evaluation of the same night does what is left: nothing, or everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from optout.alerts.facts import Facts
from optout.alerts.life import (
    Action,
    Alert,
    Notice,
    Reason,
    RepeatPolicy,
    acknowledge,
    after_telling,
    doubt,
    observe,
    plan,
    resolve,
)
from optout.alerts.message import Writer, cleaned
from optout.alerts.outbox import channels_told, enqueue, failing
from optout.alerts.routes import Target, fallback, route
from optout.alerts.rule import AlertKey, Condition, Family, Judgement, Rule, Severity
from optout.alerts.settings import AlertsTable
from optout.alerts.state import AlertState

CHANNEL_FAILED = "channel_failed"
NOT_NIGHTLY = (Family.RUN, Family.DELIVERY)
COLLECTED_WITHIN = timedelta(minutes=5)


@dataclass(frozen=True)
class Night:
    """The moment of an evaluation: its clock, and the night that the facts are about."""

    now: datetime
    night: date
    tokens: Mapping[Family, str] = field(default_factory=dict)
    """What names the copy of the facts that each family judges."""
    run_id: str | None = None


@dataclass(frozen=True)
class Told:
    """What an evaluation put into the outbox."""

    opened: int = 0
    repeated: int = 0
    resolved: int = 0


class Evaluator:
    """The rules of one installation, applied to its alerts."""

    def __init__(self, state: AlertState, table: AlertsTable, rules: Sequence[Rule]) -> None:
        self._state = state
        self._table = table
        self._rules = rules
        self._policy = RepeatPolicy(
            page=timedelta(hours=table.repeat_page_hours),
            ticket=timedelta(hours=table.repeat_ticket_hours),
        )
        self._promises = {rule.name: rule.promise for rule in rules}
        self._families = {r.name: r.family for r in rules if r.family not in NOT_NIGHTLY}

    def evaluate(self, facts: Facts, families: Sequence[Family], at: Night) -> Told:
        """Judge the families' rules on the facts and write what follows.

        A night older than one that a family has judged already is left alone.
        """
        rules = [rule for rule in self._rules if rule.family in families]
        judged = [(rule, rule.judge(facts)) for rule in rules]
        with self._state.transaction():
            stale = {f for f in families if self._is_older(f, at.night)}
            over = sum(
                self._apply(rule, judgement, at, facts.systems)
                for rule, judgement in judged
                if rule.family not in stale
            )
            for family in set(families) - stale:
                self._state.set_evaluated(family, at.night, at.tokens.get(family, ""), at.now)
            return replace(self._tell(at), resolved=over)

    def raise_alert(self, rule: Rule, condition: Condition, at: Night) -> Told:
        """Record one condition outside a night's evaluation (a run or a channel that failed)."""
        with self._state.transaction():
            self._observe(rule, cleaned(condition), at)
            return self._tell(at)

    def clear(self, key: AlertKey, at: Night, why: str) -> Told:
        """The reverse of `raise_alert`: the thing works again."""
        with self._state.transaction():
            alert = self._state.alert(key.dedup_key)
            over = alert is not None and alert.is_open
            if alert is not None and over:
                self._resolve(alert, at, why)
            return replace(self._tell(at), resolved=int(over))

    def remind(self, at: Night) -> Told:
        """Tell what is due without new facts: reminders, and what a silence held back."""
        if not self._notices(at):
            return Told()
        with self._state.transaction():
            return self._tell(at)

    def acknowledge(self, dedup_key: str, at: Night, who: str, note: str | None) -> Alert | None:
        """Somebody takes an open alert on; the channels that know it are told. None: not open."""
        with self._state.transaction():
            alert = self._state.alert(dedup_key)
            if alert is None or not alert.is_open:
                return None
            taken = acknowledge(alert, who)
            self._state.note(taken, "acknowledged", at.now, who=who, note=note)
            self._end(taken, Action.ACKNOWLEDGE, Reason.SEEN, at)
            return taken

    def _is_older(self, family: Family, night: date) -> bool:
        known = self._state.evaluated(family)
        return known is not None and known[0] is not None and night < known[0]

    def _apply(self, rule: Rule, judgement: Judgement, at: Night, systems: Sequence[str]) -> int:
        """Bring the alerts of one rule to what was judged; how many are over."""
        seen, over = set(), 0
        for condition in map(cleaned, judgement.conditions):
            seen.add(condition.key.dedup_key)
            self._observe(rule, condition, at)
        for alert in self._state.alerts(only_open=True):
            if alert.key.rule != rule.name or alert.key.dedup_key in seen:
                continue
            if not alert.key.systems <= set(systems):
                self._resolve(alert, at, "a system of it is configured no more")
            elif judgement.judged(alert.key):
                self._resolve(alert, at, "judged on complete data")
            else:
                self._doubt(alert, at)
                continue
            over += 1
        return over

    def _observe(self, rule: Rule, condition: Condition, at: Night) -> None:
        key = condition.key.dedup_key
        before = self._state.alert(key)
        news = self._state.record_events(key, condition.events) if condition.is_judged else 0
        after = observe(
            before, condition, now=at.now, night=at.night, news=news, never_muted=rule.never_muted
        )
        if after is None or after == before:
            return
        self._state.save(after)
        if before is None or after.episode != before.episode:
            self._state.note(after, "opened", at.now, night=at.night)
        elif not condition.is_judged:
            self._note_doubt(before, after, at)
        else:
            self._state.note(after, "seen", at.now, night=at.night)

    def _doubt(self, alert: Alert, at: Night) -> None:
        after = doubt(alert, at.now)
        if after is not None and after != alert:
            self._state.save(after)
            self._note_doubt(alert, after, at)

    def _note_doubt(self, before: Alert, after: Alert, at: Night) -> None:
        if before.unknown_since is None:
            self._state.note(after, "unknown", at.now, night=at.night)

    def _resolve(self, alert: Alert, at: Night, why: str) -> None:
        over = resolve(alert, at.now)
        self._state.save(over)
        self._state.note(over, "resolved", at.now, night=at.night, note=why)
        self._end(over, Action.RESOLVE, Reason.OVER, at)

    def _end(self, alert: Alert, action: Action, reason: Reason, at: Night) -> None:
        """Tell the channels that heard of the alert; nobody else needs to know."""
        channels = channels_told(self._state, alert.key.dedup_key, alert.episode)
        raised = replace(alert, revision=alert.revision + 1)
        self._state.save(raised)
        if channels:
            message = self._writer(at).compose(Notice(raised, action, reason))
            enqueue(self._state, message, channels, episode=alert.episode, now=at.now)

    def _tell(self, at: Night) -> Told:
        """Write the notices that are wanted now. Called inside a transaction."""
        opened = repeated = 0
        for notice in self._notices(at):
            target = self._target(notice.alert)
            if not target.channels:
                continue  # no channel works: it is told when one does
            lead = after_telling(notice.alert, at.now, leads=True)
            told = replace(notice, alert=replace(lead, news=notice.alert.news))
            message = self._writer(at).compose(told, owner=target.owner)
            enqueue(self._state, message, target.channels, episode=lead.episode, now=at.now)
            self._state.save(lead)
            self._state.note(lead, "told", at.now, night=at.night, note=notice.reason)
            for rider in notice.riders:
                self._state.save(after_telling(rider, at.now, leads=False))
            opened += notice.reason is Reason.OPENED
            repeated += notice.reason is not Reason.OPENED
        if not self._is_collecting(at.now):
            self._tell_digest(at)
        return Told(opened, repeated)

    def _target(self, alert: Alert) -> Target:
        """Where it goes by the routes; that a channel fails goes to the next one that works."""
        if alert.key.rule != CHANNEL_FAILED:
            return route(self._table, alert.facts, alert.severity)
        other = fallback(self._table, alert.key.scope, failing(self._state))
        return Target((other,) if other else ())

    def _notices(self, at: Night) -> list[Notice]:
        alerts = self._state.alerts(only_open=True)
        if self._is_collecting(at.now):
            alerts = [a for a in alerts if a.key.rule not in self._families]
        return plan(alerts, self._silenced(alerts, at.now), self._policy, at.now)

    def _is_collecting(self, now: datetime) -> bool:
        """Whether families are still at the newest night: what one cause did to several of them
        shall be one notice. Bounded, so that a sensor that is off or fails holds nobody up."""
        known = self._state.evaluations()
        newest = max((night for night, _ in known.values()), default=None)
        times = [at for night, at in known.values() if night == newest]
        are_behind = any(known.get(f, (None, now))[0] != newest for f in self._families.values())
        return bool(times) and are_behind and now - min(times) < COLLECTED_WITHIN

    def _silenced(self, alerts: Sequence[Alert], now: datetime) -> frozenset[str]:
        silences = self._state.silences(now)
        return frozenset(a.key.dedup_key for a in alerts if any(s.covers(a, now) for s in silences))

    def _tell_digest(self, at: Night) -> None:
        """One message a channel with everything of the lowest level that is new or over."""
        members: dict[str, list[Alert]] = {}
        alerts = [a for a in self._state.alerts() if a.severity is Severity.DIGEST]
        silenced = self._silenced(alerts, at.now)
        for alert in alerts:
            if alert.key.dedup_key in silenced or not self._is_news(alert, at.now):
                continue
            for channel in route(self._table, alert.facts, alert.severity).channels:
                members.setdefault(channel, []).append(alert)
        for channel, listed in members.items():
            key = AlertKey("digest", scope=channel, environment=self._table.environment).dedup_key
            number = self._state.con.execute(
                "SELECT coalesce(max(revision), 0) + 1 FROM outbox WHERE dedup_key = ?", (key,)
            ).fetchone()[0]
            message = self._writer(at).digest(key, number, listed)
            enqueue(self._state, message, [channel], episode=number, now=at.now)
        for alert in {a.key.dedup_key: a for listed in members.values() for a in listed}.values():
            told = after_telling(alert, at.now, leads=False)
            self._state.save(told if alert.is_open else replace(told, told=None))

    def _is_news(self, alert: Alert, now: datetime) -> bool:
        if not alert.is_open:
            return alert.told is not None
        return alert.told is None or self._policy.is_due(alert, now)

    def _writer(self, at: Night) -> Writer:
        return Writer(self._table, self._promises, at.now, at.night, at.run_id)
