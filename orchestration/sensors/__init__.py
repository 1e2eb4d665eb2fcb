"""Sensors: one a family of rules, and one for runs that failed. Thin: they call `optout.alerts`."""

import dagster as dg

from orchestration.sensors.nightly import build_nightly_sensors
from orchestration.sensors.run_failure import build_run_failure_sensor


def build_sensors() -> list[dg.SensorDefinition]:
    """All sensors of the location, running from the start."""
    return [*build_nightly_sensors(), build_run_failure_sensor()]
