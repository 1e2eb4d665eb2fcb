"""Rule 8: what the records that one system holds of one person say together.

Categories are bits (`optout.model.Categories`). `optout/warehouse/sql/audit_words.sql` computes the
same for everyone at once and is tested against it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from optout.model import Actual


@dataclass(frozen=True)
class Record:
    """One current row of `core.observation`; the masks are those of `optout.records.Reading`."""

    store: str
    record_id: str
    ins: int = 0
    outs: int = 0
    sends: int = 0
    blocks: int = 0
    store_blocks: int = 0
    unclear: int = 0
    weak_outs: int = 0
    seen_in: int = 0
    present: bool = True


@dataclass(frozen=True)
class View:
    """The same of a person as a whole."""

    ins: int
    """Opted in by some record that does not itself hold an opt-out of it."""
    outs: int
    mailable: int
    unclear: int
    present: bool
    """There is a contact, or at least a row that says something of one."""

    def actual(self, bit: int) -> Actual:
        """The state of one cell: mail that would go out outweighs any opt-out beside it."""
        if self.mailable & bit:
            return Actual.MAILABLE
        if self.outs & bit:
            return Actual.OPTED_OUT
        return Actual.NEITHER if self.present else Actual.ABSENT


def read_system(records: Sequence[Record], *, weak_told: int = 0) -> View:
    """Join the records of one person in one system.

    `weak_told`: categories of which a change of this system tells, or in which the hub knows the
    person's word. Elsewhere a missing yes that was never seen given is no opt-out.
    """
    sends: defaultdict[str, int] = defaultdict(int)
    withheld: defaultdict[str, int] = defaultdict(int)
    ins = outs = blocks = unclear = 0
    present = False
    for record in records:
        present = present or record.present or bool(record.sends or record.unclear)
        sends[record.store] |= record.sends
        withheld[record.store] |= record.store_blocks
        ins |= record.ins & ~record.outs
        outs |= held_outs(record, weak_told)
        blocks |= record.blocks
        unclear |= record.unclear
    mailable = 0
    for store, mask in sends.items():
        mailable |= mask & ~withheld[store] & ~blocks
    return View(ins, outs, mailable, unclear, present or outs != 0)


def held_outs(record: Record, weak_told: int) -> int:
    """The opt-outs of one record that count as such."""
    weak = record.outs & record.weak_outs
    return (record.outs & ~record.weak_outs) | (weak & (record.seen_in | weak_told))


def conflicts(records: Sequence[Record], *, across_stores: bool, weak_told: int = 0) -> int:
    """Categories in which one record of the person is opted in and another one opted out.

    In the hub contacts and leads are one (`across_stores`); in an ESP two lists may lawfully say
    different things, so that only records of the same store contradict each other.
    """
    said: defaultdict[str, defaultdict[str, list[int]]]
    said = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for record in records:
        place = "" if across_stores else record.store
        words = said[place][f"{record.store}\0{record.record_id}"]
        words[0] |= record.ins
        words[1] |= held_outs(record, weak_told)
    found = 0
    for by_record in said.values():
        yes = no = 0
        for ins, outs in by_record.values():
            yes |= ins & ~outs
            no |= outs
        found |= yes & no
    return found
