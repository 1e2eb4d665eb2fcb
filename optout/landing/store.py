"""Where landing lies: `<data_dir>/landing/<night>/<system>/<stream>/`, and a night's cut-off."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import orjson

from optout.address import Keyer
from optout.errors import LandingError
from optout.files import make_dir, storage, sync_dir, write_atomic
from optout.landing.manifest import Manifest, read_manifest
from optout.landing.writer import StreamWriter

_NIGHT = "night.json"


class Landing:
    """The landing folder of one installation."""

    def __init__(self, root: Path, keyer: Keyer) -> None:
        self.root = root
        self._keyer = keyer

    def begin_night(self, night: date, now: datetime) -> datetime:
        """The night's one cut-off: the moment of its first start, kept for every later attempt."""
        folder = make_dir(self.root / night.isoformat())
        path = folder / _NIGHT
        if path.exists():
            return self.cutoff(night) or now
        cutoff = now.astimezone(UTC)
        write_atomic(path, orjson.dumps({"cutoff_at": cutoff.isoformat()}))
        sync_dir(folder)
        return cutoff

    def cutoff(self, night: date) -> datetime | None:
        """The cut-off of a night that was begun, else None."""
        path = self.root / night.isoformat() / _NIGHT
        if not path.exists():
            return None
        try:
            with storage(path):
                text = path.read_bytes()
            found = datetime.fromisoformat(orjson.loads(text)["cutoff_at"])
            return found.astimezone(UTC)
        except (ValueError, KeyError, TypeError):
            raise LandingError(
                f"the landing file {night}/{_NIGHT} is damaged",
                mend="Delete it and run the night again",
            ) from None

    def nights(self) -> list[date]:
        """The nights that were begun, oldest first."""
        return sorted(date.fromisoformat(p.parent.name) for p in self.root.glob(f"*/{_NIGHT}"))

    def folder(self, night: date, system: str, stream: str) -> Path:
        """Where one stream's night lies."""
        return self.root / night.isoformat() / system / stream

    def manifest(self, night: date, system: str, stream: str) -> Manifest | None:
        """What is known of one stream's night, None before it ended."""
        return read_manifest(self.folder(night, system, stream))

    def open_stream(self, begun: Manifest) -> StreamWriter:
        """A writer that goes on where a killed or incomplete read of the same night ended."""
        folder = self.folder(date.fromisoformat(begun.night), begun.system, begun.stream)
        with storage(folder):
            return StreamWriter(make_dir(folder), self._keyer, begun)

    def manifests(self, night: date | None = None) -> Iterator[tuple[Path, Manifest]]:
        """Every finished stream with its folder, oldest night first."""
        pattern = f"{night.isoformat() if night else '*'}/*/*/manifest.json"
        for path in sorted(self.root.glob(pattern)):
            manifest = read_manifest(path.parent)
            if manifest is not None:
                yield path.parent, manifest
