"""The statements of a night give on Spark, on two workers, row for row what they give on DuckDB.

Needs pyspark (`pip install 'optout-monitor[spark]'`) and Java; without them it is skipped.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from duckdb import DuckDBPyConnection

from optout.engine.duck import DuckEngine
from optout.engine.session import Engine
from optout.engine.spark import OUTPUTS, SparkEngine, _started
from optout.errors import WarehouseError
from optout.policy.engine import EngineTable
from optout.testing import facts
from optout.testing.facts import CUTOFF, NIGHT
from optout.testing.random_facts import CATEGORIES, PEOPLE, POLICY, SYSTEMS, random_world
from optout.warehouse.reconcile import reconcile

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("pyspark") is None,
        reason="pyspark is not installed: pip install 'optout-monitor[spark]'",
    ),
    pytest.mark.skipif(shutil.which("java") is None, reason="there is no Java in the path"),
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(3600),
]
CLUSTER = EngineTable(
    kind="spark",
    master="local-cluster[2,1,1024]",
    options={
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        # Two of everything, and no compiling for tables of a few hundred rows.
        "spark.default.parallelism": "2",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.autoBroadcastJoinThreshold": "-1",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    },
)
WORKERS = 2
NEXT = NIGHT + timedelta(days=1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two worker processes beside the driver, started as the engine starts them."""
    with _started(CLUSTER) as spark:
        yield spark


def tell(con: DuckDBPyConnection, seed: int) -> None:
    """Another world for the same people, some of whom were erased and came back."""
    world, rng = random_world(seed), Random(seed)
    for table in ("core.observation", "core.change", "core.suppression", "core.identity"):
        con.execute(f"DELETE FROM {table}")
    facts.store(con, "core.observation", world.readings)
    facts.store(con, "core.change", world.changes)
    for person in range(PEOPLE):
        key = facts.key(person)
        con.execute("INSERT INTO core.identity VALUES (?, 'x@example.org', 'k1', ?)", [key, NIGHT])
        if rng.random() < 0.1:
            category = rng.choice((None, *CATEGORIES.names))
            con.execute(
                "INSERT INTO core.suppression VALUES (?, 'k1', ?, ?, 'erasure_request', 'law')",
                [key, category, CUTOFF - timedelta(minutes=rng.choice((3000, 20, 0)))],
            )


def rows(con: DuckDBPyConnection, table: str) -> list[tuple[Any, ...]]:
    return sorted(con.execute(f"SELECT * FROM {table}").fetchall(), key=repr)


def nights(engine: Engine, seed: int) -> Iterator[dict[str, Any]]:
    """Two nights, the second one without one of the systems, and the second one again."""
    con = facts.warehouse()
    facts.begin(con)
    facts.read(con, SYSTEMS)
    facts.begin(con, NEXT)
    facts.read(con, SYSTEMS[:-1], NEXT)
    facts.read(con, SYSTEMS[-1:], NEXT, is_complete=False)
    con.execute("DELETE FROM core.night WHERE night = ?", [NEXT])
    for number, night in enumerate((NIGHT, NEXT, NEXT)):
        if number < 2:
            tell(con, seed + number)
        if number == 1:
            facts.begin(con, NEXT)
        done = reconcile(con, night, policy=POLICY, engine=engine)
        yield {"done": done} | {table: rows(con, table) for table in OUTPUTS}
    con.close()


def test_two_workers_give_what_one_process_gives(
    cluster: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    is_full: bool,
) -> None:
    """A rule that an engine reads otherwise would make two truths of one company."""
    alive = cluster.sparkContext._jsc.sc().getExecutorMemoryStatus().size() - 1
    assert alive == WORKERS
    monkeypatch.chdir(tmp_path)  # the folder may be named from here; workers stand elsewhere
    left = tmp_path / "engine" / "optout-reconcile" / "core__change-0"
    left.mkdir(parents=True)
    (left / "left.parquet").write_text("by a night that was killed")
    spark = SparkEngine(CLUSTER, Path("engine"))
    for world in range(3 if is_full else 1):
        by_spark = nights(spark, seed + 1000 * world)
        by_duckdb = nights(DuckEngine(), seed + 1000 * world)
        for there, here in zip(by_spark, by_duckdb, strict=True):
            for what in here:
                assert there[what] == here[what], what
            assert here["audit.expected"] and here["audit.drift"] and here["audit.cell_count"]
        assert here["done"].confirmed and here["done"].closed
    assert not list((tmp_path / "engine").iterdir())


def test_an_error_of_spark_names_nobody_and_changes_nothing(cluster: Any, tmp_path: Path) -> None:
    """Spark quotes the value that it stumbled over."""
    con = facts.warehouse()
    engine = SparkEngine(CLUSTER, tmp_path)
    with pytest.raises(WarehouseError) as raised, engine.session(con) as work:
        work.execute("DELETE FROM audit.expected")
        work.execute("SELECT CAST('ana@example.org' AS INTEGER) AS x").fetchall()
    assert "ana" not in str(raised.value)
    assert "CAST_INVALID_INPUT" in str(raised.value)
    assert not list(tmp_path.iterdir())
