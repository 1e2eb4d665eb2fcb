"""Is every promise met, and what is to be done first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashboards import words
from dashboards.blocks import Block, Column, Section, Step, Steps, Table, Tile, Tiles, Verdict
from dashboards.data import Published
from dashboards.frame import Frame
from dashboards.page import Page, Places, figure_text, section
from dashboards.promises import PROMISES, Promise
from dashboards.spark import spark

TREND_NIGHTS = 30


def build(data: Published, places: Places) -> Sequence[Section]:
    """The sections of the page."""
    return [
        Section("promises", "Promises", [verdict(data), Tiles([tile(data, p) for p in PROMISES])]),
        section("next", "What to do next", lambda: [_steps(data)]),
        section("sources", "Sources tonight", lambda: [_sources(data)],
                lead="What was not read completely leaves the figures that depend on it unknown."),
        section("nights", "The last 30 nights", lambda: [_nights(data)]),
    ]  # fmt: skip


def status_of(data: Published, promise: Promise) -> str:
    """The status of a promise tonight; a figure with a target that nobody measured is unknown."""
    row = data.metric(promise.metric)
    if row is None:
        return "unknown" if promise.target else "shown"
    return str(row["status"])


def verdict(data: Published) -> Verdict:
    """How many promises are met, missed, unknown: in one sentence, and which."""
    found = {p: status_of(data, p) for p in PROMISES}
    lists = {s: [p.title for p, status in found.items() if status == s] for s in words.STATUS}
    judged = [s for s in ("missed", "unknown", "met") if lists[s]]
    total = sum(len(lists[s]) for s in judged)
    if judged == ["met"]:
        return Verdict(f"All {total} promises are met.", "met")
    sums = [f"{len(lists[s])} {s}" for s in judged]
    details = [(s, words.listed(lists[s])) for s in judged if s != "met"]
    status = "missed" if lists["missed"] else "unknown"
    return Verdict(f"Of {total} promises {words.listed(sums)}.", status, details)


def tile(data: Published, promise: Promise) -> Tile:
    """Everything that one has to see of a promise."""
    row = data.metric(promise.metric)
    target = words.target((row or {}).get("target") or promise.target)
    trend = data.trend(promise.metric, TREND_NIGHTS)
    drawn = spark(trend, name=promise.title, target=promise.goal, is_share=promise.unit == "share")
    if row is None:
        note = "not measured yet: this copy has no such figure"
        return Tile(promise.id, promise.title, "unknown", "unknown", target, "", note,
                    promise.page, promise.link, drawn)  # fmt: skip
    return Tile(
        promise.id,
        promise.title,
        figure_text(row, promise.goal),
        row["status"],
        target,
        _parts(row, promise),
        words.plain(row["note"]),
        promise.page,
        promise.link,
        drawn,
        row,
    )


def _parts(row: dict[str, Any], promise: Promise) -> str:
    if row["numerator"] is None:
        return ""
    text = promise.of.format(n=words.count(row["numerator"]), d=words.count(row["denominator"]))
    aside = row["not_comparable"]
    return f"{text} · {words.count(aside)} not comparable" if aside else text


def _steps(data: Published) -> Block:
    items: list[Step] = []
    for source in data.frame("sources"):
        if not source["is_complete"]:
            why = words.plain(source["why_not"]) or "not read"
            items.append(Step(f"{source['system']} was not read completely", why,
                              "extraction.html#streams", "optout check"))  # fmt: skip
    for promise in PROMISES:
        if status_of(data, promise) == "missed" and promise.metric != "extraction_complete":
            items.append(Step(promise.step or promise.title, _worst(data, promise), promise.page,
                              promise.command))  # fmt: skip
    return Steps(items, "Nothing: every promise that could be judged is met.")


def _worst(data: Published, promise: Promise) -> str:
    """Which systems miss it, the most first."""
    rows = [
        row
        for system in data.context.systems
        if (row := data.metric(promise.metric, system)) and row["status"] == "missed"
    ]
    if not rows:
        return ""
    rows.sort(key=_wrong, reverse=True)
    parts = [f"{r['system']} {words.count(_wrong(r))}" for r in rows]
    return f"{words.title(promise.metric)}: {', '.join(parts)}"


def _wrong(row: dict[str, Any]) -> float:
    """How many cells miss the promise: what is lacking to the whole, or what is too much."""
    numerator, denominator = row["numerator"] or 0, row["denominator"]
    if denominator is None or (row["target"] or "").startswith("<"):
        return float(numerator)
    return float(denominator - numerator)


def _sources(data: Published) -> Block:
    columns = (
        Column("system", "System"),
        Column("status", "Read completely", "status"),
        Column("streams", "Streams"),
        Column("records", "Records", "count"),
        Column("read_at", "Read from", "moment"),
        Column("why_not", "Why not"),
    )
    found = {row["system"]: row for row in data.frame("sources")}
    rows = []
    for name in (data.context.hub, *data.context.systems):
        row = found.get(name)
        if row is None:
            rows.append((name, "missed", "0 of ?", None, None, "was not read tonight"))
            continue
        status = "met" if row["is_complete"] else "missed"
        streams = f"{row['streams_done']} of {row['streams']}"
        rows.append((name, status, streams, row["records"], row["read_at"], row["why_not"]))
    frame = Frame.of([c.name for c in columns], rows)
    return Table("sources-table", "Each system", columns, frame)


def _nights(data: Published) -> Block:
    trends = [(p, data.trend(p.metric, TREND_NIGHTS)) for p in PROMISES]
    measured = [
        (p, trend) for p, trend in trends if any(v is not None for v in trend.column("value"))
    ]
    kinds: dict[str, Any] = {
        "share": "percent",
        "count": "count",
        "hours": "hours",
        "seconds": "seconds",
    }
    columns = [Column("night", "Night", "night")]
    columns += [Column(p.id, p.title, kinds[p.unit]) for p, _ in measured]
    nights = list(reversed(data.calendar(TREND_NIGHTS)))
    values = [list(reversed(trend.column("value"))) for _, trend in measured]
    rows = [(night, *(series[i] for series in values)) for i, night in enumerate(nights)]
    frame = Frame.of([c.name for c in columns], rows)
    return Table("nights-table", "The trends above as a table; a dash is unknown.", columns, frame,
                 csv="metrics.csv")  # fmt: skip


PAGE = Page(
    "index",
    "Overview",
    "Is every promise met, and what is to be done first?",
    "Promises",
    build,
    metrics=tuple(p.metric for p in PROMISES),
    exports={"metrics.csv": "metrics"},
)
