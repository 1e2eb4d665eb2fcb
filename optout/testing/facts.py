"""A small warehouse for tests of rules: rows of `core` said with only what matters to the test."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import duckdb
from duckdb import DuckDBPyConnection

from optout.warehouse.connection import migrate

NIGHT = date(2026, 11, 20)
CUTOFF = datetime(2026, 11, 20)  # noqa: DTZ001 - the warehouse stores naive UTC
FIRST_READ = CUTOFF - timedelta(days=10)
"""When the default reading was first made: long before the cut-off."""

Row = dict[str, Any]


def warehouse() -> DuckDBPyConnection:
    """An empty in-memory warehouse on the newest schema."""
    con = duckdb.connect(config={"threads": 1})
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET enable_progress_bar = false")
    con.execute("SET preserve_insertion_order = false")
    migrate(con)
    return con


def key(number: int) -> UUID:
    """The contact key of person `number`."""
    return UUID(int=number + 1)


def reading(system: str, person: int, **said: Any) -> Row:
    """A current row of `core.observation`; by default a present record that says nothing."""
    row: Row = {
        "system": system,
        "stream": "records",
        "store": "main",
        "record_id": f"r{person}",
        "contact_key": key(person),
        **dict.fromkeys(
            ("ins", "outs", "category_outs", "weak_outs", "sends", "blocks", "store_blocks",
             "unclear", "seen_in"),
            0,
        ),
        **dict.fromkeys(
            ("global_out", "undeliverable", "complained", "in_explicit", "in_global",
             "is_deleted"),
            False,
        ),
        "present": True,
        "valid_from": FIRST_READ,
        "night_from": FIRST_READ.date(),
    }  # fmt: skip
    return row | said


def change(
    system: str, person: int, category: str | None, state: str, at: datetime, **told: Any
) -> Row:
    """A row of `core.change`; by default dated by the vendor and not the person's own act."""
    row: Row = {
        "night": NIGHT,
        "system": system,
        "feed": "event",
        "contact_key": key(person),
        "category": category,
        "new_state": state,
        "occurred_at": at,
        "occurred_from": at,
        "time_kind": "source",
        "recorded_at": CUTOFF,
        "source": "unknown",
        "is_explicit": False,
    }
    return row | told


def begin(
    con: DuckDBPyConnection, night: date = NIGHT, *, kind: str = "run", cutoff: datetime = CUTOFF
) -> None:
    """Record a night; its cut-off moves with it."""
    moved = cutoff + (night - NIGHT)
    con.execute(
        "INSERT INTO core.night (night, cutoff_at, kind) VALUES (?, ?, ?)", [night, moved, kind]
    )


def read(
    con: DuckDBPyConnection,
    systems: Iterable[str],
    night: date = NIGHT,
    *,
    stream: str = "records",
    is_complete: bool = True,
    is_skipped: bool = False,
) -> None:
    """Record that a stream of each system was read that night."""
    for system in systems:
        con.execute(
            """
            INSERT INTO core.source_read (
                system, stream, night, manifest_hash, is_complete, is_full, is_snapshot,
                is_skipped, read_at, row_count, finding_count
            ) VALUES (?, ?, ?, 'hash', ?, true, true, ?, ?, 0, 0)
            """,
            [system, stream, night, is_complete, is_skipped, CUTOFF],
        )


def store(con: DuckDBPyConnection, table: str, rows: Iterable[Row]) -> None:
    """Insert rows into `core.observation` or `core.change`; a change gets ids where it has none."""
    full = [
        {"change_seq": n, "change_id": UUID(int=10**6 + n)} | row if table == "core.change" else row
        for n, row in enumerate(rows)
    ]
    names = list(dict.fromkeys(name for row in full for name in row))
    if not full:
        return
    marks = f"({', '.join('?' * len(names))})"
    con.execute(
        f"INSERT INTO {table} ({', '.join(names)}) VALUES {', '.join([marks] * len(full))}",  # noqa: S608
        [row.get(name) for row in full for name in names],
    )


def records(con: DuckDBPyConnection, sql: str) -> list[Row]:
    """The rows of a query as mappings."""
    cursor = con.execute(sql)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
