"""One person: every system's answer, the expected state, which change decided it, and the history.

Reads the warehouse itself (not the published copy) and applies the readable rules of
`optout.rules`, so that it is also a second opinion on the nightly SQL.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from duckdb import DuckDBPyConnection

from optout.model import State, TimeKind
from optout.nightly import latest_night
from optout.rights.suppression import unlifted
from optout.rules.reading import Record, View, read_system
from optout.rules.resolution import Decision, PreferenceChange, Reason, resolve
from optout.warehouse.reconcile import ReconcilePolicy

_RECORD_FIELDS = (
    "store", "record_id", "ins", "outs", "sends", "blocks", "store_blocks", "unclear",
    "weak_outs", "seen_in", "present",
)  # fmt: skip
_CHANGE_COLUMNS = (
    "system", "category", "new_state", "occurred_at", "occurred_from", "time_kind",
    "is_explicit", "source", "change_id", "feed", "old_state", "recorded_at", "channel", "reason",
    "campaign_id", "evidence_ref",
)  # fmt: skip


@dataclass(frozen=True)
class Person:
    """Everything that is known of one contact key as of one night; no address in it."""

    contact_key: UUID
    night: date
    cutoff: datetime
    is_known: bool
    views: Mapping[str, View]
    """System → what it says today; systems that know nothing are left out."""
    stores: Mapping[str, Sequence[Mapping[str, Any]]]
    """System → its records, as the evidence for the view."""
    decisions: Mapping[str, Decision]
    """Category → the expected state."""
    changes: Sequence[Mapping[str, Any]]
    """The history, oldest first."""
    drift: Sequence[Mapping[str, Any]]
    """Open and closed, newest first."""
    mail: Sequence[Mapping[str, Any]]
    """The newest messages first, at most 100."""


def explain(con: DuckDBPyConnection, key: UUID, policy: ReconcilePolicy) -> Person | None:
    """The person of a contact key; None before the first finished night."""
    found = latest_night(con)
    if found is None:
        return None
    night, cutoff = found
    rows = _records(con, key)
    history = _history(con, key)
    hub = read_system([_record(r) for r in rows.get(policy.hub, [])])
    views = {
        system: read_system(
            [_record(r) for r in records],
            weak_told=_told(history, system, policy) | hub.ins | hub.outs,
        )
        for system, records in rows.items()
    }
    changes = [_preference_change(c) for c in history]
    changes += _undated(rows, history, policy, views)
    kept = {
        system: frozenset(policy.categories.of(_or(records, "category_outs")))
        for system, records in rows.items()
    }
    changes = [replace(c, kept=kept.get(c.system, frozenset())) for c in changes]
    changes = unlifted(changes, history)
    decisions = {
        name: resolve(changes, name, cutoff, policy.window) for name in policy.categories.names
    }
    return Person(
        contact_key=key,
        night=night,
        cutoff=cutoff,
        is_known=bool(rows or history),
        views=views,
        stores=rows,
        decisions=_as_the_hub_says(decisions, hub, policy),
        changes=history,
        drift=_drift(con, key),
        mail=_mail(con, key),
    )


def _as_the_hub_says(
    decisions: Mapping[str, Decision], hub: View, policy: ReconcilePolicy
) -> Mapping[str, Decision]:
    """Where no opt-out is known, the hub's present word is the expected state: that an ESP once
    was told a yes, by whomever, is none of the hub's (unknown is not yes)."""
    result = dict(decisions)
    for name, decision in decisions.items():
        if decision.reason is Reason.NO_OPT_OUT:
            is_yes = bool(hub.ins & policy.categories.bit(name))
            by = decision.decided_by if is_yes else None
            state = State.OPTED_IN if is_yes else State.NOT_SET
            result[name] = replace(decision, state=state, decided_by=by)
    return result


