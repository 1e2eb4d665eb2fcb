"""Loads landing into `core`: rows, their completeness and the sources' state in one transaction.

Loading is idempotent: what is already loaded is skipped, what an earlier attempt at the same night
said of the snapshot is taken back first, events are known by their ids.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson
from duckdb import DuckDBPyConnection

from optout.landing.manifest import Manifest, verify_part
from optout.landing.store import Landing
from optout.model import PERSONAL_SOURCES, Categories
from optout.trail.chain import chained
from optout.vendors.base import StreamMemory
from optout.warehouse.connection import transaction
from optout.warehouse.script import insert, run

_KINDS = ("reading", "change", "mail_event", "campaign", "consent", "finding")
_SNAPSHOT_LOADS = ("undo_system_night", "load_readings", "load_consents")
_EVENT_LOADS = ("load_changes", "load_mail_events", "load_campaigns", "load_identity")


@dataclass(frozen=True)
class LoadPolicy:
    """What loading needs to know of the configuration."""

    categories: Categories
    key_id: str
    follow_address_change: bool = True
    history_fields: Mapping[str, str] = field(default_factory=dict)
    """System → the field in which it keeps its own history, as findings name it."""


def begin_night(
    con: DuckDBPyConnection, night: date, cutoff: datetime, *, kind: str, run_id: str | None
) -> None:
    """Record that a night is attempted; a second attempt keeps the first cut-off and, where it has
    no name of its own, the name of the first."""
    con.execute(
        "INSERT INTO core.night (night, cutoff_at, kind, run_id)"
        " VALUES ($night, $cutoff, $kind, $run)"
        " ON CONFLICT (night) DO UPDATE SET run_id = coalesce(excluded.run_id, run_id)",
        {"night": night, "cutoff": naive(cutoff), "kind": kind, "run": run_id},
    )


def load_raw(con: DuckDBPyConnection, landing: Landing, night: date, system: str) -> int:
    """Type one system's landing into `raw`, replacing its last night; returns the rows.

    Raises LandingError where a file is damaged: nothing is replaced then.
    """
    found = [(f, m) for f, m in landing.manifests(night) if m.system == system]
    if not found or _loaded(con, "raw.manifest", system, night) == {
        m.stream: m.hash() for _, m in found
    }:
        return 0
    parts = _verified(found)
    with transaction(con):
        run(con, "raw_clear", system=system)
        _describe(con, night, [m for _, m in found], parts)
        for kind in _KINDS:
            files = [path for path, _ in parts.get(kind, [])]
            if files:
                run(con, f"raw_{kind}", system=system, files=files)
    return sum(m.rows for _, m in found)


def load_core(
    con: DuckDBPyConnection,
    night: date,
    system: str,
    *,
    policy: LoadPolicy,
    recorded_at: datetime,
    run_id: str | None = None,
) -> bool:
    """Bring one system's `raw` night into `core` in one transaction; False: nothing new.

    Once a later night is known, the snapshot of an earlier one cannot be placed any more (a vendor
    tells only the latest state); its dated events can.
    """
    raw = con.execute(
        "SELECT stream, manifest_hash FROM raw.manifest WHERE system = $s AND night = $n",
        {"s": system, "n": night},
    ).fetchall()
    if not raw or dict(raw) == _loaded(con, "core.source_read", system, night):
        return False
    values = {
        "system": system,
        "night": night,
        "key_id": policy.key_id,
        "recorded_at": naive(recorded_at),
        "run_id": run_id,
        "history_field": policy.history_fields.get(system),
    }
    later = con.execute(
        "SELECT 1 FROM core.source_read WHERE system = $s AND night > $n LIMIT 1",
        {"s": system, "n": night},
    ).fetchone()
    with transaction(con), chained(con):
        names = (() if later else _SNAPSHOT_LOADS) + _EVENT_LOADS
        if values["history_field"] and not later:
            names = (*names, "load_history")
        for name in (*names, "load_findings", "load_reads"):
            run(con, name, **values)
    return True


def derive_changes(
    con: DuckDBPyConnection,
    night: date,
    *,
    policy: LoadPolicy,
    recorded_at: datetime,
    run_id: str | None = None,
) -> None:
    """Changes that no vendor told as an event: after every system of the night is loaded."""
    names = policy.categories.names
    with transaction(con), chained(con):
        con.execute("CREATE OR REPLACE TEMP TABLE category_bit (category VARCHAR, bit INTEGER)")
        bits: list[tuple[str | None, int]] = [(n, 1 << i) for i, n in enumerate(names)]
        con.executemany("INSERT INTO category_bit VALUES (?, ?)", [*bits, (None, 0)])
        con.execute("CREATE OR REPLACE TEMP TABLE personal_source (source VARCHAR)")
        sources = [(s.value,) for s in sorted(PERSONAL_SOURCES)]
        con.executemany("INSERT INTO personal_source VALUES (?)", sources)
        run(
            con,
            "derive_changes",
            night=night,
            recorded_at=naive(recorded_at),
            run_id=run_id,
            follow_address_change=policy.follow_address_change,
        )


def stream_memory(con: DuckDBPyConnection, night: date) -> dict[tuple[str, str], StreamMemory]:
    """What earlier nights left for each stream: since when, last full night, its own state."""
    rows = con.execute(
        """
        SELECT r.system, r.stream,
               max(CASE WHEN r.is_complete AND NOT r.is_skipped THEN r.read_at END),
               max(CASE WHEN r.is_complete AND r.is_full AND NOT r.is_skipped THEN r.night END),
               any_value(s.state)
        FROM core.source_read AS r
        LEFT JOIN core.source_state AS s ON s.system = r.system AND s.stream = r.stream
        WHERE r.night < $night
        GROUP BY r.system, r.stream
        """,
        {"night": night},
    ).fetchall()
    return {
        (system, stream): StreamMemory(
            since=since.replace(tzinfo=UTC) if since else None,
            full_night=full,
            state=orjson.loads(state) if state else {},
        )
        for system, stream, since, full, state in rows
    }


def naive(moment: datetime) -> datetime:
    """An aware time as the naive UTC that the warehouse stores."""
    return moment.astimezone(UTC).replace(tzinfo=None)


_Parts = Mapping[str, Sequence[tuple[str, str]]]


def _verified(found: Sequence[tuple[Path, Manifest]]) -> dict[str, list[tuple[str, str]]]:
    parts: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for folder, manifest in found:
        for part in manifest.parts:
            parts[part.kind].append((str(verify_part(folder, part)), manifest.stream))
    return dict(parts)


def _loaded(con: DuckDBPyConnection, table: str, system: str, night: date) -> dict[str, str]:
    rows = con.execute(
        f"SELECT stream, manifest_hash FROM {table} WHERE system = $s AND night = $n",  # noqa: S608
        {"s": system, "n": night},
    ).fetchall()
    return dict(rows)


def _describe(
    con: DuckDBPyConnection, night: date, manifests: Sequence[Manifest], parts: _Parts
) -> None:
    """The manifests as rows, and which stream each part belongs to."""
    con.execute("CREATE OR REPLACE TEMP TABLE part_stream (part VARCHAR, stream VARCHAR)")
    insert(con, "part_stream", [row for rows in parts.values() for row in rows])
    for m in manifests:
        row = _row(m, night)
        marks = ", ".join(f"${name}" for name in row)
        con.execute(f"INSERT INTO raw.manifest ({', '.join(row)}) VALUES ({marks})", row)  # noqa: S608
    owners = [(m.system, m.stream, p, o) for m in manifests for p, o in m.owners.items()]
    insert(con, "raw.stream_owner", owners)


def _row(m: Manifest, night: date) -> dict[str, Any]:
    http = m.http
    return {
        "system": m.system,
        "stream": m.stream,
        "night": night,
        "manifest_hash": m.hash(),
        "is_complete": m.is_complete,
        "is_full": m.is_full,
        "is_snapshot": m.is_snapshot,
        "is_skipped": m.is_skipped,
        "role": m.role,
        "why_not": m.why_not,
        "read_at": _time(m.read_at),
        "finished_at": _time(m.finished_at),
        "vendor_total": m.vendor_total,
        "read_total": m.read_total,
        "row_count": m.rows,
        "finding_count": sum(p.rows for p in m.parts if p.kind == "finding"),
        "requests": http.get("requests"),
        "retries": http.get("retries"),
        "rate_limited": http.get("rate_limited"),
        "waited_seconds": http.get("waited_seconds"),
        "latency_seconds": http.get("latency_seconds"),
        "failed_requests": http.get("failed"),
        "revision": m.revision,
        "note": m.note,
        "state": orjson.dumps(dict(m.state)).decode() if m.state is not None else None,
    }


def _time(text: str | None) -> datetime | None:
    return naive(datetime.fromisoformat(text)) if text else None
