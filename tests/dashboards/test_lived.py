"""The pages of nights that were really read, incidents and all: two every day, ninety in full."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import replace

import pytest

from benchmarks.ninety_nights import NIGHTS, run
from benchmarks.ninety_nights_story import PLAN, STORY
from dashboards.data import Context, open_published
from dashboards.lists import FOLDER, STATUSES
from dashboards.site import PAGES
from optout.testing.browser import PHONE, Visit, axe

FEW = 2
SMALL = replace(PLAN, people=30, campaign_size=15)
LOST = {NIGHTS: STORY[89]}
"""The last night of the few."""
EVIDENCE = re.compile(
    r'data-metric="([^"]*)" data-system="([^"]*)" data-category="([^"]*)" data-value="([^"]*)"'
)


@pytest.fixture(scope="module")
def lived(tmp_path_factory, is_full):
    """The nights of the story, with alerts, reports and pages."""
    folder = tmp_path_factory.mktemp("lived")
    return run(folder) if is_full else run(folder, FEW, SMALL, LOST, kept=0)


@pytest.fixture
def night(lived):
    with open_published(lived.project.published, Context.of(lived.project)) as published:
        yield published


@pytest.fixture(scope="module")
def full_browser(is_full, request):
    """No browser is started for tests that are skipped."""
    if not is_full:
        pytest.skip("only under OPTOUT_SURVIVE=full; every day the synthetic ninety nights are")
    return request.getfixturevalue("browser")


def html(lived, slug: str) -> str:
    return (lived.built.folder / f"{slug}.html").read_text(encoding="utf-8")


def test_every_figure_on_a_page_is_the_one_in_mart(lived, night):
    """A figure that only the synthetic copy has right is wrong in the morning."""
    shown = {slug: EVIDENCE.findall(html(lived, slug)) for slug in (p.slug for p in PAGES)}
    assert {"index", "sync", "violations", "extraction"} <= {
        s for s, found in shown.items() if found
    }
    for slug, found in shown.items():
        for metric, system, category, value in found:
            row = night.metric(metric, system or None, category or None)
            assert row is not None, (slug, metric)
            assert value == ("" if row["value"] is None else str(row["value"])), (slug, metric)


def test_what_went_wrong_is_said_first_with_its_alert(lived, night):
    """Within a minute somebody has to know what to do."""
    assert night.metric("lost_opt_out")["value"] > 0
    text = html(lived, "index")
    assert "<strong>First:</strong>" in text
    assert re.search(r"[1-9]\d* alerts? open\.", text)
    assert night.run_id is not None and night.run_id in text


def test_the_lists_of_marketing_are_what_the_page_counts(lived, night):
    """A list that differs from the count above it is used all the same."""
    for category in night.context.categories:
        file = lived.built.folder.parent / FOLDER / f"audience-{category}.csv"
        with file.open(encoding="utf-8", newline="") as opened:
            rows = list(csv.DictReader(opened))
        counted = {
            r["status"]: r["people"]
            for r in night.frame("audience").where(category=category)
            if r["status"] in STATUSES
        }
        assert Counter(row["status"] for row in rows) == counted
        assert len({row["contact_key"] for row in rows}) == len(rows) > 0
        assert set(rows[0]) == {"contact_key", "status"}


def test_the_story_names_every_kind_of_incident():
    """A quiet quarter proves nothing of the pages."""
    told = " ".join(step.told for step in STORY.values())
    for word in ("down", "stops", "import", "leave", "history", "complaints", "machine", "log"):
        assert word in told


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("slug", [p.slug for p in PAGES])
def test_a_page_of_ninety_nights_is_read_by_everybody(full_browser, lived, slug):
    """Light, dark and on a phone: no complaint, no outside request, nothing too wide."""
    with Visit(
        full_browser, color_scheme="light", viewport={"width": 1280, "height": 900}
    ) as visit:
        visit.open(lived.built.folder / f"{slug}.html")
        plots = visit.page.locator("script[data-plot]").count()
        assert visit.page.locator(".draw svg.main-svg").count() >= plots
        assert axe(visit.page) == []
        visit.page.emulate_media(color_scheme="dark")
        assert axe(visit.page, "color-contrast") == []
        assert visit.faults == []
    with Visit(full_browser, viewport=PHONE, is_mobile=True, has_touch=True) as visit:
        visit.open(lived.built.folder / f"{slug}.html")
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert axe(visit.page) == []
        assert visit.faults == []
