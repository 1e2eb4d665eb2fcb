"""A night's pages: whole or not at all, the same from the same data, kept as evidence."""

from __future__ import annotations

import time

import duckdb
import pytest

from dashboards import build as building
from dashboards.build import LATEST, build
from dashboards.data import open_published
from dashboards.page import Places
from dashboards.site import PAGES
from optout.testing.published import Shape, write_published

NIGHT = "2026-11-20"
LIMIT_BYTES = 300_000
FEW = ("index", "reports", "method")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small copy under a name of its own: what is tested here is names and bytes, and what is
    built once a session must not be of it."""
    shape = Shape(nights=14, systems=2, categories=2, drift=60)
    return write_published(tmp_path_factory.mktemp("small") / "optout.duckdb", shape)


@pytest.fixture
def data(small, context):
    with open_published(small, context) as published:
        yield published


@pytest.fixture
def few_pages(monkeypatch):
    """Names move the same way with three pages as with thirteen."""
    monkeypatch.setattr(building, "PAGES", tuple(p for p in PAGES if p.slug in FEW))


def content(folder) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def folders(site) -> set[str]:
    return {p.name for p in site.iterdir() if p.is_dir() and not p.is_symlink()} - {
        "assets",
        "lists",
    }


def test_the_same_copy_gives_the_same_bytes_and_a_second_build_changes_nothing(data, tmp_path):
    """Evidence that differs each time it is looked at is none."""
    first = build(data, tmp_path / "one")
    before = {p: p.stat().st_mtime_ns for p in first.folder.iterdir()}
    again = build(data, tmp_path / "one")
    other = build(data, tmp_path / "two")
    assert again.folder == first.folder
    assert {p: p.stat().st_mtime_ns for p in first.folder.iterdir()} == before
    assert other.folder.name == first.folder.name
    assert content(other.folder) == content(first.folder)


def test_the_names_of_the_night_and_of_the_latest_show_the_build(built):
    """A bookmark of latest/ has to lead to tonight."""
    site = built.folder.parent
    assert (site / NIGHT).resolve() == built.folder
    assert (site / LATEST / "index.html").read_bytes() == (built.folder / "index.html").read_bytes()
    assert "url=latest/index.html" in (site / "index.html").read_text()
    assert {p.file for p in PAGES} <= {f.name for f in built.folder.iterdir()}
    assert len(list((site / "assets").iterdir())) == 1


def test_only_the_owner_can_read_what_is_built(built):
    """Contact keys are personal data still."""
    site = built.folder.parent
    open_to_others = [p for p in site.rglob("*") if not p.is_symlink() and p.stat().st_mode & 0o077]
    assert [p for p in open_to_others if p.name != ".lock"] == []


def test_an_older_night_is_built_beside_the_latest_and_does_not_hide_it(
    few_pages, small, context, tmp_path
):
    """Asking for last week's pages would leave everybody reading them."""
    with open_published(small, context) as data:
        tonight = build(data, tmp_path)
        before = data.calendar(10)[0]
    with open_published(small, context, night=before) as data:
        old = build(data, tmp_path)
    assert (tmp_path / LATEST).resolve() == tonight.folder
    assert (tmp_path / before.isoformat()).resolve() == old.folder


def test_a_night_that_was_run_again_keeps_its_earlier_pages(few_pages, small, context, tmp_path):
    """What people saw that morning is evidence, too."""
    with open_published(small, context) as data:
        first = build(data, tmp_path / "site")
    again = tmp_path / "again.duckdb"
    again.write_bytes(small.read_bytes())
    with duckdb.connect(str(again)) as con:
        con.execute("UPDATE core.night SET finished_at = finished_at + INTERVAL 5 HOUR")
        con.execute("UPDATE mart.metric_daily SET note = 'run again' WHERE night = ?", [NIGHT])
    with open_published(again, context) as data:
        second = build(data, tmp_path / "site")
    assert folders(tmp_path / "site") == {first.folder.name, second.folder.name}
    assert (tmp_path / "site" / NIGHT).resolve() == second.folder


def test_pages_that_are_built_again_with_tonights_alerts_replace_their_forerunners(
    few_pages, data, tmp_path
):
    """Two builds of the same data beside each other would ask which one counts."""
    first = build(data, tmp_path / "site")
    report = tmp_path / "reports" / "daily" / "2026-11-20"
    report.mkdir(parents=True)
    (report / "report.html").write_text("<p>a report</p>")
    (report / "report.json").write_text("{}")
    second = build(data, tmp_path / "site", Places(reports=tmp_path / "reports"))
    assert second.folder != first.folder
    assert folders(tmp_path / "site") == {second.folder.name}
    assert (tmp_path / "site" / LATEST).resolve() == second.folder
    text = (second.folder / "reports.html").read_text(encoding="utf-8")
    assert 'href="../../reports/daily/2026-11-20/report.html"' in text
    assert (second.folder / "../../reports/daily/2026-11-20/report.html").exists()


def test_a_build_that_fails_leaves_the_last_good_pages_and_nothing_else(
    few_pages, data, tmp_path, monkeypatch
):
    """Half a site would be read as a whole one."""
    good = build(data, tmp_path)

    def breaks(*_):
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(building, "_write_exports", breaks)
    with pytest.raises(RuntimeError):
        build(data, tmp_path)
    assert (tmp_path / LATEST).resolve() == good.folder
    assert folders(tmp_path) == {good.folder.name}


def test_two_years_of_eight_systems_build_in_ten_seconds_into_light_pages(tmp_path):
    """A page that takes a minute to open is not opened, a build of an hour delays the alert."""
    shape = Shape(nights=730, systems=8, categories=6, drift=5_000)
    copy = write_published(tmp_path / "optout.duckdb", shape)
    with open_published(copy) as data:
        assert len(data.context.systems) == 8
        started = time.process_time()
        site = build(data, tmp_path / "site")
        seconds = time.process_time() - started
    assert seconds < 10
    heavy = {f.name: f.stat().st_size for f in site.folder.glob("*.html")}
    assert {name: size for name, size in heavy.items() if size > LIMIT_BYTES} == {}
