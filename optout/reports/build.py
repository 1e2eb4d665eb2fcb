"""From the published copy to a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from duckdb import DuckDBPyConnection

from optout.clock import night_of
from optout.errors import UsageError
from optout.project import Project
from optout.reports import (
    common,
    data_compliance,
    data_daily,
    data_monthly,
    data_quality,
    data_touchpoints,
    data_weekly,
)
from optout.reports.common import Standing
from optout.reports.document import Report, Section
from optout.reports.periods import Span, period_of
from optout.reports.source import Source

Sections = Callable[[Source, Standing], tuple[Section, ...]]


@dataclass(frozen=True)
class Kind:
    """One kind of report."""

    title: str
    span: Span
    sections: Sections
    has_promises: bool = True
    """Ends with the promises; a kind that brings them itself does not."""


KINDS = {
    "daily": Kind("Daily preference changes", Span.DAY, data_daily.sections),
    "weekly": Kind("Weekly opt-out rate", Span.WEEK, data_weekly.sections),
    "monthly": Kind("Monthly preference distribution", Span.MONTH, data_monthly.sections),
    "compliance": Kind(
        "Quarterly compliance audit", Span.QUARTER, data_compliance.sections, has_promises=False
    ),
    "quality": Kind("Quarterly data-quality audit", Span.QUARTER, data_quality.sections),
    "touchpoints": Kind("Inventory of touchpoints", Span.QUARTER, data_touchpoints.sections),
}
GROUPS = {"quarterly": ("compliance", "quality", "touchpoints")}
"""Words of the command line that mean several kinds."""


def build(project: Project, con: DuckDBPyConnection, kind: str, day: date | None = None) -> Report:
    """The report of the period in which `day` lies (default: the last finished night).

    Raises UsageError where no night is finished yet.
    """
    told = KINDS[kind]
    last = con.execute("SELECT max(night) FROM core.night WHERE finished_at IS NOT NULL").fetchone()
    latest = last[0] if last else None
    if latest is None:
        raise UsageError("no night has ended yet", mend="Run `optout run` first")
    period = period_of(told.span, day or latest)
    source = Source(con, project.settings, period, project.now)
    today = night_of(project.now, project.settings.zone)
    is_over = today > period.until or source.night == period.until
    standing = common.standing(source)
    own = told.sections(source, standing)
    first = (common.promises(source, standing),) if told.has_promises else ()
    return Report(
        kind=kind,
        title=told.title,
        period=period.name,
        since=period.since.isoformat(),
        until=period.until.isoformat(),
        night=source.night.isoformat() if source.night else None,
        made_at=project.now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        is_over=is_over,
        verdict=standing.verdict,
        summary=standing.sentence,
        gaps=common.gaps(source, standing, is_over=is_over),
        head=source.head(),
        sections=(*own, *first, common.sources(source)),
        versions=common.versions(source),
    )
