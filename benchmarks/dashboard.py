"""What the pages cost at two years of nightly metrics of eight systems and six categories:

    python -m benchmarks.dashboard

Prints the build, the roll-up of a day (every figure of the night and the thirty nights of every
promise, from a copy that was just opened), the weight of each page, and the first view of the
heaviest and of the overview from disk in a Chromium, where one is in the path. Medians of three.
"""

from __future__ import annotations

import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import duckdb

from dashboards.build import Built, build
from dashboards.data import open_published
from dashboards.standing import standings
from optout.testing.published import Shape, write_published

SHAPE = Shape(nights=730, systems=8, categories=6, drift=5_000)
ROUNDS = 3
BUILD_SECONDS, ROLL_UP_SECONDS, PAGE_KB, VIEW_MS = 10.0, 0.1, 300.0, 1000.0
_TRIES = 500
_PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def timed(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The median of the CPU seconds of some rounds, all threads together."""
    found = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return median(found)


def roll_up(copy: Path) -> None:
    """What the overview has to know of a day."""
    with open_published(copy) as data:
        if not data.metrics or not standings(data):
            raise ValueError("the copy holds no figure")


def build_anew(copy: Path, folder: Path) -> Built:
    """The whole site into an empty folder; the shared library is written once an installation."""
    with open_published(copy) as data:
        return build(data, Path(tempfile.mkdtemp(dir=folder)))


def painted(page: Any) -> float:
    """Milliseconds to the first contentful paint, which may come a moment after loading."""
    for _ in range(_TRIES):
        if (when := page.evaluate(_PAINTED)) is not None:
            return float(when)
        page.wait_for_timeout(20)
    raise TimeoutError("the page was never painted")


def first_views(files: list[Path]) -> dict[str, float]:
    """Page → milliseconds to the first contentful paint, each in a fresh context; empty without a
    Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        return {}
    from playwright.sync_api import sync_playwright

    found: dict[str, list[float]] = {file.name: [] for file in files}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        for _ in range(ROUNDS):
            for file in files:
                context = browser.new_context()
                page = context.new_page()
                page.goto(file.as_uri())
                found[file.name].append(painted(page))
                context.close()
        browser.close()
    return {name: median(times) for name, times in found.items()}


def row(what: str, value: float, unit: str, bound: float) -> str:
    """A line of the table."""
    verdict = "ok" if value < bound else "TOO MUCH"
    return f"{what:<34} {value:>9.2f} {unit:<3} bound {bound:g} {unit}: {verdict}"


def main() -> None:
    """Print the table."""
    versions = f"python {platform.python_version()}, duckdb {duckdb.__version__}"
    print(
        f"{SHAPE.nights} nights, {SHAPE.systems} systems, {SHAPE.categories} categories; {versions}"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy = write_published(folder / "optout.duckdb", SHAPE)
        print(row("build", timed(lambda: build_anew(copy, folder)), "s", BUILD_SECONDS))
        print(row("roll-up of a day", timed(lambda: roll_up(copy)), "s", ROLL_UP_SECONDS))
        built = build_anew(copy, folder)
        pages = sorted(built.folder.glob("*.html"), key=lambda f: -f.stat().st_size)
        shared = sum(f.stat().st_size for f in built.folder.glob("site.*")) / 1000
        for page in pages:
            weight = page.stat().st_size / 1000 + shared
            print(row(f"{page.name} with style and script", weight, "kB", PAGE_KB))
        for seen, took in first_views([built.folder / "index.html", pages[0]]).items():
            print(row(f"first view of {seen}", took, "ms", VIEW_MS))


if __name__ == "__main__":
    main()
