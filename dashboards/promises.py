"""The promises of the product as tiles: which metric is behind each, in which unit, on which page.

The targets are those of the metrics; `goal` is the same as a number, for the line in a trend.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unit = Literal["share", "count", "hours", "seconds"]


@dataclass(frozen=True)
class Promise:
    """One tile of the overview."""

    id: str
    title: str
    metric: str
    unit: Unit
    page: str
    link: str
    of: str
    """What numerator and denominator are: `{n}` and `{d}` stand for them, and bring their noun
    (`words.Counted`)."""
    target: str = ""
    """As shown where nobody measured it yet."""
    goal: float | None = None
    step: str = ""
    """What to do where it is missed."""
    command: str = ""
    also: tuple[str, ...] = ()
    """Other promises that the same tile stands for."""
    query: str = ""
    """Where it is no metric of mart: the query with night, value, status, numerator, denominator,
    note."""


PROMISES = (
    Promise(
        "recall", "Opt-out recall", "opt_out_recall", "share", "sync.html#recall", "Sync",
        "{n} of {d:cell|cells} that must be opted out", "= 100 %", 1.0,
        "Somebody who said no would be mailed: stop it in the systems named here",
        "optout drift --class unhonoured_opt_out",
    ),
    Promise(
        "accuracy", "Sync accuracy", "sync_accuracy", "share", "sync.html#accuracy", "Sync",
        "{n} of {d:cell agrees|cells agree}", ">= 99.9 %", 0.999,
        "Cells disagree with what is expected: begin with the largest cause",
        "optout drift",
    ),
    Promise(
        "over-suppression", "Over-suppression", "over_suppression", "share",
        "sync.html#over-suppression", "Sync", "{n} of {d:cell|cells} blocked without cause",
        "<= 0.1 %", 0.001,
        "People who opted in again are still blocked: release them",
        "optout drift --class over_suppressed",
    ),
    Promise(
        "trail", "Audit trail", "audit_trail_completeness", "share", "trail.html#completeness",
        "Trail", "{n} of {d:change|changes} with full record", "= 100 %", 1.0,
        "Changes have no full record of who made them and when", "optout gaps",
        also=("chain_intact",),
    ),
    Promise(
        "processing", "Opt-out processing (p95)", "opt_out_processing_p95", "hours",
        "optouts.html#processing", "Opt-outs", "of {d:opt-out|opt-outs} in 30 days",
        "< 24 h", 24.0, "Opt-outs take effect too late: see which system is last", "",
        also=("opt_out_processing_max", "overdue_opt_outs"),
    ),
    Promise(
        "violations", "Sends after an opt-out", "violations", "count",
        "violations.html#timeline", "Violations", "{n:send|sends}", "= 0", 0.0,
        "Mail went out after an opt-out: each is evidence against you", "optout violations",
        also=("violations_beyond_deadline",),
    ),
    Promise(
        "consent-sends", "Sends without proven consent", "sends_without_consent", "count",
        "consent.html#sends", "Consent", "{n:send|sends}", "= 0", 0.0,
        "Mail went out on expired or unproven consent", "optout consent",
    ),
    Promise(
        "expiring", "Consents ending within 30 days", "consent_ending_30", "count",
        "consent.html#forecast", "Consent", "{n:consent|consents}", "", None, "", "optout consent",
    ),
    Promise(
        "complaints", "Complaint rate", "complaint_rate", "share", "complaints.html#rate",
        "Complaints", "{n:complaint|complaints} on {d:delivery|deliveries}", "< 0.1 %", 0.001,
        "People report the mail as spam: mailbox providers act from 0.3 % on", "",
    ),
    Promise(
        "opt-out-rate", "Opt-out rate", "opt_out_rate", "share", "optouts.html#rate", "Opt-outs",
        "{n:opt-out|opt-outs} on {d:delivery|deliveries}", query="opt_out_rate_overall",
    ),
    Promise(
        "changers", "Frequent changers", "frequent_changers", "count", "changers.html#people",
        "Frequent changers", "{n:person|people}", "", None, "", "",
    ),
    Promise(
        "extraction", "Extraction", "extraction_complete", "share", "extraction.html#nights",
        "Extraction", "{n} of {d:stream|streams} read to the end", "= 100 %", 1.0,
        "A system was not read completely: what depends on it is unknown",
        "optout check",
    ),
    Promise(
        "latency", "Sync latency", "sync_latency_seconds", "seconds", "sync.html#latency", "Sync",
        "{n} of {d:pair|pairs} measured", "< 5 s", 5.0,
        "Changes travel too slowly between systems", "",
    ),
)  # fmt: skip
