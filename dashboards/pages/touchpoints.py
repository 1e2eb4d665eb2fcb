"""Where preferences are written: the inventory of touchpoints."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards import figures, words
from dashboards.blocks import Block, Column, Empty, Section, Table
from dashboards.data import Published
from dashboards.frame import Frame
from dashboards.page import Page, Places, plot, section


def build(data: Published, places: Places) -> Sequence[Section]:
    """The sections of the page."""
    return [
        section("share", "Changes by source", lambda: _share(data)),
        section(
            "inventory",
            "Inventory",
            lambda: _inventory(data),
            lead="How much each touchpoint writes, how late the hub or ESP heard of it, and how "
            "well it is recorded. Own acts can lift an opt-out, the others cannot.",
        ),
    ]


def _share(data: Published) -> list[Block]:
    frame = data.frame("touchpoints")
    if not len(frame):
        return [Empty("No change of a preference is known yet.", "They begin with the first one.")]
    totals: dict[tuple[str, str], int] = {}
    for row in frame:
        place = (words.title(row["source"] or "unknown"), row["system"])
        totals[place] = totals.get(place, 0) + row["changes"]
    made = Frame.of(("source", "system", "changes"), [(*place, n) for place, n in totals.items()])
    unknown = sum(r["changes"] for r in frame if r["source"] == "unknown")
    whole = sum(frame.column("changes"))
    says = f"{whole:,} changes; of {words.percent(unknown / whole)} nobody tells the source."
    columns = (
        Column("source", "Source"),
        Column("system", "System"),
        Column("changes", "Changes", "count"),
    )
    drawn = figures.bars(made, x="source", y="changes", by="system", across=True, y_title="changes")
    return [plot("touchpoint-bars", "Who writes preferences", drawn, says, made, columns)]


def _inventory(data: Published) -> list[Block]:
    columns = (
        Column("system", "System"),
        Column("source", "Source", "title"),
        Column("channel", "Channel"),
        Column("category", "Category", "title"),
        Column("changes", "Changes", "count"),
        Column("people", "People", "count"),
        Column("explicit_share", "Own acts", "percent"),
        Column("exact_share", "Dated by the system", "percent"),
        Column("hours_median", "Heard after, median", "hours"),
        Column("hours_p95", "p95", "hours"),
        Column("complete_share", "No field missing", "percent"),
        Column("last_at", "Last", "moment"),
    )
    return [
        Table(
            "touchpoints-table",
            "The busiest first",
            columns,
            data.frame("touchpoints", limit=150),
            total=data.count("touchpoints"),
            csv="touchpoints.csv",
            filters=("system", "source", "category"),
            empty="No change is known yet.",
        )
    ]


PAGE = Page(
    "touchpoints",
    "Touchpoints",
    "Where are preferences written, and how well is it recorded?",
    "Operation",
    build,
    exports={"touchpoints.csv": "touchpoints"},
)
