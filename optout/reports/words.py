"""Values as people read them in a report. Nothing rounds a missed promise into a kept one: a share
that is not whole is never shown as 100 %."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

NO_VALUE = "–"
_SPACE = "\N{NO-BREAK SPACE}"
_TITLES = {
    "met": "met", "missed": "missed", "unknown": "not measured", "shown": "shown",
    "complete": "complete", "incomplete": "INCOMPLETE",
}  # fmt: skip
_JOINED = (("opt out", "opt-out"), ("opt in", "opt-in"), ("over supp", "over-supp"),
           ("preference center", "preference centre"))  # fmt: skip
_TERMS = {
    "violations": "sends after an opt-out",
    "violations_beyond_deadline": "sends after the deadline",
    "overdue_opt_outs": "overdue opt-outs", "sends_without_consent": "sends without proven consent",
    "campaign_faults": "campaigns without what they must have", "chain_intact": "chain intact",
    "opt_out_processing_p95": "opt-out processing, p95",
    "opt_out_processing_max": "opt-out processing, longest", "api": "API", "ip": "IP address",
    "opt_out_recall": "opt-outs honoured (recall)",
    "extraction_complete": "sources read completely",
}  # fmt: skip
_HOUR_METRICS = ("opt_out_processing",)
_TIME_END = 16


def shown(value: Any, kind: str, row: dict[str, Any] | None = None) -> str:
    """A value by the kind of its column (`optout.reports.document.Column`)."""
    if value is None or value == "":
        return NO_VALUE
    if kind == "value":
        kind = unit_of(str((row or {}).get("metric", "")), (row or {}).get("target"))
    if kind in _SHOWN:
        return _SHOWN[kind](value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def words(text: str) -> str:
    """A machine's word as a person's: `email_link` becomes `email link`."""
    if text in _TERMS:
        return _TERMS[text]
    plain = text.replace("_", " ")
    for apart, joined in _JOINED:
        plain = plain.replace(apart, joined)
    return plain


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
            return f"{text.rstrip('0').rstrip('.')}{_SPACE}%"
    return f">{_SPACE}99.9999{_SPACE}%" if value > 0.5 else f"<{_SPACE}0.0001{_SPACE}%"


def hours(value: float) -> str:
    """45 min, 7.5 h, 3.2 days."""
    if value == float("inf"):
        return "not yet"
    if round(value * 60) < 60:
        return f"{value * 60:.0f}{_SPACE}min"
    return f"{value:.1f}{_SPACE}h" if value < 72 else f"{value / 24:.1f}{_SPACE}days"


def interval(row: dict[str, Any]) -> str:
    """The bounds of a figure."""
    low, high = row.get("low"), row.get("high")
    if low is None and high is None:
        return NO_VALUE
    unit = unit_of(str(row.get("metric", "")), row.get("target"))
    if high is None:
        return f"at least {shown(low, unit)}"
    if low is None:
        return f"at most {shown(high, unit)}"
    return f"{shown(low, unit)} to {shown(high, unit)}"


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 send`, `2 sends`, `no sends`."""
    return f"{number or 'no'} {one if number == 1 else many or one + 's'}"


_SHOWN: Mapping[str, Callable[[Any], str]] = {
    "count": lambda v: f"{v:,.0f}",
    "change": lambda v: f"{v:+,.0f}" if v else "0",
    "share": lambda v: share(float(v)),
    "hours": lambda v: hours(float(v)),
    "time": lambda v: str(v).replace("T", " ")[:_TIME_END],
    "status": lambda v: _TITLES.get(str(v), words(str(v))),
    "target": lambda v: str(v).replace(" ", _SPACE),
    "word": lambda v: words(str(v)),
}
"""Kind of column → how it is written."""
