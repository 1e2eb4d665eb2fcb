"""Every page says what mart says, says so where nothing is known, and can be linked to for ever."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import duckdb
import pytest

from dashboards.build import _shared, build
from dashboards.data import NotMeasured, Published, open_published
from dashboards.lists import STATUSES
from dashboards.page import Places
from dashboards.pages import extraction, optout_rates, overview, sync
from dashboards.series import trend_frame
from dashboards.site import PAGES
from dashboards.standing import standings

ANCHORS = {
    "index": "promises next figures alerts sources nights",
    "sync": "recall accuracy over-suppression open flow ages causes rows latency",
    "optouts": "rate control flags sources processing open",
    "audience": "groups lists nights preferences global",
    "violations": "timeline systems evidence campaigns",
    "consent": "status basis forecast people sends",
    "trail": "completeness parts kinds gaps chain",
    "complaints": "rate",
    "changers": "people rows",
    "extraction": "tonight nights streams effort findings revisions",
    "touchpoints": "share inventory",
    "reports": "archive nights",
    "method": "rules law",
}
"""Addresses that alerts, reports and people's bookmarks hold."""
TILES = [
    "recall",
    "accuracy",
    "over-suppression",
    "trail",
    "processing",
    "violations",
    "consent-sends",
    "expiring",
    "complaints",
    "opt-out-rate",
    "changers",
    "extraction",
    "latency",
]


class Shown(HTMLParser):
    """What a test wants to know of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.evidence: list[dict[str, str]] = []
        self.headings: list[int] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        told = dict(attrs)
        self.ids += [told["id"]] if "id" in told else []
        self.links += [told[k] for k in ("href", "src") if told.get(k)]
        self.headings += [int(tag[1])] if re.fullmatch("h[1-6]", tag) else []
        if "data-metric" in told:
            self.evidence.append(told)


def page(built, slug: str) -> Shown:
    return Shown((built.folder / f"{slug}.html").read_text(encoding="utf-8"))


def mart(copy) -> dict[tuple[str, str, str], float | None]:
    with duckdb.connect(str(copy), read_only=True) as con:
        rows = con.execute(
            "SELECT metric, coalesce(system, ''), coalesce(category, ''), value"
            " FROM mart.metric_daily WHERE night = (SELECT max(night) FROM core.night)"
        ).fetchall()
    return {(m, s, c): value for m, s, c, value in rows}


@pytest.mark.parametrize("slug", [p.slug for p in PAGES])
def test_every_figure_on_a_page_is_the_one_in_mart(built, copy, slug):
    """A page that computes for itself drifts from what the audit measured."""
    known = mart(copy)
    for told in page(built, slug).evidence:
        value = known[told["data-metric"], told["data-system"], told["data-category"]]
        assert told["data-value"] == ("" if value is None else str(value)), told


@pytest.mark.parametrize("metric", ["opt_out_recall", "sync_accuracy", "over_suppression"])
def test_heat_map_and_trend_hold_the_values_of_mart(data, copy, metric):
    """What is drawn has to be what was measured, cell by cell and night by night."""
    known = mart(copy)
    cells = sync.share_frame(data, metric)
    assert len(cells) == 16
    for cell in cells:
        assert cell["value"] == known[metric, cell["system"], cell["category"]]
    trend = trend_frame(data, metric)
    assert len(trend) == 90 * 4
    for row in trend.where(night=data.night):
        assert row["value"] == known[metric, row["system"], ""]


def test_the_flow_adds_up_to_the_drift_that_is_open(data):
    """Opened less closed is what is left."""
    frame, unknown = sync.flow_frame(data)
    row = data.metric("drift_open")
    assert sum(frame.column("opened")) - sum(frame.column("closed")) == row["value"]
    assert len(unknown) == 8


def test_nights_that_were_not_run_or_not_complete_are_unknown(data):
    """A missing night drawn as a good one hides an outage."""
    grid = extraction.grid_frame(data, 90)
    by_status = {s: len(grid.where(status=s)) for s in ("met", "missed", "unknown")}
    assert by_status == {"met": 87 * 5 - 5, "missed": 5, "unknown": 0}
    assert len(set(data.calendar(90)) - set(grid.column("night"))) == 3
    rate = optout_rates.rate_frame(data)
    assert sum(v is None for v in rate.column("value")) == 8


def test_a_promise_that_one_system_misses_is_missed(data):
    """A mean over all would hide the one system that mails against people's will."""
    found = {s.promise.id: s for s in standings(data)}
    for standing in found.values():
        rows = data.of_metric(standing.promise.metric)
        if any(row["status"] == "missed" for row in rows):
            assert standing.status == "missed", standing.promise.id
    assert found["latency"].status == "unknown"


