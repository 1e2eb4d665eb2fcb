"""Was every system read completely, and what did it take: the ground under every other figure."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards import figures, words
from dashboards.blocks import Block, Column, Kind, Section, Table
from dashboards.data import NotMeasured, Published
from dashboards.frame import Frame
from dashboards.page import Page, Places, metric_facts, pivot, plot, run_nights, section, since

NIGHTS = 60
_EFFORT: tuple[tuple[str, str, Kind], ...] = (
    ("seconds", "Seconds from the first request to the last", "seconds"),
    ("requests", "Requests", "count"),
    ("retries", "Retries", "count"),
)


def build(data: Published, places: Places) -> Sequence[Section]:
    """The sections of the page."""
    return [
        section(
            "tonight",
            "Tonight",
            lambda: _tonight(data),
            lead="A stream that was not read to its end makes every figure that depends on it "
            "unknown.",
        ),
        section("nights", "Nights", lambda: _nights(data)),
        section("streams", "Streams of the night", lambda: _streams(data)),
        section("effort", "Durations and requests", lambda: _effort(data)),
        section(
            "findings",
            "What could not be used",
            lambda: _findings(data),
            lead="Values that nobody could understand: quarantined, not guessed.",
        ),
        section("revisions", "Changes of API revision", lambda: _revisions(data)),
    ]


def grid_frame(data: Published, nights: int = NIGHTS) -> Frame:
    """Nights × systems with a status each: what the grid draws."""
    kinds = {r["night"]: r["kind"] for r in data.frame("nights", first=since(data, nights))}
    rows = []
    for row in data.frame("extraction_nights", first=since(data, nights)):
        is_done = row["streams"] > 0 and row["streams_done"] == row["streams"]
        status, says = (
            "met" if is_done else "missed",
            f"{row['streams_done']} of {row['streams']} streams",
        )
        if not is_done:
            says += f": {words.plain(row['why_not'])}"
        if kinds.get(row["night"]) == "backfill":
            status, says = "unknown", "backfilled later: only dated events"
        rows.append((row["night"], row["system"], status, says))
    return Frame.of(("night", "system", "status", "says"), rows)


def _systems(data: Published) -> list[str]:
    return [data.context.hub, *data.context.systems]


def _tonight(data: Published) -> list[Block]:
    frame = data.frame("sources")
    columns = (
        Column("system", "System"),
        Column("status", "Read completely", "read"),
        Column("why_not", "Why not", "long"),
        Column("streams_done", "Streams", "count"),
        Column("streams", "Of", "count"),
        Column("records", "Records", "count"),
        Column("requests", "Requests", "count"),
        Column("success", "Answered", "percent"),
        Column("each", "Latency each", "seconds"),
        Column("retries", "Retries", "count"),
        Column("rate_limited", "Limited", "count"),
        Column("waited_seconds", "Waited", "seconds"),
        Column("findings", "Findings", "count"),
    )
    rows = []
    for row in frame:
        asked = row["requests"] or 0
        told = {
            **row,
            "status": "met" if row["is_complete"] else "missed",
            "success": 1 - (row["failed_requests"] or 0) / asked if asked else None,
            "each": (row["latency_seconds"] or 0) / asked if asked else None,
        }
        rows.append([told[c.name] for c in columns])
    names = [c.name for c in columns]
    table = Table(
        "sources",
        "Each system",
        columns,
        Frame.of(names, rows),
        csv="streams.csv",
        empty="No system was read tonight.",
    )
    return [*metric_facts(data, "extraction_complete"), table]


def _nights(data: Published) -> list[Block]:
    frame = grid_frame(data)
    if not len(frame):
        raise NotMeasured("no read of these nights is known")
    shown = run_nights(data, NIGHTS)
    bad = frame.where(status="missed")
    missed = len({n for n in shown} - set(frame.column("night")))
    says = f"{words.plural(len(bad), 'incomplete read')} in {words.plural(len(shown), 'night')}"
    says += f"; {words.plural(missed, 'night')} not run." if missed else "."
    drawn = figures.night_grid(frame, rows=_systems(data), nights=shown)
    others = frame.where(lambda r: r["status"] != "met")
    table = Frame(others.columns, tuple(reversed(others.rows)))
    columns = (
        Column("night", "Night", "night"),
        Column("system", "System"),
        Column("status", "Read completely", "read"),
        Column("says", "What"),
    )
    return [plot("extraction-grid", "Read completely, by night", drawn, says, table, columns)]


def _streams(data: Published) -> list[Block]:
    columns = (
        Column("system", "System"),
        Column("stream", "Stream", "code"),
        Column("status", "Read completely", "read"),
        Column("why", "Why not, notes", "long"),
        Column("row_count", "Rows", "count"),
        Column("read_total", "Records", "count"),
        Column("vendor_total", "Vendor says", "count"),
        Column("requests", "Requests", "count"),
        Column("retries", "Retries", "count"),
        Column("waited_seconds", "Waited", "seconds"),
        Column("revision", "API revision", "name"),
        Column("read_at", "Read from", "moment"),
    )
    rows = []
    for row in data.frame("streams"):
        done = "shown" if row["is_skipped"] else "met" if row["is_complete"] else "missed"
        skipped = "the account does not have it" if row["is_skipped"] else None
        why = row["why_not"] or row["note"] or skipped
        told = {**row, "status": done, "why": why}
        rows.append([told[c.name] for c in columns])
    frame = Frame.of([c.name for c in columns], rows)
    return [
        Table(
            "streams-table",
            "Incomplete ones first",
            columns,
            frame,
            csv="streams.csv",
            filters=("system", "status"),
            empty="No stream was read tonight.",
        )
    ]


def _effort(data: Published) -> list[Block]:
    frame = data.frame("extraction_nights", first=since(data, NIGHTS))
    systems = _systems(data)
    blocks: list[Block] = []
    for name, title, kind in _EFFORT:
        values = Frame.of(
            ("night", "system", "value", "status"),
            [(r["night"], r["system"], r[name], "shown") for r in frame],
        )
        drawn = figures.trend(values, by="system", percent=False, order=systems)
        table = pivot(values, index="night", column="system", value="value", order=systems)
        columns = [Column("night", "Night", "night"), *(Column(s, s, kind) for s in systems)]
        tonight = [r[name] or 0 for r in frame.where(night=data.night)]
        total = (
            words.seconds(max(tonight, default=0))
            if kind == "seconds"
            else words.count(sum(tonight))
        )
        says = f"Tonight {total}{' for the slowest' if kind == 'seconds' else ''}."
        blocks.append(plot(f"effort-{name}", title, drawn, says, table, columns))
    return blocks


def _findings(data: Published) -> list[Block]:
    columns = (
        Column("system", "System"),
        Column("stream", "Stream", "code"),
        Column("code", "Finding", "title"),
        Column("field", "Field", "code"),
        Column("findings", "Findings", "count"),
        Column("people", "People", "count"),
    )
    frame = data.frame("findings")
    return [
        Table(
            "findings-table",
            "By kind",
            columns,
            frame,
            filters=("system",),
            empty="Every value that was read tonight could be used.",
        )
    ]


def _revisions(data: Published) -> list[Block]:
    columns = (
        Column("night", "Night", "night"),
        Column("system", "System"),
        Column("stream", "Stream", "code"),
        Column("previous", "Before"),
        Column("revision", "Since"),
    )
    return [
        Table(
            "revisions-table",
            "Newest first",
            columns,
            data.frame("revisions"),
            empty="No vendor changed its revision.",
        )
    ]


PAGE = Page(
    "extraction",
    "Extraction",
    "Was every system read completely?",
    "Operation",
    build,
    metrics=("extraction_complete",),
    exports={"streams.csv": "streams"},
)
