"""Where the reconcile statements run: in the DuckDB file, or on a cluster that a company has.

There is one text of every rule, `optout/warehouse/sql/audit_*.sql`; engines differ only in who
runs it. `build_engine` chooses by `[engine]` of optout.toml.
"""

from __future__ import annotations

from pathlib import Path

from optout.engine.duck import DuckEngine
from optout.engine.session import Engine
from optout.policy.engine import EngineTable


def build_engine(table: EngineTable, data_dir: Path) -> Engine:
    """The configured engine; nothing is started before a night needs it."""
    if table.kind == "duckdb":
        return DuckEngine()
    from optout.engine.spark import SparkEngine

    return SparkEngine(table, table.folder or data_dir / "engine")
