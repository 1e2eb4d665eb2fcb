"""The manifest of one (system, stream, night): what was read, and whether that was all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import orjson
from pydantic import TypeAdapter

from optout.errors import LandingError
from optout.files import storage, storage_error, sync_dir, write_atomic

MANIFEST = "manifest.json"
PROGRESS = "progress.json"


@dataclass(frozen=True)
class Part:
    """One Parquet file of a stream."""

    file: str
    kind: str
    rows: int
    sha256: str
    original_sha256: str | None = None
    """Of the file as first written, where it was lawfully rewritten since."""
    rewritten: tuple[str, ...] = ()
    """What for and when: `erasure 2026-11-25`."""


@dataclass(frozen=True)
class Manifest:
    """Times are ISO 8601 UTC; `state` is what the stream wants to be told on its next night."""

    system: str
    stream: str
    night: str
    cutoff_at: str
    read_at: str
    """When the read began: the states hold from here on."""
    finished_at: str | None = None
    is_complete: bool = False
    is_full: bool = True
    is_snapshot: bool = False
    is_skipped: bool = False
    role: str = "evidence"
    """`optout.vendors.base.Role`."""
    owners: Mapping[str, str] = field(default_factory=dict)
    """Store prefix → the snapshot stream that owns its readings (a feed of changes has none)."""
    why_not: str | None = None
    note: str | None = None
    vendor_total: int | None = None
    read_total: int | None = None
    revision: str | None = None
    state: Mapping[str, Any] | None = None
    http: Mapping[str, float] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()

    @property
    def rows(self) -> int:
        """Rows in all parts."""
        return sum(part.rows for part in self.parts)

    def hash(self) -> str:
        """Identifies what is loaded: the rows, their completeness and the state.

        A lawful rewriting (`optout.rights`) leaves it: what was loaded is not loaded again.
        """
        told = asdict(self)
        told["parts"] = [(p.kind, p.original_sha256 or p.sha256) for p in self.parts]
        return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def write(self, folder: Path, name: str = MANIFEST) -> None:
        """Put the manifest into its stream's folder, atomically and durably."""
        write_atomic(folder / name, orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2))
        sync_dir(folder)


_SHAPE = TypeAdapter(Manifest)


def read_manifest(folder: Path, name: str = MANIFEST) -> Manifest | None:
    """The manifest in a folder, None where there is none; raises LandingError if it is damaged."""
    path = folder / name
    with storage(path):
        return _parse(path, path.read_bytes()) if path.exists() else None


def _parse(path: Path, data: bytes) -> Manifest:
    try:
        found = _SHAPE.validate_json(data, strict=True)
        date.fromisoformat(found.night)
        for moment in (found.cutoff_at, found.read_at, found.finished_at):
            if moment is not None:
                datetime.fromisoformat(moment)
        if any(Path(part.file).name != part.file for part in found.parts):
            raise ValueError("a part that lies elsewhere")
        return found
    except ValueError as error:
        place = "/".join(path.parts[-4:])
        raise LandingError(
            f"the landing file {place} is damaged ({type(error).__name__})",
            mend="Restore it from a back-up, or delete its folder and run the night again",
        ) from None


def verify_part(folder: Path, part: Part) -> Path:
    """The part's path, if its bytes are those that were written; raises LandingError."""
    path = folder / part.file
    place = "/".join(path.parts[-4:])
    mend = "Restore it from a back-up, or delete its folder and run the night again"
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise LandingError(f"the landing file {place} is gone", mend=mend) from None
    except OSError as error:
        raise storage_error(path, error) from None
    if digest != part.sha256:
        raise LandingError(f"the landing file {place} has changed since it was written", mend=mend)
    return path
