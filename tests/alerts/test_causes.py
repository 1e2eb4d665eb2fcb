"""What one cause did to several rules: who leads, where it lies, and what is forgotten later."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from optout.alerts.outbox import prune
from optout.alerts.rules import RULES
from optout.alerts.service import Alerting, evaluate_and_deliver
from optout.rules.detection import DetectionRules
from optout.testing.ledger import HUB, Ledger
from optout.testing.receivers import Fault, Receiver

NOW = datetime(2026, 9, 1, 2, tzinfo=UTC)
FAR = date(2026, 12, 1)
Install = Callable[..., Any]


def found(facts: Ledger, rule: str, day: date) -> Any:
    (one,) = (r for r in RULES if r.name == rule)
    (condition,) = one.judge(facts.facts(day)).conditions
    return condition


def logged(place: Any) -> list[dict[str, Any]]:
    file = place.folder / "data" / "alerts.jsonl"
    return [orjson.loads(line) for line in file.read_bytes().splitlines()]


def test_the_system_of_the_act_is_named_not_that_of_a_later_copy() -> None:
    """The sync's copy is the later word; who is sent to mend 'from sendgrid' looks in vain."""
    facts = Ledger()
    tonight = facts.night(1)
    facts.drift("unhonoured_opt_out", "mailchimp", range(3), tonight, decided_system="sendgrid")
    for person in range(2):
        facts.opt_out(person, tonight, FAR, "mailchimp")
    (one,) = (r for r in RULES if r.name == "unhonoured_opt_out")
    told = {(c.key.source, c.count) for c in one.judge(facts.facts(tonight)).conditions}
    assert told == {(HUB, 2), ("sendgrid", 1)}


def test_what_was_mended_tonight_still_counts_for_last_night() -> None:
    """'As last night' beside a number that fell is a riddle."""
    facts = Ledger()
    first = facts.night(1)
    facts.drift("unhonoured_opt_out", "mailchimp", range(5), first, decided_system="sendgrid")
    for person in range(5):
        facts.opt_out(person, date(2026, 9, 1), FAR, "mailchimp")
    tonight = facts.night(2)
    facts.mend("unhonoured_opt_out", "mailchimp", tonight, range(3))
    for person in range(3):
        facts.honoured(person, datetime.combine(tonight, datetime.min.time()))
    condition = found(facts, "unhonoured_opt_out", tonight)
    assert (condition.count, condition.previous) == (2, 5)


def test_a_new_episode_tells_nothing_of_sends_that_were_mended() -> None:
    """'4 messages to 3 people' for one new one: the next night looks worse than it is."""
    facts = Ledger()
    first = facts.night(1)
    facts.drift("unhonoured_opt_out", "mailchimp", range(2), first)
    facts.send("mailchimp", 0, first)
    facts.send("mailchimp", 1, first)
    facts.mend("unhonoured_opt_out", "mailchimp", facts.night(2))
    tonight = facts.night(3)
    facts.send("mailchimp", 7, tonight)
    told = found(facts, "breach", tonight)
    assert (told.count, told.people, len(told.events)) == (1, 1, 1)


@pytest.mark.parametrize(
    ("day", "when"),
    [(1, "5 business days left"), (4, "2 business days left"), (7, "1 business day left"),
     (8, "today is the last day"), (9, "the deadline is over")],
)  # fmt: skip
def test_a_deadline_is_told_as_it_comes_nearer(day: int, when: str) -> None:
    """1 September 2026 is a Tuesday; the strict reading takes no day off for the 7th, a holiday."""
    facts = Ledger()
    night = facts.night(1)
    facts.opt_out(0, night, date(2026, 9, 8), "mailchimp")
    now = datetime.combine(date(2026, 9, day), datetime.min.time(), UTC) + timedelta(hours=2)
    (one,) = (r for r in RULES if r.name == "deadline")
    (condition,) = one.judge(facts.facts(night, now=now)).conditions
    assert condition.headline.endswith(when)


@pytest.mark.parametrize(
    ("later", "least", "is_told"), [(2, 10, False), (16, 10, True), (16, 20, False)]
)
def test_the_sum_after_a_spike_is_the_spike_unless_more_comes(
    later: int, least: int, is_told: bool
) -> None:
    """One campaign that people left would be told for a fortnight, first as a page, then again.
    How much more is the policy's to say."""
    facts = Ledger()
    nights = [facts.night(number) for number in (1, 2)]
    usual = {"dimension": "system", "system": "sendgrid", "key": "sendgrid", "deliveries": 9000}
    facts.insert(
        "audit.spike", night=nights[0], kind="spike", since=nights[0], window_nights=1,
        opt_outs=60, expected=1.0, rate=0.006, ratio=60.0, **usual,
    )  # fmt: skip
    facts.insert(
        "audit.spike", night=nights[1], kind="slow_rise", since=nights[0], window_nights=4,
        opt_outs=60 + later, expected=4.0, rate=0.006, ratio=15.0, **usual,
    )  # fmt: skip
    (one,) = (r for r in RULES if r.name == "slow_rise")
    tonight = facts.facts(nights[1], detection=DetectionRules(min_excess=least))
    assert bool(one.judge(tonight).conditions) == is_told


