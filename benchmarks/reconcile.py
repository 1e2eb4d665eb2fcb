"""Reconciliation beside its floor, and beside what one would otherwise take: docs/benchmarks.md.

    python -m benchmarks.reconcile [PEOPLE ...] [--others]

The file is drawn once a size (`benchmarks.worlds_at_size`); every run is a process of its own, the
product and the floor in turn, three times; the medians are printed. The benchmark fails where the
outputs differ from the floor's or from the world's truth.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import worlds_at_size as worlds
from benchmarks.reconcile_others import TOOLS, export
from optout.warehouse.reconcile import reconcile

RUNS = 3
SIZES = (100_000, 1_000_000)
_AGAINST_TRUTH = """
    SELECT count(*)
    FROM bench.truth AS t
    FULL JOIN (
        SELECT class, system, category, count(*) AS people
        FROM audit.drift GROUP BY class, system, category
    ) AS d
        ON d.class = t.class AND d.system = t.system AND d.category IS NOT DISTINCT FROM t.category
    WHERE d.people IS DISTINCT FROM t.people
"""


def measured(name: str, path: Path) -> dict[str, Any]:
    """One run in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.reconcile_run", name, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def check_truth(path: Path) -> None:
    """What the product finds is what was planted."""
    con = worlds.open_file(path)
    con.execute("BEGIN")
    reconcile(con, worlds.NIGHT, policy=worlds.POLICY)
    (differing,) = con.execute(_AGAINST_TRUTH).fetchone() or (0,)
    con.execute("ROLLBACK")
    con.close()
    if differing:
        raise SystemExit(f"{differing} counts differ from the truth")


def against_floor(path: Path, people: int) -> float:
    """Print the two lines of one size; the floor's CPU seconds."""
    runs: dict[str, list[dict[str, Any]]] = {"floor": [], "product": []}
    for _ in range(RUNS):
        for name, found in runs.items():
            found.append(measured(name, path))
    if len({str(run["digest"]) for found in runs.values() for run in found}) != 1:
        raise SystemExit("the product and the floor differ")
    floor = median(run["cpu"] for run in runs["floor"])
    for name, found in runs.items():
        line(people, name, median(r["cpu"] for r in found), max(r["peak"] for r in found), floor)
    return float(floor)


def against_others(path: Path, people: int, floor: float) -> None:
    """Print a line for each tool that is installed."""
    with tempfile.TemporaryDirectory() as folder:
        con = worlds.open_file(path)
        export(con, Path(folder))
        con.close()
        for name in TOOLS:
            runs = [measured(name, Path(folder)) for _ in range(RUNS)]
            if missing := runs[0].get("missing"):
                print(f"| {people:,} | {name} | {missing} is not installed | | |", flush=True)
                continue
            used = median(run["cpu"] for run in runs)
            line(people, name, used, max(run["peak"] for run in runs), floor)


def line(people: int, name: str, used: float, peak: float, floor: float) -> None:
    """A line of the table."""
    print(f"| {people:,} | {name} | {used:.2f} | {peak:,.0f} | {used / floor:.2f} |", flush=True)


def main() -> None:
    """All sizes that were asked for."""
    wanted = [int(word.replace("_", "")) for word in sys.argv[1:] if not word.startswith("--")]
    print(
        "| people | step | CPU seconds | peak MB | of the floor |\n| --- | --- | --- | --- | --- |"
    )
    for people in wanted or SIZES:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "world.duckdb"
            worlds.build(path, people)
            check_truth(path)
            floor = against_floor(path, people)
            if "--others" in sys.argv[1:]:
                against_others(path, people, floor)


if __name__ == "__main__":
    main()
