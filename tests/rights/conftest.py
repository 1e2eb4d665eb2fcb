"""A small installation that has read two nights, copied for every test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from optout import nightly
from optout.project import Project
from optout.sandbox.world.world import Plan
from optout.testing.nights import Bench


@dataclass
class Installation:
    """A project whose nights go on in the world of `bench`."""

    bench: Bench
    environ: dict[str, str]

    @property
    def project(self) -> Project:
        now = self.bench.world.night.read_at + timedelta(hours=1)
        return Project.open(self.bench.file, now=now, environ=self.environ)

    def publish(self) -> None:
        project = self.project
        with project.warehouse.writer() as con:
            nightly.publish(project, con)

    def night(self) -> None:
        self.bench.run()
        self.publish()

    def person(self, having: str = "count(DISTINCT o.system) >= 4") -> tuple[str, UUID]:
        """Somebody whom most systems know."""
        with self.project.warehouse.reader() as con:
            row = con.execute(
                "SELECT i.address, i.contact_key FROM core.identity AS i"
                " JOIN core.observation AS o USING (contact_key)"
                f" WHERE o.night_to IS NULL GROUP BY ALL HAVING {having} ORDER BY ALL LIMIT 1"
            ).fetchone()
        assert row is not None
        return row


@pytest.fixture(scope="session")
def two_nights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("rights"), Plan(people=25, campaign_size=8)) as bench:
        bench.run()
        bench.world.advance()
        bench.run()
        project = bench.project()
        with project.warehouse.writer() as con:
            nightly.publish(project, con)
        yield bench


@pytest.fixture
def kept(two_nights: Bench, tmp_path: Path) -> Installation:
    """A copy of the installation; the vendors are there but not asked (their world stays)."""
    folder = tmp_path / "kept"
    shutil.copytree(two_nights.folder, folder)
    copy = _Copy(two_nights, folder / two_nights.file.name)
    return Installation(copy, {**os.environ, **two_nights.environ})  # type: ignore[arg-type]


@pytest.fixture
def living(tmp_path: Path) -> Iterator[Installation]:
    """An installation of its own whose world goes on."""
    with Bench(tmp_path / "living", Plan(people=25, campaign_size=8)) as bench:
        environ = {**os.environ, **bench.environ}
        bench.environ = environ
        installation = Installation(bench, environ)
        installation.night()
        yield installation


@dataclass
class _Copy:
    origin: Bench
    file: Path

    @property
    def world(self):
        return self.origin.world
