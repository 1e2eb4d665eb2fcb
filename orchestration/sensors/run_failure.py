"""The sensor of runs that failed: Dagster's free edition tells nobody by itself."""

import dagster as dg

from assets.common import PARTITION_TAG, ProjectOpener
from optout.alerts.service import Alerting
from orchestration.cli.common import parse_date


def build_run_failure_sensor() -> dg.SensorDefinition:
    """Raises the alert `run_failed`, which a later good night resolves."""

    @dg.run_failure_sensor(
        name="run_failure_sensor",
        description="A run of any job that failed, with the step and the kind of its error.",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def run_failure_sensor(
        context: dg.RunFailureSensorContext, project: dg.ResourceParam[ProjectOpener]
    ) -> None:
        run = context.dagster_run
        step, error = _failed_step(context)
        with Alerting(project.project()) as alerting:
            night = parse_date(run.tags.get(PARTITION_TAG)) or alerting.project.tonight
            alerting.run_failed(night, step, error, run.run_id)

    return run_failure_sensor


def _failed_step(context: dg.RunFailureSensorContext) -> tuple[str, str]:
    """The first failed step and the class of what it raised; never the message, which may quote
    what it was working on."""
    for event in context.get_step_failure_events():
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        return str(event.step_key), (error.cls_name or "error") if error else "error"
    return context.dagster_run.job_name, "the run did not start or was ended"
