"""Frames into Plotly figures: pure, in the light palette, without a page around them.

Each function names the columns that it takes. What is unknown is hatched and never drawn as a
value; a caller that has nothing to draw says so on the page instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import log10
from typing import Any

from dashboards import words
from dashboards.canvas import DAY, Figure, canvas, days, hatch_cells, hatch_nights
from dashboards.frame import Frame, Record
from dashboards.theme import LIGHT, SERIES, colour_of

_FEW_COUNTED = 8
_BANDS = [
    [0.0, LIGHT["met_ground"]], [0.001, LIGHT["met_ground"]],
    [0.002, LIGHT["missed_ground"]], [1.0, LIGHT["missed_more"]],
]  # fmt: skip


def heat_map(frame: Frame, *, rows: Sequence[str], columns: Sequence[str], target: float) -> Figure:
    """A share per (system, category): `frame` has system, category, value, numerator, denominator,
    status, note. Met cells are green, missed ones the redder the further from `target`, unknown
    ones hatched; a cell that does not exist stays blank."""
    known = {(r["system"], r["category"]): r for r in frame}
    grid = [[known.get((row, column)) for column in columns] for row in rows]
    figure = canvas(height=84 + 38 * len(rows))
    figure.add_heatmap(
        z=[[_shortfall(cell, target) for cell in line] for line in grid],
        x=list(range(len(columns))),
        y=list(range(len(rows))),
        zmin=0,
        zmax=1,
        colorscale=_BANDS,
        showscale=False,
        xgap=3,
        ygap=3,
        text=[[_cell_text(cell, target) for cell in line] for line in grid],
        texttemplate="%{text}",
        textfont={"size": 13, "color": LIGHT["ink"]},
        customdata=[[_cell_hover(cell) for cell in line] for line in grid],
        hovertemplate="%{customdata}<extra></extra>",
    )
    unknown = [
        (x, y, cell)
        for y, line in enumerate(grid)
        for x, cell in enumerate(line)
        if cell and cell["status"] == "unknown"
    ]
    hatch_cells(figure, unknown)
    figure.update_xaxes(
        tickvals=list(range(len(columns))), ticktext=[words.title(c) for c in columns],
        side="top", showgrid=False, range=[-0.5, len(columns) - 0.5],
    )  # fmt: skip
    figure.update_yaxes(
        tickvals=list(range(len(rows))), ticktext=list(rows), showgrid=False,
        range=[len(rows) - 0.5, -0.5],
    )  # fmt: skip
    return figure


def night_grid(frame: Frame, *, rows: Sequence[str], nights: Sequence[Any]) -> Figure:
    """Systems × nights: `frame` has night, system, status (met, missed, unknown), says. A night
    without a row was not run: unknown."""
    known = {(r["system"], r["night"]): r for r in frame}
    code = {"met": 0.0, "missed": 1.0}
    missing = {"status": "unknown", "says": "not run"}
    grid = [[known.get((row, night), missing) for night in nights] for row in rows]
    figure = canvas(height=72 + 34 * len(rows))
    figure.add_heatmap(
        z=[[code.get(cell["status"]) for cell in line] for line in grid],
        x=list(nights),
        y=list(range(len(rows))),
        zmin=0,
        zmax=1,
        colorscale=[[0, LIGHT["met_ground"]], [0.5, LIGHT["met_ground"]],
                    [0.5, LIGHT["missed"]], [1, LIGHT["missed"]]],
        showscale=False,
        xgap=1,
        ygap=3,
        customdata=[[escape(cell["says"]) for cell in line] for line in grid],
        hovertemplate="%{y}, %{x|%-d %b %Y}: %{customdata}<extra></extra>",
    )  # fmt: skip
    unknown = [
        (nights[x], y, {"note": cell["says"]})
        for y, line in enumerate(grid)
        for x, cell in enumerate(line)
        if cell["status"] not in code
    ]
    hatch_cells(figure, unknown, width=DAY)
    days(figure, nights)
    figure.update_yaxes(
        tickvals=list(range(len(rows))), ticktext=list(rows), showgrid=False,
        range=[len(rows) - 0.5, -0.5],
    )  # fmt: skip
    return figure


def trend(
    frame: Frame, *, by: str | None = None, target: float | None = None, percent: bool = True,
    order: Sequence[str] = (), title: str = "",
) -> Figure:  # fmt: skip
    """A line a night: `frame` has night, value, status and, if `by`, that column. Lines break
    where a value is unknown; a night that nobody could judge is hatched from top to bottom."""
    figure = canvas(height=280)
    names = [n for n in order if n in frame.column(by)] if by else [title]
    colours = colour_of(list(order)) if by else {title: SERIES[0]}
    for name in names:
        part = frame.where(**{by: name}) if by else frame
        figure.add_scatter(
            x=part.column("night"), y=part.column("value"), name=name,
            mode="lines+markers", connectgaps=False,
            line={"width": 2, "color": colours[name]}, marker={"size": 4},
            hovertemplate="%{x|%-d %b %Y}: " + ("%{y:.3%}" if percent else "%{y:,.4g}"),
        )  # fmt: skip
    if target is not None:
        muted = LIGHT["muted"]
        figure.add_hline(
            y=target,
            line={"color": muted, "dash": "dash", "width": 1},
            annotation={"text": "target", "font": {"color": muted}},
        )
    judged = {r["night"] for r in frame if r["value"] is not None}
    hatch_nights(figure, [n for n in frame.distinct("night") if n not in judged])
    days(figure, frame.column("night"))
    figure.update_yaxes(tickformat=".2~%" if percent else ",.4~r", rangemode="normal")
    figure.update_layout(showlegend=by is not None, hovermode="x unified")
    return figure


def flow(frame: Frame, *, order: Sequence[str], unknown: Sequence[Any] = ()) -> Figure:
    """What opened (up) and closed (down) each night: `frame` has night, class, opened, closed."""
    figure = canvas(height=300)
    colours = colour_of(list(order))
    for name in order:
        part = frame.where(**{"class": name})
        for column, sign, word in (("opened", 1, "opened"), ("closed", -1, "closed")):
            figure.add_bar(
                x=part.column("night"), y=[sign * n for n in part.column(column)],
                name=words.title(name), legendgroup=name, showlegend=sign > 0,
                marker={"color": colours[name], "opacity": 1 if sign > 0 else 0.55},
                customdata=part.column(column),
                hovertemplate=f"%{{x|%-d %b}}: %{{customdata:,}} {word}",
            )  # fmt: skip
    hatch_nights(figure, unknown)
    figure.update_layout(barmode="relative", bargap=0.15)
    days(figure, [*frame.column("night"), *unknown])
    figure.update_yaxes(title="closed  ·  opened", zeroline=True, zerolinecolor=LIGHT["muted"])
    return figure


def bars(
    frame: Frame, *, x: str, y: str, by: str | None = None, order: Sequence[str] = (),
    across: bool = False, colours: Mapping[str, str] | None = None, stacked: bool = True,
    y_title: str = "",
) -> Figure:  # fmt: skip
    """Bars of `y` over `x`, split and coloured by `by`; `across` lays them on their side. A value
    of None is drawn hatched, as high as the others."""
    groups = list(frame.distinct(x))
    names = [n for n in (order or frame.distinct(by)) if n in frame.column(by)] if by else [y]
    figure = canvas(height=90 + 38 * len(groups) if across else 300)
    palette = colours or colour_of([str(n) for n in (order or names)])
    known = [v for v in frame.column(y) if v is not None]
    for name in names:
        part = frame.where(**{by: name}) if by else frame
        values = part.column(y)
        where, heights = part.column(x), [max(known, default=1) if v is None else v for v in values]
        hatch = ["/" if v is None else "" for v in values]
        label = str(name) if by == "system" else words.title(str(name))
        figure.add_bar(
            x=heights if across else where, y=where if across else heights,
            orientation="h" if across else "v", name=label,
            marker={"color": [LIGHT["unknown_ground"] if v is None else palette[str(name)]
                              for v in values],
                    "pattern": {"shape": hatch, "fgcolor": LIGHT["unknown"], "size": 7}},
            customdata=["unknown" if v is None else f"{v:,.6g}" for v in values],
            hovertemplate="%{customdata}" + (f" {label}" if by else ""),
        )  # fmt: skip
    figure.update_layout(barmode="stack" if stacked else "group", showlegend=by is not None)
    _whole_ticks(figure, frame, x, y, across=across, stacked=stacked)
    if across:
        figure.update_yaxes(autorange="reversed", type="category", showgrid=False)
        figure.update_xaxes(title=y_title, rangemode="tozero")
    else:
        figure.update_yaxes(title=y_title, rangemode="tozero")
    return figure


def _whole_ticks(
    figure: Figure, frame: Frame, x: str, y: str, *, across: bool, stacked: bool
) -> None:
    """No half people on an axis: ticks of one where there are few, else whole thousands apart."""
    sums: dict[Any, float] = {}
    for row in frame:
        value = row[y] or 0
        sums[row[x]] = sums.get(row[x], 0) + value if stacked else max(sums.get(row[x], 0), value)
    step = 1 if max(sums.values(), default=0) <= _FEW_COUNTED else None
    axis = figure.update_xaxes if across else figure.update_yaxes
    axis(tickformat=",~r", dtick=step)


def control_chart(
    frame: Frame, *, order: Sequence[str], limits: Sequence[str] | None = None
) -> Figure:
    """Rates, with the limits of those named (None: of all): `frame` has night, series, value, low,
    high, is_flagged. Flagged nights are marked by a cross, and unknown ones break the line."""
    figure = canvas(height=320)
    colours = colour_of(list(order))
    for name in (n for n in order if n in frame.column("series")):
        part = frame.where(series=name)
        nights, colour = part.column("night"), colours[name]
        for bound in ("low", "high") if limits is None or name in limits else ():
            figure.add_scatter(
                x=nights, y=part.column(bound), mode="lines", legendgroup=name, showlegend=False,
                line={"width": 1, "dash": "dot", "color": colour}, hoverinfo="skip",
            )  # fmt: skip
        figure.add_scatter(
            x=nights, y=part.column("value"), name=name, legendgroup=name,
            mode="lines+markers", connectgaps=False, line={"width": 1.5, "color": colour},
            marker={"size": 3}, hovertemplate="%{x|%-d %b}: %{y:.3%}",
        )  # fmt: skip
    flagged = frame.where(is_flagged=True)
    if len(flagged):
        figure.add_scatter(
            x=flagged.column("night"), y=flagged.column("value"), name="flagged", mode="markers",
            marker={"size": 12, "symbol": "x", "color": LIGHT["missed"]},
            customdata=[escape(name) for name in flagged.column("series")],
            hovertemplate="%{customdata}, %{x|%-d %b}: %{y:.3%}",
        )  # fmt: skip
    days(figure, frame.column("night"))
    figure.update_yaxes(tickformat=".2~%", rangemode="tozero")
    return figure


def lines_at(figure: Figure, places: Mapping[str, float]) -> Figure:
    """The same figure with upright dashed lines, each with its words: deadlines."""
    for text, place in places.items():
        figure.add_vline(x=place, line={"color": LIGHT["missed"], "dash": "dash", "width": 1.5},
                         annotation={"text": text, "font": {"color": LIGHT["missed"]}})  # fmt: skip
    return figure


def _shortfall(cell: Record | None, target: float) -> float | None:
    """0 where met; else how far from the target, from 0.1 (just) to 1 (a tenth or more)."""
    if cell is None or cell["value"] is None or cell["status"] == "unknown":
        return None
    if cell["status"] == "met":
        return 0.0
    gap = max(abs(cell["value"] - target), 1e-5)
    return min(1.0, max(0.1, (log10(gap) + 5) / 4))


def _cell_text(cell: Record | None, target: float) -> str:
    if cell is None:
        return ""
    if cell["status"] == "unknown" or cell["value"] is None:
        return ""
    return f"{words.percent(cell['value'], target)} {words.MARK[cell['status']]}"


def _cell_hover(cell: Record | None) -> str:
    if cell is None:
        return "not mapped"
    part = f"{words.count(cell['numerator'])} of {words.count(cell['denominator'])}"
    note = f"<br>{escape(words.plain(cell['note']))}" if cell["note"] else ""
    return f"{cell['system']}, {words.title(cell['category'])}: {cell['status']}<br>{part}{note}"
