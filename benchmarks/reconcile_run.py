"""One run of `benchmarks.reconcile` in a process of its own: CPU, peak memory and a digest as JSON.

    python -m benchmarks.reconcile_run STEP|TOOL FILE

A step is product or floor; everybody or affected for the next night (`benchmarks.incremental`).

Nothing is kept: the night is rolled back. The other tools read exported files and answer less
(`benchmarks.reconcile_others`).
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path

from duckdb import DuckDBPyConnection

from benchmarks import worlds_at_size as worlds
from optout.warehouse.metrics import measure
from optout.warehouse.reconcile import reconcile
from optout.warehouse.words import megabytes_for

TABLES = ("expected", "drift", "cell_count")
VALUES = {"night": worlds.NIGHT, "cutoff": worlds.cutoff(worlds.NIGHT)}


def product(con: DuckDBPyConnection) -> None:
    """The night's own step."""
    reconcile(con, worlds.NIGHT, policy=worlds.POLICY)


def everybody(con: DuckDBPyConnection) -> None:
    """The next night, in full."""
    reconcile(con, worlds.NEXT, policy=worlds.POLICY, everybody_below=1 << 62)


def affected(con: DuckDBPyConnection) -> None:
    """The next night, of those of whom something changed."""
    done = reconcile(con, worlds.NEXT, policy=worlds.POLICY, everybody_below=0)
    if done.affected is None:
        raise SystemExit("everybody was judged")


def floor(con: DuckDBPyConnection) -> None:
    """The same by hand, within the same memory."""
    people = con.execute("SELECT count(*) FROM core.identity").fetchone() or (0,)
    limit = max(192, megabytes_for(people[0]))
    con.execute("SET memory_limit = $limit", {"limit": f"{limit}MB"})
    worlds.run(con, "floor", **VALUES)
    worlds.run(con, "floor_drift", **VALUES)


def digest(con: DuckDBPyConnection) -> list[str]:
    """What was written, whatever its order."""
    return [
        str(con.execute(f"SELECT count(*), bit_xor(hash(t)) FROM audit.{name} AS t").fetchone())
        for name in TABLES
    ]


def in_warehouse(step: Callable[[DuckDBPyConnection], None], path: Path) -> dict[str, object]:
    """Run a step on the file, with the metrics that follow from it."""
    con = worlds.open_file(path)
    before = cpu()
    con.execute("BEGIN")
    step(con)
    night = worlds.NEXT if step in (everybody, affected) else worlds.NIGHT
    measure(con, night, policy=worlds.POLICY)
    used, peak = cpu() - before, peak_mb()
    told = digest(con)
    con.execute("ROLLBACK")
    con.close()
    return {"cpu": used, "peak": peak, "digest": told}


def beside(name: str, folder: Path) -> dict[str, object]:
    """Run another tool on the exported files; what it found is a count of differing cells."""
    from benchmarks.reconcile_others import TOOLS

    try:
        tool = TOOLS[name]()
    except ImportError as error:
        return {"missing": error.name}
    before = cpu()
    found = tool(folder, worlds.HUB, worlds.ESPS)
    return {"cpu": cpu() - before, "peak": peak_mb(), "digest": [str(found)]}


def cpu() -> float:
    """User and system seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_mb() -> float:
    """Peak resident memory, interpreter and libraries included. Of this process alone: what
    `getrusage` tells begins with the peak of the process that started it."""
    told = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in told.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    """One run."""
    name, path = sys.argv[1], Path(sys.argv[2])
    steps = {step.__name__: step for step in (product, floor, everybody, affected)}
    print(json.dumps(in_warehouse(steps[name], path) if name in steps else beside(name, path)))


if __name__ == "__main__":
    main()
