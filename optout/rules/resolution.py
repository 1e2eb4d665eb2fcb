"""Rule 3: what a person's preference for one category should be, by every change anyone knows.

This is the readable definition; `optout/warehouse/sql/audit_expected.sql` computes the same for
everyone at once and is tested against it. The result is a property of the *set* of changes: no
function here depends on their order.

Shapes: times are datetimes of one kind (all aware or all naive UTC), `window` a timedelta.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from optout.model import State, TimeKind

DEFAULT_WINDOW = timedelta(minutes=15)
"""Two acts within it are simultaneous: the more restrictive one wins."""


class Reason(StrEnum):
    """Why a preference is what it is; the words that a compliance officer reads."""

    NO_OPT_OUT = "no_opt_out"
    """Nobody ever recorded an opt-out: it is as the last opt-in says."""
    LIFTED = "lifted"
    """The person opted in again, later and of equal or wider scope."""
    OPT_OUT_STANDS = "opt_out_stands"
    """Nothing came after the opt-out that could lift it."""
    SIMULTANEOUS = "simultaneous"
    """An opt-in of the person lies within the window around it."""
    TIME_UNKNOWN = "time_unknown"
    """An opt-in of the person may have been later, but the two intervals overlap."""
    CATEGORY_KEPT = "category_kept"
    """The person's later opt-in to everything left this category opted out (docs/adr/0002)."""
    NARROWER_SCOPE = "narrower_scope"
    """The person later opted in to the category only; the opt-out is of everything."""
    NOT_PERSONAL = "not_personal"
    """Only a sync, an import or an API write came later."""


@dataclass(frozen=True)
class PreferenceChange:
    """One row of `core.change`, as far as rule 3 needs it."""

    system: str
    category: str | None
    """None: of everything."""
    state: State
    """What it changed to."""
    occurred_at: datetime
    """The act, or the latest moment at which it can have been."""
    occurred_from: datetime | None
    """The earliest; None: no bound."""
    time_kind: TimeKind = TimeKind.SOURCE
    is_explicit: bool = False
    """The person made it: only then can an opt-in lift anything."""
    source: str = "unknown"
    change_id: UUID | None = None
    """None for an opt-out that a system holds without any record of the change."""
    kept: frozenset[str] = field(default_factory=frozenset)
    """Of a release of everything: the categories that the system which recorded it shows as opted
    out all the same (`core.observation.category_outs`)."""


@dataclass(frozen=True)
class Decision:
    """The expected state of one (person, category), why, and the change that decided it."""

    state: State
    reason: Reason
    decided_by: PreferenceChange | None


def resolve(
    changes: Iterable[PreferenceChange], category: str, cutoff: datetime, window: timedelta
) -> Decision:
    """The expected state of `category` at `cutoff`, from all changes of one person."""
    known = [c for c in changes if c.category in (None, category) and is_known(c, cutoff)]
    outs = [c for c in known if c.state is State.OPTED_OUT]
    ins = [c for c in known if c.state is State.OPTED_IN]
    if not outs:
        latest = max(ins, key=precedence, default=None)
        return Decision(State.OPTED_IN if latest else State.NOT_SET, Reason.NO_OPT_OUT, latest)
    standing = [o for o in outs if not any(lifts(i, o, window) for i in ins)]
    if standing:
        deciding = max(standing, key=precedence)
        return Decision(State.OPTED_OUT, _why_it_stands(deciding, ins, window), deciding)
    lifting = [i for i in ins if any(lifts(i, o, window) for o in outs)]
    return Decision(State.OPTED_IN, Reason.LIFTED, max(lifting, key=precedence))


def is_known(change: PreferenceChange, cutoff: datetime) -> bool:
    """Whether a change counts tonight: a dated one by its stamp, an estimated one as soon as it
    can have been before the cut-off."""
    if change.time_kind is TimeKind.SOURCE:
        return change.occurred_at <= cutoff
    return change.occurred_from is None or change.occurred_from <= cutoff


def lifts(opt_in: PreferenceChange, opt_out: PreferenceChange, window: timedelta) -> bool:
    """Whether an opt-in certainly came later than the window after an opt-out that it covers."""
    return (
        opt_in.is_explicit
        and opt_in.occurred_from is not None
        and opt_in.occurred_from > opt_out.occurred_at + window
        and covers(opt_in, opt_out)
    )


def covers(opt_in: PreferenceChange, opt_out: PreferenceChange) -> bool:
    """Equal or wider scope; a release of everything spares the categories it kept."""
    if opt_in.category is None:
        return opt_out.category is None or opt_out.category not in opt_in.kept
    return opt_in.category == opt_out.category


def precedence(change: PreferenceChange) -> tuple[datetime, bool, int, str, timedelta]:
    """The greatest one speaks: the latest, the wider one at the same moment; the rest only makes
    the choice independent of the order in which changes were read."""
    number = change.change_id.int if change.change_id else -1
    start = change.occurred_from
    width = timedelta.max if start is None else change.occurred_at - start
    return change.occurred_at, change.category is None, number, change.system, width


def _why_it_stands(
    opt_out: PreferenceChange, ins: Sequence[PreferenceChange], window: timedelta
) -> Reason:
    explicit = [i for i in ins if i.is_explicit]
    near = [i for i in explicit if covers(i, opt_out) and not _is_earlier(i, opt_out, window)]
    if any(_is_within(i, opt_out, window) for i in near):
        return Reason.SIMULTANEOUS
    if near:
        return Reason.TIME_UNKNOWN
    later = [i for i in ins if i.occurred_at > opt_out.occurred_at]
    if any(i.is_explicit and i.category is None for i in later):
        return Reason.CATEGORY_KEPT
    if any(i.is_explicit for i in later):
        return Reason.NARROWER_SCOPE
    return Reason.NOT_PERSONAL if later else Reason.OPT_OUT_STANDS


def _is_earlier(opt_in: PreferenceChange, opt_out: PreferenceChange, window: timedelta) -> bool:
    """Certainly earlier, by more than the window: no attempt to undo this opt-out."""
    return opt_out.occurred_from is not None and opt_in.occurred_at + window < opt_out.occurred_from


def _is_within(opt_in: PreferenceChange, opt_out: PreferenceChange, window: timedelta) -> bool:
    """Certainly within the window of each other, wherever in their intervals they lie."""
    if opt_in.occurred_from is None or opt_out.occurred_from is None:
        return False
    last = max(opt_in.occurred_at, opt_out.occurred_at)
    return last - min(opt_in.occurred_from, opt_out.occurred_from) <= window
