"""Erasure: what the product holds of a person goes, the duty not to mail them stays.

Steps, each safe to repeat: landing → warehouse (rows, chain, suppression record) → other files →
record of the erasure → the database file anew → published copy → proof by search → journal closed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import UUID, uuid4

from duckdb import DuckDBPyConnection

from optout.address import Keyer
from optout.errors import UsageError
from optout.project import Project
from optout.rights import files, landing
from optout.rights.compact import compact
from optout.rights.journal import Journal, Task
from optout.rights.subject import Subject
from optout.rights.suppression import suppress, suppressed, write_outside
from optout.rights.tables import erase_rows, records_of
from optout.warehouse.connection import transaction
from optout.warehouse.load import naive

Publish = Callable[[Project, DuckDBPyConnection], object]
Counts = Mapping[str, tuple[int, int]]
ERASURE = "erasure"


@dataclass(frozen=True)
class Erased:
    """What an erasure did, or would do."""

    counts: Counts
    """Table or kind of file → (rows removed, rows of others blanked)."""
    holders: Sequence[tuple[str, int]]
    """Systems that still had the person at their last read, with their number of records: erase
    them there, too."""
    is_known: bool
    """Something was held, or was once."""
    is_suppressed: bool
    """A suppression record stood before."""
    left: tuple[Path, ...] = ()
    """Files of others that still name the person; empty: it is done."""


def keyers_of(project: Project) -> tuple[Keyer, ...]:
    """The current key first, then the retired ones."""
    secrets = project.key_only
    return (secrets.keyer, *secrets.retired)


def begin(
    project: Project, address: str, *, who: str, categories: Sequence[str] | None = None
) -> Task:
    """The task of erasing an address, not written anywhere yet; raises BadAddress, UsageError."""
    for name in categories or ():
        if name not in project.settings.categories:
            known = ", ".join(project.settings.categories)
            raise UsageError(f"there is no category '{name}'", mend=f"Use one of: {known}")
    subject = Subject.of(address, keyers_of(project))
    chosen = tuple(categories) if categories else None
    begun = project.now.isoformat()
    return Task(ERASURE, str(uuid4()), begun, who, subject.normal, chosen)


def is_known(project: Project, task: Task) -> bool:
    """Whether the warehouse has the address; a quick test before the long search of `look`."""
    subject = Subject.of(task.subject or "", keyers_of(project))
    with project.warehouse.writer() as con:
        row = con.execute(
            "SELECT 1 FROM core.identity WHERE address = $address", {"address": subject.normal}
        ).fetchone()
    return row is not None


def look(project: Project, task: Task) -> Erased:
    """What would be erased: the same work in a transaction that is taken back, files only read."""
    subject = Subject.of(task.subject or "", keyers_of(project))
    with project.warehouse.writer() as con:
        holders = _holders(con, subject)
        records = records_of(con, subject)
        was = bool(suppressed(con, subject))
        con.execute("BEGIN")
        counts: dict[str, tuple[int, int]] = dict(erase_rows(con, subject, _night(con, project)))
        con.execute("ROLLBACK")
    found = landing.count(project.landing.root, landing.eraser(subject, records))
    if any(found):
        counts["landing"] = found
    named = files.naming(project.data_dir, subject)
    if named:
        counts["files"] = (named, 0)
    return Erased(counts, holders, bool(counts) or was, was)


def carry_out(project: Project, task: Task, publish: Publish) -> Erased:
    """Do what is not done yet of a task; the caller holds the run lock.

    Where the search at the end still finds the person, the journal stays and every run tries again.
    """
    subject = Subject.of(task.subject or "", keyers_of(project))
    journal = Journal(project.data_dir)
    if task.left:
        return _look_again(project, subject, task)
    _refuse_second(journal, task)
    journal.write(task)
    with project.warehouse.writer() as con:
        holders = _holders(con, subject)
        was = bool(suppressed(con, subject))
    if "landing" not in task.done:
        task = journal.step_done(task, "landing", _erase_landing(project, subject, task))
    if "warehouse" not in task.done:
        _erase_warehouse(project, subject, task)
        task = journal.step_done(task, "warehouse")
    if "files" not in task.done:
        task = journal.step_done(task, "files", files.sweep(project.data_dir, subject))
    if "record" not in task.done:
        counts = _record_files(project, subject, task)
        task = journal.step_done(task, "record", counts)
    compact(project.warehouse.path)
    with project.warehouse.writer() as con:
        write_outside(con, project.data_dir)
        publish(project, con)
    left = tuple(files.remains(project.data_dir, subject, project.warehouse.path))
    if left:
        journal.keep_open(task, tuple(str(p.relative_to(project.data_dir)) for p in left))
    else:
        journal.close()
    return Erased(task.counts, holders, bool(task.counts), was, left)


def _look_again(project: Project, subject: Subject, task: Task) -> Erased:
    """Whether files that are not ours are gone. Nothing else: what vendors sent again since is no
    remnant."""
    paths = (project.data_dir / name for name in task.left)
    left = tuple(p for p in paths if p.exists() and files.shows(p, subject))
    if not left:
        Journal(project.data_dir).close()
    return Erased(task.counts, (), True, True, left)


def _refuse_second(journal: Journal, task: Task) -> None:
    """One task at a time: the journal holds one."""
    open_task = journal.pending()
    if open_task is not None and open_task.task_id != task.task_id:
        raise UsageError(
            "another erasure is open: files that are not optout's name that person",
            mend="Remove them, then run `optout erase --resume`",
        )


def _erase_landing(project: Project, subject: Subject, task: Task) -> dict[str, tuple[int, int]]:
    with project.warehouse.writer() as con:
        records = records_of(con, subject)
    root = project.landing.root
    why = f"{ERASURE} {task.begun:%Y-%m-%d}"
    removed, blanked = landing.rewrite(root, landing.eraser(subject, records), why)
    dropped = landing.forget_places(root, lambda text: files.is_about(text, subject))
    found = {"landing": (removed, blanked), "landing cursors": (dropped, 0)}
    return {name: pair for name, pair in found.items() if any(pair)}


def _erase_warehouse(project: Project, subject: Subject, task: Task) -> None:
    with project.warehouse.writer() as con, transaction(con):
        since = naive(task.begun)
        suppress(con, subject, task.categories, since)
        counts = erase_rows(con, subject, _night(con, project))
        _record(con, task, subject.keyers[0].key_id, counts)


def _record_files(project: Project, subject: Subject, task: Task) -> dict[str, tuple[int, int]]:
    """The record of the erasure, complete: the counts of the files beside those of the tables.
    Returns the latter."""
    with project.warehouse.writer() as con, transaction(con):
        _record(con, task, subject.keyers[0].key_id, task.counts or {"nothing": (0, 0)})
        rows = con.execute(
            "SELECT place, removed, blanked FROM core.erasure WHERE erasure_id = $id",
            {"id": UUID(task.task_id)},
        ).fetchall()
    return {place: (removed, blanked) for place, removed, blanked in rows}


def _record(con: DuckDBPyConnection, task: Task, key_id: str, counts: Counts) -> None:
    for place, (removed, blanked) in counts.items():
        con.execute(
            "INSERT INTO core.erasure SELECT $id, $at, $who, $key_id, $place, $removed, $blanked"
            " WHERE NOT EXISTS (SELECT 1 FROM core.erasure"
            " WHERE erasure_id = $id AND place = $place)",
            {"id": UUID(task.task_id), "at": naive(task.begun), "who": task.who,
             "key_id": key_id, "place": place,
             "removed": removed, "blanked": blanked},
        )  # fmt: skip


def _holders(con: DuckDBPyConnection, subject: Subject) -> list[tuple[str, int]]:
    return con.execute(
        "SELECT system, count(DISTINCT (store, record_id)) FROM core.observation"
        " WHERE night_to IS NULL AND contact_key IN (SELECT unnest($keys))"
        " GROUP BY system ORDER BY system",
        {"keys": list(subject.keys.values())},
    ).fetchall()


def _night(con: DuckDBPyConnection, project: Project) -> date:
    """The night to which the record in the chain belongs: the last that was begun."""
    row = con.execute("SELECT max(night) FROM core.night").fetchone()
    night: date | None = row[0] if row else None
    return night or project.tonight
