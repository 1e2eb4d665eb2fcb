"""Metrics over nights as frames and plots: what several pages draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashboards import figures, words
from dashboards.blocks import Column, Kind, Plot
from dashboards.data import Published
from dashboards.frame import Frame
from dashboards.page import pivot, plot, run_nights, since

NIGHTS = 90


def trend_frame(
    data: Published, metric: str, nights: int = NIGHTS, systems: Sequence[str] = ()
) -> Frame:
    """A metric by night and system, every night since the first, unknown where not measured."""
    found = data.frame("metric_systems", metric=metric, first=since(data, nights))
    known = {(r["night"], r["system"]): r for r in found}
    missing: dict[str, Any] = {"value": None, "status": "unknown"}
    rows = [
        (night, system, row["value"], row["status"])
        for night in run_nights(data, nights)
        for system in systems or data.context.systems
        for row in (known.get((night, system), missing),)
    ]
    return Frame.of(("night", "system", "value", "status"), rows)


def trend_plot(
    data: Published,
    metric: str,
    *,
    target: float | None = None,
    kind: Kind = "percent",
    systems: Sequence[str] = (),
    title: str = "",
) -> Plot:
    """A line for each system with the target, and the same as a table."""
    names = systems or data.context.systems
    frame = trend_frame(data, metric, systems=names)
    table = pivot(frame, index="night", column="system", value="value", order=names)
    columns = [Column("night", "Night", "night"), *(Column(s, s, kind) for s in names)]
    unknown = sum(v is None for v in frame.column("value"))
    length = words.plural(len(table), "night")
    says = (
        f"{length}; {words.plural(unknown, 'value')} unknown."
        if unknown
        else f"{length}, every value known."
    )
    drawn = figures.trend(frame, by="system", target=target, order=names, percent=kind == "percent")
    heading = title or f"{words.title(metric)} by night"
    return plot(f"{metric}-trend", heading, drawn, says, table, columns)
