"""An output in memory for tests of connectors, which can be killed at any call and resumed.

out = MemoryOutput(kill_at=3)              # the third call of page_done/flush/complete dies
with pytest.raises(Killed):
    connector.read("contacts", request, out)
again = out.resumed()                      # what a new process of the same night finds
connector.read("contacts", request, again)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from optout.records import Row

RowT = TypeVar("RowT")


class Killed(BaseException):
    """The process died here. No `except Exception` can swallow it, as none survives a kill."""


class MemoryOutput:
    """`optout.vendors.base.StreamOutput` in memory.

    Rows and cursor are durable from `page_done` and `flush` on; what was added later is lost by a
    kill. `durable_pages=n` makes only every n-th page durable, as a writer that buffers would.
    `kill_after=True` lets the fatal call do its work before it dies: the crash between a durable
    write and what was to follow it.
    """

    def __init__(
        self,
        *,
        cursor: Any = None,
        rows: tuple[Row, ...] = (),
        kill_at: int | None = None,
        kill_after: bool = False,
        durable_pages: int = 1,
    ) -> None:
        self.cursor: Any = cursor
        self.rows: list[Row] = list(rows)
        self.calls: list[str] = []
        """Every call but `add`, in order: what a test of the acknowledging order reads."""
        self.status: str | None = None
        """None while open, then `complete`, `incomplete` or `skipped`."""
        self.why: str | None = None
        self.note: str | None = None
        self.state: Mapping[str, Any] | None = None
        self.vendor_total: int | None = None
        self.read_total: int | None = None
        self.is_full: bool | None = None
        self.pages = 0
        self._durable = len(self.rows)
        self._durable_cursor = cursor
        self._kill_at = kill_at
        self._kill_after = kill_after
        self._durable_pages = durable_pages

    # --- the contract of StreamOutput ---------------------------------------------------------
    def add(self, row: Row) -> None:
        """Buffer one row; a row after the end is a connector's mistake."""
        assert self.status is None, "a row was added after the end of the stream"  # noqa: S101
        self.rows.append(row)

    def page_done(self, cursor: Any = None) -> None:
        """Keep the page; the cursor must survive JSON, as it does on disk."""
        self._step("page_done", self._page_done, cursor)

    def flush(self) -> None:
        """Make all rows durable."""
        self._step("flush", self._keep)

    def restart(self) -> None:
        """Forget what was written."""
        self.calls.append("restart")
        self.rows.clear()
        self.cursor = self._durable_cursor = None
        self._durable = 0

    def complete(
        self,
        *,
        vendor_total: int | None = None,
        read_total: int | None = None,
        state: Mapping[str, Any] | None = None,
        note: str | None = None,
        is_full: bool | None = None,
    ) -> None:
        """End the stream; a difference of totals makes it incomplete, as in the real writer."""
        self.is_full = is_full
        self._step("complete", self._complete, vendor_total, read_total, state, note)

    def incomplete(self, why: str) -> None:
        """End the stream without proof."""
        self._step("incomplete", self._end, "incomplete", why)

    def skipped(self, why: str) -> None:
        """End the stream: the account does not have it."""
        self._step("skipped", self._end, "skipped", why)

    # --- for tests ------------------------------------------------------------------------------
    def resumed(self, *, kill_at: int | None = None, kill_after: bool = False) -> MemoryOutput:
        """What a new process of the same night finds: only what was durable."""
        return MemoryOutput(
            cursor=self._durable_cursor,
            rows=tuple(self.rows[: self._durable]),
            kill_at=kill_at,
            kill_after=kill_after,
            durable_pages=self._durable_pages,
        )

    def of(self, kind: type[RowT]) -> list[RowT]:
        """The rows of one kind, in the order in which they came."""
        return [row for row in self.rows if isinstance(row, kind)]

    # --- inner works ----------------------------------------------------------------------------
    def _step(self, name: str, work: Any, *args: Any) -> None:
        assert self.status is None, f"{name} after the end of the stream"  # noqa: S101
        self.calls.append(name)
        fatal = self._kill_at is not None and len(self.calls) == self._kill_at
        if fatal and not self._kill_after:
            raise Killed(name)
        work(*args)
        if fatal:
            raise Killed(name)

    def _page_done(self, cursor: Any) -> None:
        self.pages += 1
        self.cursor = json.loads(json.dumps(cursor))
        if self.pages % self._durable_pages == 0:
            self._keep()

    def _keep(self) -> None:
        self._durable = len(self.rows)
        self._durable_cursor = self.cursor

    def _complete(
        self,
        vendor_total: int | None,
        read_total: int | None,
        state: Mapping[str, Any] | None,
        note: str | None,
    ) -> None:
        self._keep()
        self.vendor_total, self.read_total, self.note = vendor_total, read_total, note
        if vendor_total is not None and vendor_total != read_total:
            self._end("incomplete", f"the vendor has {vendor_total}, {read_total} were read")
            return
        self.status = "complete"
        self.state = json.loads(json.dumps(state)) if state is not None else None

    def _end(self, status: str, why: str) -> None:
        self._keep()
        self.status, self.why = status, why
