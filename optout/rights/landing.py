"""Rewrites landing files lawfully: a person's rows go, other people's rows lose what names the
person, keys change; what was read stays told.

Each stream's folder changes at one moment: the new parts are written beside the old ones, then the
progress file and the manifest name them, then what nobody names is removed. A crash in between
leaves a folder that reads as before or as after.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from optout.files import sync_dir, write_atomic
from optout.landing.manifest import MANIFEST, PROGRESS, Manifest, Part, read_manifest, verify_part
from optout.rights.subject import ERASED, Subject

Record = tuple[str, str, str]
"""System, store, record id."""

_REWRITTEN = re.compile(r"^(?P<stem>.+?)(?:-r(?P<number>\d+))?\.parquet$")
_BLANK_RAW = '{"erased":true}'


@dataclass(frozen=True)
class Change:
    """What a rewriting made of one part; `table` None: nothing."""

    table: pa.Table | None
    removed: int = 0
    blanked: int = 0


Rewriter = Callable[[Manifest, Part, pa.Table], Change]
"""From a part and its rows."""


def rewrite(root: Path, rewriter: Rewriter, why: str) -> tuple[int, int]:
    """Apply the rewriter to every part of every night; returns rows removed and blanked.

    Raises LandingError for a part that is not as it was written: what it held is not known.
    """
    removed = blanked = 0
    for folder in stream_folders(root):
        counts = _rewrite_folder(folder, rewriter, why)
        removed, blanked = removed + counts[0], blanked + counts[1]
    return removed, blanked


def count(root: Path, rewriter: Rewriter) -> tuple[int, int]:
    """What `rewrite` would remove and blank; writes nothing."""
    removed = blanked = 0
    for folder in stream_folders(root):
        for manifest, part in _parts(folder).values():
            change = rewriter(manifest, part, _read(folder, part))
            removed, blanked = removed + change.removed, blanked + change.blanked
    return removed, blanked


def stream_folders(root: Path) -> Iterator[Path]:
    """Every stream's folder, whether its read ended or not, oldest night first."""
    found = {p.parent for name in (MANIFEST, PROGRESS) for p in root.glob(f"*/*/*/{name}")}
    yield from sorted(found)


def forget_places(root: Path, is_named: Callable[[str], bool]) -> int:
    """Drop cursors and states that name a person: the next read begins anew; returns how many."""
    count = 0
    for folder in stream_folders(root):
        for name in (MANIFEST, PROGRESS):
            manifest = read_manifest(folder, name)
            if manifest is not None and is_named((folder / name).read_text(encoding="utf-8")):
                told = replace(
                    manifest, state=None, why_not=_mark(manifest.why_not), note=_mark(manifest.note)
                )
                told.write(folder, name)
                count += 1
    return count


def _mark(text: str | None) -> str | None:
    return None if text is None else ERASED


def _rewrite_folder(folder: Path, rewriter: Rewriter, why: str) -> tuple[int, int]:
    told = {name: read_manifest(folder, name) for name in (PROGRESS, MANIFEST)}
    parts = _parts(folder)
    fresh: dict[str, Part] = {}
    removed = blanked = 0
    for manifest, part in parts.values():
        change = rewriter(manifest, part, _read(folder, part))
        if change.table is not None:
            fresh[part.file] = _write(folder, part, change.table, why)
            removed, blanked = removed + change.removed, blanked + change.blanked
    if fresh:
        sync_dir(folder)
        for name, known in told.items():
            if known is not None:
                _switch(folder, name, known, fresh)
    _remove_unnamed(folder, told, fresh)
    return removed, blanked


def _parts(folder: Path) -> dict[str, tuple[Manifest, Part]]:
    """The parts that the progress file or the manifest names, by file; the manifest's word wins."""
    told = (read_manifest(folder, name) for name in (PROGRESS, MANIFEST))
    return {p.file: (m, p) for m in told if m is not None for p in m.parts}


def _read(folder: Path, part: Part) -> pa.Table:
    with pq.ParquetFile(verify_part(folder, part)) as file:
        return file.read()


def _switch(folder: Path, name: str, manifest: Manifest, fresh: dict[str, Part]) -> None:
    parts = tuple(fresh.get(part.file, part) for part in manifest.parts)
    replace(manifest, parts=parts).write(folder, name)


def _remove_unnamed(folder: Path, told: dict[str, Manifest | None], fresh: dict[str, Part]) -> None:
    """What no manifest names any more, of this run or of one that was killed."""
    named = {
        fresh.get(p.file, p).file for manifest in told.values() if manifest for p in manifest.parts
    }
    for path in folder.iterdir():
        if path.name not in named | {MANIFEST, PROGRESS}:
            path.unlink()
    sync_dir(folder)


