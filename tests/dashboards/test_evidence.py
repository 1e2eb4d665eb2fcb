"""The auditor's package: whole, the same each time, and honest about what is missing."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from datetime import date
from importlib.resources import files

import pytest

from dashboards.build import build
from dashboards.data import open_published
from dashboards.evidence import package, quarter
from dashboards.site import PAGES
from optout.errors import UsageError
from optout.testing.published import Shape, write_published


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Eight nights published, with the pages of two and three reports beside them."""
    made = tmp_path_factory.mktemp("data")
    copy = write_published(
        made / "published" / "optout.duckdb", Shape(nights=8, systems=2, drift=60)
    )
    for name in ("daily/2026-11-20", "daily/2026-09-30", "quarterly/2026-Q4"):
        report = made / "reports" / name
        report.mkdir(parents=True)
        (report / "report.html").write_text("<p>a report</p>")
    for night in (date(2026, 11, 20), date(2026, 11, 19)):
        with open_published(copy, night=night) as data:
            build(data, made / "published" / "site")
    return made / "published"


def test_the_package_holds_pages_tables_and_reports_of_the_period_with_their_sums(folder, tmp_path):
    """A package whose contents cannot be checked proves nothing."""
    period = quarter("2026-Q4")
    with open_published(folder / "optout.duckdb") as data:
        made = package(data, folder, tmp_path / "q4.zip", period.since, period.until)
        again = package(data, folder, tmp_path / "again.zip", period.since, period.until)
    assert made.sha256 == again.sha256 == hashlib.sha256(made.path.read_bytes()).hexdigest()
    assert (made.nights, len(made.missing)) == (2, 6)
    with zipfile.ZipFile(made.path) as archive:
        contents = json.loads(archive.read("contents.json"))
        names = set(archive.namelist()) - {"contents.json"}
        assert set(contents["files"]) == names
        for name, digest in contents["files"].items():
            assert hashlib.sha256(archive.read(name)).hexdigest() == digest
    assert {f"pages/2026-11-19/{p.file}" for p in PAGES} <= names
    reports = {n for n in names if n.startswith("reports/")}
    assert reports == {
        "reports/daily/2026-11-20/report.html",
        "reports/quarterly/2026-Q4/report.html",
    }
    assert {"tables/figures.csv", "tables/drift.csv", "tables/chain_heads.csv"} <= names
    assert {p.name for p in tmp_path.iterdir()} == {"q4.zip", "again.zip"}
    assert made.path.stat().st_mode & 0o077 == 0


def test_a_quarter_is_three_months_and_a_mistyped_one_is_told():
    """A package of the wrong days is found out in court."""
    assert (quarter("2026-Q1").since, quarter("2026-Q1").until) == (
        date(2026, 1, 1),
        date(2026, 3, 31),
    )
    with pytest.raises(UsageError, match="Write it as 2026-Q3"):
        quarter("2026-3")


def test_every_query_that_is_exported_gives_all_its_rows():
    """A file that silently ends at row 100 would pass for the whole."""
    from dashboards.evidence import QUERIES

    exported = {q for page in PAGES for q in page.exports.values()} | set(QUERIES.values())
    for name in exported:
        text = files("dashboards").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
        assert not re.search(r"\bLIMIT\b", text), name
