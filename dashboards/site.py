"""The pages of the site in their order. A page's address never changes."""

from __future__ import annotations

from dashboards.page import Page
from dashboards.pages import (
    audience,
    changers,
    complaints,
    consent,
    extraction,
    method,
    optouts,
    overview,
    reports,
    sync,
    touchpoints,
    trail,
    violations,
)

PAGES: tuple[Page, ...] = (
    overview.PAGE,
    sync.PAGE,
    optouts.PAGE,
    audience.PAGE,
    violations.PAGE,
    consent.PAGE,
    trail.PAGE,
    complaints.PAGE,
    changers.PAGE,
    extraction.PAGE,
    touchpoints.PAGE,
    reports.PAGE,
    method.PAGE,
)


def page_of(metric: str) -> Page | None:
    """The page that shows a metric, the overview aside; None if there is none."""
    return next((p for p in PAGES if p.slug != "index" and metric in p.metrics), None)
