"""Rotation of the key: everybody gets a new contact key, nothing else changes.

Record names do not (`optout.address.Keyer.record_secret`): they stand inside the chain, and in
event ids by which a change is known again. Erased people keep the key under which they were
forgotten, because nobody knows their address; `suppression.recognise` moves them when a vendor
sends it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from uuid import UUID, uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from duckdb import DuckDBPyConnection

from optout.address import Keyer
from optout.errors import ConfigurationError, UsageError
from optout.project import Project
from optout.reports import archive
from optout.rights import landing
from optout.rights.compact import compact
from optout.rights.files import rename_keys
from optout.rights.journal import Journal, Task
from optout.rights.keys import check_retired, note_key
from optout.rights.suppression import write_outside
from optout.rights.tables import tables
from optout.trail.chain import note
from optout.warehouse import incremental
from optout.warehouse.connection import transaction

Publish = Callable[[Project, DuckDBPyConnection], object]
ROTATION = "rotation"
_BATCH = 50_000
_APART = frozenset({"core.suppression", "core.identity"})


def begin(project: Project, *, who: str) -> Task:
    """The task of re-keying everything to the key that is configured now; raises ConfigurationError
    or UsageError where the configuration does not ask for that."""
    secrets = project.key_only
    if Journal(project.data_dir).pending() is not None:
        raise UsageError("an erasure is open", mend="Finish it with `optout erase --resume`")
    with project.warehouse.writer() as con:
        row = con.execute(
            "SELECT key_id, fingerprint FROM core.contact_key_secret WHERE is_current"
        ).fetchone()
        if row is None:
            raise UsageError("no night was loaded yet", mend="Just set the key and begin")
        key_id, fingerprint = row
        if key_id == secrets.keyer.key_id:
            raise UsageError(
                f"the key '{key_id}' is the current one already",
                mend="Put the new secret into a variable of its own, name it in identity.key_env,"
                " give it a new key_id, and list the present one in identity.retired",
            )
        former = secrets.retired[-1] if secrets.retired else None
        if former is None or (former.key_id, former.fingerprint) != (key_id, fingerprint):
            raise ConfigurationError(
                f"the last retired key has to be '{key_id}', with the secret that it is",
                key="identity.retired",
                mend="Add it: rotation proves every contact key before it changes it",
            )
        check_retired(con, secrets)
    return Task(ROTATION, str(uuid4()), project.now.isoformat(), who)


def carry_out(project: Project, task: Task, publish: Publish) -> int:
    """Do what is not done yet; the caller holds the run lock. Returns how many people."""
    keyer = project.key_only.keyer
    journal = Journal(project.data_dir)
    journal.write(task)
    if "landing" not in task.done:
        rekey = landing.rekeyer(_new_key(keyer))
        landing.rewrite(project.landing.root, rekey, f"{ROTATION} {task.begun:%Y-%m-%d}")
        task = journal.step_done(task, "landing")
    if "warehouse" not in task.done:
        _rekey_warehouse(project, task)
        task = journal.step_done(task, "warehouse")
    if "reports" not in task.done:
        _rekey_files(project)
        task = journal.step_done(task, "reports")
    compact(project.warehouse.path)
    with project.warehouse.writer() as con:
        write_outside(con, project.data_dir)
        publish(project, con)
        row = con.execute("SELECT count(*) FROM core.identity").fetchone()
    journal.close()
    return int(row[0]) if row else 0


def _new_key(keyer: Keyer) -> Callable[[bytes, str | None], bytes | None]:
    known: dict[str, bytes] = {}

    def new_key(old: bytes, address: str | None) -> bytes | None:
        if address is None:
            return None
        if address not in known:
            known[address] = keyer.key_of_normal(address)
        return known[address]

    return new_key


def _rekey_warehouse(project: Project, task: Task) -> None:
    secrets = project.key_only
    former, keyer = secrets.retired[-1], secrets.keyer
    with project.warehouse.writer() as con, transaction(con):
        row = con.execute(
            "SELECT 1 FROM core.contact_key_secret WHERE is_current AND key_id = $id",
            {"id": keyer.key_id},
        ).fetchone()
        if row is not None:
            return
        _map(con, _addresses(con, project), former, keyer)
        for table in tables(con):
            if "contact_key" in table.columns and table.name not in _APART:
                con.execute(
                    f"UPDATE {table.name} AS t SET contact_key = m.fresh"  # noqa: S608
                    " FROM new_key AS m WHERE m.former = t.contact_key"
                )
        values = {"id": keyer.key_id}
        for name in sorted(_APART):
            con.execute(
                f"UPDATE {name} AS t SET contact_key = m.fresh, key_id = $id"  # noqa: S608
                " FROM new_key AS m WHERE m.former = t.contact_key",
                values,
            )
        con.execute("DROP TABLE new_key")
        incremental.forget(con)
        note_key(con, secrets, project.now)
        content = {"from": former.key_id, "to": keyer.key_id, "who": task.who}
        note(con, ROTATION, content, night=_night(con, project))


def _addresses(con: DuckDBPyConnection, project: Project) -> Iterator[list[str]]:
    """Everybody's address, in batches; people known from a finding alone stand in landing only."""
    cursor = con.cursor().execute("SELECT DISTINCT address FROM core.identity")
    while rows := cursor.fetchmany(_BATCH):
        yield [row[0] for row in rows]
    for folder in landing.stream_folders(project.landing.root):
        for path in sorted(folder.glob("finding-*.parquet")):
            told = pq.read_table(path, columns=["address"])["address"].to_pylist()
            yield sorted({address for address in told if address is not None})


def _map(
    con: DuckDBPyConnection, batches: Iterator[list[str]], former: Keyer, keyer: Keyer
) -> None:
    con.execute("CREATE OR REPLACE TEMP TABLE new_key (former UUID, fresh UUID)")
    for addresses in batches:
        pairs = pa.table(
            {
                "former": pa.array([former.key_of_normal(a).hex() for a in addresses], pa.string()),
                "fresh": pa.array([keyer.key_of_normal(a).hex() for a in addresses], pa.string()),
            }
        )
        con.register("new_key_batch", pairs)
        con.execute("INSERT INTO new_key SELECT former::UUID, fresh::UUID FROM new_key_batch")
        con.unregister("new_key_batch")
    con.execute("CREATE OR REPLACE TEMP TABLE new_key AS SELECT DISTINCT * FROM new_key")


def _rekey_files(project: Project) -> None:
    """Contact keys in reports and pages have to lead to their people as before."""
    with project.warehouse.reader() as con:
        rows = con.execute("SELECT contact_key, address FROM core.identity").fetchall()
    former = project.key_only.retired[-1]
    fresh = {str(UUID(bytes=former.key_of_normal(told))): str(key) for key, told in rows}
    for folder in archive.folders(project.data_dir):
        archive.rename(folder, fresh)
    rename_keys(project.data_dir, fresh)


def _night(con: DuckDBPyConnection, project: Project) -> date:
    row = con.execute("SELECT max(night) FROM core.night").fetchone()
    night: date | None = row[0] if row else None
    return night or project.tonight
