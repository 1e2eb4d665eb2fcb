"""Weekly: how many opted out of what, by which way, per message delivered."""

from __future__ import annotations

from optout.reports.common import Standing
from optout.reports.document import Section, columns
from optout.reports.source import Source

RATE = (
    ("opt_outs", "Opt-outs", "count"), ("deliveries", "Delivered", "count"),
    ("rate", "Opt-outs per delivery", "share"),
)  # fmt: skip
SPIKES = columns(
    ("night", "Night", "date"), ("kind", "What", "word"), "dimension", "system", "key",
    ("opt_outs", "Opt-outs", "count"), ("expected", "Expected"),
    ("deliveries", "Delivered", "count"),
)  # fmt: skip


def sections(source: Source, told: Standing) -> tuple[Section, ...]:
    """By source, by category, night by night, and what was unusual."""
    return (
        Section(
            "sources_of_opt_outs", "Opt-out rate by source",
            "The way by which the opt-out was made, beside everything that its system delivered.",
            (), (source.table("by_source", "By system and source",
                              columns("system", ("source", "How", "word"), *RATE),
                              "report_rate_source", empty="Nobody opted out."),),
        ),
        Section(
            "categories", "Opt-out rate by category",
            "Opt-outs of everything stand apart: they are of no one category's mail. "
            "The hub mails nothing, so its opt-outs have no rate.",
            (), (source.table("by_category", "By system and category",
                              columns("system", ("category", "Category", "word"), *RATE),
                              "report_rate_category",
                              empty="Nothing was delivered, nobody opted out."),),
        ),
        Section(
            "nights", "Night by night",
            "Without a complete read there is no rate.",
            (), (source.table("by_night", "All systems",
                              columns(("night", "Night", "date"),
                                      ("status", "Sources", "status"), *RATE),
                              "report_rate_nights", empty="No night was counted."),),
        ),
        Section(
            "unusual", "What was unusual", "", (),
            (source.table("spikes", "Spikes, slow rises, silent feeds and scanners", SPIKES,
                          "report_spikes", empty="Nothing unusual."),),
        ),
    )  # fmt: skip
