"""The code location: built from optout.toml where there is one, loadable with nothing."""

import os
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from assets.audit import build_audit
from assets.common import days_ahead, nights
from assets.core import build_core
from assets.dashboard import build_dashboard
from assets.landing import build_landing
from assets.publish import build_published
from assets.raw import build_raw
from assets.reports import build_reports
from checks.build import build_checks
from optout.clock import night_of, parse_now
from optout.settings import DEFAULT_FILE, Settings, load_settings
from orchestration.jobs import build_nightly_job, build_nightly_schedule
from orchestration.resources import ProjectResource
from orchestration.schedules import build_report_schedules
from orchestration.sensors import build_sensors

CONFIG_VARIABLE = "OPTOUT_CONFIG"


def build_definitions(config_file: Path, *, now: str = "") -> dg.Definitions:
    """The location for one installation; without a configuration file it is empty, not broken.

    Raises ConfigurationError where the file is wrong. Tests build it with their own file and clock.
    """
    resources = {"project": ProjectResource(config_file=str(config_file), now=now)}
    if not config_file.exists():
        return dg.Definitions(resources=resources, executor=dg.in_process_executor)
    settings = load_settings(config_file)
    job = build_nightly_job()
    return dg.Definitions(
        assets=[
            build_landing(settings, nights(settings, _ahead(settings, now))),
            *build_raw(settings),
            build_core(settings),
            *build_audit(),
            *build_published(),
            build_dashboard(),
            *build_reports(),
        ],
        asset_checks=build_checks(settings),
        jobs=[job],
        schedules=[build_nightly_schedule(settings, job), *build_report_schedules(settings)],
        sensors=build_sensors(),
        resources=resources,
        executor=dg.in_process_executor,
    )


def _ahead(settings: Settings, now: str) -> int:
    zone = settings.zone
    return days_ahead(night_of(parse_now(now), zone), night_of(datetime.now(UTC), zone))


defs = build_definitions(
    Path(os.environ.get(CONFIG_VARIABLE, str(DEFAULT_FILE))), now=os.environ.get("OPTOUT_NOW", "")
)
