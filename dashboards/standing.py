"""How each promise stands tonight: its figure, its status in every scope, its thirty nights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dashboards import words
from dashboards.data import NotMeasured, Published
from dashboards.frame import Frame
from dashboards.page import figure_text
from dashboards.promises import PROMISES, Promise

TREND_NIGHTS = 30


@dataclass(frozen=True)
class Standing:
    """One promise tonight."""

    promise: Promise
    row: dict[str, Any] | None
    """The figure over all systems; None where nobody measures it."""
    trend: Frame
    missed: tuple[dict[str, Any], ...] = ()
    """The figures of single systems that miss it, the worst first."""
    also: tuple[dict[str, Any], ...] = ()
    """The figures over all of the other promises that its tile stands for."""

    @property
    def status(self) -> str:
        """Met only where it is met in every system and category, and so are the others of its tile:
        one that misses it is not made good by the rest."""
        if self.row is None:
            return "unknown"
        found = {str(row["status"]) for row in (self.row, *self.also)}
        if self.missed or "missed" in found:
            return "missed"
        return "unknown" if "unknown" in found else str(self.row["status"])

    @property
    def is_partly(self) -> bool:
        """Whether something misses it, and the figure over all does not."""
        return self.row is not None and self.status == "missed" != self.row["status"]

    @property
    def is_promise(self) -> bool:
        """Whether there is a target; other figures are shown."""
        return bool(self.promise.target or (self.row or {}).get("target"))

    @property
    def note(self) -> str:
        """Why it is unknown, or where it is missed although it is not over all."""
        if self.row is None:
            return "nobody measures it here yet"
        told = [words.plain(self.row["note"])]
        if self.is_partly and self.missed:
            told.insert(0, f"{self.row['status']} over all, missed in {_places(self.missed)}")
        told += [
            f"{words.title(row['metric'])}: {figure_text(row)}"
            + (f", {row['status']}" if row["value"] is not None else "")
            for row in self.also
            if row["status"] != "met"
        ]
        return "; ".join(text for text in told if text)


def standings(data: Published) -> list[Standing]:
    """All promises in their order."""
    return [_standing(data, promise) for promise in PROMISES]


def wrong(row: dict[str, Any]) -> float:
    """How many cells miss the promise: what is lacking to the whole, or what is too much; of a
    time, how long."""
    if (row["target"] or "").endswith((" h", " s")):
        return float(row["value"] or 0)
    numerator, denominator = row["numerator"] or 0, row["denominator"]
    if denominator is None or (row["target"] or "").startswith("<"):
        return float(numerator)
    return float(denominator - numerator)


def _standing(data: Published, promise: Promise) -> Standing:
    if promise.query:
        return _queried(data, promise)
    missed = [
        row
        for row in data.of_metric(promise.metric)
        if row["status"] == "missed" and row["system"] is not None
    ]
    missed.sort(key=lambda r: (r["category"] is not None, -wrong(r), r["system"]))
    trend = data.trend(promise.metric, TREND_NIGHTS)
    also = tuple(row for name in promise.also if (row := data.metric(name)) is not None)
    return Standing(promise, data.metric(promise.metric), trend, tuple(missed), also)


def _queried(data: Published, promise: Promise) -> Standing:
    nights = data.calendar(TREND_NIGHTS)
    try:
        frame = data.frame(promise.query, first=nights[0])
    except NotMeasured:
        return Standing(promise, None, data.trend(promise.metric, TREND_NIGHTS))
    known = {row["night"]: row for row in frame}
    missing = {"value": None, "status": "unknown", "numerator": None, "denominator": None,
               "note": "nothing was counted that night"}  # fmt: skip
    rows = []
    for night in nights:
        row = {**known.get(night, missing), "night": night}
        if night < data.first_night:
            row["status"] = "before"
        rows.append(row)
    trend = Frame.of(frame.columns, ([row[name] for name in frame.columns] for row in rows))
    tonight: dict[str, Any] = {
        **rows[-1], "metric": promise.metric, "system": None, "category": None,
        "not_comparable": 0, "target": None, "low": None, "high": None,
    }  # fmt: skip
    return Standing(promise, tonight, trend)


def _places(rows: tuple[dict[str, Any], ...]) -> str:
    whole = [r["system"] for r in rows if r["category"] is None]
    parts = [f"{r['system']} ({words.title(r['category'])})" for r in rows
             if r["category"] is not None and r["system"] not in whole]  # fmt: skip
    names = [*whole, *parts]
    shown = words.listed(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
