"""How many people opt out and how fast it takes effect."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.blocks import Section
from dashboards.data import Published
from dashboards.page import Page, Places, section
from dashboards.pages import optout_rates as rates
from dashboards.pages import optout_times as times


def build(data: Published, places: Places) -> Sequence[Section]:
    """The sections of the page."""
    return [
        section(
            "rate",
            "Opt-out rate",
            lambda: rates.rate(data),
            lead="Opt-outs that people made, per message delivered.",
        ),
        section(
            "control",
            "Limits and flagged nights",
            lambda: rates.control(data),
            lead="Solid: the rate. Dotted: what was expected, and the limit that it had to stay "
            "below. A cross: something was found.",
        ),
        section("flags", "What was found", lambda: rates.flags(data)),
        section("sources", "By source, category and campaign", lambda: rates.sources(data)),
        section(
            "processing",
            "Processing time",
            lambda: times.processing(data),
            lead="From the person's act to the last system that stopped. Where only bounds are "
            "known, the upper one is shown: it can only have been sooner.",
        ),
        section(
            "open",
            "Open opt-outs by days left",
            lambda: times.waiting(data),
            lead="Some system still mails. Business days to the strict deadline, without credit "
            "for holidays.",
        ),
    ]


PAGE = Page(
    "optouts",
    "Opt-outs",
    "How many people opt out, and how fast does it take effect?",
    "Preferences",
    build,
    metrics=(
        "opt_out_processing_p50",
        "opt_out_processing_p95",
        "opt_out_processing_max",
        "open_opt_outs",
        "overdue_opt_outs",
    ),
    exports={
        "spikes.csv": "spikes",
        "campaigns.csv": "opt_out_campaigns",
        "open_opt_outs.csv": "open_opt_outs",
    },
)
