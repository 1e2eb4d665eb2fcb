"""A second, slow and independent definition of the rules, for tests only.

Written from the prose of `docs/metrics.md` over plain rows, one person and one category at a time,
with names instead of masks and without `optout.rules` or SQL: where all three agree on random
worlds, a mistake would have to be made three times.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from optout.testing.slow_reading import Row, SlowReading

Verdict = tuple[str | None, ...]
"""Class, reason, store, expected, actual."""
Expected = tuple[str, str, UUID | None, str, datetime, datetime | None]
"""State, reason; id, system, latest and earliest moment of the deciding change."""


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


class SlowRules(SlowReading):
    """Judges one world."""

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

    def expected(self, person: UUID, name: str) -> Expected | None:
        """What the cells should be; None where nobody ever opted out."""
        acts = self.acts(person, name)
        outs = sorted((a for a in acts if a["new_state"] == "opted_out"), key=_rank)
        ins = sorted((a for a in acts if a["new_state"] == "opted_in"), key=_rank)
        if not outs:
            return None
        lifters: list[Row] = []
        for out in reversed(outs):
            own = [i for i in ins if self._lifts(i, out, person)]
            if not own:
                return self._told("opted_out", self._why(out, ins, person), out)
            lifters += own
        return self._told("opted_in", "lifted", max(lifters, key=_rank))

    @staticmethod
    def _told(state: str, reason: str, by: Row) -> Expected:
        return (
            state, reason, by["change_id"], by["system"], by["occurred_at"], by["occurred_from"]
        )  # fmt: skip

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
            return self._full("not_comparable", "unclear_value", person, system, name)
        found = self._difference(person, system, name, known)
        if found is None:
            held = any(self.counts_as_out(r, n) for r in rows for n in self.names)
            said = any(r["present"] or r["sends"] or r["unclear"] for r in rows)
            gone = known and not held and not said
            return ("missing_here",) if gone else None
        if found[0] != "not_comparable" and self._is_in_flight(person, system, name):
            found = ("not_comparable", "in_flight")
        return self._full(*found, person, system, name)

    def _full(self, label: str, reason: str, person: UUID, system: str, name: str) -> Verdict:
        decided = self.expected(person, name)
        holds = any(self.counts_as_out(r, name) for r in self.rows(person, system))
        mailable = self.is_mailable(person, system, name)
        lifted = decided is not None and decided[1] == "lifted"
        if (decided and decided[0] == "opted_out") or (holds and not mailable and not lifted):
            expected = "opted_out"
        else:
            hub_yes = "in" in self.hub_says(person, name)
            expected = "opted_in" if decided or hub_yes else "not_set"
        actual = "mailable" if mailable else "opted_out" if holds else "neither"
        return label, reason, self._store(person, system, name), expected, actual

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
