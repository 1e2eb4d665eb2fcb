"""Sensors that judge the newest published night and deliver what is to be told.

A tick looks at the name of the published copy and at the outbox, which takes milliseconds; only a
new copy is judged. The warehouse is never opened, so that a tick does not meet the writer's lock.
"""

from collections.abc import Sequence

import dagster as dg

from assets.common import ProjectOpener
from optout.alerts.rule import Family
from optout.alerts.service import Alerting, Outcome

EVERY_SECONDS = 60
SENSORS: dict[str, tuple[Sequence[Family], str]] = {
    "sync_drift_sensor": (
        (Family.DRIFT,),
        "Opt-outs not honoured or lost, accuracy, growing drift, mass moves.",
    ),
    "optout_spike_sensor": (
        (Family.SPIKE,),
        "Opt-out rates that jump, creep or fall to nothing; complaints; frequent changers.",
    ),
    "consent_expiry_sensor": (
        (Family.CONSENT,),
        "Consent that ends within 60, 30 and 7 days, and people mailed without it.",
    ),
    "deadline_sensor": (
        (Family.DEADLINE,),
        "Deadlines of open opt-outs, sends after an opt-out, the budget of late ones.",
    ),
    "extraction_health_sensor": (
        (Family.EXTRACTION, Family.RUN),
        "Incomplete reads, empty fields, changed schemas, limits, freshness, the trail.",
    ),
}
"""Name → the families that it judges; every nightly family has its sensor."""


def build_nightly_sensors() -> list[dg.SensorDefinition]:
    """One sensor a line of `SENSORS`."""
    return [_sensor(name, families, said) for name, (families, said) in SENSORS.items()]


def _sensor(name: str, families: Sequence[Family], said: str) -> dg.SensorDefinition:
    @dg.sensor(
        name=name,
        description=said,
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def tick(
        context: dg.SensorEvaluationContext, project: dg.ResourceParam[ProjectOpener]
    ) -> dg.SkipReason:
        with Alerting(project.project()) as alerting:
            outcome = alerting.run(families)
        return dg.SkipReason(_said(outcome))

    return tick


def _said(outcome: Outcome) -> str:
    """What the tick did; a sensor of alerts never asks for a run."""
    if outcome.is_quiet:
        return "Nothing new."
    told, delivery = outcome.told, outcome.delivery
    judged = f"Judged night {outcome.night}: " if outcome.judged else ""
    return (
        f"{judged}{told.opened} new, {told.repeated} repeated, {told.resolved} over; "
        f"{delivery.sent} sent, {delivery.failed} failed, {delivery.waiting} waiting."
    )
