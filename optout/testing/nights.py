"""A small world behind its server and an installation that reads it: nights for tests.

with Bench(tmp_path, Plan(people=10)) as bench:
    manifests = bench.read("klaviyo")          # tonight's streams of one system into landing
    bench.run()                                # or the whole night, up to the metrics
    bench.world.advance()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from threading import Lock
from typing import Any, Self

import pyarrow.parquet as pq
from duckdb import DuckDBPyConnection
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter, HTTPAdapter

from optout import nightly
from optout.extract import Night, Wiring, build_connector, extract_night
from optout.landing.manifest import Manifest
from optout.landing.store import Landing
from optout.project import Project
from optout.sandbox.config import write_config
from optout.sandbox.server import Sandbox
from optout.sandbox.world.world import Plan, World
from optout.settings import Secrets, Settings
from optout.testing.outputs import Killed
from optout.vendors.base import Connector, SystemConfig
from optout.warehouse import load

VOLATILE = frozenset({
    "change_seq", "recorded_at", "run_id", "finished_at", "manifest_hash", "requests", "retries",
    "rate_limited", "waited_seconds", "latency_seconds", "failed_requests", "row_count",
    "finding_count", "chain_hash", "hash", "previous_hash",
})  # fmt: skip
"""Columns that tell how and when a row was brought in, not what is true."""
HEALTH = frozenset({"source_read", "source_state", "night", "extraction", "change_commitment"})
"""Tables that tell how a night went, or seal the order in which rows were recorded."""


class FakeTime:
    """Seconds that pass only when somebody sleeps. Thread-safe."""

    def __init__(self) -> None:
        self._now = 1_000_000.0
        self._lock = Lock()

    def __call__(self) -> float:
        """The present second."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        with self._lock:
            self._now += seconds


class KillingAdapter(BaseAdapter):
    """The network of a process that dies just before its `at`-th request (from 1); None: never.

    `after`: it dies when the answer is there, but before anybody has read it.
    """

    def __init__(self, at: int | None = None, *, after: bool = False) -> None:
        super().__init__()
        self.count = 0
        self._at = at
        self._after = after
        self._lock = Lock()
        self._network = HTTPAdapter(pool_connections=4, pool_maxsize=32)

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        """Send it, unless the process is dead; nothing is sent by a dead one."""
        with self._lock:
            self.count += 1
            is_last = self.count == self._at
            is_dead = self._at is not None and self.count > self._at
        if is_dead or (is_last and not self._after):
            raise Killed("request")
        response = self._network.send(request, *args, **options)
        if is_last:
            response.close()
            raise Killed("answer")
        return response

    def close(self) -> None:
        """Close the connections."""
        self._network.close()


class Bench:
    """A world, its server, and an installation in `folder`."""

    def __init__(
        self,
        folder: Path,
        plan: Plan | None = None,
        *,
        limits_on: bool = False,
        latency: float = 0.0,
        time: FakeTime | None = None,
    ) -> None:
        self.world = World(plan or Plan(people=10, campaign_size=8))
        self.folder = folder
        self.time = time or FakeTime()
        """Of the server and of every connector: nobody really sleeps."""
        self.sandbox = Sandbox(
            self.world.twins.values(), limits_on=limits_on, latency=latency, clock=self.time
        ).start()
        config = write_config(self.sandbox, self.world, folder)
        self.file = config.file
        """The optout.toml."""
        self.environ: Mapping[str, str] = config.environ
        """Credentials and key."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *told: object) -> None:
        self.sandbox.stop()

    @property
    def secrets(self) -> frozenset[str]:
        """What nobody may ever read in a log, an error or a file."""
        return frozenset(self.environ.values())

    def project(self) -> Project:
        """The installation at the moment at which the world's present night is to be read."""
        return Project.open(self.file, now=self.world.night.read_at, environ=self.environ)

    def connector(self, system: str, adapter: BaseAdapter | None = None) -> Connector:
        """One system's connector; it never really sleeps."""
        project = self.project()
        [config] = [each for each in project.settings.systems if each.name == system]
        wiring = Wiring(adapter, self.time.sleep, self.time)
        return build_connector(project.settings, project.secrets, config, wiring)

    def read(
        self,
        system: str,
        *,
        adapter: BaseAdapter | None = None,
        landing: Landing | None = None,
        connector: Connector | None = None,
    ) -> list[Manifest]:
        """Tonight's streams of one system as on a first night."""
        project, tonight = self.project(), self.world.night
        landing = landing or project.landing
        landing.begin_night(tonight.date, tonight.cutoff)
        connector = connector or self.connector(system, adapter)
        night = Night(tonight.date, tonight.cutoff, tonight.read_at)
        overlap = project.settings.overlap
        return extract_night([connector], landing, night, overlap=overlap, progress=_silent)

    def run(self, *, build: Build | None = None) -> list[Manifest]:
        """The whole night of the present date, up to the metrics."""
        project, tonight = self.project(), self.world.night
        project.landing.begin_night(tonight.date, tonight.cutoff)
        found = nightly.extract(project, tonight.date, progress=_silent, build=build or patient)
        with project.warehouse.writer() as con:
            self.judge(con)
        return found

    def begin(self, con: DuckDBPyConnection) -> None:
        """Record in a warehouse that tonight was begun, as `nightly.extract` does."""
        tonight = self.world.night
        load.begin_night(con, tonight.date, tonight.cutoff, kind="run", run_id=None)

    def judge(self, con: DuckDBPyConnection) -> None:
        """Bring tonight's landing into the warehouse and audit it."""
        judge(self.project(), con, self.world.night.date)