def test_nothing_is_called_met_that_could_not_be_judged(incomplete):
    """The source was not complete: green would be a guess."""
    tiles = [overview.tile(s) for s in standings(incomplete)]
    assert [t.id for t in tiles] == TILES
    assert [t.id for t in tiles if t.status == "met"] == []
    told = overview.verdict(
        standings(incomplete), overview.steps(incomplete, standings(incomplete))
    )
    assert told.status == "missed"
    assert told.first is not None and "was not read completely" in told.first.text
    for tile in tiles:
        row = incomplete.metric(tile.id) or tile.row
        if row is not None and row["value"] is None:
            assert tile.value == "unknown"


@pytest.mark.parametrize("slug", ANCHORS)
def test_the_addresses_of_pages_and_sections_last(built, slug):
    """A link in an alert of last year would lead nowhere."""
    shown = page(built, slug)
    missing = [a for a in ANCHORS[slug].split() if a not in shown.ids]
    assert missing == []


def test_there_are_no_pages_but_those_and_the_tiles_keep_their_names(built):
    """A renamed page breaks every link to it."""
    assert {p.slug for p in PAGES} == set(ANCHORS)
    assert sorted(i for i in page(built, "index").ids if i in TILES) == sorted(TILES)


def test_a_night_links_the_run_that_made_it_where_an_address_is_configured(data):
    """Who doubts a figure begins at its run."""
    told = replace(data.context, runs_url="https://dagster.example.org/runs/")
    with_url = Published(data.con, told)
    with_url.run_id = "0b5e"
    shown = _shared(with_url, "plotly.js")["run"]
    assert shown == {"id": "0b5e", "url": "https://dagster.example.org/runs/0b5e"}
    assert _shared(data, "plotly.js")["run"] is None


def test_every_category_has_its_list_and_the_page_links_it(built, data):
    """A marketing person asks who, not how many."""
    html = (built.folder / "audience.html").read_text(encoding="utf-8")
    for category in data.context.categories:
        file = built.folder.parent / "lists" / f"audience-{category}.csv"
        with file.open(encoding="utf-8", newline="") as opened:
            rows = list(csv.DictReader(opened))
        assert Counter(row["status"] for row in rows) == dict.fromkeys(STATUSES, 60)
        assert len({row["contact_key"] for row in rows}) == len(rows)
        assert f'href="../lists/{file.name}"' in html


def test_an_older_night_leaves_the_lists_alone(data, tmp_path):
    """Last month's opt-outs under tonight's name would be mailed."""
    with_lists = build(data, tmp_path).folder.parent / "lists"

    def written() -> dict[str, int]:
        return {f.name: f.stat().st_mtime_ns for f in with_lists.glob("*.csv")}

    before = written()
    assert len(before) == len(data.context.categories)
    build(Published(data.con, data.context, data.calendar(2)[0]), tmp_path)
    build(data, tmp_path)
    assert written() == before
    (with_lists / "origin.json").write_bytes(b"another night")
    build(data, tmp_path)
    assert written().keys() == before.keys()
    assert all(written()[name] > before[name] for name in before)


@pytest.mark.parametrize("slug", ANCHORS)
def test_a_page_asks_nobody_for_anything_and_its_links_lead_somewhere(built, slug):
    """A page with an outside request tells a stranger who audits what; a dead link helps nobody."""
    shown = page(built, slug)
    assert len(shown.ids) == len(set(shown.ids))
    for link in shown.links:
        assert not re.match(r"(https?:)?//", link), link
        if link == "data:,":
            continue
        file, _, anchor = link.partition("#")
        anchor = anchor.partition("?")[0]
        target = (built.folder / file) if file else built.folder / f"{slug}.html"
        if file.startswith("../2026-"):
            continue  # pages of nights that were never built here
        assert target.exists(), link
        if anchor:
            assert anchor in Shown(target.read_text(encoding="utf-8")).ids, link


