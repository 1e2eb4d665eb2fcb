"""Monthly: who wants what, and whom that leaves to be mailed."""

from __future__ import annotations

from optout.reports.common import Standing
from optout.reports.document import Section, columns
from optout.reports.source import Source

PREFERENCES = columns(
    ("category", "Category", "word"), ("state", "State", "word"), ("people", "People", "count"),
    ("share", "Share", "share"), ("change", "Since the first night of the month", "change"),
)  # fmt: skip
AUDIENCE = columns(
    ("category", "Category", "word"), ("status", "Status", "word"), ("people", "People", "count"),
)  # fmt: skip


def sections(source: Source, told: Standing) -> tuple[Section, ...]:
    """The distribution of preferences, and the audience."""
    return (
        Section(
            "preferences", "Preference distribution",
            "What the hub says of everyone at the end of the period.", (),
            (source.table("preferences", "By category", PREFERENCES, "report_preferences",
                          empty="The hub knows nobody."),),
        ),
        Section(
            "audience", "Who can be mailed",
            "Each person is in one status per category: opted out comes before unengaged, "
            "never asked, undeliverable and mailable.", (),
            (source.table("audience", "By category", AUDIENCE, "report_audience",
                          empty="Nobody is known."),),
        ),
    )  # fmt: skip
