"""`<data_dir>/rights.json`: the one piece of lawful rewriting that is under way.

It names the address of the person while it exists: without it a run after a crash could not know
whom to look for. It is the first thing written and the last thing removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from optout.errors import LandingError
from optout.files import make_dir, sync_dir, write_atomic

FILE = "rights.json"


@dataclass(frozen=True)
class Task:
    """What is to be done, and which steps are."""

    kind: str
    """erasure | rotation."""
    task_id: str
    begun_at: str
    """ISO 8601, UTC."""
    who: str
    subject: str | None = None
    """The normalised address, of an erasure."""
    categories: tuple[str, ...] | None = None
    """What stays suppressed; None: everything."""
    done: tuple[str, ...] = ()
    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Kind of file → (rows removed, rows blanked)."""
    left: tuple[str, ...] = ()
    """Files of others that still named the person when everything else was done."""

    @property
    def begun(self) -> datetime:
        """When it was first asked for."""
        return datetime.fromisoformat(self.begun_at)


class Journal:
    """The journal of one installation."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE

    def pending(self) -> Task | None:
        """What a killed run left, else None; raises LandingError where the file is damaged."""
        if not self._path.exists():
            return None
        try:
            fields: dict[str, Any] = orjson.loads(self._path.read_bytes())
            fields["done"] = tuple(fields["done"])
            fields["left"] = tuple(fields["left"])
            fields["counts"] = {k: (v[0], v[1]) for k, v in fields["counts"].items()}
            if fields["categories"] is not None:
                fields["categories"] = tuple(fields["categories"])
            return Task(**fields)
        except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
            raise LandingError(
                f"{FILE} is damaged: an erasure or rotation was interrupted",
                mend="Remove the file and give the command again",
            ) from None

    def write(self, task: Task) -> None:
        """Make it known durably."""
        make_dir(self._path.parent)
        write_atomic(self._path, orjson.dumps(asdict(task)))
        sync_dir(self._path.parent)

    def step_done(
        self, task: Task, step: str, counts: Mapping[str, tuple[int, int]] | None = None
    ) -> Task:
        """Note that a step need not be done again."""
        after = replace(task, done=(*task.done, step), counts={**task.counts, **(counts or {})})
        self.write(after)
        return after

    def keep_open(self, task: Task, left: tuple[str, ...]) -> None:
        """Everything is done but for files that are not ours."""
        self.write(replace(task, left=left))

    def close(self) -> None:
        """All is done; forgets the address."""
        for path in (self._path, self._path.with_name(f"{FILE}.tmp")):
            path.unlink(missing_ok=True)
        sync_dir(self._path.parent)
