"""Every figure draws exactly what it was given. Goldens: tests/dashboards/golden.json, written anew
with OPTOUT_GOLDENS=write and then read by a person."""

from __future__ import annotations

import inspect
import json
import os
from datetime import date
from pathlib import Path

import pytest

from dashboards import figures
from dashboards.frame import Frame
from dashboards.spark import spark

GOLDEN = Path(__file__).with_name("golden.json")
NIGHTS = [date(2026, 11, d) for d in (1, 2, 3, 4)]
SCOPED = ("system", "category", "value", "numerator", "denominator", "status", "note")

CELLS = Frame.of(
    SCOPED,
    [
        ("mc", "news", 1.0, 10, 10, "met", None),
        ("mc", "offers", 0.9, 9, 10, "missed", None),
        ("kl", "news", None, 8, 8, "unknown", "not read completely: <mc>"),
    ],
)
TREND = Frame.of(
    ("night", "system", "value", "status"),
    [
        (NIGHTS[0], "mc", 0.99, "missed"),
        (NIGHTS[0], "kl", 1.0, "met"),
        (NIGHTS[1], "mc", None, "unknown"),
        (NIGHTS[1], "kl", 1.0, "met"),
        (NIGHTS[2], "mc", None, "unknown"),
        (NIGHTS[2], "kl", None, "unknown"),
        (NIGHTS[3], "mc", 1.0, "met"),
        (NIGHTS[3], "kl", 0.98, "missed"),
    ],
)
MADE = {
    "heat_map": lambda: figures.heat_map(
        CELLS, rows=("mc", "kl"), columns=("news", "offers"), target=1.0
    ),
    "night_grid": lambda: figures.night_grid(
        Frame.of(
            ("night", "system", "status", "says"),
            [
                (NIGHTS[0], "mc", "met", "3 of 3 streams"),
                (NIGHTS[1], "mc", "missed", "2 of 3 streams: contacts: 503"),
                (NIGHTS[2], "mc", "unknown", "backfilled later: only dated events"),
                (NIGHTS[0], "kl", "met", "1 of 1 streams"),
            ],
        ),
        rows=("mc", "kl"),
        nights=NIGHTS,
    ),
    "trend": lambda: figures.trend(TREND, by="system", target=0.999, order=("mc", "kl")),
    "flow": lambda: figures.flow(
        Frame.of(
            ("night", "class", "opened", "closed"),
            [(NIGHTS[0], "lost_opt_out", 4, 0), (NIGHTS[1], "lost_opt_out", 1, 3)],
        ),
        order=("unhonoured_opt_out", "lost_opt_out"),
        unknown=[NIGHTS[2]],
    ),
    "bars": lambda: figures.bars(
        Frame.of(
            ("category", "status", "people"),
            [("News", "mailable", 10), ("News", "opted_out", 2), ("Offers", "mailable", None)],
        ),
        x="category",
        y="people",
        by="status",
        across=True,
    ),
    "control_chart": lambda: figures.control_chart(
        Frame.of(
            ("night", "series", "value", "low", "high", "is_flagged"),
            [
                (NIGHTS[0], "mc", 0.002, 0.002, 0.004, False),
                (NIGHTS[1], "mc", 0.01, 0.002, 0.004, True),
                (NIGHTS[2], "mc", None, None, None, False),
            ],
        ),
        order=("mc",),
    ),
    "lines_at": lambda: figures.lines_at(
        figures.bars(Frame.of(("x", "y"), [("a", 1), ("b", 2)]), x="x", y="y"), {"24 h": 0.5}
    ),
}
_KEPT = ("type", "name", "x", "y", "z", "text", "customdata", "base", "yaxis", "connectgaps")


def drawn(figure) -> dict:
    """What a figure shows, without how it looks."""
    plain = json.loads(figure.to_json())
    traces = [
        {k: t[k] for k in _KEPT if k in t}
        | {"hatched": t.get("marker", {}).get("pattern", {}).get("shape", "")}
        | ({"symbols": t["marker"]["symbol"]} if "symbol" in t.get("marker", {}) else {})
        for t in plain["data"]
    ]
    shapes = [{k: s.get(k) for k in ("x0", "y0")} for s in plain["layout"].get("shapes", [])]
    words = [a["text"] for a in plain["layout"].get("annotations", [])]
    return {"data": traces, "lines": shapes, "words": words}


def test_every_figure_draws_what_its_golden_says():
    """A figure that drops, shifts or invents a value is worse than none."""
    made = {name: drawn(make()) for name, make in MADE.items()}
    if os.environ.get("OPTOUT_GOLDENS") == "write":
        GOLDEN.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert made == golden


def test_no_figure_is_without_a_golden():
    """A new figure would be drawn unchecked."""
    public = {
        name
        for name, made in inspect.getmembers(figures, inspect.isfunction)
        if made.__module__ == figures.__name__ and not name.startswith("_")
    }
    assert public == set(MADE)


def test_what_is_unknown_is_hatched_and_worded_and_never_a_value():
    """An unknown cell in green, or as a zero, is a lie."""
    heat, hatch = json.loads(MADE["heat_map"]().to_json())["data"]
    assert heat["z"] == [[0.0, 1.0], [None, None]]
    assert hatch["marker"]["pattern"]["shape"] == "/"
    assert (hatch["x"], hatch["text"]) == ([0], ["unknown"])
    assert hatch["customdata"] == ["not read completely: &lt;mc&gt;"]
    lines = json.loads(MADE["trend"]().to_json())["data"]
    assert lines[0]["y"] == [0.99, None, None, 1.0]
    assert lines[0]["connectgaps"] is False
    assert lines[2]["x"] == ["2026-11-03"]


@pytest.mark.parametrize("name", MADE)
def test_a_figure_takes_its_frame_as_it_is(name):
    """Pure: drawing twice gives the same, so that a page can be built twice."""
    assert MADE[name]().to_json() == MADE[name]().to_json()


def test_a_spark_breaks_where_nothing_is_known_and_says_so():
    """A line drawn through unknown nights pretends to know them."""
    frame = Frame.of(
        ("night", "value", "status"),
        zip(NIGHTS, [None, 0.9, None, 1.0], ["before", "missed", "unknown", "met"], strict=True),
    )
    drawn_svg = spark(frame, name="Recall", target=1.0, is_share=True)
    assert drawn_svg.count('class="hatch"') == 1
    assert drawn_svg.count("<polyline") == 2
    assert 'class="last met"' in drawn_svg
    said = drawn_svg.replace("\N{NO-BREAK SPACE}", " ")
    assert "3 nights: between 90.00 % and 100 %; 1 night unknown" in said