@pytest.mark.parametrize("slug", ANCHORS)
def test_headings_go_down_one_step_at_a_time(built, slug):
    """A screen reader's list of headings is the page's table of contents."""
    levels = page(built, slug).headings
    in_main = levels[levels.index(1) :]
    assert in_main.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(in_main)), in_main


def test_a_copy_without_a_part_says_that_it_was_not_measured(copy, context, tmp_path):
    """An empty table would read as: nothing is wrong."""
    bare = tmp_path / "bare.duckdb"
    with duckdb.connect(str(bare)) as con:
        con.execute(f"ATTACH '{copy}' AS full_copy (READ_ONLY)")
        con.execute("CREATE SCHEMA core")
        con.execute("CREATE SCHEMA mart")
        for table in ("core.night", "core.source_read", "mart.metric_daily"):
            con.execute(f"CREATE TABLE {table} AS FROM full_copy.{table}")
        con.execute("DELETE FROM mart.metric_daily WHERE metric <> 'extraction_complete'")
    with open_published(bare, context) as data:
        site = build(data, tmp_path / "site")
        with pytest.raises(NotMeasured, match=r"this copy has no table audit\.drift"):
            data.frame("drift_open")
    for slug, count in {"sync": 9, "violations": 4, "consent": 5, "trail": 4, "optouts": 6}.items():
        text = (site.folder / f"{slug}.html").read_text(encoding="utf-8")
        assert text.count("Not measured yet: this copy has no") >= count, slug
        assert "badge met" not in text.split("<main", 1)[1]
    assert not (site.folder / "drift.csv").exists()


def test_the_pages_of_the_first_night_are_built(copy, context, tmp_path):
    """The first morning is when people look for the first time."""
    with duckdb.connect(str(copy), read_only=True) as con:
        first = con.execute("SELECT min(night) FROM core.night").fetchone()[0]
    with open_published(copy, context, night=first) as data:
        site = build(data, tmp_path / "site")
    assert site.night == first
    assert "This is the first night." in (site.folder / "reports.html").read_text(encoding="utf-8")
    index = (site.folder / "index.html").read_text(encoding="utf-8")
    assert 'class="hatch"' not in index.split('id="recall"')[1].split("</li>")[0]


def test_open_alerts_are_listed_with_the_most_urgent_first(data, tmp_path):
    """A page that says that no alert is open, beside one that is, is worse than silence."""
    import sqlite3

    file = tmp_path / "alerts.sqlite"
    con = sqlite3.connect(file)
    con.execute(
        "CREATE TABLE alert (dedup_key, rule, state, severity, facts, opened_night, opened_at)"
    )
    facts = '{"headline": "7 people %s", "systems": ["mailchimp"], "since": "2026-11-02"}'
    for severity, night, state in (
        ("ticket", "2026-11-18", "open"),
        ("page", "2026-11-19", "acknowledged"),
        ("page", "2026-11-10", "resolved"),
        ("page", "2026-12-24", "open"),
    ):
        con.execute(
            "INSERT INTO alert VALUES (?, 'unhonoured', ?, ?, ?, ?, ?)",
            (severity + night, state, severity, facts % severity, night, night),
        )
    con.commit()
    con.close()
    (section,) = [s for s in overview.build(data, Places(alerts=file)) if s.id == "alerts"]
    assert section.blocks[0].frame.column("headline") == ["7 people page", "7 people ticket"]
    (section,) = [s for s in overview.build(data, Places()) if s.id == "alerts"]
    assert "Not measured yet" in section.blocks[0].what


def test_another_night_shows_what_was_open_then(copy, context, data):
    """An auditor asks for a given day."""
    before = data.calendar(30)[0]
    with open_published(copy, context, night=before) as then:
        assert then.night == before
        assert then.count("drift_open") != data.count("drift_open")
        shown = {r["metric"]: r["value"] for r in then.of_metric("drift_open") if not r["system"]}
        rows = then.frame("drift_open").where(lambda r: r["class"] in sync.DISAGREEMENTS)
        assert len(rows) == shown["drift_open"]


def test_published_is_one_night_of_one_copy(copy):
    """Without its configuration a copy still says whose nights they are."""
    with open_published(copy) as data:
        assert isinstance(data, Published)
        assert set(data.context.systems) == {"mailchimp", "sendgrid", "klaviyo", "hubspot"}
        assert data.context.hub == "zendesk_sell"
