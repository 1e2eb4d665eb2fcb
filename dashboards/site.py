"""The pages of the site in their order. A page's address never changes."""

from __future__ import annotations

from dashboards.page import Page
from dashboards.pages import extraction, method, overview, sync

PAGES: tuple[Page, ...] = (
    overview.PAGE,
    sync.PAGE,
    extraction.PAGE,
    method.PAGE,
)


def page_of(metric: str) -> Page | None:
    """The page that shows a metric, the overview aside; None if there is none."""
    return next((p for p in PAGES if p.slug != "index" and metric in p.metrics), None)
