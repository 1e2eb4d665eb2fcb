"""When reports of longer periods are written: in the morning after the period has ended."""

from collections.abc import Mapping

import dagster as dg

from optout.settings import Settings

CRONS: Mapping[str, str] = {"weekly": "* * 1", "monthly": "1 * *", "quarterly": "1 1,4,7,10 *"}
"""Report → days of cron: each Monday, the first of each month, of each quarter."""
_AFTER_HOURS = 5
"""Later than the night begins; a night that takes longer is reported as not measured."""


def build_report_schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """One job and one schedule a report."""
    hour, minute = (int(part) for part in settings.schedule.at.split(":"))
    schedules = []
    for name, days in CRONS.items():
        job = dg.define_asset_job(
            f"{name}_report_job",
            selection=dg.AssetSelection.assets(dg.AssetKey(["reports", name])),
            executor_def=dg.in_process_executor,
            description=f"Write the {name} report of the period that has ended.",
        )
        schedules.append(
            dg.ScheduleDefinition(
                name=f"{name}_report_schedule",
                cron_schedule=f"{minute} {(hour + _AFTER_HOURS) % 24} {days}",
                execution_timezone=settings.timezone,
                job=job,
                default_status=dg.DefaultScheduleStatus.RUNNING,
            )
        )
    return schedules
