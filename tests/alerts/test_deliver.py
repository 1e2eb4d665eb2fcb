"""From alert to channel: order, rest after failures, the next channel, the dead man's switch."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from optout.alerts import heartbeat
from optout.alerts.outbox import waiting
from optout.alerts.service import Alerting, evaluate_and_deliver
from optout.testing.ledger import Ledger
from optout.testing.receivers import Fault, Receiver

NOW = datetime(2026, 9, 1, 2, tzinfo=UTC)
ONE_DAY = timedelta(days=1)
Install = Callable[..., Any]


def bad(facts: Ledger) -> None:
    tonight = facts.night(1)
    facts.drift("unhonoured_opt_out", "mailchimp", range(3), tonight)


def good(facts: Ledger) -> None:
    bad(facts)
    facts.mend("unhonoured_opt_out", "mailchimp", facts.night(2))


def bad_on_the_second(facts: Ledger) -> None:
    facts.night(1)
    facts.drift("unhonoured_opt_out", "mailchimp", range(3), facts.night(2))


def nothing(facts: Ledger, number: int) -> None:
    facts.night(number)


def pager_then_file(receiver: Receiver) -> str:
    return f"""
[alerts]
heartbeat_env = "BEAT"
{receiver.pager()}
[alerts.channel.log]
kind = "file"
[[alerts.route]]
channels = ["pager"]
"""


def logged(place: Any) -> list[dict[str, Any]]:
    file = place.folder / "data" / "alerts.jsonl"
    return [orjson.loads(line) for line in file.read_bytes().splitlines()] if file.exists() else []


def test_a_channel_that_is_down_for_a_moment_gets_everything_in_order(
    receiver: Receiver, installation: Install, tmp_path: Path
) -> None:
    """A resolve before its trigger leaves an incident open for ever."""
    place = installation(tmp_path, pager_then_file(receiver), receiver.environ())
    place.publish(bad)
    receiver.faults.append(Fault("/v2", 503))
    first = evaluate_and_deliver(place.project(NOW))
    assert (first.delivery.failed, first.delivery.waiting) == (1, 1)
    assert receiver.beats == 0, "a good night was reported although a notice waits"
    place.publish(good)
    receiver.faults.append(Fault("/v2", 503))
    second = evaluate_and_deliver(place.project(NOW + ONE_DAY))
    assert (second.delivery.failed, second.delivery.waiting) == (1, 2)
    evaluate_and_deliver(place.project(NOW + ONE_DAY + timedelta(minutes=5)))
    (incident,) = receiver.incidents.values()
    assert (incident.state, incident.opened) == ("resolved", 1)
    assert receiver.beats == 1
    assert logged(place) == []


def test_another_scheduler_sees_a_notice_that_waits_and_a_switch_that_nobody_told(
    receiver: Receiver, installation: Install, tmp_path: Path
) -> None:
    """'All is well' from a machine whose pages do not leave it is the worst answer of all."""
    place = installation(tmp_path, pager_then_file(receiver), receiver.environ())
    place.publish(bad)
    newest = (NOW.date(), NOW.replace(tzinfo=None))

    def told(after: timedelta, nights: tuple[date, datetime] | None = newest) -> str:
        now = NOW + after
        evaluate_and_deliver(place.project(now))
        with Alerting(place.project(now)) as alerting:
            return heartbeat.check(alerting.state, nights, alerting.table, now).why_not

    receiver.faults.extend([Fault("/v2", 503), Fault("/beat", 500)])
    assert told(timedelta()) == "1 notice still to be sent"
    assert told(timedelta(minutes=5)) == ""
    assert receiver.beats == 0, "the switch refused"
    assert told(timedelta(minutes=6)) == ""
    assert receiver.beats == 1, "it is told at the next tick, and once"
    assert told(timedelta(hours=27)) == "the newest night began 27 hours ago"
    assert told(timedelta(), None) == "no night was published yet"


def test_a_resting_channel_is_not_asked_before_its_time(
    receiver: Receiver, installation: Install, tmp_path: Path
) -> None:
    """A tick a minute against a service that asks for ten minutes is an attack."""
    place = installation(tmp_path, pager_then_file(receiver), receiver.environ())
    place.publish(bad)
    receiver.faults.append(Fault("/v2", 429, {"Retry-After": "600"}))
    evaluate_and_deliver(place.project(NOW))
    evaluate_and_deliver(place.project(NOW + timedelta(minutes=9)))
    assert len(receiver.requests) == 1
    evaluate_and_deliver(place.project(NOW + timedelta(minutes=11)))
    assert len(receiver.incidents) == 1


def test_a_channel_that_fails_hands_over_to_the_next_and_is_told_of(
    receiver: Receiver, installation: Install, tmp_path: Path
) -> None:
    """A revoked key must not mean that nobody hears of people who are mailed."""
    place = installation(tmp_path, pager_then_file(receiver), receiver.environ())
    place.publish(bad)
    receiver.faults.append(Fault("/v2", 403))
    evaluate_and_deliver(place.project(NOW))
    told = [(m["rule"], m["action"]) for m in logged(place)]
    assert sorted(told) == [("channel_failed", "trigger"), ("unhonoured_opt_out", "trigger")]
    evaluate_and_deliver(place.project(NOW + timedelta(minutes=5)))
    place.publish(good)
    evaluate_and_deliver(place.project(NOW + ONE_DAY))
    assert [i.state for i in receiver.incidents.values()] == ["resolved"]
    assert [(m["rule"], m["action"]) for m in logged(place)[2:]] == [
        ("channel_failed", "resolve"),
        ("unhonoured_opt_out", "resolve"),
    ]


def test_three_failures_in_a_row_make_a_channel_a_failed_one(
    receiver: Receiver, installation: Install, tmp_path: Path
) -> None:
    """One hiccup is none; an hour of silence is."""
    place = installation(tmp_path, pager_then_file(receiver), receiver.environ())
    place.publish(bad)
    receiver.faults.extend(Fault("/v2", 503) for _ in range(3))
    for minutes in (0, 1, 5):
        evaluate_and_deliver(place.project(NOW + timedelta(minutes=minutes)))
        assert bool(logged(place)) == (minutes == 5)


def test_what_a_channel_will_never_take_goes_to_the_next_and_blocks_nothing(
    receiver: Receiver, installation: Install, tmp_path: Path
) -> None:
    """One message with a fault in it must not stop all later pages."""
    place = installation(tmp_path, pager_then_file(receiver), receiver.environ())
    place.publish(bad)
    receiver.faults.append(Fault("/v2", 400))
    evaluate_and_deliver(place.project(NOW))
    assert {m["rule"] for m in logged(place)} == {"unhonoured_opt_out", "channel_failed"}
    with Alerting(place.project(NOW)) as alerting:
        assert waiting(alerting.state) == {}


def test_a_tick_without_news_does_nothing_and_is_cheap(
    receiver: Receiver, installation: Install, tmp_path: Path
) -> None:
    """Six sensors tick every minute beside the night's work."""
    place = installation(tmp_path, pager_then_file(receiver), receiver.environ())
    place.publish(bad)
    evaluate_and_deliver(place.project(NOW))
    asked = len(receiver.requests)
    outcome = evaluate_and_deliver(place.project(NOW))
    assert outcome.is_quiet
    assert len(receiver.requests) == asked


