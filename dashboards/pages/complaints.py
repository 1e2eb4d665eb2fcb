"""How often people report the mail as spam."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.blocks import Block, Section
from dashboards.data import Published
from dashboards.page import Page, Places, metric_facts, section
from dashboards.series import trend_plot


def build(data: Published, places: Places) -> Sequence[Section]:
    """The section of the page."""
    return [
        section(
            "rate",
            "Complaint rate",
            lambda: _rate(data),
            lead="People who complained, per message delivered, as the providers of e-mail told "
            "it. Below 0.1 % is the promise; from 0.3 % on mailbox providers stop taking "
            "mail. Google tells senders of its complaints only in Postmaster Tools: "
            "they are not in here.",
        ),
    ]


def _rate(data: Published) -> list[Block]:
    return [
        *metric_facts(data, "complaint_rate"),
        trend_plot(data, "complaint_rate", target=0.001, title="Complaint rate by night"),
    ]


PAGE = Page(
    "complaints",
    "Complaints",
    "How often do people report the mail as spam?",
    "Law",
    build,
    metrics=("complaint_rate",),
)
