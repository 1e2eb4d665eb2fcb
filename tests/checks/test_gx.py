"""Great Expectations on DuckDB: pushed down, without values, no error taken for a verdict."""

from __future__ import annotations

import warnings

import duckdb
import pytest
from duckdb import DuckDBPyConnection

from checks.build import as_result
from checks.gx import Expectation, run_suite
from checks.suites import no_rows, not_null

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def con() -> DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("CREATE SCHEMA core")
    con.execute(
        "CREATE TABLE core.person AS SELECT i AS id, 'ana' || i || '@example.org' AS address,"
        " CASE WHEN i % 10 = 0 THEN NULL ELSE 'in' END AS state FROM range(1000) AS r(i)"
    )
    return con


def judge(con: DuckDBPyConnection, *expectations: Expectation):  # type: ignore[no-untyped-def]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return run_suite(con, "suite", "SELECT * FROM core.person", expectations)


def test_a_claim_that_holds_passes(con: DuckDBPyConnection) -> None:
    """The base case: otherwise nothing below means anything."""
    unique = Expectation("ExpectColumnValuesToBeUnique", {"column": "id"}, "one row an id")
    assert judge(con, not_null("address"), unique).verdict == "passed"


def test_a_claim_that_does_not_hold_fails_with_its_count(con: DuckDBPyConnection) -> None:
    """On-call needs to know how many."""
    outcome = judge(con, not_null("state"))
    assert outcome.verdict == "failed"
    assert outcome.outcomes[0].unexpected == 100


def test_a_query_that_finds_rows_fails(con: DuckDBPyConnection) -> None:
    """Row expectations carry the promises."""
    assert judge(con, no_rows("nobody is 7", "id = 7")).verdict == "failed"
    assert judge(con, no_rows("nobody is -1", "id = -1")).verdict == "passed"


def test_an_expectation_that_raised_is_unknown_not_failed(con: DuckDBPyConnection) -> None:
    """GX reports an exception as success=False: all errors then look like all failed."""
    outcome = judge(con, not_null("state"), not_null("no_such_column"))
    assert outcome.verdict == "unknown"
    told = {o.claim: o.verdict for o in outcome.outcomes}
    assert told == {"state is told": "failed", "no_such_column is told": "unknown"}
    assert as_result(outcome, blocking=True).metadata["verdict"].value == "unknown"


def test_an_incomplete_source_makes_a_good_verdict_unknown(con: DuckDBPyConnection) -> None:
    """A promise is met only if the data to judge it was complete."""
    outcome = judge(con, not_null("address"))
    result = as_result(outcome, blocking=False, unknown=["incomplete: mailchimp"])
    assert not result.passed
    assert "unknown: incomplete: mailchimp" in (result.description or "")


def test_results_carry_no_values_of_people(con: DuckDBPyConnection) -> None:
    """GX's own results list unexpected values: a leak into Dagster's log."""
    outcome = judge(
        con, Expectation("ExpectColumnValuesToBeInSet", {"column": "address", "value_set": ["x"]})
    )
    assert outcome.verdict == "failed"
    assert "example.org" not in repr(outcome)
    assert "example.org" not in repr(as_result(outcome, blocking=True))


def test_it_runs_on_the_pipelines_own_connection(con: DuckDBPyConnection) -> None:
    """A second connection with another configuration is refused by DuckDB, and the pipeline must
    be able to go on writing."""
    judge(con, not_null("address"))
    con.execute("INSERT INTO core.person VALUES (1000, NULL, 'in')")
    assert judge(con, not_null("address")).verdict == "failed"
