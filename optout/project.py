"""One installation: settings, clock, landing, warehouse and published copy, as plain objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path

from optout.clock import night_of
from optout.engine import build_engine
from optout.engine.session import Engine
from optout.landing.store import Landing
from optout.settings import Secrets, Settings, load_secrets, load_settings
from optout.vendors import expected_streams
from optout.warehouse.connection import Warehouse
from optout.warehouse.load import LoadPolicy
from optout.warehouse.reconcile import ReconcilePolicy


@dataclass(frozen=True)
class Project:
    """Everything that the steps of a night and the commands work on."""

    settings: Settings
    now: datetime
    environ: Mapping[str, str] = field(repr=False)

    @classmethod
    def open(cls, file: Path, *, now: datetime, environ: Mapping[str, str]) -> Project:
        """Read optout.toml; raises ConfigurationError. Secrets are read when first needed."""
        return cls(load_settings(file), now, environ)

    @cached_property
    def secrets(self) -> Secrets:
        """Credentials and key; raises ConfigurationError."""
        return load_secrets(self.settings, self.environ)

    @cached_property
    def key_only(self) -> Secrets:
        """The key without the credentials: what looking up a person needs."""
        return load_secrets(self.settings, self.environ, with_tokens=False)

    @property
    def data_dir(self) -> Path:
        """The folder that holds everything this installation stores."""
        return self.settings.data_dir

    @cached_property
    def landing(self) -> Landing:
        """The landing folder, keyed."""
        return Landing(self.data_dir / "landing", self.key_only.keyer)

    @cached_property
    def warehouse(self) -> Warehouse:
        """The one database that is written."""
        return Warehouse(self.data_dir, memory_limit=self.settings.engine.memory)

    @cached_property
    def engine(self) -> Engine:
        """Where the reconcile statements run."""
        return build_engine(self.settings.engine, self.data_dir)

    @property
    def published(self) -> Path:
        """The read-only copy for people and pages."""
        return self.data_dir / "published" / "optout.duckdb"

    @property
    def tonight(self) -> date:
        """The night that begins now."""
        return night_of(self.now, self.settings.zone)

    @property
    def load_policy(self) -> LoadPolicy:
        """What loading needs of the settings."""
        s = self.settings
        return LoadPolicy(
            s.category_masks,
            s.identity.key_id,
            s.policy.follow_address_change,
            {c.name: c.history_field for c in s.systems if c.history_field},
        )

    @property
    def reconcile_policy(self) -> ReconcilePolicy:
        """What the rules need of the settings."""
        s = self.settings
        return ReconcilePolicy(
            categories=s.category_masks,
            hub=s.hub.name,
            systems={esp.name: s.mapped(esp) for esp in s.esp},
            window=timedelta(minutes=s.policy.simultaneous_minutes),
            streams=expected_streams(s.systems),
        )
