"""Do the systems agree with what people chose: recall, accuracy, over-suppression, drift."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from dashboards import figures, words
from dashboards.blocks import Block, Column, Empty, Facts, Section, Table
from dashboards.data import Published
from dashboards.frame import Frame, Record
from dashboards.page import (
    Page,
    Places,
    fact,
    incomplete_nights,
    metric_facts,
    overall_facts,
    plot,
    section,
    since,
)
from dashboards.series import trend_plot
from dashboards.triage import suspicion

NIGHTS = 90
_EACH = 20
"""Rows of drift that the page shows of each class; the CSV file has all."""

DISAGREEMENTS = ("unhonoured_opt_out", "lost_opt_out", "orphan_mailable", "over_suppressed")
_CLASSES = (*DISAGREEMENTS, "not_comparable", "conflicting_duplicates", "missing_here")
_SCOPED = (
    "system",
    "category",
    "value",
    "numerator",
    "denominator",
    "not_comparable",
    "status",
    "note",
)
_AGES = ("tonight", "1–2 nights", "3–7 nights", "8–30 nights", "over 30 nights")

_HEAT_COLUMNS = (
    Column("system", "System"),
    Column("category", "Category", "title"),
    Column("value", "Value", "percent"),
    Column("numerator", "Of these", "count"),
    Column("denominator", "Of", "count"),
    Column("not_comparable", "Not comparable", "count"),
    Column("status", "Status", "status"),
    Column("note", "Why"),
)
_DRIFT_COLUMNS = (
    Column("class", "Class", "class"),
    Column("system", "System"),
    Column("category", "Category", "title"),
    Column("contact_key", "Contact key", "code"),
    Column("expected", "Expected", "title"),
    Column("actual", "Actual", "title"),
    Column("reason", "Reason", "title"),
    Column("store", "Store", "code"),
    Column("opened_night", "Opened", "night"),
    Column("age_nights", "Age", "nights"),
    Column("decided_system", "Decided by"),
    Column("decided_at", "On", "moment"),
)


def build(data: Published, places: Places) -> Sequence[Section]:
    """The sections of the page."""
    return [
        section(
            "recall",
            "Opt-out recall",
            lambda: _share(data, "opt_out_recall", 1.0),
            lead="Of the people who must be opted out of a category: how many are, where mail to "
            "them is possible at all. Anything below 100 % would be mailed.",
        ),
        section(
            "accuracy",
            "Sync accuracy",
            lambda: _share(data, "sync_accuracy", 0.999),
            lead="Of all cells that say something: how many say what is expected.",
        ),
        section(
            "over-suppression",
            "Over-suppression",
            lambda: _share(data, "over_suppression", 0.001),
            lead="People who opted in again and are still blocked. They asked for the mail.",
        ),
        section("open", "Drift that is open", lambda: _open(data)),
        section("flow", "Drift opened and closed", lambda: _flow(data)),
        section("ages", "Ages", lambda: _ages(data)),
        section(
            "causes",
            "Causes",
            lambda: _causes(data),
            lead="The same store, reason and deciding change: mend the largest first.",
        ),
        section(
            "rows",
            "Every open drift",
            lambda: _rows(data),
            lead="People appear by contact key. `optout drift --reveal` shows addresses, and "
            "is recorded.",
        ),
        section(
            "latency",
            "Sync latency",
            lambda: metric_facts(data, "sync_latency_seconds"),
            lead="From the change in one system to its effect in another, only by both systems' "
            "own timestamps.",
            do="Without timestamps of both systems nobody can see it: it stays unknown.",
            command="",
        ),
    ]


def share_frame(data: Published, metric: str) -> Frame:
    """A metric by system and category, in configured order: what the heat map draws."""
    rows = [
        [row[name] for name in _SCOPED]
        for system in data.context.systems
        for category in data.context.categories
        if (row := data.metric(metric, system, category)) is not None
    ]
    return Frame.of(_SCOPED, rows)


def _share(data: Published, metric: str, goal: float) -> list[Block]:
    blocks = metric_facts(data, metric)
    frame = share_frame(data, metric)
    context = data.context
    missed = frame.where(status="missed")
    unknown = frame.where(status="unknown")
    says = (
        f"{words.plural(len(missed), 'cell')} of {len(frame)} missed, {len(unknown)} unknown."
        if len(frame)
        else "No system holds a category."
    )
    drawn = figures.heat_map(frame, rows=context.systems, columns=context.categories, target=goal)
    name = words.title(metric)
    blocks.append(
        plot(f"{metric}-map", f"{name} by system and category", drawn, says, frame, _HEAT_COLUMNS)
    )
    blocks.append(trend_plot(data, metric, target=goal))
    return blocks


def _open(data: Published) -> list[Block]:
    blocks = overall_facts(data, {"drift_open": "Disagreements"})
    names = ("opt_out_neither", *_CLASSES)
    rows = [row for name in names if (row := data.metric(name)) is not None]
    blocks.append(
        Facts(
            [
                fact(
                    row,
                    words.title(row["metric"]),
                    href=f"#drift?class={row['metric']}" if row["metric"] in _CLASSES else "",
                )
                for row in rows
            ]
        )
    )
    systems = (*data.context.systems, data.context.hub)
    made = [
        (name, *(_count_of(data, name, s) for s in systems), words.CLASS_MEANS.get(name))
        for name in _CLASSES
    ]
    columns = [Column("class", "Class", "class"), *(Column(s, s, "count") for s in systems)]
    columns.append(Column("means", "Means"))
    frame = Frame.of([c.name for c in columns], made)
    blocks.append(Table("drift-by-system", "Open drift by class and system", columns, frame))
    return blocks


def _count_of(data: Published, metric: str, system: str) -> float | None:
    row = data.metric(metric, system)
    return None if row is None else row["value"]


def flow_frame(data: Published, nights: int = NIGHTS) -> tuple[Frame, list[date]]:
    """What opened and closed, and the nights on which some source was not complete."""
    return data.frame("drift_flow", first=since(data, nights)), incomplete_nights(data, nights)


def _flow(data: Published) -> list[Block]:
    frame, unknown = flow_frame(data)
    if not len(frame):
        return [
            Empty(f"No drift opened or closed in {NIGHTS} nights.", "Nothing to do.", "", False)
        ]
    last = frame.where(night=data.night)
    opened, closed = sum(last.column("opened")), sum(last.column("closed"))
    says = f"Tonight {opened:,} opened and {closed:,} closed."
    if data.night in unknown:
        says = "Tonight is unknown where a source was not read completely."
    if unknown:
        says += f" {words.plural(len(unknown), 'night')} hatched: a source was not read completely."
    drawn = figures.flow(frame, order=DISAGREEMENTS, unknown=unknown)
    table, columns = _flow_table(frame)
    return [plot("drift-flow", "Opened and closed per night", drawn, says, table, columns)]


def _flow_table(frame: Frame) -> tuple[Frame, list[Column]]:
    """A row a night, newest first; opened and closed of each class side by side."""
    parts = [
        (f"{name}_{way}", f"{words.title(name)}, {way}",
         {r["night"]: r[way] for r in frame.where(**{"class": name})})
        for name in DISAGREEMENTS
        for way in ("opened", "closed")
    ]  # fmt: skip
    nights = sorted(set(frame.column("night")), reverse=True)
    rows = [(night, *(found.get(night, 0) for _, _, found in parts)) for night in nights]
    columns = [Column("night", "Night", "night")]
    columns += [Column(name, label, "count") for name, label, _ in parts]
    return Frame.of([c.name for c in columns], rows), columns


def _ages(data: Published) -> list[Block]:
    frame = data.frame("drift_ages").where(lambda r: r["class"] in DISAGREEMENTS)
    filled = Frame.of(
        ("bucket", "class", "cells"),
        [
            (bucket, name, sum(frame.where(bucket=bucket, **{"class": name}).column("cells")))
            for bucket in _AGES
            for name in DISAGREEMENTS
        ],
    )
    old = sum(r["cells"] for r in filled if r["bucket"] in _AGES[2:])
    says = f"{old:,} open for three nights or longer." if old else "None is older than two nights."
    columns = (
        Column("bucket", "Open for"),
        Column("class", "Class", "class"),
        Column("cells", "Cells", "count"),
    )
    drawn = figures.bars(
        filled, x="bucket", y="cells", by="class", order=DISAGREEMENTS, across=True, y_title="cells"
    )
    return [plot("drift-ages", "Open disagreements by age", drawn, says, filled, columns)]


def _causes(data: Published) -> list[Block]:
    columns = (
        Column("class", "Class", "class"),
        Column("system", "System"),
        Column("store", "Store", "code"),
        Column("reason", "Reason", "title"),
        Column("decided", "Decided by"),
        Column("cells", "Cells", "count"),
        Column("people", "People", "count"),
        Column("oldest", "Oldest", "name"),
        Column("first", "First suspicion", "long"),
    )
    rows = [
        (r["class"], r["system"], r["store"], r["reason"], _decided(r), r["cells"], r["people"],
         words.day(r["oldest"]), suspicion(r))
        for r in data.frame("drift_causes")
    ]  # fmt: skip
    frame = Frame.of([c.name for c in columns], rows)
    return [
        Table(
            "drift-causes", "The largest causes", columns, frame, empty="No disagreement is open."
        )
    ]


def _decided(row: Record) -> str | None:
    """The change that decides, where one does: in which system, and by which way."""
    if row["decided_system"] is None:
        return None
    through = words.title(row["decided_source"]).lower() if row["decided_source"] else "unknown"
    return f"{row['decided_system']}, {through}"


def _rows(data: Published) -> list[Block]:
    return [
        Table(
            "drift",
            f"The worst and oldest of each class, {_EACH} at most.",
            _DRIFT_COLUMNS,
            data.frame("drift_top", each=_EACH),
            total=data.count("drift_open"),
            csv="drift.csv",
            filters=("class", "system", "category"),
            empty="No drift is open: every cell that could be compared is as expected.",
        )
    ]


PAGE = Page(
    "sync",
    "Sync",
    "Do the systems agree with what people chose?",
    "Preferences",
    build,
    metrics=(
        "opt_out_recall",
        "sync_accuracy",
        "over_suppression",
        "opt_out_neither",
        "drift_open",
        *_CLASSES,
        "sync_latency_seconds",
    ),
    exports={"drift.csv": "drift_open"},
)
