"""Rows turned into the columns of their landing file, a batch at a time: keyed, typed, judged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from optout.address import Keyer
from optout.landing.fitting import MISFITS, fitting
from optout.records import SCHEMAS, Finding

_KEY_BYTES = 16
_KEY_STORAGE = pa.binary(_KEY_BYTES)
_TIME = pa.timestamp("us")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def batch(kind: str, rows: list[Any], keyer: Keyer) -> tuple[pa.RecordBatch, list[Finding]]:
    """The rows (one at least, all of this kind) that its schema can hold, and a finding for each
    of the others: a field of another type, or an address that is none."""
    try:
        return _typed(kind, rows, keyer)
    except MISFITS:
        kept, misfits = fitting(kind, rows)
        found, findings = _typed(kind, kept, keyer)
        return found, misfits + findings


def _typed(kind: str, rows: list[Any], keyer: Keyer) -> tuple[pa.RecordBatch, list[Finding]]:
    """The same; raises one of MISFITS for a field of another type."""
    schema = SCHEMAS[kind]
    findings: list[Finding] = []
    columns = _columns(schema, rows)
    if "address" in columns:
        normals, keys = keyer.keyed(columns["address"])
        bad = _bad(columns["address"], keys) if None in keys and kind != "finding" else []
        if bad:
            findings = [_bad_address(kind, rows[place]) for place in bad]
            good = sorted(set(range(len(rows))).difference(bad))
            columns = _columns(schema, [rows[place] for place in good])
            normals, keys = [normals[place] for place in good], [keys[place] for place in good]
        columns["address"], columns["contact_key"] = normals, keys
    arrays = [_array(columns[field.name], field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema), findings


def _bad(told: Sequence[Any], keys: Sequence[bytes | None]) -> list[int]:
    """The places whose text is no address."""
    return [
        place
        for place, (text, key) in enumerate(zip(told, keys, strict=True))
        if text is not None and key is None
    ]


def _columns(schema: pa.Schema, rows: list[Any]) -> dict[str, Sequence[Any]]:
    """Field → its values."""
    names = [name for name in schema.names if name != "contact_key"]
    return dict(zip(names, zip(*rows, strict=True) if rows else ((),) * len(names), strict=True))


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if kind == pa.uuid():
        return pa.ExtensionArray.from_storage(kind, _keys(values))
    # Most fields of most rows hold their default: one value, written down as often as needed.
    if values and values[0] == values[-1] and values.count(values[0]) == len(values):
        return pa.repeat(pa.scalar(values[0], type=kind), len(values))
    return _times(values) if kind == _TIME else pa.array(values, type=kind)


def _times(values: Sequence[Any]) -> pa.Array:
    """Aware times, four times as fast as Arrow converts them: it asks each for its zone's offset.
    It still judges what is no such time."""
    try:
        since = [None if value is None else value - _EPOCH for value in values]
    except TypeError:
        return pa.array(values, type=_TIME)
    return pa.array(since, type=pa.duration("us")).view(_TIME)


def _keys(values: Sequence[Any]) -> pa.Array:
    if None in values:
        return pa.array(values, type=_KEY_STORAGE)
    buffers = [None, pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(_KEY_STORAGE, len(values), buffers)


def _bad_address(kind: str, row: Any) -> Finding:
    """A record with an address that is none: it cannot be compared, and is not dropped."""
    outs = getattr(row, "outs", 0)
    return Finding(
        code="bad_address",
        store=getattr(row, "store", None) or kind,
        record_id=getattr(row, "record_id", None) or "",
        field="address",
        detail="opted out" if outs else "",
        categories=outs,
        raw=row.raw,
    )
