"""Figures are written as they were measured, many at a time."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest

from optout.warehouse.metric_rows import MetricRow, replace_figures
from optout.warehouse.script import insert

NIGHT = date(2026, 3, 2)


def test_whole_and_broken_numbers_and_unknown_ones_stand_in_one_column() -> None:
    """Sent column by column, a list that began with a whole number could cut off the others."""
    rows = [
        MetricRow(NIGHT, "violations", value=0, status="met"),
        MetricRow(NIGHT, "sync_accuracy", "klaviyo", value=0.999, numerator=999, low=0.5),
        MetricRow(NIGHT, "overdue_opt_outs", "klaviyo", "events", note="not read"),
    ]
    with duckdb.connect() as con:
        con.execute("CREATE SCHEMA mart")
        con.execute(
            "CREATE TABLE mart.metric_daily (night DATE, metric VARCHAR, system VARCHAR,"
            " category VARCHAR, value DOUBLE, numerator BIGINT, denominator BIGINT,"
            " not_comparable BIGINT, target VARCHAR, status VARCHAR, low DOUBLE, high DOUBLE,"
            " note VARCHAR)"
        )
        insert(con, "mart.metric_daily", [MetricRow(NIGHT, "kept", value=1.0)])
        for _ in range(2):
            replace_figures(con, NIGHT, [row.metric for row in rows], rows)
        found = con.execute("SELECT * FROM mart.metric_daily ORDER BY ALL").fetchall()
    wanted = [tuple(row) for row in (MetricRow(NIGHT, "kept", value=1.0), *rows)]
    assert sorted(found, key=lambda row: row[1]) == sorted(wanted, key=lambda row: row[1])


def test_no_row_is_no_statement() -> None:
    """A table that does not have to be written must not be asked for."""
    with duckdb.connect() as con:
        insert(con, "there_is_none", [])
        with pytest.raises(duckdb.CatalogException):
            insert(con, "there_is_none", [("a row",)])
