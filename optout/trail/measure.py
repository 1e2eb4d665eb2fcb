"""Whether the chain of recorded changes still holds, as a figure of every night."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from duckdb import DuckDBPyConnection

from optout.address import Keyer
from optout.model import MetricStatus
from optout.trail.verify import Verdict, verify
from optout.warehouse.metric_rows import MetricRow, replace_figures

METRIC = "chain_intact"


def measure_chain(con: DuckDBPyConnection, night: date, data_dir: Path, keyer: Keyer) -> Verdict:
    """Replace the night's `chain_intact` in `mart.metric_daily`; in the caller's transaction."""
    verdict = verify(con, data_dir, keyer)
    row = MetricRow(
        night,
        METRIC,
        value=float(verdict.is_whole),
        numerator=int(verdict.is_whole),
        denominator=1,
        target="= 100 %",
        status=(MetricStatus.MET if verdict.is_whole else MetricStatus.MISSED).value,
        note=_note(verdict),
    )
    replace_figures(con, night, (METRIC,), [row])
    return verdict


def _note(verdict: Verdict) -> str | None:
    if verdict.is_whole:
        return None
    first = verdict.faults[0]
    place = f"change {first.change_seq}" if first.change_seq is not None else f"{first.where}"
    return f"{first.what}: {place}, of night {first.night}"
