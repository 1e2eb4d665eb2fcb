"""What HubSpot says of one address, as rows: one reading, and the dated statuses as changes.

How a status is read (`docs/metrics.md#reading-a-cell`): UNSUBSCRIBED, or UNSUBSCRIBED from
everything, is an opt-out; SUBSCRIBED without the latter is mailable; NOT_SPECIFIED is neither. A
type that is SUBSCRIBED is not mailed while the portal-wide status says no, and v4 keeps the two
side by side, so that only both together tell anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from optout.model import Source, State
from optout.records import Change, Finding, Reading, Row
from optout.vendors.hubspot.rows import (
    STATES,
    TypeBook,
    as_raw,
    channel_of,
    moment,
    number_of,
    shown_word,
    source_of,
)

_NOBODY = (Source.UNKNOWN, False)
"""A portal-wide status tells no source."""


@dataclass(frozen=True)
class Answered:
    """What HubSpot answered of one address: the types' statuses and the wide ones."""

    address: str
    statuses: Sequence[Mapping[str, Any]]
    wide: Sequence[Mapping[str, Any]]


def status_rows(answered: Answered, book: TypeBook, cutoff: datetime) -> list[Row]:
    """The rows of one address; changes later than the cut-off wait for the next night."""
    cells = _Cells(answered, book, cutoff)
    for status in answered.wide:
        cells.take_wide(status)
    seen = set()
    for status in answered.statuses:
        kind = number_of(status.get("subscriptionId"))
        if kind is not None and kind in book.masks:
            seen.add(kind)
            cells.take(kind, status)
    cells.missing(book.expected - seen)
    return [*cells.rows, cells.reading()]


class _Cells:
    """Gathers what the statuses of one address come to."""

    def __init__(self, answered: Answered, book: TypeBook, cutoff: datetime) -> None:
        self.rows: list[Row] = []
        self._address = answered.address
        self._id = book.pseudonym(answered.address)
        self._book = book
        self._cutoff = cutoff
        shown = {"statuses": list(answered.statuses), "wideStatuses": list(answered.wide)}
        self._raw = as_raw(shown)
        self._ins = self._outs = self._sends = self._unclear = self._category_outs = 0
        self._global_out = False
        self._units_out: set[int] = set()
        self._positive: list[tuple[datetime | None, Source, bool]] = []
        self._modified: datetime | None = None

    def take_wide(self, status: Mapping[str, Any]) -> None:
        """A status of everything, or of everything that one business unit sends."""
        kind, word = status.get("wideStatusType"), status.get("status")
        unit = number_of(status.get("businessUnitId")) or 0
        every = self._book.categories.all
        if kind not in ("PORTAL_WIDE", "BUSINESS_UNIT_WIDE"):
            self._unknown("wideStatusType", kind, every)
        elif word not in STATES:
            mask = every if kind == "PORTAL_WIDE" else self._book.of_unit(unit)
            self._unknown("status", word, mask)
        elif STATES[str(word)] is not State.OPTED_OUT:
            return
        elif kind == "PORTAL_WIDE":
            self._outs |= every
            self._global_out = True
            self._tell([None], State.OPTED_OUT, status, "portal", _NOBODY)
        else:
            mask = self._book.of_unit(unit)
            self._outs |= mask
            self._category_outs |= mask
            self._units_out.add(unit)
            names = self._book.categories.of(mask)
            self._tell(names, State.OPTED_OUT, status, f"unit {unit}", _NOBODY)

    def take(self, kind: int, status: Mapping[str, Any]) -> None:
        """A status of one mapped type; the wide ones were taken before."""
        mask, word = self._book.masks[kind], status.get("status")
        names = self._book.categories.of(mask)
        who = source_of(status.get("source"), status.get("legalBasis"))
        state = STATES.get(word) if isinstance(word, str) else None
        if state is None:
            self._unknown("status", word, mask)
        elif state is State.OPTED_OUT:
            self._outs |= mask
            self._category_outs |= mask
            self._tell(names, state, status, f"type {kind}", who)
        elif state is State.OPTED_IN:
            unit = number_of(status.get("businessUnitId"))
            unit = self._book.units.get(kind, 0) if unit is None else unit
            self._ins |= mask
            self._sends |= 0 if unit in self._units_out else mask
            self._positive.append((moment(status.get("timestamp")), *who))
            # A yes that the person did not give lifts nothing, so no change is told of it.
            if who[1]:
                self._tell(names, state, status, f"type {kind}", who)

    def missing(self, kinds: frozenset[int]) -> None:
        """Types of which the answer is silent, which is not the same as NOT_SPECIFIED."""
        for kind in sorted(kinds):
            mask = self._book.masks[kind]
            self._unclear |= mask
            self._find("missing_field", f"type {kind}", "", mask)

    def reading(self) -> Reading:
        """The one row of the address; present only by a yes, else its contact tells."""
        stamps = [at for at, _, _ in self._positive]
        sources = {source for _, source, _ in self._positive}
        return Reading(
            "statuses", self._id, self._address, ins=self._ins, outs=self._outs,
            sends=0 if self._global_out else self._sends,
            blocks=self._book.categories.all if self._global_out else 0,
            unclear=self._unclear, category_outs=self._category_outs,
            global_out=self._global_out,
            # One stamp stands for all positive words: the oldest, which lifts the least.
            in_at=None if None in stamps else min((at for at in stamps if at), default=None),
            in_source=sources.pop() if len(sources) == 1 else Source.UNKNOWN,
            in_explicit=bool(self._positive) and all(given for _, _, given in self._positive),
            present=bool(self._ins), modified_at=self._modified, raw=self._raw,
        )  # fmt: skip

    def _tell(
        self, names: Sequence[str | None], new: State, status: Mapping[str, Any], what: str,
        who: tuple[Source, bool],
    ) -> None:  # fmt: skip
        """A dated status is a change; without a stamp it is only a state."""
        at = moment(status.get("timestamp"))
        if at is None:
            return
        self._modified = max(self._modified or at, at)
        if at > self._cutoff:
            return
        source, explicit = who
        for name in names:
            self.rows.append(Change(
                f"status:{self._id}:{what}:{name or '*'}:{new}:{at.isoformat()}", "status",
                self._id, self._address, name, None, new, at, at, effective_at=at, source=source,
                explicit=explicit, channel=channel_of(status.get("source")),
                actor="person" if explicit else None, store="statuses", raw=as_raw(status),
            ))  # fmt: skip

    def _unknown(self, field: str, word: Any, mask: int) -> None:
        self._unclear |= mask
        if word is None:
            self._find("missing_field", field, "", mask)
        else:
            self._find("unknown_value", field, shown_word(word), mask)

    def _find(self, code: str, field: str, detail: str, mask: int) -> None:
        self.rows.append(
            Finding(code, "statuses", self._id, field, detail, self._address, mask, self._raw)
        )
