"""From a drift to what is probably behind it and how to mend it: a suspicion, never a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_BY_REASON = {
    "simultaneous": "both acts lie within the window: the opt-out stands until a new act",
    "time_unknown": "the order of the acts is not known: ask the person, or let the opt-out stand",
    "in_flight": "wait one night: it changed between the cut-off and the read",
    "unclear_value": "see the finding: a value that could not be understood has to be mapped",
}
_BY_SOURCE = {
    "sync": "a sync wrote over the person's word: find the job that runs between the two systems",
    "import": "an import wrote over the person's word: find the file and who loaded it",
    "api": "a program wrote over the person's word: find the integration by its key",
}
_BY_CLASS = {
    "unhonoured_opt_out": "opt the person out in this system, then find out why the sync did not",
    "lost_opt_out": "write the opt-out into the hub: the next sync may take it away everywhere",
    "orphan_mailable": "match the record to a contact or lead, or remove it from the list",
    "over_suppressed": "lift the block here: the person's later opt-in stands",
    "not_comparable": "nothing was judged: see the reason",
    "conflicting_duplicates": "merge the records, the more restrictive word first",
    "missing_here": "nothing, unless this system should mail the person",
}


def suspicion(row: Mapping[str, Any]) -> str:
    """What to do first about drift of one cause: `class`, `reason`, `decided_source`."""
    by_reason = _BY_REASON.get(str(row.get("reason")))
    if by_reason:
        return by_reason
    by_source = _BY_SOURCE.get(str(row.get("decided_source")))
    if by_source and row["class"] == "lost_opt_out":
        return by_source
    return _BY_CLASS.get(str(row["class"]), "look at the rows")