@pytest.mark.parametrize(
    ("lost", "group"), [(3, f"into:{HUB}"), (0, "into:sendgrid")], ids=["lost", "unhonoured"]
)
def test_accuracy_belongs_to_what_made_it_fall(lost: int, group: str) -> None:
    """An opt-out that the hub lost is one problem, not one in every system that holds it."""
    facts = Ledger()
    tonight = facts.night(1)
    facts.metric("sync_accuracy", tonight, "sendgrid", 95, 100, "missed", high=0.98)
    facts.drift("lost_opt_out", "sendgrid", range(lost), tonight, decided_system="sendgrid")
    facts.drift("unhonoured_opt_out", "sendgrid", range(10, 12), tonight)
    assert found(facts, "accuracy_below_target", tonight).group == group


def test_what_names_the_cause_leads_and_a_bare_figure_rides(
    installation: Install, tmp_path: Path
) -> None:
    """'97.5 % agree' wakes nobody up to what happened: an import did it, to so many people."""

    def import_brings_back(facts: Ledger) -> None:
        tonight = facts.night(1)
        facts.drift("unhonoured_opt_out", "mailchimp", range(3), tonight)
        facts.metric("sync_accuracy", tonight, "mailchimp", 95, 100, "missed", high=0.98)
        facts.drift("unhonoured_opt_out", "sendgrid", range(50, 90), tonight)
        facts.opt_out(50, tonight, tonight, "sendgrid")
        facts.insert(
            "audit.move", night=tonight, system="sendgrid", source="import", is_personal=False,
            people=40, everyone=9000,
        )  # fmt: skip

    place = installation(tmp_path)
    place.publish(import_brings_back)
    evaluate_and_deliver(place.project(NOW))
    told = {m["rule"]: len(m["riders"]) for m in logged(place)}
    assert told == {"mass_move": 2, "unhonoured_opt_out": 1}


def test_what_was_sent_is_forgotten_only_when_its_end_was_told(
    receiver: Receiver, installation: Install, tmp_path: Path
) -> None:
    """An outbox that grows for ever; or an incident that stays open because its row was cleared."""
    alerts = f"""
[alerts]
keep_sent_days = 30
{receiver.pager()}
"""

    def nights(last: int, mended: int | None) -> Callable[[Ledger], None]:
        def tell(facts: Ledger) -> None:
            first = facts.night(1)
            facts.drift("unhonoured_opt_out", "mailchimp", range(3), first)
            if mended:
                facts.mend("unhonoured_opt_out", "mailchimp", facts.night(mended))
            if last not in (1, mended):
                facts.night(last)

        return tell

    def kept(night: int, mended: int | None) -> list[str]:
        place.publish(nights(night, mended))
        now = NOW + timedelta(days=night - 1)
        evaluate_and_deliver(place.project(now))
        with Alerting(place.project(now)) as alerting:
            rows = alerting.state.con.execute("SELECT action FROM outbox ORDER BY seq").fetchall()
        return [row[0] for row in rows]

    place = installation(tmp_path, alerts, receiver.environ())
    assert kept(1, None) == ["trigger"]
    assert kept(40, None) == ["trigger", "trigger"]
    assert kept(41, None) == ["trigger", "trigger"], "it is still open"
    receiver.faults.append(Fault("/v2", 503))
    assert kept(42, 42) == ["trigger", "trigger", "resolve"], "its end waits for the channel"
    assert kept(43, 42) == ["trigger", "trigger", "resolve"], "pruned before it was told"
    assert kept(44, 42) == ["trigger", "resolve"], "the first is older than 30 days and over"
    (incident,) = receiver.incidents.values()
    assert (incident.state, incident.opened) == ("resolved", 1)
    with Alerting(place.project(NOW + timedelta(days=99))) as alerting:
        assert prune(alerting.state, NOW + timedelta(days=99)) == 1, "the newest of a key stays"
        assert alerting.state.history(next(iter(receiver.incidents))), "its history is kept"
