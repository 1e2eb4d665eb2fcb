"""Retention: each layer forgets in its time, and never what a proof needs."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import orjson
import pytest

from dashboards.build import FOLDER
from optout.policy.rights import RetentionTable
from optout.reports import archive
from optout.reports.build import build
from optout.reports.source import open_published
from optout.rights.retention import retain
from optout.trail.verify import verify


def aged(kept: Any, days: int) -> Any:
    """The project as of a last night so many days later."""
    project = kept.project
    with project.warehouse.writer() as con:
        con.execute(
            "INSERT INTO core.night (night, cutoff_at, kind, finished_at) SELECT"
            " max(night) + $days::INTEGER, max(cutoff_at), 'run', max(cutoff_at) FROM core.night",
            {"days": days},
        )
    return project


def count(con: Any, table: str, where: str = "true") -> int:
    return con.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0]


def test_nothing_is_forgotten_before_its_time(kept: Any) -> None:
    """A retention that bites on the second night leaves no archive."""
    project = kept.project
    with project.warehouse.writer() as con:
        assert retain(project, con) == {}


def test_old_layers_go_and_proofs_stay(kept: Any) -> None:
    """What is kept without end is kept without purpose; what proves a violation is not."""
    project = aged(kept, 3_000)
    nights = project.landing.nights()
    with project.warehouse.writer() as con:
        changes = count(con, "core.change")
        open_rows = count(con, "core.observation", "night_to IS NULL")
        violations = count(con, "audit.violation")
        suppressed = count(con, "core.suppression")
        assert violations
        done = retain(project, con)
        assert done["landing"] == len(nights)
        assert count(con, "core.change") == changes
        assert count(con, "core.suppression") == suppressed
        assert count(con, "core.observation", "night_to IS NOT NULL") == 0
        assert count(con, "core.observation") == open_rows
        assert count(con, "mart.metric_daily") == 0
        left = count(con, "core.mail_event")
        assert left == count(
            con,
            "core.mail_event",
            "event_key IN (SELECT event_key FROM audit.violation"
            " UNION ALL SELECT event_key FROM audit.unconsented_send)",
        )
        assert violations == count(con, "audit.violation JOIN core.mail_event USING (event_key)")
        assert retain(project, con) == {}
    assert not project.landing.nights()
    with project.warehouse.reader() as con:
        assert verify(con, project.data_dir, project.key_only.keyer).is_whole


def test_a_night_that_is_not_loaded_keeps_its_landing(kept: Any) -> None:
    """It is the only place where its acknowledged events stand."""
    project = kept.project
    unfinished = date(2020, 1, 1)
    project.landing.begin_night(unfinished, project.now)
    project = aged(kept, 3_000)
    with project.warehouse.writer() as con:
        retain(project, con)
    assert project.landing.nights() == [unfinished]


def test_old_reports_pages_and_disclosures_go(kept: Any) -> None:
    """Files outlive tables where nobody looks."""
    project = kept.project
    with open_published(project) as con:
        archive.write(build(project, con, "daily"), project.data_dir / archive.FOLDER)
    site = project.published.parent / FOLDER
    (site / "2026-01-01-abc").mkdir(parents=True)
    (site / "2026-01-01").symlink_to("2026-01-01-abc")
    (site / "latest").symlink_to("2026-01-01-abc")
    old, new = ({"at": f"{day}T00:00:00+00:00"} for day in ("2001-01-01", "2999-01-01"))
    lines = [orjson.dumps(old), b"torn", orjson.dumps(new)]
    (project.data_dir / "disclosures.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    project = aged(kept, 3_000)
    with project.warehouse.writer() as con:
        done = retain(project, con)
    assert (done["reports"], done["pages"], done["disclosures"]) == (1, 2, 1)
    assert not list(archive.folders(project.data_dir))
    assert (project.data_dir / "disclosures.jsonl").read_bytes().splitlines() == lines[1:]


def test_mail_is_kept_as_long_as_anything_is_judged_by_it(kept: Any) -> None:
    """With its clicks gone a person would count as unengaged."""
    text = kept.bench.file.read_text()
    kept.bench.file.write_text(
        text
        + "\n[policy.retention]\nmail_days = 190\n\n[policy.consent]\nsunset_after_months = 24\n"
    )
    project = aged(kept, 400)
    with project.warehouse.writer() as con:
        before = count(con, "core.mail_event")
        assert "core.mail_event" not in retain(project, con)
        assert count(con, "core.mail_event") == before


@pytest.mark.parametrize("name", sorted(RetentionTable.model_fields))
def test_every_time_has_a_floor_that_audits_need(name: str) -> None:
    """A quarter that is forgotten before its audit cannot be audited."""
    with pytest.raises(ValueError, match="greater than or equal"):
        RetentionTable(**{name: 1})
    assert getattr(RetentionTable(**{name: None}), name) is None
    assert timedelta(days=getattr(RetentionTable(), name)) >= timedelta(days=400)
