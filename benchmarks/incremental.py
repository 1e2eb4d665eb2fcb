"""A night in which one in 200 people changed, in full and by what changed: docs/benchmarks.md.

    python -m benchmarks.incremental [PEOPLE ...]

The file is that of `benchmarks.reconcile`, two nights later; every run is a process of its own,
three of each in turn; medians are printed. The benchmark fails where the two differ in any row.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import worlds_at_size as worlds
from benchmarks.reconcile import RUNS, line, measured

SIZES = (1_000_000,)


def compare(path: Path, people: int) -> None:
    """Print the two lines of one size."""
    runs: dict[str, list[dict[str, Any]]] = {"everybody": [], "affected": []}
    for _ in range(RUNS):
        for name, found in runs.items():
            found.append(measured(name, path))
    if len({str(run["digest"]) for found in runs.values() for run in found}) != 1:
        raise SystemExit("the night by what changed differs from the full one")
    full = median(run["cpu"] for run in runs["everybody"])
    for name, found in runs.items():
        line(people, name, median(r["cpu"] for r in found), max(r["peak"] for r in found), full)


def main() -> None:
    """All sizes that were asked for."""
    print("| people | judged | CPU seconds | peak MB | of the full night |\n|---|---|---|---|---|")
    for people in [int(word.replace("_", "")) for word in sys.argv[1:]] or SIZES:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "world.duckdb"
            worlds.build(path, people)
            worlds.go_on(path)
            compare(path, people)


if __name__ == "__main__":
    main()