Build = Callable[[Settings, Secrets, SystemConfig], Connector]


def judge(project: Project, con: DuckDBPyConnection, night: date) -> None:
    """Bring a night's landing into a warehouse and audit it."""
    for config in project.settings.systems:
        load.load_raw(con, project.landing, night, config.name)
        nightly.load_core(project, con, night, config.name)
    nightly.derive(project, con, night)
    nightly.audit(project, con, night)
    nightly.metrics(project, con, night)


def patient(settings: Settings, secrets: Secrets, config: SystemConfig) -> Connector:
    """A connector that keeps all limits without really sleeping."""
    time = FakeTime()
    return build_connector(settings, secrets, config, Wiring(sleep=time.sleep, clock=time))


def _silent(line: str) -> None:
    """Progress that nobody watches."""


def tables(con: DuckDBPyConnection, schemas: Sequence[str] = ("core", "audit")) -> dict[str, Any]:
    """The rows of all tables as sorted texts, but for what tells how they came in."""
    listed = con.execute(
        "SELECT table_schema, table_name, list(column_name ORDER BY ordinal_position)"
        " FROM information_schema.columns JOIN information_schema.tables"
        " USING (table_schema, table_name)"
        " WHERE table_type = 'BASE TABLE' AND table_schema IN (SELECT unnest($schemas))"
        " GROUP BY ALL ORDER BY ALL",
        {"schemas": list(schemas)},
    ).fetchall()
    found: dict[str, Any] = {}
    for schema, table, columns in listed:
        if table in HEALTH:
            continue
        names = ", ".join(f'"{name}"' for name in columns if name not in VOLATILE)
        rows = con.execute(f"SELECT {names} FROM {schema}.{table}").fetchall()  # noqa: S608
        found[f"{schema}.{table}"] = sorted(map(repr, rows))
    return found


def differences(one: Mapping[str, Sequence[str]], other: Mapping[str, Sequence[str]]) -> list[str]:
    """What stands in only one of two `tables`: the first of each table, fit for a failure."""
    told = []
    for name in sorted({*one, *other}):
        left, right = set(one.get(name, ())), set(other.get(name, ()))
        if left != right or len(one.get(name, ())) != len(other.get(name, ())):
            told.append(f"{name}: only first {sorted(left - right)[:3]}, "
                        f"only second {sorted(right - left)[:3]}, "
                        f"{len(one.get(name, ()))} / {len(other.get(name, ()))} rows")  # fmt: skip
    return told


@dataclass(frozen=True)
class Landed:
    """One row of a landing file."""

    kind: str
    fields: tuple[tuple[str, Any], ...]
    """All but the vendor's own record, in which links name the port of the server."""

    def __getitem__(self, name: str) -> Any:
        """A field by its name."""
        return dict(self.fields)[name]


def landed(landing: Landing, night: date, system: str) -> dict[str, frozenset[Landed]]:
    """Stream → its distinct rows of a night."""
    found: dict[str, set[Landed]] = {}
    for folder, manifest in landing.manifests(night):
        if manifest.system != system:
            continue
        rows = found.setdefault(manifest.stream, set())
        for part in manifest.parts:
            table = pq.read_table(folder / part.file).drop_columns(["raw"])
            rows.update(Landed(part.kind, tuple(row.items())) for row in table.to_pylist())
    return {stream: frozenset(rows) for stream, rows in found.items()}
