"""Rows whose fields have another type than documented: kept apart as findings, never lost.

A connector checks what it reads; what slips through must cost one record, not the night.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from optout.records import SCHEMAS, Finding

MISFITS = (pa.ArrowException, TypeError, ValueError, OverflowError)
"""What Arrow raises for a value that a column cannot hold."""


def fitting(kind: str, rows: Sequence[Any]) -> tuple[list[Any], list[Finding]]:
    """The rows that the kind's schema can hold, and a finding for each of the others."""
    kept, findings = [], []
    for row in rows:
        field = misfit(kind, row)
        if field is None:
            kept.append(row)
        elif kind == "finding":
            kept.append(Finding("unparsable", "finding", "", detail=_known_word(row.code)))
        else:
            findings.append(_finding(kind, row, field))
    return kept, findings


def misfit(kind: str, row: Any) -> str | None:
    """The first field that the schema cannot hold."""
    for field in SCHEMAS[kind]:
        # The address is judged by itself, and the key is made of it.
        if field.name in ("address", "contact_key"):
            continue
        try:
            pa.array([getattr(row, field.name)], type=field.type)
        except MISFITS:
            return str(field.name)
    return None


def _finding(kind: str, row: Any, field: str) -> Finding:
    outs = getattr(row, "outs", 0)
    return Finding(
        code="unparsable",
        store=_known_word(getattr(row, "store", None)) or kind,
        record_id=_known_word(getattr(row, "record_id", None)),
        field=field,
        detail=type(getattr(row, field)).__name__,
        categories=outs if isinstance(outs, int) else 0,
        raw=_known_word(row.raw) or "{}",
    )


def _known_word(value: Any) -> str:
    return value if isinstance(value, str) else ""
