"""Three published nights: with violations, with an incomplete source, with everything green."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from optout import nightly
from optout.errors import Unreachable
from optout.project import Project
from optout.sandbox.world.world import Plan
from optout.testing.nights import Bench, patient

GREEN = """
    DELETE FROM audit.violation; DELETE FROM audit.drift; DELETE FROM audit.unconsented_send;
    DELETE FROM audit.trail_gap; DELETE FROM core.finding; DELETE FROM audit.campaign_fault;
    DELETE FROM audit.opt_out WHERE is_open;
    UPDATE mart.metric_daily SET status = 'met', note = NULL, not_comparable = 0,
           value = CASE WHEN target LIKE '%100 %' OR target LIKE '>=%' THEN 1 ELSE 0 END,
           low = CASE WHEN low IS NULL THEN NULL ELSE 0.9995 END,
           high = CASE WHEN low IS NULL THEN NULL ELSE 1.0 END,
           numerator = CASE WHEN target LIKE '%100 %' OR target LIKE '>=%' THEN denominator
                            ELSE 0 END
    WHERE target IS NOT NULL;
"""


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("reports"), Plan(people=25, campaign_size=8)) as bench:
        bench.run()
        bench.world.advance()
        bench.run()
        publish(bench.project())
        yield bench


@pytest.fixture(scope="session")
def violated(bench: Bench) -> Project:
    """The second night as it was: the world plants sends after opt-outs."""
    return bench.project()


@pytest.fixture(scope="session")
def green(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same copy without anything that is wrong."""
    project = copied(bench, tmp_path_factory.mktemp("green"))
    with duckdb.connect(str(project.published)) as con:
        con.execute(GREEN)
    return project


@pytest.fixture(scope="session")
def incomplete(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A night on which one system could not be read."""
    with Bench(tmp_path_factory.mktemp("incomplete"), Plan(people=15, campaign_size=5)) as bench:

        def build(settings: Any, secrets: Any, config: Any) -> Any:
            connector = patient(settings, secrets, config)
            if config.name == "klaviyo":

                def fails(*args: object) -> None:
                    raise Unreachable("no answer", system="klaviyo")

                connector.read = fails  # type: ignore[method-assign]
            return connector

        bench.run(build=build)
        publish(bench.project())
        yield bench.project()


def copied(bench: Bench, folder: Path) -> Project:
    origin = bench.project()
    (folder / "data" / "published").mkdir(parents=True)
    shutil.copy(origin.published, folder / "data" / "published")
    shutil.copy(bench.file, folder / "optout.toml")
    return Project.open(folder / "optout.toml", now=origin.now, environ=bench.environ)


def publish(project: Project) -> None:
    with project.warehouse.writer() as con:
        nightly.publish(project, con)