def _write(folder: Path, part: Part, table: pa.Table, why: str) -> Part:
    match = _REWRITTEN.match(part.file)
    stem, number = (match["stem"], int(match["number"] or 0)) if match else (part.file, 0)
    name = f"{stem}-r{number + 1}.parquet"
    buffer = io.BytesIO()
    # Without statistics or dictionaries of removed values: the file is written from the rows alone.
    pq.write_table(table, buffer, compression="zstd")
    data = buffer.getvalue()
    write_atomic(folder / name, data)
    return replace(
        part,
        file=name,
        rows=table.num_rows,
        sha256=hashlib.sha256(data).hexdigest(),
        original_sha256=part.original_sha256 or part.sha256,
        rewritten=(*part.rewritten, why),
    )


def eraser(subject: Subject, records: Collection[Record]) -> Rewriter:
    """Removes the person's rows; in all others blanks what names them.

    Theirs is what has their key. Of rows without a key: those of `records`, and findings that name
    the person (a record whose address could not be read).
    """
    keys = {key.bytes for key in subject.keys.values()}

    def erase(manifest: Manifest, part: Part, table: pa.Table) -> Change:
        mentions = _mentions(table, subject)
        if not mentions and not _may_have(table, keys, bool(records)):
            return Change(None)
        stored = _column(table, "contact_key")
        stores, numbers = _column(table, "store"), _column(table, "record_id")
        named = {row for rows in mentions.values() for row in rows}
        theirs = [
            key.bytes in keys
            if key is not None
            else (manifest.system, stores[row], numbers[row]) in records
            or (part.kind == "finding" and row in named)
            for row, key in enumerate(stored)
        ]
        kept = {name: {r for r in rows if not theirs[r]} for name, rows in mentions.items()}
        blanked = len({row for rows in kept.values() for row in rows})
        removed = sum(theirs)
        if not removed and not blanked:
            return Change(None)
        for name, rows in kept.items():
            if rows:
                table = _blank(table, name, rows)
        return Change(table.filter(pa.array([not t for t in theirs])), removed, blanked)

    return erase


def _may_have(table: pa.Table, keys: Collection[bytes], has_records: bool) -> bool:
    """A quick test: most parts hold nothing of the person."""
    if "contact_key" not in table.column_names:
        return False
    column = table["contact_key"]
    if has_records and column.null_count:
        return True
    wanted = pa.array(list(keys), type=pa.binary(16))
    return any(pc.any(pc.is_in(chunk.storage, value_set=wanted)).as_py() for chunk in column.chunks)


def _column(table: pa.Table, name: str) -> list[Any]:
    if name in table.column_names:
        values: list[Any] = table[name].to_pylist()
        return values
    return [None] * table.num_rows


def _mentions(table: pa.Table, subject: Subject) -> dict[str, set[int]]:
    """Column → rows whose text names the person."""
    found: dict[str, set[int]] = {}
    for field in table.schema:
        if field.type != pa.string():
            continue
        column = table[field.name]
        likely = pc.match_substring(column, subject.clue, ignore_case=True)
        places = pc.indices_nonzero(pc.fill_null(likely, False)).to_pylist()
        rows = {place for place in places if subject.names(column[place].as_py())}
        if rows:
            found[field.name] = rows
    return found


def _blank(table: pa.Table, name: str, rows: set[int]) -> pa.Table:
    mark = _BLANK_RAW if name == "raw" else ERASED
    values: list[Any] = [
        mark if place in rows else value for place, value in enumerate(table[name].to_pylist())
    ]
    place = table.column_names.index(name)
    return table.set_column(place, table.schema.field(name), pa.array(values, pa.string()))


def rekeyer(keys: Callable[[bytes, str | None], bytes | None]) -> Rewriter:
    """Replaces contact keys: `keys` gives the new one for an old one and the address beside it, or
    None where it is new already."""

    def rekey(manifest: Manifest, part: Part, table: pa.Table) -> Change:
        if "contact_key" not in table.column_names:
            return Change(None)
        stored = [None if k is None else k.bytes for k in _column(table, "contact_key")]
        fresh = [
            old if old is None else keys(old, address) or old
            for old, address in zip(stored, _column(table, "address"), strict=True)
        ]
        if fresh == stored:
            return Change(None)
        column = pa.ExtensionArray.from_storage(pa.uuid(), pa.array(fresh, type=pa.binary(16)))
        place = table.column_names.index("contact_key")
        table = table.set_column(place, table.schema.field("contact_key"), column)
        return Change(table, 0, sum(a != b for a, b in zip(stored, fresh, strict=True)))

    return rekey
