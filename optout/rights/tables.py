"""Removes a person from every table of the warehouse, and everything that names them.

Tables are found by their columns, not by a list: a table that somebody adds later is covered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from duckdb import DuckDBPyConnection

from optout.rights.landing import Record
from optout.rights.subject import ERASED, Subject
from optout.trail.chain import chained, erase, note
from optout.warehouse import incremental

_KEPT = frozenset({"core.suppression", "core.erasure", "core.contact_key_secret",
                   "core.change_commitment", "core.chain_head"})  # fmt: skip
"""What is to stay: it says of a person only that they must not be mailed, or nothing at all."""
_IDS = ("change_id", "opt_out_id", "event_key", "unit_id", "gap_id")
"""Names of what belongs to one person, by which rows without a contact key are found."""
_STATES = frozenset({"core.source_state", "raw.manifest"})
"""Where a stream's cursor stands: one that names the person goes whole, the next read is full."""


@dataclass(frozen=True)
class Table:
    """One base table with its columns' types."""

    name: str
    """`schema.table`."""
    columns: Mapping[str, str]

    @property
    def texts(self) -> list[str]:
        """Columns that can hold free text."""
        return [name for name, kind in self.columns.items() if kind.startswith("VARCHAR")]


def tables(con: DuckDBPyConnection) -> list[Table]:
    """Every base table of the warehouse."""
    rows = con.execute(
        """
        SELECT c.table_schema || '.' || c.table_name,
               list(c.column_name ORDER BY c.ordinal_position),
               list(c.data_type ORDER BY c.ordinal_position)
        FROM information_schema.columns AS c
        JOIN information_schema.tables AS t
            ON t.table_schema = c.table_schema AND t.table_name = c.table_name
           AND t.table_catalog = c.table_catalog
        WHERE t.table_type = 'BASE TABLE' AND t.table_catalog = current_database()
        GROUP BY ALL ORDER BY ALL
        """
    ).fetchall()
    return [Table(name, dict(zip(names, kinds, strict=True))) for name, names, kinds in rows]


def records_of(con: DuckDBPyConnection, subject: Subject) -> set[Record]:
    """The records that are the person's alone: not those that another address has now or had."""
    rows = con.execute(
        """
        SELECT system, store, record_id
        FROM (
            SELECT system, store, record_id, contact_key FROM core.observation
            UNION ALL
            SELECT system, store, record_id, contact_key FROM core.consent
            UNION ALL
            SELECT system, store, record_id, contact_key FROM raw.reading
        )
        WHERE contact_key IS NOT NULL
        GROUP BY system, store, record_id
        HAVING bool_and(contact_key IN (SELECT unnest($keys)))
        """,
        {"keys": list(subject.keys.values())},
    ).fetchall()
    return set(rows)


def erase_rows(
    con: DuckDBPyConnection, subject: Subject, night: date
) -> dict[str, tuple[int, int]]:
    """Remove the person within the caller's transaction; table → (rows removed, rows blanked).

    The chain of changes is told of it, so that it stays verifiable; run again it finds nothing.
    """
    keys = list(subject.keys.values())
    known = tables(con)
    incremental.forget(con)
    records = records_of(con, subject)
    _remember(con, known, keys, records)
    counts: dict[str, list[int]] = {"core.change": [erase(con, keys, night=night), 0]}
    for table in known:
        if table.name in _KEPT or table.name == "core.change":
            continue
        removed = _delete(con, table, subject)
        blanked = _blank(con, table, subject)
        counts[table.name] = [removed, blanked]
    counts["core.change"][1] = _replace_changes(con, subject, night)
    for name in ("erasing_key", "erasing_record", "erasing_id"):
        con.execute(f"DROP TABLE {name}")
    return {name: (pair[0], pair[1]) for name, pair in counts.items() if any(pair)}


