"""Rule 5: how one cell (person, ESP, category) differs from what is expected, if it does.

This is the readable definition; `optout/warehouse/sql/audit_cells.sql` and `audit_in_flight.sql`
compute the same for everyone at once and are tested against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from optout.model import DriftClass, State, TimeKind
from optout.rules.resolution import Decision, PreferenceChange, Reason


class Incomparable(StrEnum):
    """Why a cell is `not_comparable`."""

    UNCLEAR_VALUE = "unclear_value"
    """A system said something that could not be understood."""
    IN_FLIGHT = "in_flight"
    """Only a change after the night's cut-off explains the difference: wait for the next night."""


@dataclass(frozen=True)
class Cell:
    """What is expected of one cell and what the ESP and the hub say of it."""

    decision: Decision
    mailable: bool = False
    """The ESP would mail the person."""
    holds_out: bool = False
    """Some store of the ESP holds an opt-out (it may be mailable through another store)."""
    present: bool = True
    """The ESP has a record of the person, if only a suppression."""
    unclear: bool = False
    known: bool = True
    """The hub has a contact or lead with the address."""
    hub_out: bool = False
    hub_unclear: bool = False
    in_flight: bool = False
    """By `is_in_flight`."""


def classify(cell: Cell) -> tuple[DriftClass, str | None] | None:
    """The first class that fits, with its reason; None where the cell is as it should be.

    The first place of `not_comparable` must not hide a certain wrong: what the hub says unclearly
    does not excuse mail to a person whose opt-out is known from elsewhere.
    """
    if cell.unclear:
        return DriftClass.NOT_COMPARABLE, Incomparable.UNCLEAR_VALUE
    found = _difference(cell)
    if found is None or found[0] in (DriftClass.NOT_COMPARABLE, DriftClass.MISSING_HERE):
        return found
    if cell.in_flight:
        return DriftClass.NOT_COMPARABLE, Incomparable.IN_FLIGHT
    return found


def _difference(cell: Cell) -> tuple[DriftClass, str | None] | None:
    if cell.mailable:
        return _of_mailable(cell)
    if cell.holds_out:
        return _of_blocked(cell)
    if cell.known and not cell.present:
        return DriftClass.MISSING_HERE, None
    return None


def _of_mailable(cell: Cell) -> tuple[DriftClass, str] | None:
    if cell.decision.state is State.OPTED_OUT:
        return DriftClass.UNHONOURED_OPT_OUT, cell.decision.reason
    if not cell.known:
        return DriftClass.ORPHAN_MAILABLE, cell.decision.reason
    if cell.hub_unclear and not cell.hub_out:
        return DriftClass.NOT_COMPARABLE, Incomparable.UNCLEAR_VALUE
    return None


def _of_blocked(cell: Cell) -> tuple[DriftClass, str] | None:
    """An opt-out is held here. Unless a decision lifted it, it stands: one that no change explains
    is never taken for over-suppression, because that would invite someone to remove it."""
    if cell.hub_unclear and not cell.hub_out:
        return DriftClass.NOT_COMPARABLE, Incomparable.UNCLEAR_VALUE
    if cell.decision.reason is Reason.LIFTED:
        return DriftClass.OVER_SUPPRESSED, cell.decision.reason
    if not cell.hub_out:
        stands = cell.decision.state is State.OPTED_OUT
        reason = cell.decision.reason if stands else Reason.OPT_OUT_STANDS
        return DriftClass.LOST_OPT_OUT, reason
    return None


@dataclass(frozen=True)
class Stamp:
    """Times of one record that causes a cell to be what it is: that sends, or holds the out."""

    modified_at: datetime | None
    """The vendor's own stamp of its last change: an upper bound of the act."""
    valid_from: datetime
    """The read that first found the record saying what it says."""


def is_in_flight(
    *,
    mailable: bool,
    causes: Sequence[Stamp],
    own: Iterable[PreferenceChange],
    hub: Iterable[PreferenceChange],
    cutoff: datetime,
) -> bool:
    """Whether only a change after the cut-off explains the difference of a cell.

    `own` and `hub` are the changes of this ESP and of the hub that touch the cell (its category or
    everything). A change explains the cell if it leads to what the cell shows. An undated change
    is assumed only where every record that causes the cell was modified after the cut-off, said
    something else before it, and the last dated change does not lead to it already: so a
    difference can hide for one night at most.
    """
    dated = [c for c in own if c.time_kind is TimeKind.SOURCE]
    if any(c.occurred_at > cutoff and _leads_to(c, mailable) for c in dated):
        return True
    if not mailable and any(_is_late_release(c, cutoff) for c in hub):
        return True
    if not causes or not all(_is_fresh(stamp, cutoff) for stamp in causes):
        return False
    before = [c for c in dated if c.occurred_at <= cutoff]
    towards = max((c.occurred_at for c in before if _leads_to(c, mailable)), default=None)
    away = max((c.occurred_at for c in before if not _leads_to(c, mailable)), default=None)
    return towards is None or (away is not None and towards < away)


def _leads_to(change: PreferenceChange, mailable: bool) -> bool:
    return (change.state is not State.OPTED_OUT) == mailable


def _is_late_release(change: PreferenceChange, cutoff: datetime) -> bool:
    """The hub dropped the opt-out after the cut-off: tonight's cut-off still had it."""
    return (
        change.time_kind is TimeKind.SOURCE
        and change.occurred_at > cutoff
        and change.state is not State.OPTED_OUT
    )


def _is_fresh(stamp: Stamp, cutoff: datetime) -> bool:
    modified = stamp.modified_at is not None and stamp.modified_at > cutoff
    return modified and stamp.valid_from > cutoff
