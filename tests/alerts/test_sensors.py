"""Sensors tick without news in no time, judge each copy once, and leave no rule unjudged."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import orjson
import pytest

from optout.alerts.rules import RULES
from optout.alerts.service import NIGHTLY, Alerting
from optout.testing.ledger import START, Ledger
from orchestration.resources import ProjectResource
from orchestration.sensors import build_sensors
from orchestration.sensors.nightly import SENSORS

NOW = datetime(2026, 9, 1, 2, tzinfo=UTC)
Install = Callable[..., Any]


@pytest.fixture
def place(installation: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    one = installation(tmp_path)
    for name, value in one.environ.items():
        monkeypatch.setenv(name, value)
    return one


def bad(facts: Ledger) -> None:
    tonight = facts.night(1, incomplete=("sendgrid",))
    facts.drift("unhonoured_opt_out", "mailchimp", range(3), tonight)


def tick(place: Any, name: str, now: datetime = NOW) -> str:
    (sensor,) = (s for s in build_sensors() if s.name == name)
    resource = ProjectResource(config_file=str(place.config), now=now.isoformat())
    with dg.build_sensor_context(resources={"project": resource}) as context:
        answer = sensor(context)
    assert isinstance(answer, dg.SkipReason)
    return answer.skip_message or ""


def told(place: Any) -> list[str]:
    file = place.folder / "data" / "alerts.jsonl"
    lines = file.read_bytes().splitlines() if file.exists() else []
    return [orjson.loads(line)["rule"] for line in lines]


def test_each_rule_is_judged_by_exactly_one_sensor() -> None:
    """A rule that no sensor judges is a promise that nobody watches."""
    families = [family for own, _ in SENSORS.values() for family in own]
    assert sorted(families) == sorted(NIGHTLY)
    assert {rule.family for rule in RULES} <= set(families)


def test_all_sensors_run_from_the_start() -> None:
    """Dagster starts sensors switched off: on-call would find out at the first incident."""
    sensors = build_sensors()
    assert {s.name for s in sensors} == {*SENSORS, "run_failure_sensor"}
    assert all(s.default_status is dg.DefaultSensorStatus.RUNNING for s in sensors)


def test_a_sensor_judges_its_own_rules_and_each_copy_once(place: Any) -> None:
    """Five sensors that each judge everything tell everything five times."""
    assert tick(place, "sync_drift_sensor") == "Nothing new."
    place.publish(bad)
    assert tick(place, "sync_drift_sensor").startswith("Judged night 2026-09-01")
    assert tick(place, "sync_drift_sensor") == "Nothing new."
    for name in SENSORS:
        tick(place, name)
    assert told(place) == ["unhonoured_opt_out", "extraction_incomplete"]
    for name in SENSORS:
        assert tick(place, name) == "Nothing new."


def test_one_cause_that_several_sensors_see_is_told_once(place: Any) -> None:
    """The drift sensor and the deadline sensor would page one after the other."""

    def mailed(facts: Ledger) -> None:
        bad(facts)
        facts.send("mailchimp", 1, START)

    place.publish(mailed)
    for name in SENSORS:
        assert told(place) == []
        tick(place, name)
    assert told(place) == ["breach", "extraction_incomplete"]


def test_a_sensor_that_is_off_holds_up_the_others_for_minutes_only(place: Any) -> None:
    """Whoever switches one off must not switch all off."""
    place.publish(bad)
    tick(place, "sync_drift_sensor")
    tick(place, "sync_drift_sensor", NOW + timedelta(minutes=4))
    assert told(place) == []
    tick(place, "sync_drift_sensor", NOW + timedelta(minutes=5))
    assert told(place) == ["unhonoured_opt_out"]


def test_a_tick_without_news_takes_milliseconds_beside_a_writer(place: Any) -> None:
    """Six ticks a minute must cost nothing, and stand still for no night."""
    place.publish(bad)
    project = place.project(NOW)
    with project.warehouse.writer():
        for name in SENSORS:
            tick(place, name)
        began = time.process_time()
        for _ in range(20):
            with Alerting(place.project(NOW)) as alerting:
                assert alerting.run().is_quiet
        assert (time.process_time() - began) / 20 < 0.05, "more than 50 ms of work in a tick"


def test_a_failed_run_is_told_with_its_step_and_no_message(place: Any) -> None:
    """Dagster's free edition tells nobody; a raised message may quote an address."""

    @dg.op
    def load() -> None:
        raise ValueError("cannot load ana@example.org")

    @dg.job
    def nightly() -> None:
        load()

    resource = ProjectResource(config_file=str(place.config), now=NOW.isoformat())
    (sensor,) = (s for s in build_sensors() if s.name == "run_failure_sensor")
    with dg.DagsterInstance.ephemeral() as instance:
        result = nightly.execute_in_process(instance=instance, raise_on_error=False)
        context = dg.build_run_status_sensor_context(
            sensor_name=sensor.name,
            dagster_instance=instance,
            dagster_run=result.dagster_run,
            dagster_event=result.get_run_failure_event(),
            resources={"project": resource},
        ).for_run_failure()
        sensor(context)
    line = (place.folder / "data" / "alerts.jsonl").read_text()
    assert "load (ValueError)" in line
    assert "ana@example.org" not in line
