"""How fast opt-outs take effect, and which still wait."""

from __future__ import annotations

from dashboards import figures, words
from dashboards.blocks import Block, Column, Empty, Facts, Table
from dashboards.data import Published
from dashboards.frame import Frame
from dashboards.page import fact, plot
from dashboards.theme import LIGHT

_SHOWN_ROWS = 100
_BUCKETS = (
    "up to 1 h",
    "1–6 h",
    "6–12 h",
    "12–24 h",
    "24–48 h",
    "2–5 days",
    "5–10 days",
    "over 10 days",
    "not yet",
)
_KINDS = {
    "real times": LIGHT["series_1"],
    "upper bound": LIGHT["series_2"],
    "cannot be seen": LIGHT["series_6"],
}


def processing_frame(data: Published) -> Frame:
    """Opt-outs of 30 days by how long they took and how that is known; every bucket, in order."""
    found = {
        (r["bucket"], r["kind"]): r["opt_outs"]
        for r in data.frame("processing", cutoff=data.cutoff)
    }
    rows = [(b, k, found.get((b, k), 0)) for b in _BUCKETS for k in _KINDS]
    return Frame.of(("bucket", "kind", "opt_outs"), rows)


def processing(data: Published) -> list[Block]:
    """p50, p95, maximum, and how the times spread against the deadlines."""
    frame = processing_frame(data)
    names = ("opt_out_processing_p50", "opt_out_processing_p95", "opt_out_processing_max")
    labels = ("Half take at most", "95 % take at most", "The slowest")
    blocks: list[Block] = [
        Facts(
            [
                fact(row, label)
                for name, label in zip(names, labels, strict=True)
                if (row := data.metric(name)) is not None
            ]
        )
    ]
    p95 = [
        row
        for system in (data.context.hub, *data.context.systems)
        if (row := data.metric(names[1], system)) is not None
    ]
    if p95:
        blocks.append(Facts([fact(row, f"p95 in {row['system']}") for row in p95]))
    total = sum(frame.column("opt_outs"))
    if not total:
        blocks.append(Empty("No dated opt-out in 30 days.", "There is nothing to time.", "", False))
        return blocks
    late = sum(r["opt_outs"] for r in frame if r["bucket"] in _BUCKETS[4:])
    says = f"{total:,} opt-outs of 30 days, {late:,} of them over 24 h or still open."
    drawn = figures.bars(
        frame,
        x="bucket",
        y="opt_outs",
        by="kind",
        order=tuple(_KINDS),
        colours=_KINDS,
        y_title="opt-outs",
    )
    figures.lines_at(drawn, {"24 h": 3.5, "48 h": 4.5})
    columns = (
        Column("bucket", "Took"),
        Column("kind", "Known as"),
        Column("opt_outs", "Opt-outs", "count"),
    )
    blocks.append(
        plot(
            "processing-times",
            "Until every system had stopped",
            drawn,
            says,
            frame.where(lambda r: r["opt_outs"] > 0),
            columns,
        )
    )
    return blocks


def waiting(data: Published) -> list[Block]:
    """Opt-outs that some system does not honour yet."""
    names = ("open_opt_outs", "overdue_opt_outs")
    rows = [row for name in names if (row := data.metric(name)) is not None]
    blocks: list[Block] = [Facts([fact(r, words.title(r["metric"])) for r in rows])] if rows else []
    left = data.frame("open_days_left")
    if not len(left):
        blocks.append(Empty("No opt-out is open.", "Every system has stopped.", "", False))
        return blocks
    labels = {-1: "overdue", 11: "over 10"}
    named = Frame.of(
        ("left", "opt_outs"),
        [(labels.get(r["days_left"], str(r["days_left"])), r["opt_outs"]) for r in left],
    )
    overdue = sum(r["opt_outs"] for r in left if r["days_left"] < 0)
    says = f"{sum(named.column('opt_outs')):,} open, {overdue:,} past the strict deadline."
    columns = (Column("left", "Business days left"), Column("opt_outs", "Opt-outs", "count"))
    drawn = figures.bars(named, x="left", y="opt_outs", y_title="opt-outs")
    drawn.update_xaxes(type="category", title="business days left")
    blocks.append(plot("open-days", "Open opt-outs", drawn, says, named, columns))
    blocks.append(_open_rows(data))
    return blocks


def _open_rows(data: Published) -> Table:
    columns = (
        Column("contact_key", "Contact key", "code"),
        Column("category", "Category", "title"),
        Column("business_days_left", "Days left", "count"),
        Column("strict_deadline", "Strict deadline", "night"),
        Column("strict_rule", "By"),
        Column("legal_deadline", "Legal deadline", "night"),
        Column("open_systems", "Still mails"),
        Column("occurred_at", "Opted out", "moment"),
        Column("system", "In"),
        Column("source", "Through", "title"),
        Column("jurisdiction", "Jurisdiction"),
    )
    frame = data.frame("open_opt_outs", limit=_SHOWN_ROWS)
    return Table(
        "open-rows",
        "The nearest deadline first",
        columns,
        frame,
        total=data.count("open_opt_outs"),
        csv="open_opt_outs.csv",
        filters=("category", "source"),
    )
