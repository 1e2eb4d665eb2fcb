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

from optout.address import BadAddress, Keyer, normalise
from optout.files import sync_dir, write_atomic
from optout.landing.fitting import MISFITS, fitting
from optout.landing.manifest import MANIFEST, PROGRESS, Manifest, Part, read_manifest
from optout.records import KINDS, SCHEMAS, Finding, Row

BATCH_ROWS = 20_000
"""Rows held before they are made durable; bounds both memory and what a crash repeats."""

_CURSOR = "cursor.json"
_KEY_STORAGE = pa.binary(16)


class StreamWriter:
    """The StreamOutput of `optout.vendors.base` on disk; use `Landing.open_stream` to make one.

    Rows are buffered; `flush` writes one Parquet file a kind and then, atomically, the progress
    file that names them together with the cursor. A file that no progress names is a torn write
    of a killed run and is ignored and removed.
    """

    def __init__(self, folder: Path, keyer: Keyer, begun: Manifest) -> None:
        self._folder = folder
        self._keyer = keyer
        self._buffers: defaultdict[str, list[Any]] = defaultdict(list)
        self._buffered = 0
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
        """Buffer one row; the address is normalised and keyed when the batch is written."""
        self._buffers[KINDS[type(row)]].append(row)
        self._buffered += 1

    def page_done(self, cursor: Any = None) -> None:
        """A page's rows are all added; a resumed read may start at `cursor`."""
        self._pending_cursor = cursor
        if self._buffered >= BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Make everything so far durable, together with the cursor."""
        if not self._buffered and self._pending_cursor == self.cursor:
            return
        parts = list(self.manifest.parts)
        # Keying can add findings, so the findings are written last.
        for kind in [k for k in self._buffers if k != "finding"] + ["finding"]:
            rows = self._buffers.pop(kind, [])
            if rows:
                table = self._table(kind, rows)
                if table.num_rows:
                    parts.append(self._write(kind, table, len(parts) + 1))
        self._buffered = 0
        self.manifest = replace(self.manifest, parts=tuple(parts))
        self.cursor = self._pending_cursor
        replace(self.manifest, state={"cursor": self.cursor}).write(self._folder, PROGRESS)

    def restart(self) -> None:
        """Forget what this stream wrote tonight."""
        self._buffers.clear()
        self._buffered = 0
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

    def _write(self, kind: str, table: pa.Table, number: int) -> Part:
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd", use_dictionary=_DICTIONARY)
        data = buffer.getvalue()
        name = f"{kind}-{number:05d}.parquet"
        write_atomic(self._folder / name, data)
        sync_dir(self._folder)
        return Part(name, kind, table.num_rows, hashlib.sha256(data).hexdigest())

    def _table(self, kind: str, rows: list[Any]) -> pa.Table:
        before = len(self._buffers["finding"])
        try:
            return self._typed(kind, rows)
        except MISFITS:
            del self._buffers["finding"][before:]
            kept, findings = fitting(kind, rows)
            self._buffers["finding"].extend(findings)
            return self._typed(kind, kept) if kept else SCHEMAS[kind].empty_table()

    def _typed(self, kind: str, rows: list[Any]) -> pa.Table:
        schema = SCHEMAS[kind]
        columns: dict[str, Any] = _columns(rows)
        if "address" in columns:
            addresses, keys, bad = self._keyed(columns["address"])
            if bad and kind != "finding":
                self._quarantine(kind, [rows[i] for i in sorted(bad)])
                kept = [i for i in range(len(rows)) if i not in bad]
                columns = _columns([rows[i] for i in kept]) if kept else {f: () for f in columns}
                addresses = [addresses[i] for i in kept]
                keys = [keys[i] for i in kept]
            columns["address"] = addresses
            columns["contact_key"] = keys
        arrays = [_array(columns[field.name], field.type) for field in schema]
        return pa.Table.from_arrays(arrays, schema=schema)

    def _keyed(self, raw: tuple[Any, ...]) -> tuple[list[str | None], list[bytes | None], set[int]]:
        """Normal forms, keys, and the places whose text is no address."""
        known: dict[str, tuple[str, bytes] | None] = {}
        addresses: list[str | None] = []
        keys: list[bytes | None] = []
        bad: set[int] = set()
        for place, text in enumerate(raw):
            found = None
            if text is not None and not isinstance(text, str):
                bad.add(place)
            elif text is not None:
                if text not in known:
                    known[text] = self._key(text)
                found = known[text]
                if found is None:
                    bad.add(place)
            addresses.append(found[0] if found else None)
            keys.append(found[1] if found else None)
        return addresses, keys, bad

    def _key(self, text: str) -> tuple[str, bytes] | None:
        try:
            normal = normalise(text, self._keyer.folding)
        except BadAddress:
            return None
        return normal, self._keyer.key_of_normal(normal)

    def _quarantine(self, kind: str, rows: list[Any]) -> None:
        """A record with an address that is none: it cannot be compared, and is not dropped."""
        for row in rows:
            self._buffers["finding"].append(
                Finding(
                    code="bad_address",
                    store=getattr(row, "store", None) or kind,
                    record_id=getattr(row, "record_id", None) or "",
                    field="address",
                    detail="opted out" if getattr(row, "outs", 0) else "",
                    categories=getattr(row, "outs", 0),
                    raw=row.raw,
                )
            )


_DICTIONARY = ["store", "feed", "kind", "source", "in_source", "old", "new", "channel", "code"]


def _columns(rows: list[Any]) -> dict[str, Any]:
    return dict(zip(rows[0]._fields, zip(*rows, strict=True), strict=True))


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    if kind == pa.uuid():
        return pa.ExtensionArray.from_storage(kind, pa.array(values, type=_KEY_STORAGE))
    return pa.array(values, type=kind)
