"""Reads every system of a night at the same time, each into its own landing folder.

A system that fails does not stop the others: its streams are recorded as incomplete, with the
reason, and everything that depends on them becomes unknown. What was read completely is not
asked for again when the night is run again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from requests.adapters import BaseAdapter

from optout.errors import NotFound, OptoutError, SourceError, Transient
from optout.http.client import HttpClient
from optout.landing.manifest import Manifest
from optout.landing.store import Landing
from optout.landing.writer import StreamWriter
from optout.settings import Secrets, Settings
from optout.vendors import VENDORS
from optout.vendors.base import (
    Connector,
    Context,
    ReadRequest,
    Role,
    Stream,
    StreamMemory,
    SystemConfig,
)

log = logging.getLogger(__name__)

PROGRESS = logging.getLogger("optout.progress")
"""A line for each stream that has ended; the command line shows it."""

ATTEMPTS = 3
"""Reads of one stream before a transient failure makes it incomplete, each from the cursor on."""


@dataclass(frozen=True)
class Night:
    """One night to be read."""

    night: date
    cutoff: datetime
    now: datetime
    """The clock of the run when the read begins (`--now`, or the real time)."""
    memory: Mapping[tuple[str, str], StreamMemory] = field(default_factory=dict)
    events_only: bool = False
    """A backfill: dated events of a missed night; snapshots cannot be read any more."""


@dataclass(frozen=True)
class Wiring:
    """What connects a connector with the world outside; a test puts its own in place."""

    adapter: BaseAdapter | None = None
    """Instead of the network."""
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


def build_connector(
    settings: Settings, secrets: Secrets, config: SystemConfig, wiring: Wiring | None = None
) -> Connector:
    """A connector with its own HTTP client (limits are shared per credential)."""
    wiring = wiring or Wiring()
    kind = VENDORS[config.vendor]
    token = secrets.tokens[config.name]
    http = HttpClient(
        config.name,
        config.base_url,
        kind.http_options(config, token),
        secrets=(token,),
        adapter=wiring.adapter,
        sleep=wiring.sleep,
        clock=wiring.clock,
    )
    return kind(
        Context(config, token, settings.category_masks, http, secrets.keyer.pseudonym, wiring.sleep)
    )


def extract_night(
    connectors: Sequence[Connector],
    landing: Landing,
    night: Night,
    *,
    overlap: timedelta,
    progress: Callable[[str], None] = PROGRESS.info,
) -> list[Manifest]:
    """Read all systems concurrently (a thread each); returns every stream's manifest.

    Never raises for a system's failure; raises OptoutError where landing itself cannot be
    written or read.
    """
    with ThreadPoolExecutor(max_workers=len(connectors), thread_name_prefix="extract") as pool:
        futures = [
            pool.submit(_read_system, connector, landing, night, overlap, progress)
            for connector in connectors
        ]
        return [manifest for future in futures for manifest in future.result()]


def _read_system(
    connector: Connector,
    landing: Landing,
    night: Night,
    overlap: timedelta,
    progress: Callable[[str], None],
) -> list[Manifest]:
    manifests: list[Manifest] = []
    for stream in connector.streams(connector.config):
        if night.events_only and stream.snapshot:
            continue
        known = landing.manifest(night.night, connector.config.name, stream.name)
        if known is None or not known.is_complete:
            known = _read_stream(connector, stream, landing, night, overlap)
        manifests.append(known)
        verdict = (
            "skipped" if known.is_skipped else "complete" if known.is_complete else "INCOMPLETE"
        )
        progress(f"{known.system} {known.stream}: {known.rows} rows, {verdict}")
    return manifests


def _read_stream(
    connector: Connector, stream: Stream, landing: Landing, night: Night, overlap: timedelta
) -> Manifest:
    config = connector.config
    memory = night.memory.get((config.name, stream.name), StreamMemory())
    since = None
    every = config.full_read_every if stream.snapshot else config.full_feed_every
    if not stream.always_full and not _full_is_due(memory, every, night.night):
        since = memory.since - overlap if memory.since else None
    begun = Manifest(
        system=config.name,
        stream=stream.name,
        night=night.night.isoformat(),
        cutoff_at=night.cutoff.isoformat(),
        read_at=night.now.isoformat(),
        is_full=since is None,
        is_snapshot=stream.snapshot,
        role=stream.role.value,
        owners={} if stream.snapshot else _owners(connector.streams(config)),
        revision=connector.revision,
    )
    writer = landing.open_stream(begun)
    request = ReadRequest(night.night, night.cutoff, since, memory.state, night.now)
    before = _cost(connector)
    started = time.monotonic()
    _read_with_retries(connector, stream.name, request, writer)
    if stream.role is not Role.STATE and memory.since is None:
        _excuse_what_never_was(writer)
    cost = {name: value - before[name] for name, value in _cost(connector).items()}
    took = timedelta(seconds=time.monotonic() - started)
    return writer.finish(night.now + took, cost)


def _cost(connector: Connector) -> dict[str, float]:
    """What the connector's requests have cost so far: counters only, so that streams can be told
    apart by difference."""
    stats = connector.http.stats
    return {
        "requests": stats.requests,
        "retries": stats.retries,
        "rate_limited": stats.rate_limited,
        "waited_seconds": stats.waited_seconds,
        "failed": stats.failed,
        "latency_seconds": stats.latency.total,
        "received_bytes": stats.received_bytes,
    }


def _full_is_due(memory: StreamMemory, every: int, night: date) -> bool:
    return memory.full_night is None or (night - memory.full_night).days >= every


def _owners(streams: Sequence[Stream]) -> dict[str, str]:
    return {prefix: s.name for s in streams if s.snapshot for prefix in s.stores}


def _excuse_what_never_was(writer: StreamWriter) -> None:
    """A feed that the vendor does not know at the first request of the first night is one that the
    account does not have; later on, or in the middle of a read, a 404 is a failure."""
    if writer.refused_at_once:
        writer.skipped(f"not offered to this account: {writer.manifest.why_not}")


def _read_with_retries(
    connector: Connector, stream: str, request: ReadRequest, writer: StreamWriter
) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            connector.read(stream, request, writer)
            return
        except SourceError as error:
            log.warning("%s", error)
            if not isinstance(error, Transient) or attempt == ATTEMPTS:
                writer.interrupted(str(error))
                writer.refused_at_once = isinstance(error, NotFound) and not writer.manifest.parts
                return
            writer.flush()
        except OptoutError:
            raise
        except Exception as error:
            # A shape that the connector does not foresee: the vendor's record may stand in the
            # exception's text, so only its type is told.
            log.warning("%s %s: unforeseen %s", connector.config.name, stream, type(error).__name__)
            log.debug("where it came from", exc_info=True)
            what = f"the answer does not have the documented shape ({type(error).__name__})"
            writer.interrupted(what)
            return
