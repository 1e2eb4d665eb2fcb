"""Every page in a real browser: it draws, complains of nothing, asks nobody, and can be read by
everybody. Needs a Chromium in the path."""

from __future__ import annotations

import pytest

from dashboards.site import PAGES
from optout.testing.browser import Visit, axe

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("slug", [p.slug for p in PAGES])
def test_a_page_opens_without_a_complaint_and_can_be_read_by_everybody(browser, built, slug):
    """A script error leaves a page half drawn; a contrast too low, light or dark, leaves it
    unread."""
    with Visit(browser, color_scheme="light", viewport={"width": 1280, "height": 900}) as visit:
        visit.open(built.folder / f"{slug}.html")
        sources = visit.page.locator("script[data-plot]").count()
        assert visit.page.locator(".draw svg.main-svg").count() >= sources
        assert axe(visit.page) == []
        visit.page.emulate_media(color_scheme="dark")
        assert axe(visit.page, "color-contrast") == []
        assert visit.faults == []


@pytest.mark.parametrize("slug", ["index", "sync", "extraction"])
def test_a_page_fits_a_phone(browser, built, slug):
    """On-call reads it on the way."""
    phone = {"width": 390, "height": 800}
    with Visit(browser, viewport=phone, is_mobile=True, has_touch=True) as visit:
        visit.open(built.folder / f"{slug}.html")
        width = visit.page.evaluate("document.documentElement.scrollWidth")
        assert width <= phone["width"]
        assert visit.page.locator("nav details").get_attribute("open") is None
        assert axe(visit.page) == []
        assert visit.faults == []


def test_what_is_drawn_is_what_the_table_beside_it_says(browser, built, data):
    """The figure and its table are read by different people, who have to meet."""
    with Visit(browser) as visit:
        visit.open(built.folder / "sync.html")
        shown = visit.page.evaluate(
            "document.getElementById('opt_out_recall-map-draw').data[0].text.flat()"
        )
        column = "#opt_out_recall-map-table tbody td:nth-child(3)"
        told = visit.page.locator(column).all_text_contents()
    assert [text.rsplit(" ", 1)[0] for text in shown] == told
    rows = data.of_metric("opt_out_recall")
    assert len(told) == sum(r["category"] is not None for r in rows)


def test_filters_stand_in_the_address_and_a_sent_address_opens_filtered(browser, built):
    """'Look at these' has to show the other person the same rows."""
    with Visit(browser) as visit:
        visit.open(built.folder / "sync.html")
        visit.page.locator("#drift select").first.select_option("lost_opt_out")
        url = visit.page.url
        assert url.endswith("#drift?class=lost_opt_out")
        visible = visit.page.locator("#drift tbody tr:visible")
        count = visible.count()
        assert 0 < count < visit.page.locator("#drift tbody tr").count()
        visit.page.goto("about:blank")
        visit.page.goto(url)
        assert visit.page.locator("#drift tbody tr:visible").count() == count
        first = visit.page.locator("#drift tbody tr:visible td").first
        assert first.text_content() == "Lost opt-out"
        assert visit.faults == []


def test_the_theme_can_be_switched_and_the_plots_follow(browser, built):
    """A dark page with white plots in it hurts."""
    ink = "getComputedStyle(document.querySelector('.draw .xtick text')).fill"
    with Visit(browser, color_scheme="light") as visit:
        visit.open(built.folder / "complaints.html")
        light = visit.page.evaluate(ink)
        visit.page.get_by_role("button", name="Switch to dark colours").click()
        visit.until(f"{ink} !== '{light}'")
        assert visit.page.locator("html").get_attribute("data-theme") == "dark"
        assert visit.faults == []


def test_the_keyboard_reaches_the_content_first(browser, built):
    """Forty links of a menu stand before what one came for."""
    with Visit(browser) as visit:
        visit.open(built.folder / "sync.html")
        visit.page.keyboard.press("Tab")
        assert visit.page.evaluate("document.activeElement.className") == "skip"
        visit.page.keyboard.press("Enter")
        assert visit.page.evaluate("document.activeElement.id") == "main"


def test_without_scripts_every_figure_can_still_be_read(browser, built):
    """An archive viewer or a strict browser runs none."""
    with Visit(browser, java_script_enabled=False) as visit:
        visit.open(built.folder / "sync.html")
        details = visit.page.locator("figure details")
        assert details.count() == visit.page.locator("figure").count()
        details.first.locator("summary").click()
        assert details.first.locator("table").is_visible()


def test_the_first_view_is_there_within_a_second(browser, built):
    """The overview needs no plot library: it is read every morning."""
    with Visit(browser) as visit:
        visit.open(built.folder / "index.html")
        painted = "performance.getEntriesByName('first-contentful-paint')[0]"
        paint = visit.until(f"{painted}?.startTime")
        assert visit.page.locator("script[src*=plotly]").count() == 0
    assert paint < 1000


def test_a_printed_page_is_black_on_white_and_whole(browser, built, tmp_path):
    """Evidence is printed."""
    with Visit(browser, color_scheme="dark") as visit:
        visit.open(built.folder / "index.html")
        visit.page.emulate_media(media="print")
        ground = visit.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert ground == "rgb(255, 255, 255)"
        assert not visit.page.locator("nav").is_visible()
        visit.page.pdf(path=str(tmp_path / "index.pdf"))
    assert (tmp_path / "index.pdf").stat().st_size > 10_000
