"""Writes one stream's rows: keyed, typed, durable before anything is acknowledged, resumable."""

from __future__ import annotations

import hashlib
import io
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from optout.address import Keyer
from optout.files import sync_dir, write_atomic
from optout.landing.batches import batch
from optout.landing.manifest import MANIFEST, PROGRESS, Manifest, Part, read_manifest
from optout.records import KINDS, Row

FILE_ROWS = 20_000
"""Rows held before they are made durable; bounds both memory and what a crash repeats."""
FILE_BYTES = 8 << 20
"""The same in bytes: records of 750 bytes are written 9,000 at a time, larger ones sooner."""
BATCH_ROWS = 1_000
"""Rows of a kind held as objects before they become columns: these take a third of the memory,
and nothing that the garbage collector has to visit."""


class StreamWriter:
    """The StreamOutput of `optout.vendors.base` on disk; use `Landing.open_stream` to make one.

    Rows are buffered; `flush` writes one Parquet file a kind and then, atomically, the progress
    file that names them together with the cursor. A file that no progress names is a torn write
    of a killed run and is ignored and removed.
    """

    def __init__(self, folder: Path, keyer: Keyer, begun: Manifest) -> None:
        self._folder = folder
        self._keyer = keyer
        self._rows: defaultdict[str, list[Any]] = defaultdict(list)
        self._batches: defaultdict[str, list[pa.RecordBatch]] = defaultdict(list)
        self._added = self._held = 0
        self._pending_cursor: Any = None
        self.manifest = begun
        self.cursor: Any = None
        self.is_closed = False
        self.refused_at_once = False
        """The vendor knew nothing of it at the first request."""
        self._resume()

    def _resume(self) -> None:
        """Go on where a killed or failed read of the same night ended."""
        (self._folder / MANIFEST).unlink(missing_ok=True)
        progress = read_manifest(self._folder, PROGRESS)
        if progress is not None:
            saved = (progress.state or {}).get("cursor")
            self.cursor = self._pending_cursor = saved
            self.manifest = replace(self.manifest, parts=progress.parts, read_at=progress.read_at)
        known = {part.file for part in self.manifest.parts} | {PROGRESS}
        for path in self._folder.iterdir():
            if path.name not in known:
                path.unlink()

    def add(self, row: Row) -> None:
        """Buffer one row; the address is normalised and keyed a batch at a time."""
        kind = KINDS[type(row)]
        rows = self._rows[kind]
        rows.append(row)
        self._added += 1
        if len(rows) >= BATCH_ROWS:
            self._settle(kind)

    def page_done(self, cursor: Any = None) -> None:
        """A page's rows are all added; a resumed read may start at `cursor`."""
        self._pending_cursor = cursor
        if self._added >= FILE_ROWS or self._held >= FILE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Make everything so far durable, together with the cursor."""
        if not self._added and self._pending_cursor == self.cursor:
            return
        parts = list(self.manifest.parts)
        for kind in [kind for kind in self._rows if kind != "finding"]:
            self._settle(kind)
        # Keying can have added findings, so they come last.
        if self._rows:
            self._settle("finding")
        for kind, batches in self._batches.items():
            parts.append(self._write(kind, pa.Table.from_batches(batches), len(parts) + 1))
        self._batches.clear()
        self._added = self._held = 0
        self.manifest = replace(self.manifest, parts=tuple(parts))
        self.cursor = self._pending_cursor
        replace(self.manifest, state={"cursor": self.cursor}).write(self._folder, PROGRESS)

    def restart(self) -> None:
        """Forget what this stream wrote tonight."""
        self._rows.clear()
        self._batches.clear()
        self._added = self._held = 0
        self._pending_cursor = self.cursor = None
        self.manifest = replace(self.manifest, parts=())
        self.manifest.write(self._folder, PROGRESS)
        self._resume()

    def complete(
        self,
        *,
        vendor_total: int | None = None,
        read_total: int | None = None,
        state: Mapping[str, Any] | None = None,
        note: str | None = None,
        is_full: bool | None = None,
    ) -> None:
        """The read is proven complete, unless the vendor's own total says otherwise."""
        totals: dict[str, Any] = {
            "vendor_total": vendor_total,
            "read_total": read_total,
            "note": note,
            "is_full": self.manifest.is_full if is_full is None else is_full,
        }
        if vendor_total is not None and read_total is not None and vendor_total != read_total:
            why = f"the vendor tells {vendor_total} records, {read_total} were read"
            self._close(is_complete=False, why_not=why, **totals)
        else:
            self._close(is_complete=True, state=state, **totals)

    def incomplete(self, why: str) -> None:
        """The read ended but cannot be proven complete: the next attempt begins anew, keeping
        what was written (a vendor's queue may have been acknowledged)."""
        self._pending_cursor = None
        self._close(is_complete=False, why_not=why)

    def interrupted(self, why: str) -> None:
        """The read was cut off by an error: the next attempt goes on after the last whole page."""
        self._close(is_complete=False, why_not=why)

    def skipped(self, why: str) -> None:
        """The account does not have this: not read, said so, not held against the night."""
        self._close(is_complete=True, is_skipped=True, why_not=why)

    def finish(self, finished_at: datetime, http: Mapping[str, float]) -> Manifest:
        """Write the manifest; only now is the stream's night readable by others."""
        if not self.is_closed:
            self.incomplete("the connector ended without saying that it was done")
        self.manifest = replace(self.manifest, finished_at=finished_at.isoformat(), http=dict(http))
        self.manifest.write(self._folder)
        return self.manifest

    def _close(self, **outcome: Any) -> None:
        self.flush()
        self.manifest = replace(self.manifest, **outcome)
        self.is_closed = True

    def _settle(self, kind: str) -> None:
        """Turn the rows held of a kind into a batch; what cannot be used becomes findings."""
        found, findings = batch(kind, self._rows.pop(kind), self._keyer)
        if found.num_rows:
            self._batches[kind].append(found)
            self._held += found.nbytes
        if findings:
            self._rows["finding"].extend(findings)

    def _write(self, kind: str, table: pa.Table, number: int) -> Part:
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd", use_dictionary=_DICTIONARY)
        data = buffer.getvalue()
        name = f"{kind}-{number:05d}.parquet"
        write_atomic(self._folder / name, data)
        sync_dir(self._folder)
        return Part(name, kind, table.num_rows, hashlib.sha256(data).hexdigest())


_DICTIONARY = ["store", "feed", "kind", "source", "in_source", "old", "new", "channel", "code"]
