"""How many people opt out: rates with their limits, and what was found in them."""

from __future__ import annotations

from dashboards import figures, words
from dashboards.blocks import Block, Column, Empty, Table
from dashboards.data import Published
from dashboards.frame import Frame
from dashboards.page import plot, run_nights, since

NIGHTS = 90
_SHOWN_SERIES = 6
_SHOWN_ROWS = 100
_FLAGS = (
    Column("night", "Night", "night"),
    Column("kind", "Found", "title"),
    Column("dimension", "By", "title"),
    Column("system", "System"),
    Column("campaign", "Of"),
    Column("opt_outs", "Opt-outs", "count"),
    Column("expected", "Expected", "count"),
    Column("deliveries", "Deliveries", "count"),
    Column("rate", "Rate", "percent"),
    Column("note", "Note"),
)


def rate_frame(data: Published, nights: int = NIGHTS) -> Frame:
    """The overall rate, a row a night since the first; unknown where it was not measured."""
    frame = data.frame("opt_out_rate_overall", first=since(data, nights))
    known = {row["night"]: row for row in frame}
    missing = {
        "value": None,
        "status": "unknown",
        "numerator": None,
        "denominator": None,
        "note": "not measured that night",
    }
    rows = [
        tuple((known.get(night, missing) | {"night": night})[name] for name in frame.columns)
        for night in run_nights(data, nights)
    ]
    return Frame(frame.columns, tuple(rows))


def rate(data: Published) -> list[Block]:
    """The overall rate, night by night."""
    frame = rate_frame(data)
    if not any(v is not None for v in frame.column("value")):
        return [
            Empty(
                "No night with deliveries was read completely.",
                "The rate needs a send log of at least one system: see Extraction.",
            )
        ]
    columns = (
        Column("night", "Night", "night"),
        Column("value", "Rate", "percent"),
        Column("numerator", "Opt-outs", "count"),
        Column("denominator", "Deliveries", "count"),
        Column("note", "Why unknown"),
    )
    last = frame.rows[-1][1]
    unknown = sum(v is None for v in frame.column("value"))
    says = f"Tonight {words.percent(last) if last is not None else 'unknown'}; "
    says += f"{words.plural(unknown, 'night')} unknown."
    newest_first = Frame(frame.columns, tuple(reversed(frame.rows)))
    drawn = figures.trend(frame, title="All systems")
    return [
        plot("rate-trend", "Opt-outs per delivery, all systems", drawn, says, newest_first, columns)
    ]


def control_frame(data: Published, dimension: str, nights: int = NIGHTS) -> Frame:
    """Series of a dimension with their limits, the largest few."""
    frame = data.frame("opt_out_control", dimension=dimension, first=since(data, nights))
    rows = [
        (
            r["night"],
            r["key"] if dimension == "system" else f"{r['system']}: {words.title(r['key'])}",
            r["value"],
            r["low"],
            r["high"],
            r["is_flagged"],
            r["kind"],
            r["opt_outs"],
            r["deliveries"],
        )
        for r in frame
    ]
    names = (
        "night",
        "series",
        "value",
        "low",
        "high",
        "is_flagged",
        "kind",
        "opt_outs",
        "deliveries",
    )
    made = Frame.of(names, rows)
    weight: dict[str, float] = {}
    for row in made:
        flagged = 1e9 if row["is_flagged"] else 0
        weight[row["series"]] = weight.get(row["series"], 0) + row["deliveries"] + flagged
    largest = set(sorted(weight, key=lambda name: -weight[name])[:_SHOWN_SERIES])
    return made.where(lambda r: r["series"] in largest)


def control(data: Published) -> list[Block]:
    """The largest series of each dimension with their limits."""
    blocks: list[Block] = []
    for dimension in ("system", "category", "source"):
        frame = control_frame(data, dimension)
        if not len(frame):
            continue
        flagged = frame.where(is_flagged=True)
        order = frame.distinct("series")
        among = words.plural(len(order), "series", "series")
        # The limits of all would hide the rates: of those that were crossed, else of one.
        limits = flagged.distinct("series") or order[:1]
        says = f"{words.plural(len(flagged), 'flagged night')} in {among}; "
        says += f"limits drawn of {words.listed(limits)}."
        table = Frame(flagged.columns, tuple(reversed(flagged.rows)))
        columns = (
            Column("night", "Night", "night"),
            Column("series", "Series"),
            Column("kind", "Found", "title"),
            Column("value", "Rate", "percent"),
            Column("high", "Limit", "percent"),
            Column("opt_outs", "Opt-outs", "count"),
            Column("deliveries", "Deliveries", "count"),
        )
        drawn = figures.control_chart(frame, order=order, limits=limits)
        blocks.append(plot(f"control-{dimension}", f"By {dimension}", drawn, says, table, columns))
    if not blocks:
        return [
            Empty(
                "No series of opt-outs yet.",
                "They begin with the first night on which mail was sent and read.",
            )
        ]
    return blocks


def flags(data: Published) -> list[Block]:
    """What was found, and how many series were judged."""
    verdicts = data.frame("spike_verdicts")
    judged = (
        Column("dimension", "By", "title"),
        Column("normal", "Normal", "count"),
        Column("too_little", "Too little to tell", "count"),
        Column("flagged", "Flagged", "count"),
    )
    return [
        Table(
            "spikes",
            "Newest first",
            _FLAGS,
            data.frame("spikes", limit=_SHOWN_ROWS, first=since(data, NIGHTS)),
            total=data.count("spikes", first=since(data, NIGHTS)),
            csv="spikes.csv",
            empty=f"Nothing was flagged in {NIGHTS} nights.",
        ),
        Table(
            "judged",
            "What was judged tonight",
            judged,
            verdicts,
            empty="No series was judged tonight: nothing was mailed, or a source was not read.",
        ),
    ]


def sources(data: Published) -> list[Block]:
    """How people opt out, and after which campaigns."""
    first = since(data, NIGHTS)
    frame = data.frame("opt_out_sources", first=first)
    if not len(frame):
        return [Empty(f"No opt-out was made in {NIGHTS} nights.", "Nothing to do.", "", False)]
    total = sum(frame.column("opt_outs"))
    says = f"{total:,} opt-outs in {NIGHTS} nights."
    columns = (
        Column("source", "Source", "title"),
        Column("category", "Category", "title"),
        Column("opt_outs", "Opt-outs", "count"),
    )
    named = Frame.of(
        frame.columns, [(words.title(r["source"]), r["category"], r["opt_outs"]) for r in frame]
    )
    drawn = figures.bars(
        named, x="source", y="opt_outs", by="category", across=True, y_title="opt-outs"
    )
    campaigns = (
        Column("campaign", "Campaign"),
        Column("system", "System"),
        Column("sent_at", "Sent", "moment"),
        Column("opt_outs", "Opt-outs", "count"),
        Column("deliveries", "Deliveries", "count"),
        Column("rate", "Rate", "percent"),
        Column("limit_rate", "Limit", "percent"),
        Column("kind", "Found", "title"),
    )
    return [
        plot("sources-bars", "How people opt out", drawn, says, frame, columns),
        Table(
            "campaigns",
            "Campaigns with the most opt-outs",
            campaigns,
            data.frame("opt_out_campaigns", limit=_SHOWN_ROWS),
            csv="campaigns.csv",
            empty="No campaign led to an opt-out.",
        ),
    ]
