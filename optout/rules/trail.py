"""Rule 7: is every change of a preference recorded by the system that holds it, and how well?

The unit is one change of one field of one contact: in the hub of one record, elsewhere of one
person. For the whole company this is set-based SQL (`optout/warehouse/sql/trail_*.sql`); here are
its words and numbers, and how to read them (`docs/metrics.md#audit_trail_completeness`).
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

TOLERANCE = timedelta(minutes=5)
"""How far apart two feeds may date one act. Vendors' clocks and queues differ by seconds; five
minutes is the skew of clocks that this product allows everywhere, and still less than the time in
which people change their minds. Two acts of one kind within it are told apart by their number: the
first that each feed tells is one act, then the second."""

SKEW = timedelta(seconds=30)
"""Within it two feeds date one act alike; where the hub's two feeds do, they are joined first."""

LATE = timedelta(days=31)
"""How long after the act an entry may be written and still be recognised as that of a change whose
own time the other feed does not tell: a month, as long as the law gives for an answer."""

HISTORY_FEED = "history"
"""The hub's own record: its history field."""

FIELD_FEED = "firehose"
"""The hub's other feed of field changes, by the name of its stream: a witness, no record. It is
kept for days only, and does not say who acted for what reason."""

COMPARED_FEEDS = ("baseline", "comparison", "address_change")
"""Rows of `core.change` that we derived ourselves: no evidence of a system's own record."""


class GapKind(StrEnum):
    """What is wrong with the trail of a change; the first that fits is its `fault`."""

    PHANTOM = "phantom"
    """An entry of a change that never was: the value stayed, or the other feed tells of none."""
    UNPARSABLE = "unparsable"
    """There is an entry, and it cannot be read."""
    NO_HISTORY = "no_history"
    """A value was set when the record was first read, and the record had no history at all."""
    CHANGE_WITHOUT_ENTRY = "change_without_entry"
    """Known only from comparing nights, or from the hub's other feed."""
    BROKEN_CHAIN = "broken_chain"
    """The old value is not the new one before it; or a value that no change led to."""
    MISSING_REQUIRED_FIELD = "missing_required_field"
    """One gap for each field that the entry must have and lacks."""


def beginning(field: str) -> str:
    """What a field was before it was ever mentioned: the global flag (`*`) false, a category not
    set."""
    return "opted_in" if field == "*" else "not_set"
