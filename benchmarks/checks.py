"""What the Great Expectations suites of a night cost, against SQL that asks the same. Run it with

    python -m benchmarks.checks [PEOPLE ...]

Suites over core and the promises, on a warehouse of known truth that was reconciled once; the SQL
counts the exceptions to all claims of a suite in one pass over the suite's own rows. CPU seconds,
the median of three runs each in one process; the import of Great Expectations is not counted.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from duckdb import DuckDBPyConnection

from benchmarks.worlds_at_size import ESPS, HUB, NAMES, NIGHT, POLICY, build, open_file
from checks.gx import Expectation, SuiteOutcome, run_suite
from checks.promises import promise_suites
from checks.suites import Suite, structure_suites
from optout.settings import Settings, load_settings
from optout.warehouse.connection import transaction
from optout.warehouse.reconcile import reconcile

RUNS = 3


def main(arguments: Sequence[str]) -> int:
    """Print a table for each size."""
    for people in [int(each) for each in arguments] or [1_000_000]:
        with TemporaryDirectory(prefix="optout-checks-") as folder:
            _say(f"\n{people:,} people\n\n| suite | rows | GX | SQL | ratio |\n"
                 "| --- | --- | --- | --- | --- |")  # fmt: skip
            _compare(Path(folder), people)
    return 0


def _compare(folder: Path, people: int) -> None:
    path = folder / "optout.duckdb"
    build(path, people)
    con = open_file(path)
    with transaction(con):
        reconcile(con, NIGHT, policy=POLICY)
    run_suite(con, "warm", "SELECT 1 AS one", [])
    suites = [s for s in structure_suites(_settings(folder)) if s.asset[0] == "core"]
    suites += promise_suites(_settings(folder))
    total = [0.0, 0.0]
    for suite in suites:
        ours, outcome = _cpu(lambda: run_suite(con, suite.name, suite.query, suite.expectations))  # noqa: B023
        plain, counts = _cpu(lambda: _by_hand(con, suite))  # noqa: B023
        _agree(suite, outcome, counts)
        total = [total[0] + ours, total[1] + plain]
        rows = con.execute(f"SELECT count(*) FROM ({suite.query}) AS b").fetchall()[0][0]
        _say(f"| {suite.name} | {rows:,} | {ours:.2f} s | {plain:.2f} s | {ours / plain:.1f} |")
    _say(f"| **all** | | {total[0]:.2f} s | {total[1]:.2f} s | {total[0] / total[1]:.1f} |")
    con.close()


def _cpu(run: Callable[[], Any]) -> tuple[float, Any]:
    """Median CPU seconds and the last result."""
    spent = []
    for _ in range(RUNS):
        before = time.process_time()
        result = run()
        spent.append(time.process_time() - before)
    return statistics.median(spent), result


def _by_hand(con: DuckDBPyConnection, suite: Suite) -> list[int]:
    """The exceptions to each claim."""
    claims = ", ".join(_exceptions(each) for each in suite.expectations)
    row = con.execute(f"SELECT {claims} FROM ({suite.query}) AS batch").fetchone()
    return [int(count) for count in row or ()]


def _exceptions(expectation: Expectation) -> str:
    """How a person would count them."""
    column = expectation.arguments.get("column")
    match expectation.kind:
        case "ExpectColumnValuesToNotBeNull":
            return f"count(*) FILTER ({column} IS NULL)"
        case "ExpectColumnValuesToBeInSet":
            values = ", ".join(repr(v) for v in expectation.arguments["value_set"])
            return f"count(*) FILTER ({column} NOT IN ({values}))"
        case "ExpectColumnValuesToBeUnique":
            return f"count({column}) - count(DISTINCT {column})"
        case "UnexpectedRowsExpectation":
            text = expectation.arguments["unexpected_rows_query"]
            if " GROUP BY " in text:
                columns = text.split(" GROUP BY ")[1].split(" HAVING ")[0]
                return f"count(*) - count(DISTINCT ({columns}))"
            return f"count(*) FILTER ({text.split(' WHERE ', 1)[1]})"
    raise ValueError(expectation.kind)


def _agree(suite: Suite, outcome: SuiteOutcome, counts: Sequence[int]) -> None:
    for each, count, expectation in zip(outcome.outcomes, counts, suite.expectations, strict=True):
        mostly = expectation.arguments.get("mostly")
        if each.verdict == "unknown" or (
            mostly is None and (each.verdict == "failed") != bool(count)
        ):
            raise SystemExit(f"{suite.name}: {each.claim}: {each.verdict}, by hand {count}")


def _settings(folder: Path) -> Settings:
    """Of an installation with the names of the generated world."""
    text = f'categories = {list(NAMES)!r}\n[identity]\nkey_env = "K"\n'
    mapped = "".join(f'{name} = ["1"]\n' for name in NAMES)
    for head, name in (("[hub]", HUB), *(("[[esp]]", esp) for esp in ESPS)):
        vendor = "zendesk_sell" if name == HUB else name
        text += f'{head}\nname = "{name}"\nvendor = "{vendor}"\ntoken_env = "T"\n'
        text += f'base_url = "https://{name}.example.org"\n'
        text += "" if name == HUB else f"[esp.categories]\n{mapped}"
    file = folder / "optout.toml"
    file.write_text(text)
    return load_settings(file)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
