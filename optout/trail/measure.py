"""Whether the chain of recorded changes still holds, as a figure of every night."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from duckdb import DuckDBPyConnection

from optout.address import Keyer
from optout.model import MetricStatus
from optout.trail.verify import Verdict, verify

METRIC = "chain_intact"


def measure_chain(con: DuckDBPyConnection, night: date, data_dir: Path, keyer: Keyer) -> Verdict:
    """Replace the night's `chain_intact` in `mart.metric_daily`; in the caller's transaction."""
    verdict = verify(con, data_dir, keyer)
    where = {"night": night, "metric": METRIC}
    con.execute("DELETE FROM mart.metric_daily WHERE night = $night AND metric = $metric", where)
    status = MetricStatus.MET if verdict.is_whole else MetricStatus.MISSED
    con.execute(
        "INSERT INTO mart.metric_daily (night, metric, value, numerator, denominator,"
        " not_comparable, target, status, note)"
        " VALUES ($night, $metric, $value, $value, 1, 0, '= 100 %', $status, $note)",
        where | {"value": float(verdict.is_whole), "status": status.value, "note": _note(verdict)},
    )
    return verdict


def _note(verdict: Verdict) -> str | None:
    if verdict.is_whole:
        return None
    first = verdict.faults[0]
    place = f"change {first.change_seq}" if first.change_seq is not None else f"{first.where}"
    return f"{first.what}: {place}, of night {first.night}"
