"""The Sync API's memory: what each device has acknowledged, and its sessions.

State is kept per device UUID on the server. Items come in random order, in batches, of every
type; what a session delivered but was never acknowledged comes again in the *next* session only.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from optout.sandbox.zendesk_sell.store import Record, Store

MAX_SESSIONS = 100
BATCH = 100


@dataclass(frozen=True)
class Foreign:
    """Something of a type that a preference audit does not want, in the same queue."""

    kind: str
    id: int
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Item:
    """One queue entry. The state is that of the moment of delivery: a change between start and
    delivery is told now and, under its own revision, once more in the next session."""

    kind: str
    id: int
    revision: int
    event_type: str
    record: Record | None = None
    foreign: Foreign | None = None

    @property
    def ack_key(self) -> str:
        """What the consumer gives back."""
        return f"{self.kind.capitalize()}-{self.id}-{self.revision}"


@dataclass
class _Device:
    first_revision: int
    """Deletions before it are never told: the device cannot know those records."""
    acked: dict[tuple[str, int], int] = field(default_factory=dict)


@dataclass
class _Session:
    device: str
    queue: list[Item]


@dataclass
class SyncDesk:
    """All devices and sessions of one account."""

    store: Store
    foreign: list[Foreign]
    rng: Random
    stale_copies: bool = False
    """Deliver the state before the latest one too, under its own revision and in random order."""
    withheld: set[tuple[str, int]] = field(default_factory=set)
    """Records that are named in `failed_objects` instead of being delivered."""
    sessions: dict[str, _Session] = field(default_factory=dict)
    _devices: dict[str, _Device] = field(default_factory=dict)

    def start(self, device_id: str) -> tuple[str, int] | None:
        """A session's id and its number of items; None: nothing new. OverflowError: too many."""
        device = self._devices.setdefault(device_id, _Device(self.store.revision))
        queue = [item for item in self._items(device) if self._is_new(device, item)]
        if not queue:
            return None
        # A drained session answers once more, should its last answer have been lost.
        for id_ in [k for k, s in self.sessions.items() if s.device == device_id and not s.queue]:
            del self.sessions[id_]
        if len(self.sessions) >= MAX_SESSIONS:
            raise OverflowError
        self.rng.shuffle(queue)
        session_id = uuid.UUID(int=self.rng.getrandbits(128), version=4).hex
        self.sessions[session_id] = _Session(device_id, queue)
        return session_id, len(queue)

    def fetch(
        self, device_id: str, session_id: str
    ) -> tuple[list[Item], list[dict[str, Any]], int] | None:
        """The next batch, what failed, how many are left; None: drained. KeyError: no such
        session of this device."""
        session = self.sessions[session_id]
        if session.device != device_id:
            raise KeyError(session_id)
        if not session.queue:
            return None
        batch, session.queue = session.queue[:BATCH], session.queue[BATCH:]
        failed = [{"type": i.kind, "id": i.id} for i in batch if (i.kind, i.id) in self.withheld]
        delivered = [i for i in batch if (i.kind, i.id) not in self.withheld]
        return delivered, failed, len(session.queue)

    def ack(self, device_id: str, keys: list[str]) -> None:
        """Forget what the device has; unknown keys are ignored, as they may be old."""
        device = self._devices.setdefault(device_id, _Device(self.store.revision))
        for key in keys:
            kind, id_, revision = key.rsplit("-", 2)
            place = kind.lower(), int(id_)
            device.acked[place] = max(device.acked.get(place, 0), int(revision))

    def _is_new(self, device: _Device, item: Item) -> bool:
        if item.event_type == "deleted" and item.revision <= device.first_revision:
            return False
        return item.revision > device.acked.get((item.kind, item.id), 0)

    def _items(self, device: _Device) -> Iterator[Item]:
        for each in self.foreign:
            yield Item(each.kind, each.id, 1, "created", foreign=each)
        for record in self.store.records.values():
            known = (record.kind, record.id) in device.acked
            what = "deleted" if record.is_deleted else "updated" if known else "created"
            yield Item(record.kind, record.id, record.revision, what, record)
        if self.stale_copies:
            for event in self.store.events:
                if event.before is not None and not event.before.is_deleted:
                    old = event.before
                    yield Item(old.kind, old.id, old.revision, "updated", old)
