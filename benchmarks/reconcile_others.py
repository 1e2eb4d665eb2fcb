"""What one would otherwise compare a hub with its ESPs by, on keyed Parquet files.

Each file has one row a person: `contact_key` and, for each category, whether it is opted out. The
tools count the cells that differ. They know neither the rules of who opted out when nor of
several records a person, and write no drift: less than half of what the night does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from duckdb import DuckDBPyConnection

from benchmarks.worlds_at_size import ESPS, HUB, NAMES

Tool = Callable[[Path, str, Sequence[str]], int]


def export(con: DuckDBPyConnection, folder: Path) -> None:
    """Write one file a system."""
    columns = ", ".join(
        f"(bit_or(outs) & {1 << bit}) <> 0 AS {name}" for bit, name in enumerate(NAMES)
    )
    for system in (HUB, *ESPS):
        con.execute(
            f"COPY (SELECT CAST(contact_key AS VARCHAR) AS contact_key, {columns}"
            " FROM core.observation WHERE night_to IS NULL AND contact_key IS NOT NULL"
            f" AND system = '{system}' GROUP BY contact_key)"
            f" TO '{folder / system}.parquet' (FORMAT parquet)"
        )


def polars() -> Tool:
    """A full join by hand."""
    import polars as pl

    def compare(folder: Path, hub: str, esps: Sequence[str]) -> int:
        left = pl.read_parquet(folder / f"{hub}.parquet")
        found = 0
        for esp in esps:
            right = pl.read_parquet(folder / f"{esp}.parquet")
            both = left.join(right, on="contact_key", how="full", suffix="_esp")
            for name in NAMES:
                found += int(both.select((pl.col(name) != pl.col(f"{name}_esp")).sum()).item())
        return found

    return compare


def pandas() -> Tool:
    """An outer merge."""
    import pandas as pd

    def compare(folder: Path, hub: str, esps: Sequence[str]) -> int:
        left = pd.read_parquet(folder / f"{hub}.parquet")
        found = 0
        for esp in esps:
            right = pd.read_parquet(folder / f"{esp}.parquet")
            both = left.merge(
                right, on="contact_key", how="outer", suffixes=("", "_esp"), indicator=True
            )
            both = both[both["_merge"] == "both"]
            for name in NAMES:
                found += int((both[name] != both[f"{name}_esp"]).sum())
        return found

    return compare


def datacompy() -> Tool:
    """Its comparison of two Polars frames."""
    import polars as pl
    from datacompy import PolarsCompare

    def compare(folder: Path, hub: str, esps: Sequence[str]) -> int:
        left = pl.read_parquet(folder / f"{hub}.parquet")
        found = 0
        for esp in esps:
            right = pl.read_parquet(folder / f"{esp}.parquet")
            told = PolarsCompare(left, right, join_columns="contact_key")
            found += sum(column["unequal_cnt"] for column in told.column_stats)
        return found

    return compare


def expectations() -> Tool:
    """Great Expectations: equal pairs of columns of the merged frame; its import is not counted."""
    import great_expectations as gx
    import pandas as pd
    from great_expectations.expectations import ExpectColumnPairValuesToBeEqual

    def compare(folder: Path, hub: str, esps: Sequence[str]) -> int:
        context = gx.get_context(mode="ephemeral")
        left = pd.read_parquet(folder / f"{hub}.parquet")
        asset = context.data_sources.add_pandas("pairs").add_dataframe_asset("pairs")
        batch = asset.add_batch_definition_whole_dataframe("all")
        found = 0
        for esp in esps:
            right = pd.read_parquet(folder / f"{esp}.parquet")
            both = left.merge(right, on="contact_key", suffixes=("", "_esp"))
            for name in NAMES:
                pair = ExpectColumnPairValuesToBeEqual(column_A=name, column_B=f"{name}_esp")
                told = batch.get_batch({"dataframe": both}).validate(pair)
                found += int(told.result["unexpected_count"])
        return found

    return compare


TOOLS: dict[str, Callable[[], Tool]] = {
    "datacompy": datacompy,
    "polars": polars,
    "pandas": pandas,
    "expectations": expectations,
}
