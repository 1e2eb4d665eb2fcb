"""The chain over `core.change`: a later alteration, removal or insertion of any row shows.

Each row is committed to by SHA-256(salt || canonical bytes), the salt being 16 random bytes, and
each commitment is linked to the one before it. A lawful erasure takes row and salt away: what stays
tells nothing of the person and still holds the chain together. The canonical bytes hold the
address, not the contact key, so that a rotation of keys changes nothing here
(`docs/adr/0004-a-chain-over-salted-commitments.md`, `sql/trail_canonical.sql`).

Everything here runs in the caller's transaction.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any
from uuid import UUID

import orjson
import pyarrow as pa
from duckdb import DuckDBPyConnection

from optout.errors import WarehouseError
from optout.warehouse.script import run

START = bytes(32)
"""What the first link is linked to."""
SALT_BYTES = 16
_EPOCH = date(1970, 1, 1)
_BATCH = 100_000


@dataclass(frozen=True)
class Head:
    """The end of the chain: whoever knows it can tell whether anything before it changed."""

    links: int = 0
    """How many links the chain has."""
    link: bytes = START
    change_seq: int = 0
    """The number of the last change."""
    night: date | None = None
    """The night of the last link."""


def head(con: DuckDBPyConnection) -> Head:
    """Where the chain ends now."""
    # All rows, the one: DuckDB takes no Arrow table while a result is half read.
    ((links, link, number, night),) = con.execute(
        """
        SELECT max(link_seq), arg_max(link, link_seq), max(change_seq), arg_max(night, link_seq)
        FROM core.change_commitment
        """
    ).fetchall()
    return Head() if links is None else Head(links, link, number or 0, night)


def next_link(
    previous: bytes,
    link_seq: int,
    kind: str,
    night: date,
    change_seq: int | None,
    commitment: bytes,
) -> bytes:
    """SHA-256(previous link || place, kind, night and number of the change || commitment)."""
    number = "" if change_seq is None else str(change_seq)
    place = f"{link_seq}|{kind}|{(night - _EPOCH).days}|{number}|".encode()
    return hashlib.sha256(previous + place + commitment).digest()


@contextmanager
def chained(con: DuckDBPyConnection) -> Iterator[None]:
    """Links the changes that the body records, and only those: a row that something else put there
    before stays without a link, and verification names it."""
    row = con.execute(
        "SELECT coalesce(max(change_seq), 0) FROM core.change_number"
        " WHERE EXISTS (SELECT 1 FROM core.change_commitment)"
    ).fetchone()
    mark = row[0] if row else 0
    yield
    extend(con, after=mark)


def extend(con: DuckDBPyConnection, *, after: int) -> int:
    """Link the changes with numbers above `after`; returns how many.

    Raises WarehouseError where a change's contact key has no address: its row could not be tied
    to a person.
    """
    counted = con.execute(
        "SELECT count(*) FROM core.change WHERE change_seq > $after", {"after": after}
    ).fetchone()
    if counted is None or not counted[0]:
        return 0
    run(con, "trail_canonical")
    end = head(con)
    done = 0
    while batch := con.execute(
        "SELECT change_seq FROM core.change WHERE change_seq > $after"
        " ORDER BY change_seq LIMIT $most",
        {"after": after, "most": _BATCH},
    ).fetchall():
        numbers = [row[0] for row in batch]
        rows = _committed(con, numbers)
        end = _append(con, end, rows)
        after = numbers[-1]
        done += len(rows)
    return done


def note(con: DuckDBPyConnection, kind: str, content: Mapping[str, Any], *, night: date) -> Head:
    """Link the record of something that lawfully happened to the trail (`erasure`, `rotation`);
    `content` holds nothing personal."""
    text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode()
    salt = os.urandom(SALT_BYTES)
    commitment = hashlib.sha256(salt + text.encode()).digest()
    return _append(con, head(con), [(kind, night, None, text, salt, commitment)])


def erase(con: DuckDBPyConnection, keys: Iterable[UUID], *, night: date) -> int:
    """Remove all changes of these contact keys, rows and salts, and link the record of it; returns
    how many. Run again it finds nothing and records nothing."""
    con.execute("CREATE OR REPLACE TEMP TABLE trail_erasing (contact_key UUID)")
    con.executemany("INSERT INTO trail_erasing VALUES (?)", [(key,) for key in keys])
    numbers = [
        row[0]
        for row in con.execute(
            "SELECT change_seq FROM core.change SEMI JOIN trail_erasing USING (contact_key)"
            " ORDER BY change_seq"
        ).fetchall()
    ]
    if numbers:
        con.execute(
            "UPDATE core.change_commitment SET salt = NULL WHERE kind = 'change'"
            " AND change_seq IN (SELECT unnest($numbers))",
            {"numbers": numbers},
        )
        con.execute("DELETE FROM core.change WHERE contact_key IN (FROM trail_erasing)")
        note(con, "erasure", {"changes": _ranges(numbers)}, night=night)
    con.execute("DROP TABLE trail_erasing")
    return len(numbers)


_Linked = tuple[str, date, int | None, str | None, bytes, bytes]
"""Kind, night, number of the change, content, salt, commitment."""


def _committed(con: DuckDBPyConnection, numbers: list[int]) -> list[_Linked]:
    """The changes of these numbers with fresh salts and their commitments, in order."""
    salts = os.urandom(SALT_BYTES * len(numbers))
    con.register(
        "trail_salt",
        pa.table(
            {
                "change_seq": pa.array(numbers, type=pa.int64()),
                "salt": pa.Array.from_buffers(
                    pa.binary(SALT_BYTES), len(numbers), [None, pa.py_buffer(salts)]
                ),
            }
        ),
    )
    try:
        rows = con.execute(
            """
            SELECT c.night, c.change_seq, s.salt::BLOB,
                   unhex(sha256(s.salt::BLOB || c.body)), c.has_address
            FROM trail_salt AS s JOIN trail_canonical AS c ON c.change_seq = s.change_seq
            ORDER BY c.change_seq
            """
        ).fetchall()
    finally:
        con.unregister("trail_salt")
    if not all(row[4] for row in rows):
        raise WarehouseError(
            "a change belongs to a contact key without an address",
            mend="Restore the warehouse from a back-up; `optout verify` tells more",
        )
    return [("change", night, seq, None, salt, made) for night, seq, salt, made, _ in rows]


def _append(con: DuckDBPyConnection, end: Head, rows: list[_Linked]) -> Head:
    """Link the rows to the end; returns the new end."""
    link, links = end.link, []
    for place, (kind, night, number, _, _, commitment) in enumerate(rows, end.links + 1):
        link = next_link(link, place, kind, night, number, commitment)
        links.append(link)
    columns = list(zip(*rows, strict=True))
    con.register(
        "trail_link",
        pa.table(
            {
                "link_seq": pa.array(range(end.links + 1, end.links + 1 + len(rows)), pa.int64()),
                "kind": pa.array(columns[0], pa.string()),
                "night": pa.array(columns[1], pa.date32()),
                "change_seq": pa.array(columns[2], pa.int64()),
                "content": pa.array(columns[3], pa.string()),
                "salt": pa.array(columns[4], pa.binary()),
                "commitment": pa.array(columns[5], pa.binary()),
                "link": pa.array(links, pa.binary()),
            }
        ),
    )
    try:
        con.execute("INSERT INTO core.change_commitment BY NAME SELECT * FROM trail_link")
    finally:
        con.unregister("trail_link")
    last = max([end.change_seq, *(row[2] for row in rows if row[2] is not None)])
    return Head(end.links + len(rows), link, last, rows[-1][1])


def _ranges(numbers: list[int]) -> list[list[int]]:
    """Sorted numbers as [first, last] pairs."""
    cuts = [0, *(i for i, (a, b) in enumerate(pairwise(numbers), 1) if b != a + 1), len(numbers)]
    return [[numbers[a], numbers[b - 1]] for a, b in pairwise(cuts)]
