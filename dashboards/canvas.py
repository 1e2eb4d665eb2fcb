"""What all figures share: an empty one in the house's style, and hatching for what is unknown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from html import escape
from typing import Any, TypeAlias

import plotly.graph_objects as go

from dashboards import words
from dashboards.frame import Record
from dashboards.theme import CLEAR, FONT, LIGHT

Figure: TypeAlias = Any
"""A plotly.graph_objects.Figure; the library has no types."""

_FEW = 12
DAY = 86_400_000
"""Milliseconds: the unit of widths on an axis of dates."""
_HATCH = {"shape": "/", "size": 9, "solidity": 0.14, "fgcolor": LIGHT["unknown"],
          "bgcolor": LIGHT["unknown_ground"]}  # fmt: skip


def canvas(height: int) -> Figure:
    """An empty figure on a clear ground."""
    figure = go.Figure()
    axis = {"gridcolor": LIGHT["grid"], "linecolor": LIGHT["line"], "zeroline": False,
            "automargin": True, "fixedrange": True}  # fmt: skip
    figure.update_layout(
        template=go.layout.Template(),
        height=height,
        margin={"l": 8, "r": 12, "t": 28, "b": 8},
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        font={"family": FONT, "size": 13, "color": LIGHT["ink"]},
        legend={"traceorder": "normal", "orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        hoverlabel={"bgcolor": LIGHT["panel"], "bordercolor": LIGHT["line"],
                    "font": {"color": LIGHT["ink"]}},
        xaxis=axis,
        yaxis=axis,
    )  # fmt: skip
    return figure


def days(figure: Figure, nights: Sequence[date]) -> None:
    """An axis of nights: never a tick between two of them."""
    span = (max(nights) - min(nights)).days if nights else 0
    figure.update_xaxes(type="date", tickformat="%-d %b", dtick=DAY if span < _FEW else None)


def hatch_cells(
    figure: Figure, cells: Sequence[tuple[Any, int, Record]], width: float = 0.94
) -> None:
    """Hatch cells of a grid, each (x, row, what to say of it), over the heat map."""
    if not cells:
        return
    figure.add_bar(
        x=[x for x, _, _ in cells], y=[0.9] * len(cells), base=[y - 0.45 for _, y, _ in cells],
        width=width, marker={"pattern": _HATCH}, showlegend=False, name="unknown",
        text=["unknown"] * len(cells) if width < 1 else None, textposition="inside",
        insidetextanchor="middle", textangle=0,
        textfont={"color": LIGHT["ink"], "size": 13},
        customdata=[escape(words.plain(cell["note"]) or "unknown") for _, _, cell in cells],
        hovertemplate="unknown: %{customdata}<extra></extra>",
    )  # fmt: skip
    figure.update_layout(barmode="overlay")


def hatch_nights(figure: Figure, nights: Sequence[Any]) -> None:
    """A hatched band from top to bottom, on an axis of its own so that it changes no scale."""
    if not nights:
        return
    figure.add_bar(
        x=list(nights), y=[1] * len(nights), width=DAY, yaxis="y2", name="unknown",
        marker={"pattern": _HATCH}, opacity=0.7, showlegend=True,
        hovertemplate="unknown<extra></extra>",
    )  # fmt: skip
    hidden = {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True}
    figure.update_layout(yaxis2=hidden)
