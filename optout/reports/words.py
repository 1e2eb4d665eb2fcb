"""Values as people read them in a report. Nothing rounds a missed promise into a kept one: a share
that is not whole is never shown as 100 %."""

from __future__ import annotations

from typing import Any

NO_VALUE = "–"
_TITLES = {
    "met": "met", "missed": "missed", "unknown": "not measured", "shown": "shown",
    "complete": "complete", "incomplete": "INCOMPLETE",
}  # fmt: skip
_HOUR_METRICS = ("opt_out_processing",)
_TIME_END = 16


def shown(value: Any, kind: str, row: dict[str, Any] | None = None) -> str:
    """A value by the kind of its column (`optout.reports.document.Column`)."""
    if value is None or value == "":
        return NO_VALUE
    if kind == "value":
        kind = unit_of(str((row or {}).get("metric", "")), (row or {}).get("target"))
    if kind == "count":
        return f"{value:,.0f}"
    if kind == "share":
        return share(float(value))
    if kind == "hours":
        return hours(float(value))
    if kind == "time":
        return str(value).replace("T", " ")[:_TIME_END]
    if kind == "status":
        return _TITLES.get(str(value), str(value).replace("_", " "))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}"
    return words(str(value)) if kind == "word" else str(value)


def words(text: str) -> str:
    """A machine's word as a person's: `email_link` becomes `email link`."""
    return text.replace("_", " ")


def unit_of(metric: str, target: Any) -> str:
    """In what a metric is counted."""
    if metric.startswith(_HOUR_METRICS):
        return "hours"
    return "share" if "%" in str(target or "") or metric.endswith("_rate") else "count"


def share(value: float) -> str:
    """A percentage on the true side of 0 and 100."""
    for digits in (2, 3, 4):
        text = f"{value * 100:.{digits}f}"
        if (value >= 1 or float(text) < 100) and (value <= 0 or float(text) > 0):
            return f"{text.rstrip('0').rstrip('.')} %"
    return "> 99.9999 %" if value > 0.5 else "< 0.0001 %"


def hours(value: float) -> str:
    """45 min, 7.5 h, 3.2 days."""
    if value == float("inf"):
        return "not yet"
    if value < 1:
        return f"{value * 60:.0f} min"
    return f"{value:.1f} h" if value < 72 else f"{value / 24:.1f} days"


def interval(row: dict[str, Any]) -> str:
    """The bounds of a figure."""
    low, high = row.get("low"), row.get("high")
    if low is None and high is None:
        return NO_VALUE
    unit = unit_of(str(row.get("metric", "")), row.get("target"))
    return f"{shown(low, unit)} to {shown(high, unit)}"


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 send`, `2 sends`, `no sends`."""
    return f"{number or 'no'} {one if number == 1 else many or one + 's'}"
