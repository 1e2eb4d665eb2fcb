"""Reports: the same truth in every format, and nothing shown as measured that was not."""

from __future__ import annotations

import csv
import io
import re
import shutil
from datetime import date, timedelta
from pathlib import Path

import duckdb
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optout.project import Project
from optout.reports import archive, words
from optout.reports.build import KINDS, build
from optout.reports.document import Report, Table, as_plain, columns, from_plain
from optout.reports.periods import Span, period_of
from optout.reports.render_html import html
from optout.reports.render_tables import csv_of
from optout.reports.source import open_published

ADDRESS = re.compile(rb"[\w.+-]+@[\w-]+\.\w")


def report_of(project: Project, kind: str, day: date | None = None) -> Report:
    with open_published(project) as con:
        return build(project, con, kind, day)


def table(report: Report, name: str) -> Table:
    [found] = [t for t in report.tables() if t.id == name]
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_is_written_from_the_same_data(
    violated: Project, tmp_path: Path, kind: str
) -> None:
    """Two formats with two figures are two truths."""
    report = report_of(violated, kind)
    folder = archive.write(report, tmp_path)
    assert archive.read(folder) == report
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    page = (folder / "report.html").read_text()
    for each in report.tables():
        rows = list(csv.reader(io.StringIO((folder / f"{each.id}.csv").read_text())))
        assert len(rows) == (2 if each.not_measured else len(each.rows) + 1)
        assert each.title.replace("'", "&#39;") in page
    for path in folder.iterdir():
        assert not ADDRESS.search(path.read_bytes().replace(b"@page", b"").replace(b"@media", b""))
        assert path.stat().st_mode & 0o077 == 0


def test_a_night_with_everything_kept_says_so(green: Project) -> None:
    """A report that always warns is not read."""
    report = report_of(green, "compliance")
    assert report.verdict == "met"
    assert re.fullmatch(r"All \d+ promises were kept( on every night)?\.", report.summary)
    assert not table(report, "violations").rows
    assert b"No send after an opt-out was found." in html(report)


@pytest.mark.parametrize("status", ["missed", "unknown"])
def test_one_night_speaks_for_its_whole_period(green: Project, tmp_path: Path, status: str) -> None:
    """A quarter that ends well is not a quarter in which every promise was kept."""
    folder = tmp_path / "once"
    (folder / "data" / "published").mkdir(parents=True)
    shutil.copy(green.published, folder / "data" / "published")
    shutil.copy(green.settings.file or "", folder / "optout.toml")
    once = Project.open(folder / "optout.toml", now=green.now, environ=green.environ)
    with duckdb.connect(str(once.published)) as con:
        con.execute(
            "INSERT INTO mart.metric_daily BY NAME"
            " SELECT * REPLACE (night - 1 AS night, $status AS status) FROM mart.metric_daily"
            " WHERE metric = 'opt_out_recall' AND system IS NULL AND category IS NULL"
            " AND night = (SELECT max(night) FROM mart.metric_daily)",
            {"status": status},
        )
    assert report_of(once, "daily").verdict == "met"
    report = report_of(once, "compliance")
    assert report.verdict == status
    assert ("on some night" if status == "missed" else "on every night") in report.summary


def test_violations_stand_there_with_their_evidence(violated: Project) -> None:
    """An auditor asks for each one: who, when, by which campaign, and what proves it."""
    report = report_of(violated, "compliance")
    rows = table(report, "violations").rows
    with duckdb.connect(str(violated.published), read_only=True) as con:
        expected = con.execute("SELECT count(*) FROM audit.violation").fetchone()
    assert (len(rows),) == expected
    assert rows
    for row in rows:
        assert row["sent_at"] > row["opted_out_at"]
        assert row["event_key"]
        assert row["contact_key"]
    assert report.verdict == "missed"
    assert report.head is not None
    assert report.head.link.encode() in html(report)
    assert re.fullmatch(r"[0-9a-f]{64}", report.head.link)


@pytest.mark.parametrize("kind", KINDS)
def test_an_incomplete_source_is_never_a_kept_promise(incomplete: Project, kind: str) -> None:
    """What was not read may hold anything."""
    report = report_of(incomplete, kind)
    assert report.verdict != "met"
    assert any("klaviyo" in gap for gap in report.gaps)
    status = {row["system"]: row["status"] for row in table(report, "sources").rows}
    assert status["klaviyo"] == "incomplete"
    assert {s for name, s in status.items() if name != "klaviyo"} == {"complete"}
    told = {row["metric"]: row["status"] for row in table(report, "promises").rows}
    assert told["extraction_complete"] == "missed"
    for metric in ("opt_out_recall", "sync_accuracy", "violations"):
        assert told[metric] in ("unknown", "missed")


