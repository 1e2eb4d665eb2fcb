"""Blocks into HTML: one template, escaped throughout; times in the configured zone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

import jinja2
from markupsafe import Markup, escape
from plotly.io.json import to_json_plotly

from dashboards import words
from dashboards.blocks import Column
from dashboards.theme import FONT, css, exchange

_NUMBERS = frozenset({"count", "percent", "nights", "seconds", "hours"})
POLICY = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file: 'unsafe-inline'; "
    "img-src 'self' file: data: blob:; connect-src 'none'; base-uri 'none'; form-action 'none'"
)
"""A page can ask nobody for anything, whatever stands in it."""


def environment(zone: ZoneInfo) -> jinja2.Environment:
    """The templates with the filters that they use."""
    env = jinja2.Environment(
        loader=jinja2.PackageLoader("dashboards"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "cell": lambda value, column, filters: cell(value, column, zone, column.name in filters),
        "count": words.count,
        "coded": coded,
        "mark": lambda status: words.MARK.get(status, ""),
        "is_number": lambda kind: kind in _NUMBERS,
        "figure_json": figure_json,
    }
    return env


def figure_json(figure: Any) -> Markup:
    """A figure as JSON that cannot end the script element around it.

    Nine digits tell one cell of a hundred million from none.
    """
    whole = json.loads(to_json_plotly(figure.to_plotly_json()), parse_float=_nine_digits)
    _say_nights_once(whole["data"])
    text = json.dumps(whole, separators=(",", ":"), ensure_ascii=False)
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704 - JSON without a tag in it


def _say_nights_once(traces: list[dict[str, Any]]) -> None:
    """Lines over the same nights bear them once: `sameX` lets the page's script put them back."""
    for trace in traces[1:]:
        if trace.get("x") and trace["x"] == traces[0].get("x"):
            del trace["x"]
            trace["sameX"] = True


def _nine_digits(number: str) -> float:
    return float(f"{float(number):.9g}")


def stylesheet() -> str:
    """The palette and the rules of the pages."""
    return f"{css()}:root{{--font:{FONT}}}\n{_asset('site.css')}"


def script() -> str:
    """The pages' script with the exchange of colours in it."""
    return _asset("site.js").replace("/*exchange*/{}", json.dumps(exchange()))


def _asset(name: str) -> str:
    return files("dashboards").joinpath("assets", name).read_text(encoding="utf-8")


def time(value: datetime | None, zone: ZoneInfo) -> Markup:
    """A moment in the zone, with UTC where the pointer rests."""
    if value is None:
        return escape(words.NO_VALUE)
    return Markup('<time datetime="{}Z" title="{}">{}</time>').format(
        value.isoformat(timespec="seconds"), words.utc(value), words.moment(value, zone)
    )


def coded(text: str) -> Markup:
    """Plain words in which what stands between backticks is code."""
    parts = [
        Markup("<code>{}</code>").format(part) if i % 2 else escape(part)
        for i, part in enumerate(text.split("`"))
    ]
    return Markup("").join(parts)


def cell(value: Any, column: Column, zone: ZoneInfo, is_filter: bool = False) -> Markup:
    """One table cell; `data-v` is what a filter compares, where it is not the text itself."""
    kind = column.kind
    if kind in _NUMBERS:
        return Markup("<td class=n>{}</td>").format(_number(value, kind))
    plain = "" if value is None else str(value)
    if kind in ("status", "read"):
        said = words.READ.get(plain, plain) if kind == "read" else plain
        sign = words.MARK.get(plain, "")
        return Markup("<td class={} data-v={}>{} {}</td>").format(plain, plain, sign, said)
    shown = _content(value, kind, zone)
    if kind in ("long", "name"):
        return Markup("<td class={}>{}</td>").format(kind, shown)
    if is_filter and plain != shown:
        return Markup('<td data-v="{}">{}</td>').format(plain, shown)
    return Markup("<td>{}</td>").format(shown)


def _number(value: Any, kind: str) -> str:
    show: Mapping[str, Any] = {
        "count": words.count,
        "percent": words.percent,
        "nights": words.nights,
        "seconds": words.seconds,
        "hours": words.hours,
    }
    return str(show[kind](value))


def _content(value: Any, kind: str, zone: ZoneInfo) -> Markup:
    if kind in ("title", "class"):
        return escape(words.title(value))
    if value is None:
        return escape(words.NO_VALUE)
    if kind == "code":
        return Markup("<code>{}</code>").format(words.plain(str(value)))
    if kind == "moment":
        return time(value, zone)
    if kind == "night" and isinstance(value, date):
        return escape(words.day(value))
    if kind == "links":
        links = [
            Markup('<a href="{}">{}</a>').format(to, said) if to else escape(said)
            for to, said in value
        ]
        return Markup(", ").join(links) or escape(words.NO_VALUE)
    text = words.plain(str(value))
    return coded(text) if kind == "long" else escape(text)
