"""What a night came to: read once, shown by `run` and `status`, turned into the exit code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import click
from rich.console import Console
from rich.table import Column, Table

from optout.errors import UsageError
from optout.nightly import SystemNight, latest_night, system_nights
from optout.project import Project
from orchestration.cli.common import EXIT_MISSED, EXIT_OK, EXIT_SOURCE, published

_METRIC_FIELDS = (
    "name", "system", "category", "value", "numerator", "denominator", "not_comparable",
    "target", "status", "low", "high", "note",
)  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """One night: the systems, and every metric as the published copy holds it."""

    night: date
    cutoff_at: str
    systems: tuple[SystemNight, ...]
    metrics: tuple[Mapping[str, Any], ...]


def read_verdict(project: Project, night: date | None = None) -> Verdict:
    """The newest published night (or the one asked for); raises UsageError where there is none."""
    with published(project) as con:
        found = latest_night(con, night)
        if found is None:
            raise UsageError(
                f"the night {night} was not published" if night else "no night was published yet",
                mend="Run `optout run` first",
            )
        latest, cutoff = found
        names = [c.name for c in project.settings.systems]
        systems = tuple(system_nights(con, latest, names))
        rows = con.execute(
            "SELECT metric, system, category, value, numerator, denominator, not_comparable,"
            " target, status, low, high, note FROM mart.metric_daily WHERE night = $night"
            " ORDER BY metric, system NULLS FIRST, category NULLS FIRST",
            {"night": latest},
        ).fetchall()
    metrics = tuple(dict(zip(_METRIC_FIELDS, row, strict=True)) for row in rows)
    return Verdict(latest, cutoff.isoformat() + "Z", systems, metrics)


def as_json(verdict: Verdict) -> dict[str, Any]:
    """The contract of `optout status --json`."""
    return {
        "night": verdict.night.isoformat(),
        "cutoff_at": verdict.cutoff_at,
        "systems": [
            {
                "name": s.name,
                "complete": s.is_complete,
                "why_not": s.why_not,
                "records": s.records,
                "requests": s.requests,
            }
            for s in verdict.systems
        ],
        "metrics": [dict(m) for m in verdict.metrics],
    }


def exit_code(verdict: Verdict) -> int:
    """3 for an incomplete source, else 1 for a missed promise, else 0."""
    if not all(s.is_complete for s in verdict.systems):
        return EXIT_SOURCE
    missed = any(m["status"] == "missed" for m in verdict.metrics)
    return EXIT_MISSED if missed else EXIT_OK


def echo_verdict(verdict: Verdict) -> None:
    """The night for people: systems, then each promise over all and where it is not met."""
    console = Console(width=max(100, Console().width), highlight=False)
    console.print(f"\nNight {verdict.night} (cut-off {verdict.cutoff_at})")
    systems = Table("System", "Complete", "Records", "Requests", "Why not")
    for s in verdict.systems:
        row = asdict(s)
        complete = "yes" if s.is_complete else "[bold]NO[/bold]"
        systems.add_row(
            s.name, complete, f"{row['records']:,}", f"{row['requests']:,}", s.why_not or ""
        )
    console.print(systems)
    promises = Table(
        Column("Promise", no_wrap=True), "Value", "Of", "Target", "Status", "Not met in"
    )
    for m in verdict.metrics:
        if m["target"] is None or m["system"] is not None or m["category"] is not None:
            continue
        promises.add_row(
            m["name"], _value(m), _of(m), m["target"] or "", m["status"], _where(verdict, m["name"])
        )
    console.print(promises)
    unknown = sum(m["status"] == "unknown" for m in verdict.metrics)
    if unknown:
        click.echo(f"{unknown} figures are unknown: `optout status --all` tells why.")


def _where(verdict: Verdict, name: str) -> str:
    """The systems in which a promise was missed or is unknown."""
    found = {
        m["system"]: m["status"] for m in verdict.metrics
        if m["name"] == name and m["system"] and m["category"] is None
    }  # fmt: skip
    missed = [system for system, status in found.items() if status == "missed"]
    unknown = [f"{system} (unknown)" for system, status in found.items() if status == "unknown"]
    if len(found) > 1 and (len(missed) == len(found) or len(unknown) == len(found)):
        return "every system" if missed else "every system (unknown)"
    return ", ".join(missed + unknown)


def _value(metric: Mapping[str, Any]) -> str:
    value, target = metric["value"], metric["target"] or ""
    if value is None:
        return "unknown"
    if target.endswith(" h"):
        return f"{value:,.1f} h"
    return f"{value:.3%}" if "%" in target else f"{value:,.6g}"


def _of(metric: Mapping[str, Any]) -> str:
    if metric["denominator"] is None:
        return ""
    return f"{metric['numerator']:,.0f} / {metric['denominator']:,.0f}"
