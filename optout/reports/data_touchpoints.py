"""Inventory of touchpoints: where preferences are written, how much, how late, how well."""

from __future__ import annotations

from optout.reports.common import Standing
from optout.reports.document import Section, columns
from optout.reports.source import Source

TOUCHPOINTS = columns(
    "system", ("source", "How", "word"), ("channel", "The vendor's word"),
    ("category", "Category", "word"), ("changes", "Changes", "count"),
    ("people", "People", "count"),
    ("explicit_share", "By the person", "share"), ("exact_share", "Exact time", "share"),
    ("hours_median", "Delay, median", "hours"), ("hours_p95", "Delay, p95", "hours"),
    ("complete_share", "Full record", "share"), ("last_at", "Last (UTC)", "time"),
)  # fmt: skip


def sections(source: Source, told: Standing) -> tuple[Section, ...]:
    """One table."""
    return (
        Section(
            "touchpoints", "Touchpoints",
            "Every way by which a preference was ever written, as the systems themselves tell. "
            "The delay is the time from the act until that system had it.", (),
            (source.table("touchpoints", "The busiest first", TOUCHPOINTS, "report_touchpoints",
                          lead=source.as_of, empty="No change was ever told."),),
        ),
    )  # fmt: skip
