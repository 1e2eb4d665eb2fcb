"""Quarterly data-quality audit: whether the records are good enough to rely on."""

from __future__ import annotations

from optout.reports.common import Standing
from optout.reports.document import Section, columns
from optout.reports.source import Source

FIELDS = columns(
    "system", ("field", "Field", "word"), ("filled", "Filled", "count"),
    ("records", "Of records", "count"), ("share", "Share", "share"),
)  # fmt: skip
DUPLICATES = columns(
    "system", ("store", "Store"), ("people", "People with several", "count"),
    ("records", "Their records", "count"), ("contradicting", "Contradicting", "count"),
)  # fmt: skip
UNMATCHED = columns(("class", "What", "word"), "system", ("people", "People", "count"))
FINDINGS = columns(
    "system", "stream", ("code", "What", "word"), "field", ("tonight", "Last night", "count"),
    ("in_period", "In the period", "count"), ("nights", "On nights", "count"),
)  # fmt: skip
CAUSES = columns(
    ("class", "Kind", "word"), "system", "store", ("reason", "Why", "word"),
    ("decided_system", "Decided in"), ("decided_source", "By", "word"), ("cells", "Cells", "count"),
    ("people", "People", "count"),
)  # fmt: skip


def sections(source: Source, told: Standing) -> tuple[Section, ...]:
    """Fields, duplicates, unmatched, quarantined, drift by cause."""
    return (
        Section(
            "fields", "Fields filled",
            "How many of the hub's records have what consent and deadlines are judged by.", (),
            (source.table("fields", "By field", FIELDS, "report_fields",
                          lead=source.as_of, empty="The hub gave no governance fields."),),
        ),
        Section(
            "duplicates", "Duplicates",
            "Several records of one person in one store; contradicting ones disagree on a "
            "category.", (),
            (source.table("duplicates", "By system and store", DUPLICATES, "report_duplicates",
                          lead=source.as_of, empty="Nobody has several records."),),
        ),
        Section(
            "unmatched", "Unmatched", "", (),
            (source.table("unmatched", "Known to one side only", UNMATCHED, "report_unmatched",
                          empty="Everybody is known to both sides."),),
        ),
        Section(
            "quarantined", "Quarantined",
            "What could not be used of what a vendor said: kept, counted, never dropped.", (),
            (source.table("findings", "By kind", FINDINGS, "report_findings",
                          empty="Everything could be used."),),
        ),
        Section(
            "causes", "Differences by cause", "", (),
            (source.table("causes", "Open on the last night", CAUSES, "report_drift_causes",
                          empty="No difference stands."),),
        ),
    )  # fmt: skip
