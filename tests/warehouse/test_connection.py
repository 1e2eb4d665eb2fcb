"""How much memory a step may take."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from optout.errors import StorageError
from optout.testing import facts
from optout.warehouse.connection import Warehouse, bounded, transaction


@pytest.fixture
def con():
    connection = facts.warehouse()
    connection.execute("SET threads = 2")
    connection.execute("SET memory_limit = '3GB'")
    yield connection
    connection.close()


def limit(con):
    return con.execute("SELECT current_setting('memory_limit')").fetchone()[0]


def test_a_bound_ends_with_its_step(con):
    """The next step would crawl within the bounds of the one before."""
    before = limit(con)
    for _ in range(3):
        with bounded(con, 300):
            assert limit(con) == "286.1 MiB"
        assert limit(con) == before


def test_a_bound_ends_with_a_step_that_failed_within_a_transaction(con):
    """Settings cannot be changed in a broken transaction: the error would be told as another."""
    before = limit(con)
    con.execute("CREATE TABLE small (n INTEGER CHECK (n < 2))")
    with pytest.raises(duckdb.ConstraintException), transaction(con), bounded(con, 300):
        con.execute("INSERT INTO small VALUES (7)")
    assert limit(con) == before


def test_a_bound_never_raises_the_limit_that_was_set(con):
    """A small machine's own limit would be lifted at the heaviest moment."""
    con.execute("SET memory_limit = '250MB'")
    with bounded(con, 300):
        assert limit(con) == "238.4 MiB"


def test_every_thread_has_room_to_work(con):
    """A bound made for two processors ends the night of a machine with sixty-four."""
    con.execute("SET threads = 8")
    with bounded(con, 300):
        assert limit(con) == "732.4 MiB"


def test_a_night_that_needs_more_than_it_may_have_is_told_what_to_change(tmp_path: Path):
    """An error of the database would send people to restore a back-up that helps nothing."""
    warehouse = Warehouse(tmp_path, memory_limit="100MB")
    with pytest.raises(StorageError, match=r"engine\.memory"), warehouse.writer() as con:
        assert limit(con) == "95.3 MiB"
        con.execute("SELECT length(list(repeat('x', 1_000_000) || range)) FROM range(1_000)")
    with warehouse.reader() as con:
        assert con.execute("SELECT count(*) FROM schema_version").fetchone() != (0,)


def test_a_commit_that_finds_no_memory_is_told_as_well(tmp_path: Path):
    """It is another error of the database's."""
    small = Warehouse(tmp_path, memory_limit="1MB")
    with pytest.raises(StorageError, match=r"engine\.memory"), small.writer():
        pass


def test_a_disk_that_has_no_room_to_spill_is_not_told_as_memory(tmp_path: Path):
    """More memory is not what a full disk lacks."""
    small = Warehouse(tmp_path, memory_limit="60MB")
    with pytest.raises(StorageError, match="no space left"), small.writer() as con:
        con.execute("SET max_temp_directory_size = '1MB'")
        con.execute("CREATE TEMP TABLE t AS SELECT md5(range::VARCHAR) AS a FROM range(3_000_000)")