def _remember(
    con: DuckDBPyConnection, known: Sequence[Table], keys: Sequence[Any], records: Iterable[Record]
) -> None:
    """Keys, records and ids of the person, while the tables still tell them."""
    con.execute("CREATE OR REPLACE TEMP TABLE erasing_key (contact_key UUID)")
    con.executemany("INSERT INTO erasing_key VALUES (?)", [(key,) for key in keys])
    con.execute(
        "CREATE OR REPLACE TEMP TABLE erasing_record"
        " (system VARCHAR, store VARCHAR, record_id VARCHAR)"
    )
    listed = sorted(records)
    if listed:
        con.executemany("INSERT INTO erasing_record VALUES (?, ?, ?)", listed)
    con.execute("CREATE OR REPLACE TEMP TABLE erasing_id (id UUID)")
    for table in known:
        for column in _IDS:
            if column in table.columns and "contact_key" in table.columns:
                con.execute(
                    f"INSERT INTO erasing_id SELECT DISTINCT {column} FROM {table.name}"  # noqa: S608
                    f" WHERE {column} IS NOT NULL AND contact_key IN (FROM erasing_key)"
                )


def _delete(con: DuckDBPyConnection, table: Table, subject: Subject) -> int:
    columns = table.columns
    indirect = [f"{c} IN (FROM erasing_id)" for c in _IDS if c in columns]
    if {"system", "record_id"} <= columns.keys():
        names = ", ".join(["system", "record_id"] + (["store"] if "store" in columns else []))
        indirect.append(f"({names}) IN (SELECT ({names}) FROM erasing_record)")  # noqa: S608
    marks = ["address = $address"] if "address" in columns else []
    if "contact_key" in columns:
        marks.append("contact_key IN (FROM erasing_key)")
        marks += [f"(contact_key IS NULL AND {mark})" for mark in indirect]
    else:
        marks += indirect
    if not marks:
        return 0
    sql = f"DELETE FROM {table.name} WHERE {' OR '.join(marks)}"  # noqa: S608
    values = {"address": subject.normal} if "address" in columns else {}
    row = con.execute(sql, values).fetchone()
    return int(row[0]) if row else 0


def _mentions(con: DuckDBPyConnection, table: Table, subject: Subject) -> dict[int, list[str]]:
    """Row id → columns whose text names the person."""
    found: dict[int, list[str]] = {}
    for column in table.texts:
        rows = con.execute(
            f'SELECT rowid, "{column}" FROM {table.name}'  # noqa: S608
            f' WHERE contains(lower("{column}"), $clue)',
            {"clue": subject.clue},
        ).fetchall()
        for rowid, text in rows:
            if subject.names(text):
                found.setdefault(rowid, []).append(column)
    return found


def _blank(con: DuckDBPyConnection, table: Table, subject: Subject) -> int:
    found = _mentions(con, table, subject)
    for rowid, columns in found.items():
        if table.name not in _STATES:
            marks = ", ".join(f"\"{c}\" = '{ERASED}'" for c in columns)
            change = f"UPDATE {table.name} SET {marks}"  # noqa: S608
        elif "note" in table.columns:
            change = f"UPDATE {table.name} SET state = NULL, why_not = NULL, note = NULL"  # noqa: S608
        else:
            change = f"DELETE FROM {table.name}"  # noqa: S608
        con.execute(f"{change} WHERE rowid = $row", {"row": rowid})
    return len(found)


def _replace_changes(con: DuckDBPyConnection, subject: Subject, night: date) -> int:
    """Other people's recorded changes that name the person: recorded anew without the mention, the
    old row lawfully erased. An opt-out of somebody else must not go with it."""
    [table] = [t for t in tables(con) if t.name == "core.change"]
    found = _mentions(con, table, subject)
    if not found:
        return 0
    numbers = []
    with chained(con):
        for rowid, columns in sorted(found.items()):
            values = ", ".join(f"'{ERASED}' AS \"{c}\"" for c in columns)
            row = con.execute(
                "SELECT change_seq FROM core.change WHERE rowid = $row", {"row": rowid}
            ).fetchone()
            if row is None:
                continue
            numbers.append(row[0])
            con.execute(
                f"INSERT INTO core.change SELECT * REPLACE ({values}, (SELECT max(change_seq) + 1"  # noqa: S608
                " FROM core.change_number) AS change_seq) FROM core.change WHERE rowid = $row",
                {"row": rowid},
            )
    con.execute("DELETE FROM core.change WHERE change_seq IN (SELECT unnest($n))", {"n": numbers})
    con.execute(
        "UPDATE core.change_commitment SET salt = NULL"
        " WHERE kind = 'change' AND change_seq IN (SELECT unnest($n))",
        {"n": numbers},
    )
    note(con, "erasure", {"changes": [[n, n] for n in sorted(numbers)]}, night=night)
    return len(numbers)
