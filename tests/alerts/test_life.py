"""The life of an alert as a table, and as a machine that hypothesis drives."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from optout.alerts.evaluate import Evaluator, Night
from optout.alerts.facts import Facts
from optout.alerts.life import (
    Alert,
    Reason,
    RepeatPolicy,
    State,
    acknowledge,
    after_telling,
    doubt,
    observe,
    plan,
    reason_to_tell,
    resolve,
)
from optout.alerts.rule import AlertKey, Condition, Family, Judgement, Rule, Severity
from optout.alerts.settings import AlertsTable
from optout.alerts.state import AlertState, Silence
from optout.testing.facts import warehouse
from optout.testing.ledger import Ledger

NOW = datetime(2026, 9, 1, 2, tzinfo=UTC)
NIGHT = date(2026, 9, 1)
POLICY = RepeatPolicy()


def condition(rule: str = "r", **said: object) -> Condition:
    base = Condition(AlertKey(rule, "sell", "mailchimp"), Severity.TICKET, "12 people", 12)
    return replace(base, **said)  # type: ignore[arg-type]


def alert(**said: object) -> Alert:
    opened = observe(None, condition(**said), now=NOW, night=NIGHT)
    assert opened is not None
    return opened


def told(one: Alert, at: datetime = NOW) -> Alert:
    return after_telling(one, at, leads=True)


@pytest.mark.parametrize(
    ("later", "hours", "reason"),
    [
        ({}, 24, None),
        ({}, 7 * 24, Reason.DUE),
        ({"count": 21}, 24, None),
        ({"count": 22}, 24, Reason.WORSE),
        ({"count": 1}, 24, None),
        ({"band": 1}, 24, Reason.NEARER),
        ({"severity": Severity.PAGE}, 1, Reason.SEVERER),
    ],
)
def test_it_is_told_again_only_when_worse_or_due(
    later: dict[str, object], hours: int, reason: Reason | None
) -> None:
    """Repeats without news teach people to mute the channel; silence about worse costs people."""
    again = observe(told(alert()), condition(**later), now=NOW, night=NIGHT)
    assert again is not None
    assert reason_to_tell(again, POLICY, NOW + timedelta(hours=hours)) == reason


def test_a_fifth_more_of_many_counts_and_ten_more_of_many_does_not() -> None:
    """Of 1,000 people ten more are noise, of 12 ten more are not."""
    again = observe(told(alert(count=1000)), condition(count=1100), now=NOW, night=NIGHT)
    assert again is not None
    assert reason_to_tell(again, POLICY, NOW) is None
    worse = observe(again, condition(count=1200), now=NOW, night=NIGHT)
    assert worse is not None
    assert reason_to_tell(worse, POLICY, NOW) == Reason.WORSE


def test_pages_repeat_daily_until_somebody_takes_them_on() -> None:
    """A page that nobody saw must come again; one in work must not."""
    page = told(alert(severity=Severity.PAGE))
    tomorrow = NOW + timedelta(hours=23, minutes=30)
    assert reason_to_tell(page, POLICY, tomorrow) == Reason.DUE
    assert reason_to_tell(acknowledge(page, "ana"), POLICY, tomorrow) is None
    assert reason_to_tell(acknowledge(page, "ana"), POLICY, NOW + timedelta(days=7)) == Reason.DUE


def test_each_new_happening_is_told_however_small_the_rise() -> None:
    """The second person who is mailed after an opt-out is not 20 % of anything."""
    first = told(alert(count=500))
    again = observe(first, condition(count=501), now=NOW, night=NIGHT, news=1)
    assert again is not None
    assert reason_to_tell(again, POLICY, NOW) == Reason.AGAIN
    assert observe(acknowledge(first, "ana"), condition(), now=NOW, night=NIGHT, news=1) == replace(
        first, facts=condition(), news=1
    )


def test_what_cannot_be_judged_neither_opens_nor_closes_nor_repeats() -> None:
    """An empty answer of a source that failed would close every alert about it."""
    unjudged = condition(is_judged=False)
    assert observe(None, unjudged, now=NOW, night=NIGHT) is None
    unknown = observe(told(alert()), unjudged, now=NOW, night=NIGHT)
    assert unknown is not None
    assert unknown.state is State.OPEN
    assert unknown.unknown_since == NOW
    assert reason_to_tell(unknown, POLICY, NOW + timedelta(days=30)) is None
    assert doubt(resolve(alert(), NOW), NOW) == resolve(alert(), NOW)


def test_severity_rises_and_does_not_fall_within_an_episode() -> None:
    """A page that turns into a ticket by itself reads as an all-clear."""
    page = observe(alert(), condition(severity=Severity.PAGE), now=NOW, night=NIGHT)
    calmer = observe(page, condition(), now=NOW, night=NIGHT)
    assert calmer is not None
    assert calmer.severity is Severity.PAGE
    again = observe(resolve(calmer, NOW), condition(), now=NOW, night=NIGHT)
    assert again is not None
    assert (again.severity, again.episode, again.told) == (Severity.TICKET, 2, None)


def _of_one_cause() -> tuple[Alert, Alert, Alert]:
    group = {"group": "into:mailchimp"}
    page = alert(rule="page", severity=Severity.PAGE, **group)
    ticket = alert(rule="ticket", **group)
    breach = replace(alert(rule="breach", severity=Severity.PAGE, **group), never_muted=True)
    return page, ticket, breach


def test_one_cause_is_told_once_with_the_most_urgent_first() -> None:
    """Five alerts of one broken sync are five pages in one night."""
    page, ticket, _ = _of_one_cause()
    (notice,) = plan([ticket, page], (), POLICY, NOW)
    assert (notice.alert, notice.riders) == (page, (ticket,))
    lead, rider = told(page), after_telling(ticket, NOW, leads=False)
    assert plan([lead, rider], (), POLICY, NOW) == []
    worse = replace(rider, facts=condition(rule="ticket", group="into:mailchimp", count=40))
    (again,) = plan([lead, worse], (), POLICY, NOW)
    assert (again.alert, again.reason) == (lead, Reason.WORSE)
    (alone,) = plan([resolve(lead, NOW), rider], (), POLICY, NOW)
    assert (alone.alert, alone.reason) == (rider, Reason.OPENED)


def test_a_send_after_an_opt_out_leads_and_never_rides() -> None:
    """Hidden in another alert's lines it would be muted after all."""
    page, ticket, breach = _of_one_cause()
    (notice,) = plan([page, ticket, breach], (), POLICY, NOW)
    assert notice.alert == breach
    calm = replace(breach, severity=Severity.TICKET)
    notices = plan([page, ticket, calm], (), POLICY, NOW)
    assert [n.alert for n in notices] == [page, calm]
    assert notices[0].riders == (ticket,)