def test_a_table_that_is_not_published_is_not_measured(green: Project, tmp_path: Path) -> None:
    """An empty table reads as "nothing is wrong"."""
    folder = tmp_path / "bare"
    (folder / "data" / "published").mkdir(parents=True)
    shutil.copy(green.published, folder / "data" / "published")
    shutil.copy(green.settings.file or "", folder / "optout.toml")
    bare = Project.open(folder / "optout.toml", now=green.now, environ=green.environ)
    with duckdb.connect(str(bare.published)) as con:
        con.execute("DROP TABLE audit.violation")
        con.execute("DROP TABLE mart.metric_daily")
    report = report_of(bare, "compliance")
    assert table(report, "violations").not_measured
    assert table(report, "promises").not_measured
    assert report.verdict == "unknown"
    assert b"not measured" in html(report)
    assert b"No send after an opt-out was found." not in html(report)


def test_a_period_without_a_night_is_not_measured(green: Project) -> None:
    """A quarter in which nothing ran is not a quarter in which nothing happened."""
    report = report_of(green, "compliance", date(2025, 1, 15))
    assert report.night is None
    assert report.verdict == "unknown"
    assert all(t.not_measured for t in report.tables() if t.id != "rules")


def test_missing_nights_and_an_unfinished_period_are_named(violated: Project) -> None:
    """A month with one night read is no month."""
    report = report_of(violated, "monthly")
    assert not report.is_over
    assert any("not over" in gap for gap in report.gaps)
    day = date.fromisoformat(report.night or "")
    done = report_of(violated, "daily", day)
    assert done.is_over
    assert not any("not over" in gap for gap in done.gaps)


def test_an_erased_person_leaves_the_reports(violated: Project, tmp_path: Path) -> None:
    """Reports are data as well."""
    folder = archive.write(report_of(violated, "compliance"), tmp_path)
    before = archive.read(folder)
    key = str(table(before, "violations").rows[0]["contact_key"])
    count = archive.forget(folder, lambda text: key in text)
    after = archive.read(folder)
    assert count >= 1
    assert table(after, "violations").erased >= 1
    assert not [p for p in folder.iterdir() if key.encode() in p.read_bytes()]
    assert table(after, "promises") == table(before, "promises")
    assert b"because the person was erased" in (folder / "report.html").read_bytes()


def test_a_rotated_key_leads_from_the_report_to_the_person(
    violated: Project, tmp_path: Path
) -> None:
    """A key in a report that nobody can look up is no evidence."""
    folder = archive.write(report_of(violated, "compliance"), tmp_path)
    key = str(table(archive.read(folder), "violations").rows[0]["contact_key"])
    assert archive.rename(folder, {key: "fresh"}) >= 1
    assert "fresh" in {r["contact_key"] for r in table(archive.read(folder), "violations").rows}


def test_a_report_reads_back_as_it_was_written(violated: Project) -> None:
    """What is rendered again after an erasure must be the same report."""
    report = report_of(violated, "weekly")
    assert from_plain(orjson.loads(orjson.dumps(as_plain(report)))) == report


def test_a_vendors_word_does_not_become_a_formula() -> None:
    """A spreadsheet would run it."""
    cell = '=HYPERLINK("http://example.org")'
    told = csv_of(Table("t", "T", columns("word"), ({"word": cell},))).decode()
    assert not any(line.startswith(("=", '"=')) for line in told.splitlines())


@given(st.dates(date(2000, 1, 1), date(2100, 12, 31)), st.sampled_from(Span))
def test_every_day_lies_in_one_period_and_periods_follow_each_other(day: date, span: Span) -> None:
    """A day that no report covers is a day nobody looks at."""
    period = period_of(span, day)
    assert day in period
    assert period_of(span, period.since) == period_of(span, period.until) == period
    after = period_of(span, period.until + timedelta(days=1))
    assert after.since == period.until + timedelta(days=1)
    assert after.name > period.name


@given(st.integers(0, 2_000_000), st.integers(1, 2_000_000))
def test_no_rounding_makes_a_promise_kept(part: int, whole: int) -> None:
    """99.996 % shown as 100 % hides the one person who is still mailed."""
    value = min(part, whole) / whole
    shown = words.share(value)
    assert (shown == "100\N{NO-BREAK SPACE}%") == (value == 1)
    assert (shown == "0\N{NO-BREAK SPACE}%") == (value == 0)
