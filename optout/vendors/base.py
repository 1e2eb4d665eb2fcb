"""What a connector is: a vendor's API turned into typed records, and nothing else.

A connector is one file in this folder and one line in `optout/vendors/__init__.py`. It knows
only `base_url`, never whether a sandbox twin or the vendor answers. `docs/add-a-system.md` walks
through one.
"""

from __future__ import annotations

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field

from optout.address import Keyer
from optout.http.client import HttpClient, HttpOptions
from optout.model import Categories
from optout.records import Row


class SystemConfig(BaseModel):
    """The keys that every `[hub]` or `[[esp]]` table has; a vendor's own options subclass it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")
    vendor: str
    base_url: str = Field(pattern=r"^https?://[^\s/]+(/.*)?$")
    token_env: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$")
    """Name of the environment variable that holds the credential; never the credential."""
    categories: Mapping[str, tuple[str, ...]] = {}
    """Company category → the vendor's stores that hold it (lists, groups, interests, types)."""
    full_read_every: int = Field(default=1, ge=1)
    """Nights between full reads of the state. One by default: deletions and lifted suppressions
    show in no feed. A large account may trade nights of not knowing for requests."""
    full_feed_every: int = Field(default=7, ge=1)
    """Nights between full reads of the feeds of changes and mail, which reach back by the
    policy's overlap on the others."""

    @property
    def history_field(self) -> str | None:
        """The field in which the system keeps its own history, as findings name it."""
        return None


@dataclass(frozen=True)
class ReadRequest:
    """What one stream is to read tonight."""

    night: date
    cutoff: datetime
    """The night's start: dated changes after it wait for the next night."""
    since: datetime | None
    """Read what changed since (overlap already subtracted); None: everything."""
    state: Mapping[str, Any] = field(default_factory=dict)
    """What this stream left in `StreamOutput.complete(state=...)` on its last loaded night."""
    now: datetime | None = None
    """The moment of the read (the run's clock); defaults to the cut-off."""


@dataclass(frozen=True)
class StreamMemory:
    """What the warehouse knows of a stream from earlier nights."""

    since: datetime | None = None
    """Begin of the last complete, loaded read."""
    full_night: date | None = None
    """The last night on which it was read completely and in full."""
    state: Mapping[str, Any] = field(default_factory=dict)


class StreamOutput(Protocol):
    """Where a connector puts its rows; `optout.landing.StreamWriter` is the real one.

    The order is: add rows, then `page_done(cursor)`; at the end `complete(...)` once. A read that
    ends by an exception or without `complete` is incomplete, whatever it wrote.
    """

    cursor: Any
    """Where an interrupted read of the same night goes on (what `page_done` was last given and
    made durable); None: from the start. JSON."""

    def add(self, row: Row) -> None:
        """Buffer one row."""

    def page_done(self, cursor: Any = None) -> None:
        """A page's rows are all added; a resumed read may start at `cursor`."""

    def flush(self) -> None:
        """Make everything so far durable (fsync): call it before acknowledging to a vendor."""

    def restart(self) -> None:
        """Forget what this stream wrote tonight: its cursor expired, the read begins anew."""

    def complete(
        self,
        *,
        vendor_total: int | None = None,
        read_total: int | None = None,
        state: Mapping[str, Any] | None = None,
        note: str | None = None,
        is_full: bool | None = None,
    ) -> None:
        """The read is proven complete. `vendor_total` against `read_total` (records of the vendor,
        not rows) where the vendor tells a total; a difference makes the stream incomplete.
        `is_full`: whether everything was read (default: whether `request.since` was None); only
        then does absence from a snapshot mean deletion."""

    def incomplete(self, why: str) -> None:
        """The read ended, but cannot be proven complete; `why` is shown to people."""

    def skipped(self, why: str) -> None:
        """The account does not have this (no Firehose on the plan): not read, and said so; does
        not make the night incomplete."""


class Role(StrEnum):
    """What is lost where a stream could not be read completely."""

    STATE = "state"
    """What the system holds now: without it none of its cells can be judged."""
    CHANGES = "changes"
    """Who changed what and when: without it cells can be judged, promises not be called met."""
    EVIDENCE = "evidence"
    """Mail, campaigns, clicks: only figures about them become unknown."""


@dataclass(frozen=True)
class Stream:
    """One thing that a connector reads each night."""

    name: str
    """`[a-z_]+`, unique within the connector: `contacts`, `sync`, `firehose`, `unsubscribes`."""
    snapshot: bool = False
    """Its readings tell the current state: a complete full read closes what is absent."""
    stores: tuple[str, ...] = ()
    """Prefixes of the stores that this snapshot covers (`audience:`), for closing."""
    role: Role = Role.EVIDENCE
    """What depends on it; a snapshot is always state."""
    always_full: bool = False
    """Is read in full every night (`request.since` is always None): removals show no other way."""

    def __post_init__(self) -> None:
        if self.snapshot:
            object.__setattr__(self, "role", Role.STATE)


@dataclass(frozen=True)
class Problem:
    """Something that `optout check` found wrong (or worth knowing) before the first night."""

    key: str
    """Where in optout.toml: `esp.mailchimp.categories.events`."""
    message: str
    mend: str
    fatal: bool = True


@dataclass(frozen=True)
class Context:
    """What a connector is built with."""

    config: SystemConfig
    token: str
    categories: Categories
    http: HttpClient
    pseudonym: Callable[[str], str] = Keyer(secrets.token_bytes(32), "passing").pseudonym
    """Names a record whose only id at the vendor is an address or a hash of one: record ids and
    event ids reach `core`, where nothing may be guessed back. The installation's key makes the
    names last; by default they hold for this process only."""
    sleep: Callable[[float], None] = time.sleep
    """How a connector waits for what the vendor prepares."""


class Connector(ABC):
    """Reads one system. Instances are made per night and used by one thread at a time, but may
    use threads of their own (`optout.http.parallel`)."""

    vendor: ClassVar[str]
    Config: ClassVar[type[SystemConfig]] = SystemConfig
    revision: ClassVar[str | None] = None
    """The API revision that this connector is written against; goes into every manifest."""
    is_hub: ClassVar[bool] = False
    sends_evidence: ClassVar[bool] = False
    """Whether the vendor can tell to whom it sent (else: named in the reports)."""
    send_streams: ClassVar[tuple[str, ...]] = ()
    """The streams that tell it: without one of them nobody knows what was sent."""

    config: SystemConfig
    """A connector with options of its own narrows this to its `Config`."""

    def __init__(self, context: Context) -> None:
        """Raises TypeError where the configuration is another system's."""
        if not isinstance(context.config, self.Config):
            raise TypeError(f"the connector {self.vendor} needs a {self.Config.__name__}")
        self.context = context
        self.config = context.config
        self.categories = context.categories
        self.http = context.http

    @classmethod
    @abstractmethod
    def http_options(cls, config: SystemConfig, token: str) -> HttpOptions:
        """Headers, limits and the vendor's ways of saying no, for `HttpClient`."""

    @classmethod
    @abstractmethod
    def streams(cls, config: SystemConfig) -> tuple[Stream, ...]:
        """What is read each night, in order; all of it is expected."""

    @abstractmethod
    def read(self, stream: str, request: ReadRequest, out: StreamOutput) -> None:
        """Read one stream; raises SourceError, or ends with `out.complete/incomplete/skipped`."""

    @abstractmethod
    def check(self) -> Iterator[Problem]:
        """Everything that can be wrong with credentials, scopes, fields, lists: each once, all at
        once. Raises SourceError only where nothing more can be asked."""
