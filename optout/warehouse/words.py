"""The words of a person in all systems, side by side: one grouping instead of a join a system.

What a word holds is said in `optout.warehouse.reconcile`. The grouping is the one step of the night
that holds everybody at once. It is made in passes over ranges of the contact key, which is a hash:
each needs memory for its own share of the people only, and two halves cost no more than the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from uuid import UUID

from optout.engine.session import Session
from optout.warehouse.script import parameters, statements

PEOPLE_A_PASS = 500_000
_MAX_PASSES = 2
_WORD_BITS = 63
"""Of a signed integer without its sign."""


@dataclass(frozen=True)
class Layout:
    """Where the word of each system is: the slot (a column) and the bit at which it begins."""

    bits: int
    places: Mapping[str, tuple[int, int]]

    @classmethod
    def of(cls, bits: int, systems: Iterable[str]) -> Layout:
        """The first system is the hub."""
        width = 5 * bits + 1
        in_a_slot = _WORD_BITS // width
        return cls(
            bits,
            {name: (n // in_a_slot, n % in_a_slot * width) for n, name in enumerate(systems)},
        )

    @property
    def values(self) -> dict[str, int]:
        """The factors that move a mask to its place in a word."""
        names = ("block", "out", "in", "unclear", "present")
        factors = {name: 1 << self.bits * n for n, name in enumerate(names, 1)}
        return {"bits": self.bits, "all": (1 << self.bits) - 1, **factors}

    @property
    def esps(self) -> tuple[str, ...]:
        """All but the hub."""
        return tuple(self.places)[1:]

    @property
    def slots(self) -> range:
        """The columns."""
        return range(1 + max(slot for slot, _ in self.places.values()))

    def word(self, system: str) -> str:
        """The word of one system out of its slot."""
        slot, start = self.places[system]
        return f"(slot_{slot} >> {start}) & {(1 << 5 * self.bits + 1) - 1}"


def join_words(con: Session, layout: Layout, values: Mapping[str, Any], people_a_pass: int) -> None:
    """One row a person in `rec_word`, the words of all systems side by side."""
    con.execute(
        "CREATE OR REPLACE TEMP TABLE rec_place (system VARCHAR, slot INTEGER, factor BIGINT)"
    )
    places = [(name, slot, 1 << start) for name, (slot, start) in layout.places.items()]
    con.executemany("INSERT INTO rec_place VALUES (?, ?, ?)", places)
    table = "".join(f", slot_{n} BIGINT" for n in layout.slots)
    con.execute(f"CREATE OR REPLACE TEMP TABLE rec_word (contact_key UUID{table})")
    columns = "".join(f", bit_or(CASE WHEN slot = {n} THEN word ELSE 0 END)" for n in layout.slots)
    (said,) = statements("audit_words")
    named = {name: values[name] for name in parameters(said)}
    for low, high in _ranges(con, people_a_pass):
        con.execute(
            f"""
            INSERT INTO rec_word
            SELECT contact_key{columns}
            FROM ({said}) AS said
            WHERE contact_key >= CAST($low AS UUID) AND contact_key <= CAST($high AS UUID)
            GROUP BY contact_key
            """,  # noqa: S608
            {"low": str(low), "high": str(high), **named},
        )


def _ranges(con: Session, people_a_pass: int) -> list[tuple[UUID, UUID]]:
    """Ranges of the contact key, both ends included, that share the people out evenly."""
    passes = min(_MAX_PASSES, max(1, -(-people(con) // people_a_pass)))
    starts = [(n << 128) // passes for n in range(passes + 1)]
    return [(UUID(int=a), UUID(int=b - 1)) for a, b in pairwise(starts)]


def pair(layout: Layout, hub: str, system: str) -> str:
    """The words of one ESP beside those of the hub."""
    return f"""
        CREATE OR REPLACE TEMP VIEW rec_pair AS
        SELECT contact_key, {layout.word(system)} AS word, {layout.word(hub)} AS hub_word
        FROM rec_word
    """  # noqa: S608


def people(con: Session) -> int:
    """How many there are, nearly."""
    row = con.execute("SELECT count(*) FROM core.identity").fetchone()
    return int(row[0]) if row else 0


def megabytes_for(count: int) -> int:
    """What a reconciliation of so many people may hold in memory, by measurement: below it the
    words are written out and read again."""
    return 16 + 208 * count // 10**6
