"""`optout run`: the nightly job, headless."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import click

from optout.alerts.service import Alerting, evaluate_and_deliver
from optout.errors import OptoutError, UsageError
from optout.lock import run_lock
from optout.project import Project
from orchestration.cli.common import EXIT_INTERNAL, Invocation, exit_code_of, parse_date
from orchestration.cli.verdict import echo_verdict, exit_code, read_verdict


@click.command(name="run")
@click.option("--date", "date_text", help="The night (default: the one that begins now).")
@click.option("--system", "systems", multiple=True, help="Read only this system (repeatable).")
@click.option("--quiet", is_flag=True, help="Print the verdict only.")
@click.pass_obj
def command(
    invocation: Invocation, date_text: str | None, systems: tuple[str, ...], quiet: bool
) -> int:
    """Run one night: extract, load, reconcile, check and publish. Running it again is safe.

    A date in the past is a backfill: dated events are read, the snapshot stays unknown.
    """
    project = invocation.project()
    _ = project.secrets
    for name in systems:
        project.settings.system(name)
    night = parse_date(date_text) or project.tonight
    if night > project.tonight:
        raise UsageError(f"the night {night} has not begun yet", mend="Choose an earlier date")
    if not quiet:
        show_progress()
    with run_lock(project.data_dir, f"optout run, night {night}", project.now):
        code = run_night(project, invocation, night, systems)
    if code:
        tell_failure(project, night)
        return code
    verdict = read_verdict(project, night)
    echo_verdict(verdict)
    tell_alerts(project)
    show_pages(project)
    return exit_code(verdict)


def tell_alerts(project: Project) -> None:
    """Judge the night by the rules of alerts and deliver, as the sensors would."""
    outcome = evaluate_and_deliver(project)
    told, delivery = outcome.told, outcome.delivery
    click.echo(
        f"Alerts: {told.opened} new, {told.repeated} repeated, {told.resolved} over; "
        f"{delivery.waiting} notices wait (`optout alerts list`)."
    )


def show_pages(project: Project) -> None:
    """Build the pages again, now that tonight's alerts are known, and say where they are."""
    from dashboards.build import build_site

    click.echo(f"Pages: {build_site(project).index.absolute()}")


def tell_failure(project: Project, night: date) -> None:
    """The night did not end well: an alert of its own."""
    with Alerting(project) as alerting:
        alerting.run_failed(night, "the nightly job", "a step failed; its error was printed")


def show_progress() -> None:
    """Let the steps' progress appear on standard error."""
    logger = logging.getLogger("optout.progress")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def run_night(
    project: Project, invocation: Invocation, night: date, systems: tuple[str, ...] = ()
) -> int:
    """Execute `nightly_sync_job` for one night in this process; returns the exit code of the worst
    step that failed (each is said on standard error), 0 where all went well.

    The instance is the one of DAGSTER_HOME, or a temporary one.
    """
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    import dagster as dg

    from orchestration.definitions import build_definitions
    from orchestration.jobs import JOB

    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    defs = build_definitions(invocation.config, now=project.now.isoformat())
    others = {c.name for c in project.settings.systems} - set(systems) if systems else set()
    with _instance(dg) as instance:
        job = defs.resolve_job_def(JOB)
        selection = [
            key
            for key in job.asset_layer.selected_asset_keys
            if not (key.path[0] in ("landing", "raw") and key.path[-1] in others)
        ]
        result = job.execute_in_process(
            partition_key=night.isoformat(),
            instance=instance,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            asset_selection=selection if others else None,
        )
        codes = [_tell_failure(event) for event in result.all_events if event.is_step_failure]
    return 0 if result.success else max(codes, default=EXIT_INTERNAL)


@contextmanager
def _instance(dg: Any) -> Iterator[Any]:
    if os.environ.get("DAGSTER_HOME"):
        with dg.DagsterInstance.get() as instance:
            yield instance
    else:
        with dg.DagsterInstance.ephemeral() as instance:
            yield instance


def _tell_failure(event: Any) -> int:
    """Say which step failed and why; returns the exit code of its error."""
    error = event.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    known = {kind.__name__: kind for kind in _kinds(OptoutError)}
    kind = known.get(error.cls_name) if error else None
    # Only our own errors are known to be free of personal data; others tell their type.
    said = (
        error.message.strip().split(": ", 1)[-1] if kind else error.cls_name if error else "failed"
    )
    click.echo(f"optout: {event.step_key}: {said}", err=True)
    return exit_code_of(kind) if kind else EXIT_INTERNAL


def _kinds(kind: type[OptoutError]) -> Iterator[type[OptoutError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _kinds(each)
