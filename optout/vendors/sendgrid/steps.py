"""One stream of SendGrid as steps, one per account, that can be killed and resumed between pages.

SendGrid keeps a set of stores for the main account and another for every subuser; each stream
therefore reads the same thing several times. The cursor says which step, and where in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from optout.records import Row
from optout.vendors.base import StreamOutput

ATTEMPTS = 3
"""How often a stream is begun anew when what it reads moves under it."""


class StartOver(Exception):
    """What was read tonight of this stream cannot be continued; says why, for people."""


@dataclass
class Result:
    """What one step read, and what speaks against its being complete."""

    read: int = 0
    """Records of the vendor."""
    total: int | None = None
    """The vendor's own count of them, where it tells one."""
    why: list[str] = field(default_factory=list)
    """Reasons why it cannot be called complete."""
    notes: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    """Mapped groups that were there."""

    def add(self, other: Result) -> None:
        """Sum up two steps; the total is known only if each step's is."""
        both = self.total is not None and other.total is not None
        self.total = (self.total or 0) + (other.total or 0) if both else None
        self.read += other.read
        self.why += other.why
        self.notes += other.notes
        self.found += other.found


class Sink:
    """What a step writes to: the stream's output, with the step's place in the cursor."""

    def __init__(self, out: StreamOutput, frame: dict[str, Any], cursor: Any) -> None:
        self._out = out
        self._frame = frame
        self.cursor = cursor
        """Where the step goes on; None: from its start."""

    def add(self, row: Row) -> None:
        """Buffer one row."""
        self._out.add(row)

    def page_done(self, cursor: Any) -> None:
        """A resumed read goes on at `cursor` of this step."""
        self.cursor = cursor
        self._out.page_done({**self._frame, "inner": cursor})

    def flush(self) -> None:
        """Make the rows and the cursor durable now."""
        self._out.flush()


Step = Callable[[Sink], Result]


def run(names: Sequence[str], steps: Sequence[Step], out: StreamOutput) -> Result:
    """All steps, from where an interrupted read ended. `names` tell the steps apart: a cursor of
    other steps (a subuser was added since) is no use, and the read begins anew.

    The stream is not ended: the caller judges the result. Raises SourceError as the steps do.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _walk(names, steps, out)
        except StartOver as again:
            if attempt == ATTEMPTS:
                return Result(why=[str(again)])
            out.restart()
    raise AssertionError("unreachable")


def _walk(names: Sequence[str], steps: Sequence[Step], out: StreamOutput) -> Result:
    cursor = out.cursor or {}
    if cursor and cursor.get("names") != list(names):
        out.restart()
        cursor = {}
    result = Result(**cursor["sum"]) if cursor else Result(total=0)
    for place in range(cursor.get("step", 0), len(steps)):
        frame = {"names": list(names), "step": place, "sum": asdict(result)}
        inner = cursor.get("inner") if place == cursor.get("step") else None
        result.add(steps[place](Sink(out, frame, inner)))
        done = {"names": list(names), "step": place + 1, "sum": asdict(result), "inner": None}
        out.page_done(done)
    return result


def finish(result: Result, out: StreamOutput, state: Mapping[str, Any] | None = None) -> None:
    """End the stream as its result deserves; `state` is for the next night, if it is complete."""
    if result.why:
        out.incomplete("; ".join(dict.fromkeys(result.why)))
        return
    note = "; ".join(dict.fromkeys(result.notes)) or None
    out.complete(vendor_total=result.total, read_total=result.read, note=note, state=state)