def test_a_silence_holds_back_what_may_be_silenced_and_no_more() -> None:
    """A silence over a whole system must not hide people who are being mailed."""
    page, ticket, breach = _of_one_cause()
    silence = Silence(NOW + timedelta(days=1), "ana", "mending", system="mailchimp")
    assert [silence.covers(a, NOW) for a in (page, ticket, breach)] == [True, True, False]
    assert not silence.covers(page, NOW + timedelta(days=1))
    keys = {page.key.dedup_key, ticket.key.dedup_key, breach.key.dedup_key}
    assert [n.alert for n in plan([page, ticket, breach], keys, POLICY, NOW)] == [breach]


class Life(RuleBasedStateMachine):
    """Any sequence of nights, silences and acknowledgements, against the promises of design.md."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.state = AlertState(Path(self._folder.name))
        self.state.con.execute("PRAGMA synchronous = OFF")
        self.judgement = Judgement()
        quiet = Rule("quiet", Family.DRIFT, "", lambda facts: self.judgement)
        loud = Rule("loud", Family.DRIFT, "", lambda facts: self.loud, never_muted=True)
        self.loud = Judgement()
        self.evaluator = Evaluator(self.state, AlertsTable(), (quiet, loud))
        self.now = NOW
        self.con = CON
        self.events: set[str] = set()
        self.silenced_until = NOW

    def teardown(self) -> None:
        self.state.close()
        self._folder.cleanup()

    def _facts(self) -> Facts:
        ledger = Ledger(self.con)
        return ledger.facts(self.now.date(), now=self.now)

    def _judge(self, key: AlertKey) -> int:
        """How many triggers of a key a night brought; judged a second time it brings none."""
        before = self._count(key)
        at = Night(self.now, self.now.date())
        self.evaluator.evaluate(self._facts(), (Family.DRIFT,), at)
        everything = self._count(None)
        self.evaluator.evaluate(self._facts(), (Family.DRIFT,), at)
        assert self._count(None) == everything, "the same night judged twice told something twice"
        return self._count(key) - before

    def _count(self, key: AlertKey | None) -> int:
        sql = (
            "SELECT count(*) FROM outbox WHERE ? IS NULL OR (dedup_key = ? AND action = 'trigger')"
        )
        name = key.dedup_key if key else None
        return int(self.state.con.execute(sql, (name, name)).fetchone()[0])

    @rule(
        count=st.sampled_from([None, 5, 12, 40]),
        severity=st.sampled_from([Severity.TICKET, Severity.PAGE]),
        is_judged=st.booleans(),
        hours=st.sampled_from([12, 24, 24 * 8]),
    )
    def night(self, count: int | None, severity: Severity, is_judged: bool, hours: int) -> None:
        self.now += timedelta(hours=hours)
        key = AlertKey("quiet", "sell", "mailchimp")
        before = self.state.alert(key.dedup_key)
        found = [Condition(key, severity, "people", count, is_judged=is_judged)] if count else []
        self.judgement = Judgement(found, lambda k: is_judged)
        sent = self._judge(key)
        after = self.state.alert(key.dedup_key)
        if not is_judged:
            assert (after and after.state) == (before and before.state)
            assert sent == 0
        elif count:
            assert after is not None
            assert after.is_open
        elif after is not None:
            assert not after.is_open
        if self.now < self.silenced_until and count:
            assert sent == 0, "a silenced alert was told"

    @rule(number=st.integers(1, 3))
    def people_are_mailed(self, number: int) -> None:
        self.now += timedelta(hours=1)
        fresh = {f"e{len(self.events) + n}" for n in range(number)}
        self.events |= fresh
        key = AlertKey("loud", "", "sendgrid")
        said = Condition(
            key, Severity.PAGE, "sent", len(self.events), events=frozenset(self.events)
        )
        self.loud = Judgement([said], lambda k: True)
        self.judgement = Judgement()
        assert self._judge(key) == 1, "a send after an opt-out was not told"

    @rule()
    def no_send(self) -> None:
        self.now += timedelta(hours=1)
        self.loud = Judgement((), lambda k: True)
        self.judgement = Judgement()
        self._judge(AlertKey("loud", "", "sendgrid"))

    @precondition(lambda self: self.state.alerts(only_open=True))
    @rule()
    def somebody_takes_on(self) -> None:
        one = self.state.alerts(only_open=True)[0]
        self.evaluator.acknowledge(one.key.dedup_key, Night(self.now, self.now.date()), "ana", None)

    @rule(days=st.integers(1, 10))
    def somebody_silences(self, days: int) -> None:
        until = self.now + timedelta(days=days)
        self.state.silence(Silence(until, "ana", "why", system="mailchimp"), self.now)
        self.silenced_until = max(self.silenced_until, until)

    @invariant()
    def channels_hear_whole_stories(self) -> None:
        """Each episode begins with a trigger, ends with one end at most, in growing revisions."""
        rows = self.state.con.execute(
            "SELECT dedup_key, episode, action, revision FROM outbox ORDER BY seq"
        ).fetchall()
        stories: dict[tuple[str, int], str] = {}
        revisions: dict[str, int] = {}
        for dedup_key, episode, action, revision in rows:
            stories[dedup_key, episode] = stories.get((dedup_key, episode), "") + action[0]
            assert revision > revisions.get(dedup_key, 0)
            revisions[dedup_key] = revision
        for story in stories.values():
            assert re.fullmatch(r"t[ta]*r?", story), story


CON = warehouse()
Life.TestCase.settings = settings(max_examples=15, stateful_step_count=10, deadline=None)
TestLife = Life.TestCase
