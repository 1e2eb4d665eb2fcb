"""What systems say of a person, read slowly: rule 8 for `optout.testing.slow_rules`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from optout.warehouse.reconcile import ReconcilePolicy

Row = dict[str, Any]


@dataclass(frozen=True)
class World:
    """The rows of `core` that reconciliation looks at."""

    readings: Sequence[Row]
    changes: Sequence[Row]
    cutoff: datetime


class SlowReading:
    """Reads one world, one person and one category at a time."""

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

    def conflict(self, person: UUID, system: str, name: str) -> str | None:
        """The first store with a record that is opted out while another record is opted in."""
        by_record: dict[tuple[str, str], list[Row]] = {}
        for row in self.rows(person, system):
            by_record.setdefault((row["store"], row["record_id"]), []).append(row)
        said = {}
        for place, rows in by_record.items():
            if any(self.counts_as_out(r, name) for r in rows):
                said[place] = "out"
            elif any(self._has(r["ins"], name) for r in rows):
                said[place] = "in"
        stores = [
            b[0]
            for a in said
            for b in said
            if said[a] == "in" and said[b] == "out"
            if system == self.policy.hub or a[0] == b[0]
        ]
        return min(stores, default=None)
