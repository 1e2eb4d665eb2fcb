"""Verification of the chain: names the first row that was altered, removed or inserted.

Commitments are recomputed set-based in DuckDB, links in one pass over 32 bytes a row. Each contact
key is recomputed from its address, so that two people cannot be exchanged either.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from duckdb import DuckDBPyConnection

from optout.address import Keyer
from optout.trail.chain import START, Head, next_link
from optout.trail.heads import BadLine, NightHead, noted_heads, read_heads
from optout.warehouse.script import insert, query, run

_BATCH = 100_000
MOST_FAULTS = 100
"""Faults of one kind that are told; the first are the ones that matter."""


@dataclass(frozen=True)
class Fault:
    """One place where the trail is not as it was recorded."""

    what: str
    """altered | removed | inserted."""
    where: str
    """row | link | head: a change, a record of the chain itself, the heads outside."""
    change_seq: int | None = None
    night: date | None = None
    link_seq: int | None = None


@dataclass(frozen=True)
class Verdict:
    """What verification found."""

    head: Head
    changes: int
    """Rows that stand."""
    erased: int
    """Rows that were lawfully removed."""
    heads: int
    """Lines outside the database that were compared."""
    unanchored: int
    """Links after the last head: of a night that is not published yet."""
    faults: Sequence[Fault] = ()

    @property
    def is_whole(self) -> bool:
        """Nothing was altered, removed or inserted."""
        return not self.faults


def verify(con: DuckDBPyConnection, data_dir: Path, keyer: Keyer) -> Verdict:
    """Recompute everything; `con` may be read-only."""
    heads = list(read_heads(data_dir))
    wanted = {each.links for each in heads if isinstance(each, NightHead)}
    walk = _Walk(wanted)
    faults = list(walk.faults(con))
    _prepare(con, keyer)
    faults += [
        Fault(what, "link" if number is None else "row", number, night, link)
        for what, number, night, link in query(con, "trail_faults", most=MOST_FAULTS)
    ]
    faults += _of_heads(con, heads, walk)
    last = max(wanted, default=0)
    return Verdict(
        head=walk.head,
        changes=_count(con, "SELECT count(*) FROM core.change"),
        erased=_count(con, "SELECT count(*) FROM trail_erased"),
        heads=len(heads),
        unanchored=max(0, walk.head.links - last),
        faults=sorted(faults, key=_place),
    )


class _Walk:
    """Goes along the links once, keeping those that a head tells of."""

    def __init__(self, wanted: Collection[int]) -> None:
        self.head = Head()
        self.kept: dict[int, bytes] = {}
        self._wanted = wanted

    def faults(self, con: DuckDBPyConnection) -> Iterator[Fault]:
        """Links that are lacking, doubled or not made of what they stand for. After a fault the
        walk goes on from what is stored, so that one alteration is told once."""
        cursor = con.execute(
            "SELECT link_seq, kind, night, change_seq, commitment, link"
            " FROM core.change_commitment ORDER BY link_seq"
        )
        previous, place = START, 0
        while rows := cursor.fetchmany(_BATCH):
            for link_seq, kind, night, number, commitment, link in rows:
                if link_seq > place + 1:
                    lost = self.head.change_seq + 1
                    is_change = number is not None and number > lost
                    yield Fault("removed", "link", lost if is_change else None, night, place + 1)
                elif link_seq <= place:
                    yield Fault("inserted", "link", number, night, link_seq)
                elif next_link(previous, link_seq, kind, night, number, commitment) != link:
                    yield Fault("altered", "link", number, night, link_seq)
                previous, place = link, link_seq
                if link_seq in self._wanted:
                    self.kept[link_seq] = link
                last = self.head.change_seq if number is None else max(self.head.change_seq, number)
                self.head = Head(link_seq, link, last, night)


def _prepare(con: DuckDBPyConnection, keyer: Keyer) -> None:
    """What the set-based comparison reads: canonical bytes, lawful erasures, wrong identities."""
    run(con, "trail_canonical")
    con.execute("CREATE OR REPLACE TEMP TABLE trail_erased (change_seq BIGINT)")
    listed = con.execute(
        "SELECT content FROM core.change_commitment WHERE kind = 'erasure'"
    ).fetchall()
    for (content,) in listed:
        con.executemany(
            "INSERT INTO trail_erased SELECT unnest(range($1::BIGINT, $2::BIGINT + 1))",
            list(_erased(content)),
        )
    con.execute("CREATE OR REPLACE TEMP TABLE trail_stranger (contact_key UUID)")
    insert(con, "trail_stranger", [(key,) for key in _strangers(con, keyer)])


def _erased(content: Any) -> Iterator[tuple[int, int]]:
    """The ranges of an erasure's record; (0, -1), which is none, for one that cannot be read."""
    try:
        told = [(int(first), int(last)) for first, last in orjson.loads(content)["changes"]]
    except (ValueError, KeyError, TypeError):
        told = []
    yield from told or [(0, -1)]


def _strangers(con: DuckDBPyConnection, keyer: Keyer) -> Iterator[UUID]:
    """Contact keys that are not made of the address beside them."""
    cursor = con.execute(
        "SELECT contact_key, address FROM core.identity SEMI JOIN core.change USING (contact_key)"
    )
    while rows := cursor.fetchmany(_BATCH):
        for key, address in rows:
            if keyer.key_of_normal(address) != key.bytes:
                yield key


def _of_heads(
    con: DuckDBPyConnection, heads: Sequence[NightHead | BadLine], walk: _Walk
) -> Iterator[Fault]:
    for each in heads:
        if isinstance(each, BadLine):
            yield Fault("altered", "head", link_seq=each.number)
        elif each.links > walk.head.links:
            yield Fault("removed", "head", walk.head.change_seq + 1, each.night, each.links)
        elif walk.kept.get(each.links) != each.link:
            yield Fault("altered", "head", each.change_seq, each.night, each.links)
    for noted in noted_heads(con):
        if noted not in heads:
            yield Fault("removed", "head", noted.change_seq, noted.night, noted.links)


def _count(con: DuckDBPyConnection, sql: str) -> int:
    row = con.execute(sql).fetchone()
    return int(row[0]) if row else 0


def _place(fault: Fault) -> tuple[int, int]:
    """The first place first; heads, which tell of a whole night, last among equals."""
    number = fault.change_seq if fault.change_seq is not None else fault.link_seq or 0
    return number, ("row", "link", "head").index(fault.where)
