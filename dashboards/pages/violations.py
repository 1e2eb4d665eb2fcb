"""Mail that went out after an opt-out, with the evidence; what campaigns lack."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards import figures
from dashboards.blocks import Block, Column, Empty, Section, Table
from dashboards.data import Published
from dashboards.page import Page, Places, metric_facts, plot, section, since
from dashboards.theme import LIGHT

NIGHTS = 90
_SHOWN_ROWS = 100
GRADES = {
    "legal_breach": LIGHT["missed"],
    "breach": LIGHT["series_2"],
    "warning": LIGHT["series_5"],
}
_MEANS = (
    "A warning is any send after the opt-out; a breach comes after the strict deadline, a legal "
    "breach after the legal one."
)


def build(data: Published, places: Places) -> Sequence[Section]:
    """The sections of the page."""
    return [
        section("timeline", "Sends after an opt-out", lambda: _timeline(data), lead=_MEANS),
        section(
            "systems",
            "By system",
            lambda: _systems(data),
            lead="A system that gives no send log can hide sends: its figure is unknown.",
        ),
        section(
            "evidence",
            "Evidence",
            lambda: _evidence(data),
            lead="Each send with the opt-out that it ignored.",
        ),
        section(
            "campaigns",
            "Campaigns that lack something",
            lambda: _campaigns(data),
            lead="No working unsubscribe, no postal address, a wrong sender: as far as the "
            "vendor shows the content.",
        ),
    ]


def _timeline(data: Published) -> list[Block]:
    blocks = [
        *metric_facts(data, "violations", "All"),
        *metric_facts(data, "violations_beyond_deadline", "After the strict deadline"),
    ]
    frame = data.frame("violation_days", first=since(data, NIGHTS))
    if not len(frame):
        row = data.metric("violations")
        is_known = row is not None and row["status"] == "met"
        blocks.append(
            Empty(
                f"No send after an opt-out is known in {NIGHTS} days.",
                "Every send log was read."
                if is_known
                else "But it is not known of every system: see the figures above.",
                "",
                not is_known,
            )
        )
        return blocks
    order = [g for g in GRADES if g in frame.column("grade")]
    total = sum(frame.column("sends"))
    grave = sum(r["sends"] for r in frame if r["grade"] != "warning")
    says = f"{total:,} sends in {NIGHTS} days, {grave:,} of them after a deadline."
    columns = (
        Column("day", "Sent on (UTC)", "night"),
        Column("grade", "Grade", "title"),
        Column("sends", "Sends", "count"),
    )
    drawn = figures.bars(
        frame, x="day", y="sends", by="grade", order=order, colours=GRADES, y_title="sends"
    )
    drawn.update_xaxes(
        type="date",
        tickformat="%-d %b",
        range=[since(data, NIGHTS).isoformat(), data.night.isoformat()],
    )
    blocks.append(
        plot("violation-days", "By day of sending and grade", drawn, says, frame, columns)
    )
    return blocks


def _systems(data: Published) -> list[Block]:
    columns = (
        Column("system", "System"),
        Column("grade", "Grade", "title"),
        Column("sends", "Sends", "count"),
        Column("people", "People", "count"),
        Column("last_at", "Last", "moment"),
    )
    return [
        Table(
            "violation-systems",
            "All nights",
            columns,
            data.frame("violation_systems"),
            empty="No send after an opt-out is known.",
        )
    ]


def _evidence(data: Published) -> list[Block]:
    columns = (
        Column("grade", "Grade", "title"),
        Column("system", "System"),
        Column("category", "Category", "title"),
        Column("contact_key", "Contact key", "code"),
        Column("opted_out_at", "Opted out", "moment"),
        Column("opted_out_in", "In"),
        Column("sent_at", "Sent", "moment"),
        Column("strict_deadline", "Strict deadline", "night"),
        Column("legal_deadline", "Legal deadline", "night"),
        Column("jurisdiction", "Jurisdiction"),
        Column("campaign_id", "Campaign", "code"),
    )
    rows = data.frame("violations", limit=_SHOWN_ROWS)
    return [
        Table(
            "violations",
            "The gravest and newest first",
            columns,
            rows,
            total=data.count("violations"),
            csv="violations.csv",
            filters=("grade", "system", "category"),
            empty="No send after an opt-out is known from the send logs that were read.",
        )
    ]


def _campaigns(data: Published) -> list[Block]:
    columns = (
        Column("sent_at", "Sent", "moment"),
        Column("system", "System"),
        Column("campaign", "Campaign"),
        Column("fault", "Lacks", "title"),
        Column("campaign_id", "Id", "code"),
    )
    return [
        *metric_facts(data, "campaign_faults"),
        Table(
            "campaign-faults",
            "Newest first",
            columns,
            data.frame("campaign_faults", limit=_SHOWN_ROWS),
            csv="campaign_faults.csv",
            filters=("system", "fault"),
            empty="No campaign that was read lacks anything.",
        ),
    ]


PAGE = Page(
    "violations",
    "Violations",
    "Did mail go out after an opt-out, and was it in time?",
    "Law",
    build,
    metrics=("violations", "violations_beyond_deadline", "campaign_faults"),
    exports={"violations.csv": "violations", "campaign_faults.csv": "campaign_faults"},
)
