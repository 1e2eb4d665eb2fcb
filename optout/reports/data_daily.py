"""Daily: the preference changes of one night, and what they moved."""

from __future__ import annotations

from optout.reports.common import Standing
from optout.reports.document import Section, columns
from optout.reports.source import Source

CHANGES = columns(
    "system", ("category", "Category", "word"), ("new_state", "To", "word"),
    ("source", "How", "word"), ("changes", "Changes", "count"),
    ("explicit", "By the person", "count"), ("late", "Heard of late", "count"),
    ("estimated", "Time estimated", "count"), ("evidence", "Pieces of evidence", "count"),
)  # fmt: skip
ROWS = columns(
    ("occurred_at", "When (UTC)", "time"), ("time_kind", "Known by", "word"),
    ("contact_key", "Contact key", "key"), "system", ("category", "Category", "word"),
    ("old_state", "From", "word"), ("new_state", "To", "word"), ("source", "How", "word"),
    ("is_explicit", "By the person"), ("feeds", "Told by", "word"),
)  # fmt: skip
MOVES = columns(
    ("class", "Kind", "word"), "system", ("opened", "Opened", "count"),
    ("closed", "Closed", "count"), ("open", "Open", "count"),
)  # fmt: skip


def sections(source: Source, told: Standing) -> tuple[Section, ...]:
    """Changes by system and source, drift that opened and closed, the changes themselves."""
    changes = source.table(
        "changes", "By system, category and source", CHANGES, "report_changes",
        empty="No change was recorded.",
    )  # fmt: skip
    total = sum(int(r["changes"]) for r in changes.rows)
    outs = sum(int(r["changes"]) for r in changes.rows if r["new_state"] == "opted_out")
    lead = "Each person, category and new state counts once, however many feeds tell of it."
    if changes.not_measured is None:
        lead = f"{total:,} changes were recorded, {outs:,} of them opt-outs. {lead}"
    return (
        Section("changes", "Preference changes", lead, (), (changes,)),
        Section(
            "drift", "Differences between the systems", "", (),
            (source.table("moves", "Opened and closed", MOVES, "report_drift_moves",
                          empty="No difference opened, closed or stands."),),
        ),
        Section(
            "rows", "The changes", "Contact keys stand for people.",
            (), (source.table("change_rows", "In the order of the acts", ROWS,
                              "report_change_rows", empty="No change was recorded."),),
        ),
    )  # fmt: skip
