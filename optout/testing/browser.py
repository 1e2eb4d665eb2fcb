"""A page in a real browser, with everything that went wrong in it. Needs a Chromium in the path,
playwright, and axe for the faults that keep people from reading."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
"""Where it is; None: there is none."""
SERIOUS = frozenset({"serious", "critical"})
PHONE = {"width": 390, "height": 800}
_TRIES, _WAIT = 100, 20
_FEWER_ROWS = (
    "document.querySelectorAll('tbody').forEach(b => {"
    " while (b.rows.length > 10) b.deleteRow(10); })"
)
"""Rows of a table are all alike: ten stand for hundreds."""


@contextmanager
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        yield opened
        opened.close()


class Visit:
    """One page in one browser context; `faults` are complaints and requests to the outside."""

    def __init__(self, browser: Any, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.faults: list[str] = []
        self.context.route("**/*", self._only_files)
        self.page = self.context.new_page()
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))

    def _only_files(self, route: Any) -> None:
        url = route.request.url
        if url.startswith(("file://", "data:", "blob:", "http://127.0.0.1")):
            route.continue_()
            return
        self.faults.append(f"outside request: {url}")
        route.abort()

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"{message.type}: {message.text}")

    def open(self, file: Path, anchor: str = "") -> None:
        """Open a file and wait until it is loaded."""
        self.page.goto(file.as_uri() + anchor)
        self.page.wait_for_load_state("load")

    def until(self, expression: str) -> Any:
        """The value of an expression once it is true; the pages' own policy forbids polling by
        eval."""
        for _ in range(_TRIES):
            value = self.page.evaluate(expression)
            if value:
                return value
            self.page.wait_for_timeout(_WAIT)
        raise AssertionError(f"never true: {expression}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *told: object) -> None:
        self.context.close()


def axe(page: Any, *rules: str) -> list[str]:
    """Serious faults, of some rules or all; a plot is one image to a reader, its inside is not
    looked at, and axe fetches nothing for itself."""
    from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

    options: dict[str, Any] = {"preload": False, "resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = list(rules)
    page.evaluate(_FEWER_ROWS)
    context = {"exclude": [[".draw"]]}
    found = Axe().run(page, context=context, options=options).response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['target']}" for v in found if v["impact"] in SERIOUS]
