"""Rows of `mart.metric_daily`: their shape, and the one way in which they are written."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date
from typing import NamedTuple

from duckdb import DuckDBPyConnection

from optout.model import MetricStatus
from optout.warehouse.coverage import Coverage
from optout.warehouse.script import insert

_OF_NIGHT = "FROM mart.metric_daily WHERE night = $night AND metric IN (SELECT unnest($names))"


class MetricRow(NamedTuple):
    """One row of `mart.metric_daily`, in its order; unknown until more is said."""

    night: date
    metric: str
    system: str | None = None
    category: str | None = None
    value: float | None = None
    numerator: int | None = None
    denominator: int | None = None
    not_comparable: int = 0
    target: str | None = None
    status: str = MetricStatus.UNKNOWN.value
    low: float | None = None
    high: float | None = None
    note: str | None = None


def keeps_figures(con: DuckDBPyConnection, covered: Coverage, metrics: Collection[str]) -> bool:
    """Whether a later run has overtaken the night after it was measured: what was measured then
    stays, because the state that it speaks of can be seen no more."""
    if covered.is_latest:
        return False
    values = {"night": covered.night, "names": list(metrics)}
    row = con.execute(f"SELECT count(*) {_OF_NIGHT}", values).fetchone()
    return bool(row and row[0])


def replace_figures(
    con: DuckDBPyConnection, night: date, metrics: Collection[str], rows: Iterable[MetricRow]
) -> None:
    """Put the rows in the place of the night's rows of these metrics; the caller's transaction."""
    con.execute(f"DELETE {_OF_NIGHT}", {"night": night, "names": list(metrics)})
    insert(con, "mart.metric_daily", rows)
