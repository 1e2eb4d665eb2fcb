"""A second, slow and independent definition of the rules, for tests only.

Written from the prose of `docs/metrics.md` over plain rows, one person and one category at a time,
with names instead of masks and without `optout.rules` or SQL: where all three agree on random
worlds, a mistake would have to be made three times.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from optout.warehouse.reconcile import ReconcilePolicy

Row = dict[str, Any]
Verdict = tuple[str, str | None, str | None]
"""Class, reason, store."""


@dataclass(frozen=True)
class World:
    """The rows of `core` that reconciliation looks at."""

    readings: Sequence[Row]
    changes: Sequence[Row]
    cutoff: datetime


def _is_told_exactly(change: Row, changes: Sequence[Row]) -> bool:
    """The vendor later gave the stamp of the very act that this estimate bounds."""
    start = change["occurred_from"]
    fields = ("system", "contact_key", "category", "new_state")
    return any(
        all(other[f] == change[f] for f in fields)
        and other["time_kind"] == "source"
        and other["occurred_at"] <= change["occurred_at"]
        and (start is None or other["occurred_at"] > start)
        for other in changes
    )


def _rank(change: Row) -> tuple[Any, ...]:
    start = change["occurred_from"]
    return (
        change["occurred_at"],
        1 if change["category"] is None else 0,
        change.get("change_id") or UUID(int=0),
        change["system"],
        timedelta.max if start is None else change["occurred_at"] - start,
    )


class SlowRules:
    """Judges one world."""

    def __init__(self, world: World, policy: ReconcilePolicy) -> None:
        self.world = world
        self.policy = policy
        self.cutoff = world.cutoff
        self.names = policy.categories.names
        self._readings: defaultdict[tuple[UUID, str], list[Row]] = defaultdict(list)
        self._changes: defaultdict[UUID, list[Row]] = defaultdict(list)
        for row in world.readings:
            if not row.get("night_to"):
                self._readings[row["contact_key"], row["system"]].append(row)
        for row in world.changes:
            self._changes[row["contact_key"]].append(row)

    def _has(self, mask: int, name: str) -> bool:
        return name in self.policy.categories.of(mask)

    def rows(self, person: UUID, system: str) -> list[Row]:
        """Current records of a person in a system."""
        return self._readings[person, system]

    def changes(self, person: UUID, name: str, system: str | None = None) -> list[Row]:
        """Changes that touch a category, of any or one system."""
        return [
            c
            for c in self._changes[person]
            if c["category"] in (None, name) and system in (None, c["system"])
        ]

    # --- reading a cell ---------------------------------------------------------------------------
    def hub_says(self, person: UUID, name: str) -> set[str]:
        """Words of the hub's records: in, out, unclear."""
        words = set()
        for row in self.rows(person, self.policy.hub):
            if self._has(row["outs"], name):
                words.add("out")
            elif self._has(row["ins"], name):
                words.add("in")
            if self._has(row["unclear"], name):
                words.add("unclear")
        return words

    def counts_as_out(self, row: Row, name: str) -> bool:
        """Whether a record holds an opt-out, the lack of a yes weighed."""
        if not self._has(row["outs"], name):
            return False
        if not self._has(row["weak_outs"], name):
            return True
        if self._has(row["seen_in"], name) or self.changes(row["contact_key"], name, row["system"]):
            return True
        return bool(self.hub_says(row["contact_key"], name) & {"in", "out"})

    def sending_stores(self, person: UUID, system: str, name: str) -> list[str]:
        """Stores that would mail, before blocks of the whole system."""
        rows = self.rows(person, system)
        result = []
        for store in sorted({r["store"] for r in rows}):
            here = [r for r in rows if r["store"] == store]
            if any(self._has(r["sends"], name) for r in here) and not any(
                self._has(r["store_blocks"], name) for r in here
            ):
                result.append(store)
        return result

    def is_mailable(self, person: UUID, system: str, name: str) -> bool:
        """Some store sends and nothing blocks throughout the system."""
        if any(self._has(r["blocks"], name) for r in self.rows(person, system)):
            return False
        return bool(self.sending_stores(person, system, name))

    # --- rule 3 -----------------------------------------------------------------------------------
    def acts(self, person: UUID, name: str) -> list[Row]:
        """Known changes and undated holdings that touch a category."""
        found = []
        for c in self.changes(person, name):
            if c["time_kind"] == "source":
                known = c["occurred_at"] <= self.cutoff
            else:
                start = c["occurred_from"]
                known = start is None or start <= self.cutoff
                known = known and not _is_told_exactly(c, self._changes[person])
            if known:
                found.append(c)
        for system in self.policy.systems:
            for row in self.rows(person, system):
                if self._is_undated(row, name):
                    found.append(self._undated(row, name))
        return found

    def _is_undated(self, row: Row, name: str) -> bool:
        if not self._has(row["weak_outs"], name) or not self.counts_as_out(row, name):
            return False
        start = row.get("seen_after")
        told = [
            c
            for c in self.changes(row["contact_key"], name, row["system"])
            if c["new_state"] == "opted_out"
        ]
        return not told and (start is None or start <= self.cutoff)

    def _undated(self, row: Row, name: str) -> Row:
        end, start = row["valid_from"], row.get("seen_after")
        modified = row.get("modified_at")
        if modified is not None and modified < end and (start is None or modified > start):
            end = modified
        return {
            "system": row["system"],
            "category": name,
            "new_state": "opted_out",
            "occurred_at": end,
            "occurred_from": start,
            "is_explicit": False,
            "change_id": None,
        }

    def fits(self, opt_in: Row, opt_out: Row, person: UUID) -> bool:
        """Scope wide enough, and not a category that the release itself left opted out."""
        if opt_out["category"] is None:
            return opt_in["category"] is None
        if opt_in["category"] is not None:
            return bool(opt_in["category"] == opt_out["category"])
        rows = self.rows(person, opt_in["system"])
        return not any(self._has(r["category_outs"], opt_out["category"]) for r in rows)

    def expected(self, person: UUID, name: str) -> tuple[str, str, UUID | None] | None:
        """State, reason and deciding change; None where nobody ever opted out."""
        acts = self.acts(person, name)
        outs = sorted((a for a in acts if a["new_state"] == "opted_out"), key=_rank)
        ins = sorted((a for a in acts if a["new_state"] == "opted_in"), key=_rank)
        if not outs:
            return None
        lifters: list[Row] = []
        for out in reversed(outs):
            own = [i for i in ins if self._lifts(i, out, person)]
            if not own:
                return "opted_out", self._why(out, ins, person), out["change_id"]
            lifters += own
        return "opted_in", "lifted", max(lifters, key=_rank)["change_id"]

    def _lifts(self, i: Row, out: Row, person: UUID) -> bool:
        if not i["is_explicit"] or i["occurred_from"] is None or not self.fits(i, out, person):
            return False
        return bool(i["occurred_from"] - out["occurred_at"] > self.policy.window)

    def _why(self, out: Row, ins: Sequence[Row], person: UUID) -> str:
        window, reasons = self.policy.window, {"opt_out_stands"}
        for i in ins:
            is_later = i["occurred_at"] > out["occurred_at"]
            if not i["is_explicit"]:
                reasons |= {"not_personal"} if is_later else set()
            elif self.fits(i, out, person):
                reasons |= self._closeness(i, out, window)
            elif is_later:
                reasons.add("narrower_scope" if i["category"] else "category_kept")
        order = ["simultaneous", "time_unknown", "category_kept", "narrower_scope",
                 "not_personal", "opt_out_stands"]  # fmt: skip
        return min(reasons, key=order.index)

    @staticmethod
    def _closeness(i: Row, out: Row, window: timedelta) -> set[str]:
        a, b = i["occurred_from"], out["occurred_from"]
        if b is not None and b - i["occurred_at"] > window:
            return set()
        if a is None or b is None:
            return {"time_unknown"}
        farthest = max(i["occurred_at"] - b, out["occurred_at"] - a,
                       i["occurred_at"] - a, out["occurred_at"] - b)  # fmt: skip
        return {"simultaneous"} if farthest <= window else {"time_unknown"}

    # --- rule 5 -----------------------------------------------------------------------------------
    def verdict(self, person: UUID, system: str, name: str) -> Verdict | None:
        """The class of one cell."""
        rows = self.rows(person, system)
        hub_rows = self.rows(person, self.policy.hub)
        known = any(r["present"] for r in hub_rows)
        if any(self._has(r["unclear"], name) for r in rows):
            return "not_comparable", "unclear_value", self._store(person, system, name)
        found = self._difference(person, system, name, known)
        if found is None:
            held = any(self.counts_as_out(r, n) for r in rows for n in self.names)
            said = any(r["present"] or r["sends"] or r["unclear"] for r in rows)
            gone = known and not held and not said
            return ("missing_here", None, None) if gone else None
        if found[0] != "not_comparable" and self._is_in_flight(person, system, name):
            found = ("not_comparable", "in_flight")
        return (*found, self._store(person, system, name))

    def _difference(
        self, person: UUID, system: str, name: str, known: bool
    ) -> tuple[str, str] | None:
        decided = self.expected(person, name)
        state, reason = decided[:2] if decided else ("not_set", "no_opt_out")
        hub = self.hub_says(person, name)
        murky = "unclear" in hub and "out" not in hub
        if self.is_mailable(person, system, name):
            if state == "opted_out":
                return "unhonoured_opt_out", reason
            if not known:
                return "orphan_mailable", reason
            return ("not_comparable", "unclear_value") if murky else None
        if not any(self.counts_as_out(r, name) for r in self.rows(person, system)):
            return None
        if murky:
            return "not_comparable", "unclear_value"
        if reason == "lifted":
            return "over_suppressed", reason
        if "out" in hub:
            return None
        return "lost_opt_out", reason if state == "opted_out" else "opt_out_stands"

    def _causes(self, person: UUID, system: str, name: str) -> list[Row]:
        rows = self.rows(person, system)
        if self.is_mailable(person, system, name):
            stores = self.sending_stores(person, system, name)
            return [r for r in rows if r["store"] in stores and self._has(r["sends"], name)]
        return [r for r in rows if self.counts_as_out(r, name)]

    def _store(self, person: UUID, system: str, name: str) -> str | None:
        return min((r["store"] for r in self._causes(person, system, name)), default=None)

    def _is_in_flight(self, person: UUID, system: str, name: str) -> bool:
        mailable = self.is_mailable(person, system, name)
        dated = [c for c in self.changes(person, name) if c["time_kind"] == "source"]
        own = [c for c in dated if c["system"] == system]
        for c in dated:
            after = c["occurred_at"] > self.cutoff
            is_out = c["new_state"] == "opted_out"
            if after and c["system"] == system and is_out != mailable:
                return True
            if after and c["system"] == self.policy.hub and not is_out and not mailable:
                return True
        for row in self._causes(person, system, name):
            modified = row.get("modified_at")
            if modified is None or modified <= self.cutoff or row["valid_from"] <= self.cutoff:
                return False
        before = [c for c in own if c["occurred_at"] <= self.cutoff]
        if not before:
            return True
        newest = max(c["occurred_at"] for c in before)
        last = {c["new_state"] == "opted_out" for c in before if c["occurred_at"] == newest}
        return (not mailable) not in last

    def conflicts(self, person: UUID, system: str, name: str) -> bool:
        """Two records that contradict each other."""
        by_record: dict[tuple[str, str], list[Row]] = {}
        for row in self.rows(person, system):
            by_record.setdefault((row["store"], row["record_id"]), []).append(row)
        said = {}
        for place, rows in by_record.items():
            if any(self.counts_as_out(r, name) for r in rows):
                said[place] = "out"
            elif any(self._has(r["ins"], name) for r in rows):
                said[place] = "in"
        return any(
            said[a] == "in" and said[b] == "out"
            for a in said
            for b in said
            if system == self.policy.hub or a[0] == b[0]
        )
