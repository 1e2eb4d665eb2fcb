"""The nightly job and its schedule."""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from optout.clock import night_of
from optout.settings import Settings

JOB = "nightly_sync_job"


def build_nightly_job() -> UnresolvedAssetJobDefinition:
    """Everything but the reports of longer periods, in one process: a night does not pay the
    start-up of every step."""
    return dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.all() - dg.AssetSelection.groups("reports"),
        description="Extract, load, reconcile, check and publish one night.",
        executor_def=dg.in_process_executor,
    )


def build_nightly_schedule(
    settings: Settings, job: UnresolvedAssetJobDefinition
) -> dg.ScheduleDefinition:
    """Starts the job at the configured time of the configured zone, for that date's night."""
    hour, minute = settings.schedule.at.split(":")

    @dg.schedule(
        name="nightly_sync_schedule",
        cron_schedule=f"{int(minute)} {int(hour)} * * *",
        execution_timezone=settings.timezone,
        job=job,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Each night at the configured time; one run a night, whatever happens.",
    )
    def nightly_sync_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        night = night_of(context.scheduled_execution_time, settings.zone).isoformat()
        return dg.RunRequest(run_key=night, partition_key=night)

    return nightly_sync_schedule
