"""Great Expectations on the pipeline's own DuckDB connection: the only module that knows GX.

GX 1.x has no DuckDB engine; the SQLAlchemy one works once results are buffered, because it reads
them after the connection went back to its pool, which destroys DuckDB's pending result. An
expectation that raised is reported by GX as `success=False`: here it is *unknown*, with the type of
what was raised, never failed and never passed. Importing GX takes seconds, so it happens inside
`run_suite`, never when the location is loaded.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from duckdb import DuckDBPyConnection

_BUFFERED_ROWS = 1000
"""GX itself keeps at most 200 unexpected values; counts come from separate COUNT(*) queries."""

Verdict = Literal["passed", "failed", "unknown"]


@dataclass(frozen=True)
class Expectation:
    """One GX expectation: its class name and arguments, and the sentence that must hold."""

    kind: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    claim: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of one expectation: counts, never values."""

    claim: str
    verdict: Verdict
    unexpected: int | None = None
    rows: int | None = None
    why_unknown: str | None = None


@dataclass(frozen=True)
class SuiteOutcome:
    """A suite is unknown if any expectation raised, else failed if any failed."""

    name: str
    outcomes: tuple[Outcome, ...]

    @property
    def verdict(self) -> Verdict:
        """The suite's own verdict."""
        verdicts = {o.verdict for o in self.outcomes}
        if "unknown" in verdicts:
            return "unknown"
        return "failed" if "failed" in verdicts else "passed"


def run_suite(
    con: DuckDBPyConnection, name: str, query: str, expectations: Sequence[Expectation]
) -> SuiteOutcome:
    """Judge the rows of `query` (committed ones: GX works on a cursor of its own)."""
    gx = _great_expectations()
    engine = _duckdb_engine()
    context = _context()
    source = context.data_sources.add_sql(
        name,
        connection_string="duckdb:///:memory:",
        create_temp_table=False,
        kwargs={"creator": lambda: engine.ConnectionWrapper(con.cursor())},
    )
    try:
        batch = source.add_query_asset(name, query=query).add_batch_definition_whole_table(name)
        suite = gx.ExpectationSuite(name=name)
        for expectation in expectations:
            kind = getattr(gx.expectations, expectation.kind)
            suite.add_expectation(kind(**expectation.arguments, meta={"claim": expectation.claim}))
        result = batch.get_batch().validate(
            suite, result_format={"result_format": "BASIC", "partial_unexpected_count": 0}
        )
        return SuiteOutcome(name, tuple(_outcome(r) for r in result.results))
    finally:
        source.get_execution_engine().close()
        context.data_sources.delete(name)


def _outcome(result: Any) -> Outcome:
    meta = result.expectation_config.meta or {}
    claim = meta.get("claim") or result.expectation_config.type
    raised = _raised(result.exception_info)
    if raised:
        return Outcome(claim, "unknown", why_unknown=raised)
    told = result.result or {}
    unexpected = told.get("unexpected_count", told.get("observed_value"))
    return Outcome(
        claim,
        "passed" if result.success else "failed",
        unexpected if isinstance(unexpected, int) else None,
        told.get("element_count"),
    )


def _raised(info: Any) -> str | None:
    """The kind of exception behind a result, None where nothing was raised.

    GX gives either one record or one record a metric; messages may quote values, so only the
    exception's name is taken from them.
    """
    if not isinstance(info, Mapping):
        return None
    records = [info] if "raised_exception" in info else [v for v in info.values() if v]
    for record in records:
        if isinstance(record, Mapping) and not record.get("raised_exception", True):
            continue
        text = record.get("exception_message") if isinstance(record, Mapping) else str(record)
        return (text or "an exception").split(":")[0].strip("() ")[:80]
    return None


@cache
def _context() -> Any:
    """One ephemeral context a process: it keeps nothing, and makes no Data Docs (they would load
    scripts from elsewhere and hold values)."""
    gx = _great_expectations()
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    return context


@cache
def _great_expectations() -> Any:
    """The library, quiet and without calls home."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations as gx
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    return gx


@cache
def _duckdb_engine() -> Any:
    """The SQLAlchemy dialect, with results buffered (see the module's docstring)."""
    import duckdb_engine
    from sqlalchemy.engine import cursor as sa_cursor

    base = duckdb_engine.Dialect.execution_ctx_cls

    class BufferedContext(base):  # type: ignore[misc, valid-type]
        """Takes a result off the connection before GX lets go of it."""

        def post_exec(self) -> None:
            super().post_exec()
            cursor = self.cursor
            if cursor is not None and cursor.description and not self.isinsert:
                self.cursor_fetch_strategy = sa_cursor.FullyBufferedCursorFetchStrategy(
                    cursor, initial_buffer=list(cursor.fetchmany(_BUFFERED_ROWS))
                )

    duckdb_engine.Dialect.execution_ctx_cls = BufferedContext
    return duckdb_engine
