"""The Dagster location: loads with nothing, and is what the configuration says."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import dagster as dg
import pytest

from optout.errors import ConfigurationError
from orchestration.definitions import build_definitions

ROOT = Path(__file__).resolve().parents[2]
GROUPS = ("landing", "raw", "core", "audit", "mart", "published", "reports")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "optout.toml"
    path.write_text(files("optout").joinpath("optout.template.toml").read_text())
    return path


def test_the_location_loads_with_an_empty_environment(tmp_path: Path) -> None:
    """A code location that needs secrets at import cannot be deployed or inspected."""
    code = "from orchestration.definitions import defs; print(len(list(defs.assets or [])))"
    said = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert said.stdout.strip() == "0"


def test_assets_come_from_the_configuration_by_factory(config: Path) -> None:
    """A system that is configured but not in the graph would silently not be audited."""
    defs = build_definitions(config)
    keys = {spec.key.to_user_string() for spec in defs.resolve_all_asset_specs()}
    systems = ("sell", "mailchimp", "sendgrid", "klaviyo", "hubspot")
    assert {f"{layer}/{name}" for layer in ("landing", "raw") for name in systems} <= keys
    assert {"core/observation", "core/change", "audit/drift", "mart/metric_daily"} <= keys
    assert "published/warehouse" in keys


def test_every_asset_has_an_owner_a_group_and_a_description(config: Path) -> None:
    """On-call asks whose it is."""
    for spec in build_definitions(config).resolve_all_asset_specs():
        assert spec.owners, spec.key
        groups = ("landing", "raw", "core", "audit", "mart", "published", "reports")
        assert spec.group_name in groups, spec.key
        assert spec.description, spec.key
        assert spec.kinds, spec.key


def test_extraction_is_partitioned_by_night_and_the_state_is_not(config: Path) -> None:
    """A backfill must be able to name a night."""
    defs = build_definitions(config)
    partitioned = {
        spec.key.path[0] for spec in defs.resolve_all_asset_specs() if spec.partitions_def
    }
    assert partitioned == {"landing"}


def test_the_schedule_names_the_night_by_its_date_in_the_zone(config: Path) -> None:
    """At 02:00 in New York it is already 06:00 UTC, and in autumn 07:00: the date must not slip."""
    repository = build_definitions(config).get_repository_def()
    schedule = repository.get_schedule_def("nightly_sync_schedule")
    assert schedule.execution_timezone == "America/New_York"
    assert schedule.cron_schedule == "0 2 * * *"
    moment = datetime(2026, 11, 24, 7, tzinfo=UTC)
    with dg.build_schedule_context(
        scheduled_execution_time=moment, repository_def=repository
    ) as context:
        [request] = schedule.evaluate_tick(context).run_requests or []
    assert request.partition_key == "2026-11-24"
    assert request.run_key == "2026-11-24"


def test_a_wrong_file_stops_the_location_with_its_mend(config: Path) -> None:
    """A location that loads without the systems it should have is worse than one that does not."""
    config.write_text(config.read_text().replace("timezone = ", "time_zone = "))
    with pytest.raises(ConfigurationError, match="time_zone"):
        build_definitions(config)


def test_structure_checks_block_and_promises_do_not(config: Path) -> None:
    """A missed promise must be shown, not hide itself by stopping the night."""
    checks = {}
    for definition in build_definitions(config).asset_checks or []:
        for spec in definition.check_specs:
            checks[f"{spec.asset_key.to_user_string()}:{spec.name}"] = spec.blocking
    assert checks["core/change:each_change_is_recorded_once"]
    assert checks["raw/mailchimp:raw_records_are_well_formed"]
    assert not checks["audit/drift:sync_accuracy_mailchimp"]
    assert not checks["raw/mailchimp:source_was_read_completely"]
