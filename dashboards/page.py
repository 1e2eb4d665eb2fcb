"""What a page is, and the helpers that all pages share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from dashboards import words
from dashboards.blocks import Block, Column, Empty, Fact, Facts, Plot, Section, Table
from dashboards.data import NotMeasured, Published
from dashboards.frame import Frame

HOURS = "opt_out_processing"
SECONDS = "_seconds"


@dataclass(frozen=True)
class Places:
    """Where pages find what does not stand in the published copy."""

    alerts: Path | None = None
    """The alerts' own file."""
    reports: Path | None = None
    """The archive of finished reports."""
    site: Path | None = None
    """The folder of the site, where the pages of other nights lie."""


@dataclass(frozen=True)
class Page:
    """One page: its address, its question, the metrics that it shows, and how it is made."""

    slug: str
    title: str
    question: str
    group: str
    build: Callable[[Published, Places], Sequence[Section]]
    metrics: Sequence[str] = ()
    exports: Mapping[str, str] = field(default_factory=dict)
    """CSV file → query whose rows it holds."""

    @property
    def file(self) -> str:
        """The name of the page's file; it never changes."""
        return f"{self.slug}.html"


def section(
    id: str,
    title: str,
    make: Callable[[], Sequence[Block]],
    *,
    lead: str = "",
    do: str = "It is measured from the next night on.",
    command: str = "optout run",
) -> Section:
    """A section; where nobody measured what it needs, it says so and what to do."""
    try:
        blocks = list(make())
    except NotMeasured as missing:
        what = f"Not measured yet: {missing}."
        blocks = [Empty(what, do, command)]
    return Section(id, title, blocks, lead)


def figure_text(row: Mapping[str, Any] | None, goal: float | None = None) -> str:
    """A metric's value in its unit; `unknown` where there is none."""
    if row is None or row["value"] is None:
        return "unknown"
    value, name = row["value"], row["metric"]
    if HOURS in name:
        return words.hours(value)
    if SECONDS in name:
        return words.seconds(value)
    return words.percent(value, goal) if is_share(row) else words.count(value)


def is_share(row: Mapping[str, Any]) -> bool:
    """Whether a metric is a share: its target is one, or it has a denominator."""
    name = row["metric"]
    if HOURS in name or SECONDS in name:
        return False
    return "%" in (row["target"] or "") or row["denominator"] is not None


def fact(row: Mapping[str, Any], label: str = "", *, href: str = "") -> Fact:
    """One row of mart as a figure with its parts."""
    parts = []
    is_time = HOURS in row["metric"]
    if row["denominator"] is not None and row["numerator"] is not None and not is_time:
        parts.append(f"{words.count(row['numerator'])} of {words.count(row['denominator'])}")
    if row["low"] is not None and row["high"] is not None:
        show = words.hours if is_time else words.percent
        known = "between" if is_time else "95 %:"
        parts.append(f"{known} {show(row['low'])} {'and' if is_time else 'to'} {show(row['high'])}")
    if row["not_comparable"]:
        parts.append(f"{words.count(row['not_comparable'])} not comparable")
    if row["target"]:
        parts.append(f"target {words.target(row['target'])}")
    return Fact(
        label or row["system"] or "All systems",
        figure_text(row),
        row["status"],
        " · ".join(parts),
        words.plain(row["note"]),
        href,
        dict(row),
    )


def metric_facts(data: Published, name: str, title: str = "") -> list[Block]:
    """A metric over all and per system."""
    rows = [
        row
        for system in (None, data.context.hub, *data.context.systems)
        if (row := data.metric(name, system)) is not None
    ]
    if not rows:
        raise NotMeasured.metric(name)
    return [Facts([fact(row) for row in rows], title)]


def overall_facts(data: Published, labels: Mapping[str, str]) -> list[Block]:
    """Several metrics over all systems, those that were measured; NotMeasured if none was."""
    rows = {name: data.metric(name) for name in labels}
    known = [fact(row, labels[name]) for name, row in rows.items() if row is not None]
    if not known:
        raise NotMeasured.metric(next(iter(labels)))
    return [Facts(known)]


def pivot(
    frame: Frame, *, index: str, column: str, value: str, order: Sequence[str], missing: Any = None
) -> Frame:
    """One row an `index`, one column for each of `order`: what a plot's table shows."""
    found: dict[Any, dict[Any, Any]] = {}
    for row in frame:
        found.setdefault(row[index], {})[row[column]] = row[value]
    rows = [(key, *(cells.get(name, missing) for name in order)) for key, cells in found.items()]
    return Frame.of((index, *order), rows)


def plot(
    id: str,
    title: str,
    figure: Any,
    says: str,
    frame: Frame,
    columns: Sequence[Column],
    *,
    csv: str | None = None,
) -> Plot:
    """A figure with its sentence and its table."""
    return Plot(id, title, figure, says, Table(f"{id}-table", title, columns, frame, csv=csv))


def run_nights(data: Published, nights: int) -> list[date]:
    """The last nights of the calendar from the first that was ever run on, oldest first."""
    return [night for night in data.calendar(nights) if night >= data.first_night]


def incomplete_nights(data: Published, nights: int) -> list[date]:
    """Those of `run_nights` on which some source was not read completely, or nothing ran."""
    found: dict[date, bool] = {}
    for row in data.frame("extraction_nights", first=since(data, nights)):
        done = row["streams_done"] == row["streams"]
        found[row["night"]] = found.get(row["night"], True) and done
    return [night for night in run_nights(data, nights) if not found.get(night, False)]


def as_known(data: Published) -> str:
    """What to say before figures of people on a night that was not complete."""
    if data.night not in incomplete_nights(data, 1):
        return ""
    return "As last known, because a source was not read completely. "


def since(data: Published, nights: int) -> date:
    """The first of the last `nights`."""
    return data.calendar(nights)[0]
