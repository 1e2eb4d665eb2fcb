"""Freshness and completeness of each system's night, in plain SQL: Dagster's own freshness policies
need the daemon, which a headless night does not have."""

from datetime import timedelta

import dagster as dg

from assets.common import ProjectOpener, told
from optout.settings import Settings
from optout.vendors.base import SystemConfig
from optout.warehouse.load import naive

MAX_AGE = timedelta(hours=26)
"""A nightly read with two hours of grace."""


def build_freshness(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """Two checks a system: read completely, and read lately."""
    return [
        check
        for config in settings.systems
        for check in (_completeness(config), _freshness(config))
    ]


def _completeness(config: SystemConfig) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        name="source_was_read_completely",
        asset=dg.AssetKey(["raw", config.name]),
        description="Every stream of the night proves that it read all there was. An incomplete "
        "source makes dependent figures unknown; it does not stop the night.",
    )
    def source_was_read_completely(project: dg.ResourceParam[ProjectOpener]) -> dg.AssetCheckResult:
        with told():
            with project.project().warehouse.writer() as con:
                row = con.execute(
                    "SELECT bool_and(is_complete), count(*),"
                    " string_agg(stream || ': ' || why_not, '; ')"
                    " FILTER (WHERE NOT is_complete) FROM raw.manifest WHERE system = $system",
                    {"system": config.name},
                ).fetchone()
            complete, streams, why = row or (None, 0, None)
            return dg.AssetCheckResult(
                passed=bool(complete),
                severity=dg.AssetCheckSeverity.WARN,
                description=why or ("nothing was read" if not streams else "complete"),
                metadata={"streams": int(streams)},
            )

    return source_was_read_completely


def _freshness(config: SystemConfig) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        name="source_is_fresh",
        asset=dg.AssetKey(["raw", config.name]),
        description=f"The last read began less than {MAX_AGE} ago.",
    )
    def source_is_fresh(project: dg.ResourceParam[ProjectOpener]) -> dg.AssetCheckResult:
        with told():
            opened = project.project()
            with opened.warehouse.writer() as con:
                row = con.execute(
                    "SELECT max(read_at) FROM raw.manifest WHERE system = $system AND is_complete",
                    {"system": config.name},
                ).fetchone()
            last = row[0] if row else None
            age = None if last is None else naive(opened.now) - last
            return dg.AssetCheckResult(
                passed=age is not None and age <= MAX_AGE,
                severity=dg.AssetCheckSeverity.WARN,
                description="never read" if age is None else f"read {age} ago",
            )

    return source_is_fresh
