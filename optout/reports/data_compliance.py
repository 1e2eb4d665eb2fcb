"""Quarterly compliance audit: fit to be handed to an auditor as it is."""

from __future__ import annotations

from optout.reports import common
from optout.reports.common import Standing
from optout.reports.document import Section, Table, columns
from optout.reports.source import Source

BY_SYSTEM = columns(
    ("metric", "Promise", "word"), "system", ("target", "Target", "target"),
    ("value", "Figure", "value"),
    ("numerator", "Of it", "count"), ("denominator", "Out of", "count"),
    ("status", "Status", "status"), ("note", "Note"),
)  # fmt: skip
VIOLATION_COUNTS = columns(
    ("grade", "Grade", "word"), "system", ("sends", "Sends", "count"),
    ("people", "People", "count"),
    ("first_at", "First (UTC)", "time"), ("last_at", "Last (UTC)", "time"),
)  # fmt: skip
VIOLATIONS = columns(
    ("grade", "Grade", "word"), "system", ("category", "Category", "word"),
    ("contact_key", "Contact key", "key"), ("opted_out_at", "Opted out (UTC)", "time"),
    ("opted_out_in", "In"), ("sent_at", "Sent (UTC)", "time"), ("campaign_id", "Campaign"),
    ("strict_deadline", "Strict deadline", "date"), ("legal_deadline", "Legal deadline", "date"),
    ("event_key", "Evidence", "key"),
)  # fmt: skip
UNCONSENTED = columns(
    ("status", "Consent", "word"), "system", "jurisdiction", ("basis", "Basis", "word"),
    ("sends", "Sends", "count"), ("people", "People", "count"), ("last_at", "Last (UTC)", "time"),
)  # fmt: skip
FAULTS = columns(
    ("fault", "What lacks", "word"), "system", ("campaigns", "Campaigns", "count"),
    ("last_at", "Last (UTC)", "time"),
)  # fmt: skip
OPEN_OUTS = columns(
    ("contact_key", "Contact key", "key"), ("category", "Category", "word"), ("system", "Made in"),
    ("occurred_at", "When (UTC)", "time"), "jurisdiction",
    ("strict_deadline", "Strict deadline", "date"), ("business_days_left", "Days left", "count"),
    ("open_systems", "Still mailing"),
)  # fmt: skip
OPEN_DRIFT = columns(
    ("class", "Kind", "word"), "system", ("cells", "Cells", "count"), ("people", "People", "count"),
    ("oldest", "Oldest since", "date"), ("oldest_nights", "Nights", "count"),
)  # fmt: skip
TRAIL = columns(
    ("kind", "Gap", "word"), "system", ("source", "Source", "word"), ("missing", "Missing field"),
    ("gaps", "Gaps", "count"), ("new_gaps", "New in the period", "count"),
)  # fmt: skip
CONSENT = columns(
    ("regime", "Regime"), ("status", "Status", "word"), ("people", "People", "count"),
)  # fmt: skip
ERASURES = columns(
    ("day", "Day", "date"), ("erasures", "Erasures", "count"),
    ("removed", "Rows removed", "count"), ("blanked", "Mentions blanked", "count"),
)  # fmt: skip
METHOD = (
    "Every night each system is read through its own interface and what it said is stored with a "
    "manifest that says whether the read was complete. What a person's preference should be "
    "follows from every change that any system recorded: an opt-out stands unless the person's own "
    "later opt-in, of equal or wider scope, lifted it. A cell is one person, system and category; "
    "it is compared with what would happen if that system mailed tonight.",
    "Shares carry a 95 % Wilson interval where they rest on a count of cells; times carry bounds, "
    "because a vendor that tells no moment is known only between two reads. A figure whose sources "
    "were incomplete is not measured; it is never shown as kept.",
    "Two deadlines are computed for each opt-out: the strict one by the tightest reading of the "
    "rules that bind in the person's country, the legal one by the rule's own calendar. A send "
    "after receipt is a warning, after the strict deadline a breach, after the legal one a legal "
    "breach. Sends are known only where a vendor gives a send log.",
    "Recorded changes are chained: the head printed on this report proves, against the chain in "
    "the warehouse, that no change recorded before it was altered, removed or inserted since "
    "(`optout verify`). Contact keys are keyed hashes; no address stands in this report.",
)


def sections(source: Source, told: Standing) -> tuple[Section, ...]:
    """Promises, violations with evidence, consent, open items, trail, requests, method."""
    return (
        common.promises(source, told, with_nights=True),
        Section(
            "by_system", "Promises, system by system", "", (),
            (source.table("promises_by_system", "On the last night of the period", BY_SYSTEM,
                          "report_promises_by_system"),),
        ),
        _violations(source),
        Section(
            "consent", "Consent", "", (),
            (
                source.table("consent", "What mail to each person could rest on", CONSENT,
                             "report_consent", lead=source.as_of,
                             empty="Nobody lives where consent is asked for."),
                source.table("unconsented", "Sends on expired or unproven consent", UNCONSENTED,
                             "report_unconsented", empty="No such send was found."),
                source.table("campaign_faults", "Campaigns without what they must have", FAULTS,
                             "report_campaign_faults", empty="No such campaign was found."),
            ),
        ),
        _open_items(source),
        Section(
            "trail", "Audit trail", "", (),
            (source.table("trail_gaps", "What the systems' own records lack", TRAIL,
                          "report_trail", lead=source.as_of, empty="Nothing is lacking."),),
        ),
        Section(
            "requests", "Requests for erasure", "", (),
            (source.table("erasures", "Carried out in the period", ERASURES, "report_erasures",
                          empty="None was carried out."),),
        ),
        Section("method", "Method", "", METHOD, (common.rules_table(),)),
    )  # fmt: skip


def _violations(source: Source) -> Section:
    counts = source.table(
        "violation_counts", "By grade and system", VIOLATION_COUNTS, "report_violation_counts",
        empty="No send after an opt-out was found.",
    )  # fmt: skip
    rows = source.table(
        "violations", "Each with its evidence", VIOLATIONS, "report_violations",
        lead="The evidence is the vendor's own send event, by its key in the warehouse.",
        empty="No send after an opt-out was found.",
    )  # fmt: skip
    unknown = [
        str(r["note"])
        for r in common.standing(source).rows
        if r["metric"] == "violations" and r["note"]
    ]
    notes = tuple(f"Not everything is known: {note}." for note in unknown)
    return Section("violations", "Sends after an opt-out", "", notes, (counts, rows))


def _open_items(source: Source) -> Section:
    tables: tuple[Table, ...] = (
        source.table("open_drift", "Differences between the systems", OPEN_DRIFT,
                     "report_open_drift", lead="On the last night of the period.",
                     empty="No difference stands."),
        source.table("open_opt_outs", "Opt-outs that some system does not honour yet", OPEN_OUTS,
                     "report_open_opt_outs", lead=source.as_of,
                     empty="Every opt-out is honoured everywhere."),
    )  # fmt: skip
    return Section("open", "Open items", "", (), tables)
