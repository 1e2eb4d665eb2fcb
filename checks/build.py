"""Suites and freshness as Dagster asset checks."""

from collections.abc import Sequence

import dagster as dg

from assets.common import ProjectOpener, told
from checks.freshness import build_freshness
from checks.gx import SuiteOutcome, run_suite
from checks.promises import promise_suites
from checks.suites import Suite, structure_suites
from checks.trail import trail_suites
from optout.settings import Settings


def build_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """Every check of the location."""
    suites = [
        *structure_suites(settings),
        *promise_suites(settings),
        *trail_suites(settings),
    ]
    return [*(_suite_check(suite) for suite in suites), *build_freshness(settings)]


def _suite_check(suite: Suite) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        name=suite.name,
        asset=dg.AssetKey(list(suite.asset)),
        blocking=suite.blocking,
        description=suite.description,
    )
    def check(project: dg.ResourceParam[ProjectOpener]) -> dg.AssetCheckResult:
        with told():
            with project.project().warehouse.writer() as con:
                outcome = run_suite(con, suite.name, suite.query, suite.expectations)
                reasons = con.execute(suite.unknown_if).fetchall() if suite.unknown_if else []
            return as_result(outcome, blocking=suite.blocking, unknown=[r[0] for r in reasons])

    return check


def as_result(
    outcome: SuiteOutcome, *, blocking: bool, unknown: Sequence[str] = ()
) -> dg.AssetCheckResult:
    """Counts and verdicts as evidence; an unknown verdict is a warning that says so, because
    Dagster knows only passed and failed."""
    verdict = "unknown" if unknown else outcome.verdict
    records = [
        dg.TableRecord(
            {
                "claim": o.claim,
                "verdict": o.verdict,
                "unexpected": -1 if o.unexpected is None else o.unexpected,
                "rows": -1 if o.rows is None else o.rows,
                "why_unknown": o.why_unknown or "",
            }
        )
        for o in outcome.outcomes
    ]
    severe = blocking and verdict == "failed"
    return dg.AssetCheckResult(
        passed=verdict == "passed",
        severity=dg.AssetCheckSeverity.ERROR if severe else dg.AssetCheckSeverity.WARN,
        description=f"{verdict}: {'; '.join(unknown) or _sentence(outcome)}",
        metadata={"verdict": verdict, "expectations": dg.MetadataValue.table(records)},
    )


def _sentence(outcome: SuiteOutcome) -> str:
    told = [o.claim for o in outcome.outcomes if o.verdict == outcome.verdict]
    return "every claim holds" if outcome.verdict == "passed" else "; ".join(told)