def _records(con: DuckDBPyConnection, key: UUID) -> dict[str, list[dict[str, Any]]]:
    columns = ["system", *_RECORD_FIELDS, "category_outs", "global_out", "undeliverable",
               "complained", "seen_after", "valid_from", "modified_at", "night_from"]  # fmt: skip
    rows = con.execute(
        f"SELECT {', '.join(columns)} FROM core.observation"  # noqa: S608
        " WHERE contact_key = $key AND night_to IS NULL ORDER BY system, store, record_id",
        {"key": key},
    ).fetchall()
    result: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        result[row[0]].append(dict(zip(columns, row, strict=True)))
    return dict(result)


def _record(row: Mapping[str, Any]) -> Record:
    return Record(**{name: row[name] for name in _RECORD_FIELDS})


def _history(con: DuckDBPyConnection, key: UUID) -> list[dict[str, Any]]:
    rows = con.execute(
        f"SELECT {', '.join(_CHANGE_COLUMNS)} FROM core.known_change"  # noqa: S608
        " WHERE contact_key = $key ORDER BY occurred_at, change_id",
        {"key": key},
    ).fetchall()
    return [dict(zip(_CHANGE_COLUMNS, row, strict=True)) for row in rows]


def _told(history: Sequence[Mapping[str, Any]], system: str, policy: ReconcilePolicy) -> int:
    """Categories of which some change of the system tells."""
    told = 0
    for change in history:
        if change["system"] == system:
            name = change["category"]
            told |= policy.categories.all if name is None else policy.categories.bit(name)
    return told


def _preference_change(row: Mapping[str, Any]) -> PreferenceChange:
    return PreferenceChange(
        system=row["system"],
        category=row["category"],
        state=State(row["new_state"]),
        occurred_at=row["occurred_at"],
        occurred_from=row["occurred_from"],
        time_kind=TimeKind(row["time_kind"]),
        is_explicit=row["is_explicit"],
        source=row["source"],
        change_id=row["change_id"],
    )


def _undated(
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
    history: Sequence[Mapping[str, Any]],
    policy: ReconcilePolicy,
    views: Mapping[str, View],
) -> list[PreferenceChange]:
    """Weak opt-outs that count and of which no change tells: bounded by the reads."""
    told = {
        s: _told([c for c in history if c["new_state"] == "opted_out"], s, policy) for s in rows
    }
    result = []
    for system, records in rows.items():
        for row in records:
            mask = row["weak_outs"] & views[system].outs & ~told[system]
            for name in policy.categories.of(mask):
                bound = _latest(row)
                result.append(
                    PreferenceChange(
                        system, name, State.OPTED_OUT, bound, row["seen_after"], TimeKind.ESTIMATED
                    )
                )
    return result


def _latest(row: Mapping[str, Any]) -> datetime:
    """The latest moment of an undated opt-out: the record's own stamp, where it lies between the
    read that said otherwise and the one that said so first."""
    stamp: datetime | None = row["modified_at"]
    before: datetime | None = row["seen_after"]
    first: datetime = row["valid_from"]
    if stamp is None or stamp >= first or (before is not None and stamp <= before):
        return first
    return stamp


def _or(records: Sequence[Mapping[str, Any]], field: str) -> int:
    mask = 0
    for record in records:
        mask |= record[field]
    return mask


def _drift(con: DuckDBPyConnection, key: UUID) -> list[dict[str, Any]]:
    columns = ("class", "system", "category", "expected", "actual", "reason", "store",
               "opened_night", "closed_night")  # fmt: skip
    rows = con.execute(
        f"SELECT {', '.join(columns)} FROM audit.drift WHERE contact_key = $key"  # noqa: S608
        " ORDER BY closed_night IS NOT NULL, opened_night DESC, class, system, category",
        {"key": key},
    ).fetchall()
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _mail(con: DuckDBPyConnection, key: UUID) -> list[dict[str, Any]]:
    columns = ("occurred_at", "system", "kind", "campaign_id", "time_kind")
    rows = con.execute(
        f"SELECT {', '.join(columns)} FROM core.mail_event WHERE contact_key = $key"  # noqa: S608
        " ORDER BY occurred_at DESC, event_key LIMIT 100",
        {"key": key},
    ).fetchall()
    return [dict(zip(columns, row, strict=True)) for row in rows]
