"""Is every promise met, and what is to be done first."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards import words
from dashboards.alerts import open_alerts
from dashboards.blocks import (
    Block,
    Column,
    Kind,
    Section,
    Step,
    Steps,
    Table,
    Tile,
    Tiles,
    Verdict,
)
from dashboards.data import Published
from dashboards.frame import Frame
from dashboards.page import Page, Places, figure_text, section
from dashboards.promises import PROMISES
from dashboards.spark import spark
from dashboards.standing import TREND_NIGHTS, Standing, standings, wrong

_KINDS: dict[str, Kind] = {
    "share": "percent", "count": "count", "hours": "hours", "seconds": "seconds",
}  # fmt: skip
_SHOWN_SYSTEMS = 5


def build(data: Published, places: Places) -> Sequence[Section]:
    """The sections of the page."""
    found = standings(data)
    todo = steps(data, found)
    promised = [tile(s) for s in found if s.is_promise]
    shown = [tile(s) for s in found if not s.is_promise]
    return [
        Section("promises", "Promises", [verdict(found, todo), Tiles(promised)]),
        Section("next", "What to do next", [todo]),
        Section("figures", "Figures without a target", [Tiles(shown)]),
        section("alerts", "Open alerts", lambda: [_alerts(data, places)],
                do="Alerts are judged after each night.", command="optout alerts list"),
        section("sources", "Sources tonight", lambda: [_sources(data)],
                lead="What was not read completely leaves the figures that depend on it unknown."),
        section("nights", "The last 30 nights", lambda: [_nights(data, found)]),
    ]  # fmt: skip


def verdict(found: Sequence[Standing], todo: Steps) -> Verdict:
    """How many promises are met, missed, unknown: in one sentence, and which; the first step."""
    promised = [s for s in found if s.is_promise]
    lists = {
        status: [s.promise.title for s in promised if s.status == status]
        for status in ("missed", "unknown", "met")
    }
    total = len(promised)
    if len(lists["met"]) == total:
        return Verdict(f"All {total} promises are met.", "met", first=_first(todo))
    sums = [f"{len(names)} {status}" for status, names in lists.items() if names]
    sums[0] = f"{sums[0].split()[0]} of {total} promises {sums[0].split()[1]}"
    details = [
        (status, words.listed(names))
        for status, names in lists.items()
        if names and status != "met"
    ]
    status = "missed" if lists["missed"] else "unknown"
    return Verdict(f"{', '.join(sums)}.", status, details, _first(todo))


def _first(todo: Steps) -> Step | None:
    return todo.items[0] if todo.items else None


def tile(standing: Standing) -> Tile:
    """Everything that one has to see of a promise."""
    promise, row = standing.promise, standing.row
    target = words.target((row or {}).get("target") or promise.target)
    drawn = spark(
        standing.trend, name=promise.title, target=promise.goal, is_share=promise.unit == "share"
    )
    return Tile(
        id=promise.id,
        title=promise.title,
        value=figure_text(row, promise.goal),
        status=standing.status,
        target=target,
        of=_parts(standing),
        note=standing.note,
        href=promise.page,
        link=promise.link,
        spark=drawn,
        row=None if promise.query else row,
        is_partly=standing.is_partly,
    )


def _parts(standing: Standing) -> str:
    row = standing.row
    if row is None or row["numerator"] is None:
        return ""
    numbers = {"n": row["numerator"], "d": row["denominator"] or 0}
    text = standing.promise.of.format(**{k: words.Counted(n) for k, n in numbers.items()})
    if row["value"] is None:
        return f"as far as known: {text}"
    if "{d" not in standing.promise.of:
        return ""  # the value says it
    aside = row["not_comparable"]
    return f"{text} · {words.count(aside)} not comparable" if aside else text


def steps(data: Published, found: Sequence[Standing]) -> Steps:
    """What to do, the most urgent first: sources that are lacking, then promises missed."""
    items: list[Step] = []
    for source in data.frame("sources").where(is_complete=False):
        why = words.plain(source["why_not"]) or "not read"
        text = f"{source['system']} was not read completely"
        items.append(Step(text, why, "extraction.html#streams", "optout check"))
    for standing in found:
        promise = standing.promise
        if standing.status == "missed" and promise.metric != "extraction_complete":
            text = promise.step or promise.title
            items.append(Step(text, _worst(standing), promise.page, promise.command))
    return Steps(items, "Nothing: every promise that could be judged is met.")


def _worst(standing: Standing) -> str:
    """Which systems miss it, the most first."""
    rows = [row for row in standing.missed if row["category"] is None]
    if not rows:
        return ""
    is_count = standing.promise.unit in ("share", "count")
    parts = [
        f"{r['system']} {words.count(wrong(r)) if is_count else figure_text(r)}"
        for r in rows[:_SHOWN_SYSTEMS]
    ]
    more = f" and {len(rows) - _SHOWN_SYSTEMS} more" if len(rows) > _SHOWN_SYSTEMS else ""
    return f"{standing.promise.title}: {', '.join(parts)}{more}"


def _alerts(data: Published, places: Places) -> Block:
    columns = (
        Column("severity", "Severity", "title"),
        Column("headline", "What", "long"),
        Column("next_step", "Next step", "long"),
        Column("since", "Since", "name"),
        Column("state", "State", "title"),
        Column("runbook", "Runbook", "links"),
    )
    found = open_alerts(places.alerts, data.night)
    frame = Frame.of(
        [c.name for c in columns],
        [(r["severity"], r["headline"], r["next_step"], words.day(r["since"]), r["state"],
          [_runbook(data, r["rule"])]) for r in found],
    )  # fmt: skip
    return Table("alerts-table", f"{words.plural(len(frame), 'alert')} open.", columns, frame,
                 empty="No alert is open.")  # fmt: skip


def _runbook(data: Published, rule: str) -> tuple[str, str]:
    """Its address, where the installation has one that a browser can open, and its name."""
    base = data.context.runbook_url
    return (f"{base}/{rule}.md" if base else "", rule.replace("_", " "))


def _sources(data: Published) -> Block:
    columns = (
        Column("system", "System"),
        Column("status", "Read completely", "read"),
        Column("streams", "Streams"),
        Column("records", "Records", "count"),
        Column("read_at", "Read from", "moment"),
        Column("why_not", "Why not", "long"),
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


def _nights(data: Published, found: Sequence[Standing]) -> Block:
    measured = [s for s in found if any(v is not None for v in s.trend.column("value"))]
    columns = [Column("night", "Night", "night")]
    columns += [Column(s.promise.id, s.promise.title, _KINDS[s.promise.unit]) for s in measured]
    nights = data.calendar(TREND_NIGHTS)
    series = [s.trend.column("value") for s in measured]
    rows = [
        (night, *(values[i] for values in series))
        for i, night in enumerate(nights)
        if night >= data.first_night
    ]
    frame = Frame.of([c.name for c in columns], reversed(rows))
    caption = "The trends above as a table; a dash is unknown. The file holds every figure tonight:"
    return Table("nights-table", caption, columns, frame, total=len(data.metrics),
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
