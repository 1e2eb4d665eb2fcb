"""Nights in processes of their own, which can be killed for good at any call, and what is left.

Children are forked from a server that has everything imported and no thread: a night costs what a
night costs, and what dies is a real process.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import orjson

from optout import nightly
from optout.alerts.service import evaluate_and_deliver
from optout.errors import OptoutError
from optout.project import Project
from optout.testing.fuse import KILL, Fuse
from optout.testing.nights import Bench, judge, patient, tables
from optout.trail.verify import verify

SAID = "said.txt"
REFUSED, UNFORESEEN = 42, 43
_SCHEMAS = ("core", "audit", "mart")
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["optout.testing.survival"])


def whole_night(file: Path, now: datetime, environ: Mapping[str, str]) -> None:
    """Everything that a night is: read, load, audit, measure, publish, tell."""
    project = Project.open(file, now=now, environ=environ)
    nightly.extract(project, project.tonight, progress=_silent, build=patient)
    with project.warehouse.writer() as con:
        judge(project, con, project.tonight)
    with project.warehouse.writer() as con:
        nightly.publish(project, con)
    evaluate_and_deliver(project)


def in_child(bench: Bench, *, at: int | None = None, how: str = KILL) -> tuple[int, list[str]]:
    """Tonight in another process, with a fuse: its exit code, and the calls that it made."""
    notes = bench.folder / "calls.txt"
    now = bench.world.night.read_at
    values = (bench.file, now, dict(bench.environ), at, how, notes)
    child = CONTEXT.Process(target=_child, args=values)
    child.start()
    child.join()
    code = child.exitcode
    child.close()
    return code or 0, notes.read_text(encoding="utf-8").splitlines()


def begun(bench: Bench) -> None:
    """Set the night's cut-off, which otherwise would be the moment of the read."""
    tonight = bench.world.night
    bench.project().landing.begin_night(tonight.date, tonight.cutoff)


def undisturbed(bench: Bench) -> None:
    """Tonight in this process, without any fuse."""
    begun(bench)
    whole_night(bench.file, bench.world.night.read_at, bench.environ)


def outcome(bench: Bench) -> dict[str, Any]:
    """All that a night leaves behind, fit for `differences`: the tables, the published ones, what
    was told to whom, whether each stream was read, what still lies about."""
    project = bench.project()
    with project.warehouse.reader() as con:
        found = tables(con, _SCHEMAS)
        found["reads"] = sorted(
            map(repr, con.execute(
                "SELECT night, system, stream, is_complete, is_skipped FROM core.source_read"
            ).fetchall())
        )  # fmt: skip
        verdict = verify(con, project.data_dir, project.key_only.keyer)
        # Its links are salted, so that no two are alike; that they hold is told apart.
        found.pop("core.chain_head")
        found["chain"] = [repr(fault) for fault in verdict.faults]
    published = readable(project)
    found |= {
        f"published {name}": rows
        for name, rows in (published or {}).items()
        if name != "core.chain_head"
    }
    found["alerts"] = sorted(_whole(_lines(project.data_dir / "alerts.jsonl")))
    found["remains"] = sorted(
        str(path.relative_to(project.data_dir))
        for path in project.data_dir.rglob("*")
        if path.suffix in (".tmp", ".new")
    )
    return found


def readable(project: Project) -> dict[str, list[str]] | None:
    """The tables of the published copy, None where there is none; raises where it is broken."""
    if not project.published.exists():
        return None
    with closing(duckdb.connect(str(project.published), read_only=True)) as con:
        return tables(con, _SCHEMAS)


def _child(
    file: Path, now: datetime, environ: Mapping[str, str], at: int | None, how: str, notes: Path
) -> None:
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    Fuse(file.parent / "data", at=at, how=how, notes=notes).install()
    told(file.parent / SAID, lambda: whole_night(file, now, environ))


def told(said: Path, work: Callable[[], object]) -> None:
    """Do the work; write what it raises as a person would be told it, unforeseen errors in full,
    and end with REFUSED or UNFORESEEN."""
    try:
        work()
    except OptoutError as error:
        said.write_text(f"{type(error).__name__}: {error}", encoding="utf-8")
        os._exit(REFUSED)
    except BaseException:
        said.write_text(traceback.format_exc(), encoding="utf-8")
        os._exit(UNFORESEEN)


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines() if path.exists() else []


def _whole(lines: list[bytes]) -> Iterator[str]:
    """The notices; a line that was torn is ended by the next one, and its notice told again."""
    for line in lines:
        with suppress(orjson.JSONDecodeError):
            yield repr(sorted(orjson.loads(line).items()))


def _silent(line: str) -> None:
    """Progress that nobody watches."""


def main() -> None:
    """`python -c "…; main()" FILE NOW`: one night in a process of its own."""
    file, now = sys.argv[1:]
    whole_night(Path(file), datetime.fromisoformat(now), os.environ)
