"""Turning keys back into addresses is an act of its own: it is recorded before it happens."""

from __future__ import annotations

import getpass
import os
from collections.abc import Collection

import orjson

from optout.files import make_dir, sync_dir
from optout.project import Project


def addresses_of(project: Project, keys: Collection[str], purpose: str) -> dict[str, str]:
    """Contact key → address, for as many keys as are known. Reads the warehouse itself (the
    published copy has no addresses); raises LockedError while a night is being written."""
    record_disclosure(project, purpose, len(keys))
    with project.warehouse.reader() as con:
        rows = con.execute(
            "SELECT contact_key::VARCHAR, address FROM core.identity"
            " WHERE contact_key IN (SELECT unnest($keys::UUID[]))",
            {"keys": sorted(keys)},
        ).fetchall()
    return dict(rows)


def record_disclosure(project: Project, purpose: str, people: int) -> None:
    """Append who asked to see how many people's addresses, when and for what, to
    `<data_dir>/disclosures.jsonl`."""
    path = make_dir(project.data_dir) / "disclosures.jsonl"
    line = {
        "at": project.now.isoformat(timespec="seconds"),
        "who": getpass.getuser(),
        "purpose": purpose,
        "people": people,
    }
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, orjson.dumps(line) + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_dir(path.parent)
