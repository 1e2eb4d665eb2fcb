"""Can it be shown who changed what and when: completeness of the trail, gaps, the chain."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards import figures, words
from dashboards.blocks import Block, Column, Empty, Facts, Section, Table
from dashboards.data import Published
from dashboards.frame import Frame
from dashboards.page import Page, Places, fact, metric_facts, overall_facts, plot, section
from dashboards.series import trend_plot

_SHOWN_ROWS = 100
_DIMENSIONS = (
    ("source", "By source of the change"),
    ("field", "By field"),
    ("missing_field", "By the required field that is missing"),
)


def build(data: Published, places: Places) -> Sequence[Section]:
    """The sections of the page."""
    return [
        section(
            "completeness",
            "Completeness",
            lambda: _completeness(data),
            lead="A change is complete if the system's own record of it has every required "
            "field and its old value is the one before it.",
        ),
        section("parts", "Where it lacks", lambda: _parts(data)),
        section("kinds", "Kinds of gap", lambda: _kinds(data)),
        section("gaps", "Gaps", lambda: _gaps(data)),
        section(
            "chain",
            "The chain",
            lambda: _chain(data),
            lead="Every recorded change is chained to the one before it; the head of each night "
            "is also kept outside the database. `optout verify` checks all of it.",
        ),
    ]


def _completeness(data: Published) -> list[Block]:
    systems = (data.context.hub, *data.context.systems)
    return [
        *metric_facts(data, "audit_trail_completeness"),
        trend_plot(data, "audit_trail_completeness", target=1.0, systems=systems),
    ]


def _parts(data: Published) -> list[Block]:
    blocks: list[Block] = []
    for dimension, title in _DIMENSIONS:
        frame = data.frame("trail_words", dimension=dimension)
        rows = [
            (
                r["system"],
                r["word"],
                r["changes"],
                r["complete"],
                r["complete"] / r["changes"] if r["changes"] else None,
            )
            for r in frame
        ]
        columns = (
            Column("system", "System"),
            Column("word", words.title(dimension), "title"),
            Column("changes", "Changes", "count"),
            Column("complete", "Complete", "count"),
            Column("share", "Share", "percent"),
        )
        blocks.append(
            Table(
                f"trail-{dimension}",
                title,
                columns,
                Frame.of([c.name for c in columns], rows),
                empty="Nothing is lacking."
                if dimension == "missing_field"
                else "No change is known tonight.",
            )
        )
    return blocks


def _kinds(data: Published) -> list[Block]:
    frame = data.frame("trail_words", dimension="kind")
    facts = overall_facts(data, {"trail_gaps": "Gaps"})
    if not len(frame):
        row = data.metric("audit_trail_completeness")
        is_known = row is not None and row["status"] == "met"
        return [
            *facts,
            Empty(
                "No gap is known.",
                "The trail is complete."
                if is_known
                else "But it could not be judged for every system.",
                "",
                not is_known,
            ),
        ]
    order = [s for s in (data.context.hub, *data.context.systems) if s in frame.column("system")]
    named = Frame.of(
        ("kind", "system", "gaps"),
        [(words.title(r["word"]), r["system"], r["gaps"]) for r in frame],
    )
    says = f"{sum(frame.column('gaps')):,} gaps."
    columns = (
        Column("kind", "Kind"),
        Column("system", "System"),
        Column("gaps", "Gaps", "count"),
    )
    drawn = figures.bars(
        named, x="kind", y="gaps", by="system", order=order, across=True, y_title="gaps"
    )
    return [*facts, plot("trail-kinds", "Gaps by kind and system", drawn, says, named, columns)]


def _gaps(data: Published) -> list[Block]:
    columns = (
        Column("kind", "Kind", "title"),
        Column("system", "System"),
        Column("field", "Field"),
        Column("missing", "Missing"),
        Column("source", "Source", "title"),
        Column("occurred_at", "Changed", "moment"),
        Column("night", "Told", "night"),
        Column("contact_key", "Contact key", "code"),
    )
    rows = data.frame("trail_gaps", limit=_SHOWN_ROWS)
    return [
        Table(
            "gaps-table",
            "Newest first",
            columns,
            rows,
            total=data.count("trail_gaps"),
            csv="gaps.csv",
            filters=("kind", "system", "source"),
            empty="No gap is known.",
        )
    ]


def _chain(data: Published) -> list[Block]:
    columns = (
        Column("night", "Night", "night"),
        Column("links", "Links", "count"),
        Column("change_seq", "Last change", "count"),
        Column("link", "Head", "code"),
    )
    row = data.metric("chain_intact")
    return [
        *([Facts([fact(row, "The chain")])] if row is not None else []),
        Table(
            "heads",
            "Heads of the last nights",
            columns,
            data.frame("chain_heads", limit=14),
            empty="No head was written yet.",
        ),
    ]


PAGE = Page(
    "trail",
    "Trail",
    "Can it be shown who changed what, and when?",
    "Law",
    build,
    metrics=("audit_trail_completeness", "trail_gaps", "chain_intact"),
    exports={"gaps.csv": "trail_gaps"},
)
