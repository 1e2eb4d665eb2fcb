"""The suppression record: what stays of an erased person, so that a re-import stays blocked.

It is an opt-out that nothing lifts: whatever a vendor sends again of a person who asked to be
forgotten (an old opt-in among it) cannot bring the mail back. Only a new request of the person to
the company itself can, by `optout erase --withdraw`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from uuid import UUID

import duckdb
import orjson
from duckdb import DuckDBPyConnection

from optout.address import Keyer
from optout.errors import LandingError
from optout.files import make_dir, sync_dir, write_atomic
from optout.model import State
from optout.rights.subject import Subject
from optout.rules.resolution import PreferenceChange
from optout.warehouse import incremental

FILE = "suppressions.jsonl"
"""Beside the database; holds contact keys, no addresses."""
FEED = "suppression_record"
_FIELDS = ("contact_key", "key_id", "category", "since", "reason", "ground")
REASON = "erasure_request"
GROUND = "GDPR Art. 17(3)(b), 21(3)"
"""A legal obligation not to mail who objected; the record is what it takes to keep it."""


def suppressed(con: DuckDBPyConnection, subject: Subject) -> list[str | None]:
    """The scopes (None: everything) that are suppressed for a person, under whichever key."""
    rows = con.execute(
        "SELECT DISTINCT category FROM core.suppression"
        " WHERE contact_key IN (SELECT unnest($keys)) ORDER BY category NULLS FIRST",
        {"keys": list(subject.keys.values())},
    ).fetchall()
    return [row[0] for row in rows]


def suppress(
    con: DuckDBPyConnection, subject: Subject, scope: Collection[str] | None, since: datetime
) -> None:
    """Record that the person is never to be mailed, in the categories named or in any. What was
    opted out before the erasure stays so. Runs in the caller's transaction; again, it adds nothing.
    """
    scopes: set[str | None] = {None}
    if scope is not None:
        scopes = {*scope, *_standing(con, subject)}
    key_id = subject.keyers[0].key_id
    for category in sorted(scopes - set(suppressed(con, subject)), key=lambda c: c or ""):
        con.execute(
            "INSERT INTO core.suppression (contact_key, key_id, category, since, reason, ground)"
            " VALUES ($key, $key_id, $category, $since, $reason, $ground)",
            {"key": subject.key, "key_id": key_id, "category": category, "since": since,
             "reason": REASON, "ground": GROUND},
        )  # fmt: skip


def withdraw(con: DuckDBPyConnection, subject: Subject) -> int:
    """Remove the record at the person's own new wish; returns how many scopes it had."""
    incremental.forget(con)
    row = con.execute(
        "DELETE FROM core.suppression WHERE contact_key IN (SELECT unnest($keys))",
        {"keys": list(subject.keys.values())},
    ).fetchone()
    return int(row[0]) if row else 0


def recognise(con: DuckDBPyConnection, night: date, keyer: Keyer, retired: Sequence[Keyer]) -> int:
    """Erased people under a retired key whom a vendor sent again tonight: their record moves to the
    current key, so that it joins. Returns how many.

    Costs nothing where no record is under a retired key.
    """
    waiting: dict[str, set[UUID]] = {}
    for key_id, key in con.execute(
        "SELECT key_id, contact_key FROM core.suppression WHERE key_id <> $current",
        {"current": keyer.key_id},
    ).fetchall():
        waiting.setdefault(key_id, set()).add(key)
    keyers = [old for old in retired if old.key_id in waiting]
    if not keyers:
        return 0
    moved = 0
    fresh = con.execute(
        "SELECT contact_key, address FROM core.identity WHERE first_night >= $night",
        {"night": night},
    ).fetchall()
    for key, address in fresh:
        for old in keyers:
            former = UUID(bytes=old.key_of_normal(address))
            if former in waiting[old.key_id]:
                con.execute(
                    "UPDATE core.suppression SET contact_key = $key, key_id = $id"
                    " WHERE contact_key = $former AND key_id = $old",
                    {"key": key, "id": keyer.key_id, "former": former, "old": old.key_id},
                )
                moved += 1
    return moved


def unlifted(
    changes: Sequence[PreferenceChange], history: Sequence[Mapping[str, object]]
) -> list[PreferenceChange]:
    """One person's changes for `optout.rules.resolution.resolve`, without what could lift a
    suppression of theirs (`history`: rows of core.known_change)."""
    scopes = {row["category"] for row in history if row["feed"] == FEED}
    if not scopes:
        return list(changes)
    kept = frozenset(str(c) for c in scopes if c is not None)
    result = []
    for change in changes:
        if change.state is State.OPTED_OUT:
            result.append(change)
        elif None not in scopes and change.category not in scopes:
            result.append(replace(change, kept=change.kept | kept))
    return result


def write_outside(con: DuckDBPyConnection, data_dir: Path) -> None:
    """Keep the records beside the database, too: one that is restored from a back-up of before an
    erasure would otherwise mail the person again."""
    rows = con.execute(
        "SELECT contact_key::VARCHAR, key_id, category, since, reason, ground"
        " FROM core.suppression ORDER BY ALL"
    ).fetchall()
    lines = [dict(zip(_FIELDS, row, strict=True)) for row in rows]
    data = b"".join(orjson.dumps(line) + b"\n" for line in lines)
    path = make_dir(data_dir) / FILE
    if (path.read_bytes() if path.exists() else b"") != data:
        write_atomic(path, data)
        sync_dir(data_dir)


def restore(con: DuckDBPyConnection, data_dir: Path) -> int:
    """Take back into the warehouse what only the file beside it knows; returns how many scopes.

    Raises LandingError where the file cannot be read: nobody may be mailed on a guess.
    """
    path = data_dir / FILE
    if not path.exists():
        return 0
    known = set(
        con.execute("SELECT contact_key::VARCHAR, category FROM core.suppression").fetchall()
    )
    try:
        told = [orjson.loads(line) for line in path.read_bytes().splitlines()]
        missing = [
            {name: line[name] for name in _FIELDS}
            for line in told
            if (line["contact_key"], line["category"]) not in known
        ]
        for line in missing:
            con.execute(
                "INSERT INTO core.suppression SELECT $contact_key::UUID, $key_id, $category,"
                " $since::TIMESTAMP, $reason, $ground",
                line,
            )
    except (orjson.JSONDecodeError, KeyError, TypeError, duckdb.Error):
        raise LandingError(
            f"{FILE} is damaged: it keeps who must not be mailed after an erasure",
            mend="Restore it from a back-up, or remove it if the database is whole",
        ) from None
    return len(missing)


def _standing(con: DuckDBPyConnection, subject: Subject) -> set[str]:
    rows = con.execute(
        "SELECT DISTINCT category FROM audit.expected"
        " WHERE state = 'opted_out' AND contact_key IN (SELECT unnest($keys))",
        {"keys": list(subject.keys.values())},
    ).fetchall()
    return {row[0] for row in rows}
