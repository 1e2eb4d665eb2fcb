"""Runs the reconcile statements on Spark: for contacts that no single machine holds.

The tables that the statements read are written as Parquet into a folder that all workers reach, the
statements run there as they are, and the audit tables are read back, so that everything after them
is the same as ever. Work tables are Parquet too, shown to Spark as temporary views: no catalog of
the cluster is touched. pyspark is an optional part and imported when a night needs it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection

from optout.engine.session import Session
from optout.engine.spark_work import SparkWork
from optout.errors import ConfigurationError, WarehouseError
from optout.files import make_dir
from optout.policy.engine import EngineTable

_CHANGE = (
    "change_id, system, contact_key, category, new_state, occurred_at, occurred_from, time_kind,"
    " source, is_explicit"
)
INPUTS = {
    "core.observation": "*",
    "core.change": _CHANGE,
    "core.identity": "contact_key",
    "core.suppression": "contact_key, category",
    "core.suppression_change": _CHANGE,
    "audit.expected": "*",
    "audit.drift": "*",
    "audit.cell_count": "*",
}
"""What the statements read, and which columns of it: an address leaves the warehouse for nobody."""
OUTPUTS = ("audit.expected", "audit.drift", "audit.cell_count")
_FOLDER = "optout-reconcile"
_ALWAYS = {
    "spark.app.name": "optout reconciliation",
    "spark.ui.showConsoleProgress": "false",
    # What the driver and the workers write is for their user alone.
    "spark.hadoop.fs.permissions.umask-mode": "077",
}
_SQL = {
    # As DuckDB does: an overflow or a wrong cast is an error, a moment is UTC without a zone.
    "spark.sql.ansi.enabled": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
}


class SparkEngine:
    """A Spark cluster; started for a night's reconciliation, and ended after it."""

    people_a_pass: int | None = 1 << 62
    """All at once: the cluster shares them out by itself."""
    keeps_basis = False

    def __init__(self, table: EngineTable, folder: Path) -> None:
        self._table = table
        # Absolute, because workers stand in folders of their own; below the one that was named,
        # because what is found there is removed.
        self._folder = folder.absolute() / _FOLDER

    def check(self) -> None:
        """Whether pyspark and Java are here; the cluster is not asked."""
        if importlib.util.find_spec("pyspark") is None:
            raise _missing()
        if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
            raise ConfigurationError(
                "Spark needs Java, and there is none in the path",
                key="engine.kind",
                mend="Install Java 17 or newer, or set it to duckdb",
            )

    @contextmanager
    def session(self, con: DuckDBPyConnection) -> Iterator[Session]:
        """Hand the tables over, run, and take the audit tables back; see `Engine.session`."""
        with _started(self._table) as spark:
            shutil.rmtree(self._folder, ignore_errors=True)  # what a killed night left
            try:
                with _explained():
                    work = SparkWork(spark.newSession(), make_dir(self._folder))
                    work.configure(_SQL)
                    for name, columns in INPUTS.items():
                        _hand_over(con, work, name, columns)
                    yield work
                    for name in OUTPUTS:
                        _take_back(con, work, name)
            finally:
                shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def _started(table: EngineTable) -> Iterator[Any]:
    """A session that is there already (a notebook's, a platform's), or one of our own."""
    with warnings.catch_warnings():
        # pyspark speaks of pandas, which is not used with it here.
        warnings.simplefilter("ignore")
        try:
            from pyspark.sql import SparkSession
        except ImportError:
            raise _missing() from None
        there = SparkSession.getActiveSession()
        spark = there or _built(SparkSession, table)
    try:
        yield spark
    finally:
        if there is None:
            spark.stop()


def _missing() -> ConfigurationError:
    return ConfigurationError(
        "Spark is not installed",
        key="engine.kind",
        mend="pip install 'optout-monitor[spark]', or set it to duckdb",
    )


def _built(session: Any, table: EngineTable) -> Any:
    builder = session.builder.master(table.master)
    for name, value in (_ALWAYS | dict(table.options)).items():
        builder = builder.config(name, value)
    try:
        spark = builder.getOrCreate()
    except Exception as error:
        raise ConfigurationError(
            f"Spark does not start at {table.master} ({_kind(error)})",
            key="engine.master",
            mend="Java 17 or newer is needed here, and the cluster has to be reachable",
        ) from None
    spark.sparkContext.setLogLevel("ERROR")
    return spark


@contextmanager
def _explained() -> Iterator[None]:
    """Spark's own words quote values of rows: only the kind of its error is told."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise WarehouseError(
            f"Spark broke off the reconciliation ({_kind(error)})",
            mend="Its own log tells more; nothing was changed, run the night again",
        ) from None


def _kind(error: Exception) -> str:
    condition = getattr(error, "getCondition", lambda: None)()
    return str(condition or type(error).__name__)


def _hand_over(con: DuckDBPyConnection, work: SparkWork, name: str, columns: str) -> None:
    """Write a table where the workers find it; keys become text, which sorts alike."""
    described = con.execute(f"DESCRIBE SELECT {columns} FROM {name}").fetchall()  # noqa: S608
    types = {row[0]: str(row[1]) for row in described}
    chosen = ", ".join(
        f"CAST({column} AS VARCHAR) AS {column}" if kind == "UUID" else column
        for column, kind in types.items()
    )
    path = str(make_dir(work.place(name)) / "part.parquet").replace("'", "''")
    con.execute(f"COPY (SELECT {chosen} FROM {name}) TO '{path}' (FORMAT parquet)")  # noqa: S608
    work.receive(name, types)
    _compare(con, work, name)


def _take_back(con: DuckDBPyConnection, work: SparkWork, name: str) -> None:
    con.execute(f"DELETE FROM {name}")  # noqa: S608
    if files := work.files(name):
        con.execute(
            f"INSERT INTO {name} BY NAME SELECT * FROM read_parquet($files)",  # noqa: S608
            {"files": files},
        )
    _compare(con, work, name)


def _compare(con: DuckDBPyConnection, work: SparkWork, name: str) -> None:
    """A worker that sees another folder, or a part of it, must not pass for few rows."""
    row = con.execute(f"SELECT count(*) FROM {name}").fetchone()  # noqa: S608
    here, there = (row[0] if row else 0), work.count(name)
    if here != there:
        raise WarehouseError(
            f"of {name} there are {here} rows in the warehouse and {there} in Spark",
            mend="engine.folder has to be the same folder for the driver and for every worker",
        )