def test_judging_needs_no_lock_of_the_warehouse(installation: Install, tmp_path: Path) -> None:
    """A sensor that waits for the night's writer would stand still for an hour every night."""
    place = installation(tmp_path)
    place.publish(bad)
    project = place.project(NOW)
    with project.warehouse.writer():
        assert evaluate_and_deliver(project).told.opened == 1
    assert len(logged(place)) == 1


def test_a_run_that_fails_is_told_and_over_with_the_next_good_night(
    installation: Install, tmp_path: Path
) -> None:
    """Dagster's free edition tells nobody; an alert that stays open after the mend is ignored."""
    place = installation(tmp_path)
    for number in (0, 1, 2):
        now = NOW + number * ONE_DAY
        with Alerting(place.project(now)) as alerting:
            alerting.run_failed(now.date(), "core/load", "LandingError")
            alerting.run_failed(now.date(), "core/load", "LandingError")
    told = [(m["action"], m["severity"], m["reason"]) for m in logged(place)]
    assert told == [
        ("trigger", "ticket", "new"),
        ("trigger", "page", "more urgent than before"),
        ("trigger", "page", "still open"),
    ]
    place.publish(lambda facts: nothing(facts, 4))
    evaluate_and_deliver(place.project(NOW + 3 * ONE_DAY))
    assert logged(place)[-1]["action"] == "resolve"


def test_an_older_night_changes_nothing(installation: Install, tmp_path: Path) -> None:
    """A backfill of last week must not close what is open today."""
    place = installation(tmp_path)
    place.publish(bad_on_the_second)
    evaluate_and_deliver(place.project(NOW + ONE_DAY))
    place.publish(lambda facts: nothing(facts, 1))
    evaluate_and_deliver(place.project(NOW + ONE_DAY))
    assert [m["action"] for m in logged(place)] == ["trigger"]
