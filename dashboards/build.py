"""Builds the static site of a night, whole or not at all.

    site/assets/plotly-<version>.min.js     shared by all nights
    site/2026-09-05-1a2b3c4d5e6f/           the pages as they were built: named by their content
    site/2026-09-05                         → the newest build of that night
    site/latest                             → the newest build
    site/lists/                             who is in which group of a category, newest night only
    site/index.html                         goes to latest/

The same copy gives the same bytes, so that a second build changes nothing; a night that was run
again keeps its earlier build beside the new one, as evidence.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import plotly.offline

from dashboards import render, words
from dashboards.blocks import Section
from dashboards.data import Context, NotMeasured, Published, open_published
from dashboards.lists import write_lists
from dashboards.page import Page, Places
from dashboards.site import PAGES
from optout import __version__
from optout.files import make_dir, sync_dir, write_atomic
from optout.project import Project

FOLDER = "site"
LATEST = "latest"
_DIGEST_LENGTH = 12
_ORIGIN = "origin.json"
"""What a build was made from: two builds of one origin differ only in their alerts or reports."""
_INDEX = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>optout</title>'
    '<meta http-equiv="refresh" content="0; url=latest/index.html"></head>'
    '<body><p><a href="latest/index.html">The latest night</a></p></body></html>\n'
)


@dataclass(frozen=True)
class Built:
    """Where the site of a night is."""

    night: date
    folder: Path
    """The build itself."""
    index: Path
    """What to open: it shows the latest night at all times."""
    pages: int
    bytes: int


def build_site(project: Project, night: date | None = None) -> Built:
    """Build the pages of the last published night (or another that the copy holds) beside the copy.

    Raises UsageError where no such night was published.
    """
    folder = project.published.parent
    places = Places(alerts=project.data_dir / "alerts.sqlite", reports=project.data_dir / "reports")
    with open_published(project.published, Context.of(project), night=night) as data:
        return build(data, folder / FOLDER, places)


def build(data: Published, site: Path, places: Places | None = None) -> Built:
    """Write the pages of `data` into `site` and point to them."""
    make_dir(site)
    plotly_file = _plotly(site)
    fresh = Path(tempfile.mkdtemp(prefix=f".{data.night}.", dir=site))
    try:
        _write_pages(data, fresh, replace(places or Places(), site=site), plotly_file)
        _write_exports(data, fresh)
        write_atomic(fresh / _ORIGIN, _origin(data))
        with _alone(site):
            folder = _keep(fresh, site, data.night)
            _replace(site / data.night.isoformat(), folder)
            if not _newer(site, data.night):
                _point(site / LATEST, folder)
                if data.is_latest:
                    write_lists(data, site, _origin(data))
            write_atomic(site / "index.html", _INDEX.encode())
            sync_dir(site)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    size = sum(file.stat().st_size for file in folder.iterdir())
    return Built(data.night, folder, site / LATEST / "index.html", len(PAGES), size)


@contextmanager
def _alone(site: Path) -> Iterator[None]:
    """One build at a time moves names: a run and a sensor can build the same night at once."""
    with (site / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _plotly(site: Path) -> str:
    """The shared library, written once a version; its path from the site's folder."""
    text = plotly.offline.get_plotlyjs().encode()
    digest = hashlib.sha256(text).hexdigest()[:_DIGEST_LENGTH]
    file = make_dir(site / "assets") / f"plotly-{digest}.min.js"
    if not file.exists():
        write_atomic(file, text)
        sync_dir(file.parent)
    return f"assets/{file.name}"


def _write_pages(data: Published, folder: Path, places: Places, plotly_file: str) -> None:
    env = render.environment(data.context.zone)
    template = env.get_template("page.html")
    made = [(page, list(page.build(data, places))) for page in PAGES]
    shared = _shared(data, plotly_file)
    for page, sections in made:
        html = template.render(
            page=page,
            sections=sections,
            has_plots=any(b.kind == "plot" for s in sections for b in s.blocks),
            **shared,
        )
        write_atomic(folder / page.file, html.encode())
    write_atomic(folder / "site.css", render.stylesheet().encode())
    write_atomic(folder / "site.js", render.script().encode())


def _shared(data: Published, plotly_file: str) -> Mapping[str, Any]:
    sources = data.frame("sources")
    wanted = (data.context.hub, *data.context.systems)
    complete = set(sources.where(is_complete=True).column("system"))
    lacking = [name for name in wanted if name not in complete]
    told = f"{len(wanted) - len(lacking)} of {words.plural(len(wanted), 'source')} read completely"
    warning = (
        f"Not read completely tonight: {words.listed(lacking)}. Figures that depend on it are "
        "unknown, and nothing was closed."
        if lacking
        else ""
    )
    return {
        "night_words": words.day(data.night),
        "cutoff": render.time(data.cutoff, data.context.zone),
        "is_backfill": data.kind == "backfill",
        "zone": data.context.zone.key,
        "menu": _menu(data),
        "warning": warning,
        "sources": told,
        "head": data.chain_head,
        "plotly_file": plotly_file,
        "run": {"id": data.run_id, "url": _run_url(data)} if data.run_id else None,
        "policy": render.POLICY,
        "version": __version__,
    }


def _run_url(data: Published) -> str:
    base = data.context.runs_url
    return f"{base}{data.run_id}" if base else ""


def _menu(data: Published) -> list[tuple[str, list[dict[str, str]]]]:
    """The pages in groups, each with the worst status of its promises."""
    groups: dict[str, list[dict[str, str]]] = {}
    for page in PAGES:
        found = {row["status"] for row in data.of_metric(*page.metrics) if _counts(row)}
        status = next((s for s in ("missed", "unknown", "met") if s in found), "none")
        item = {
            "slug": page.slug,
            "file": page.file,
            "title": page.title,
            "status": status,
            "mark": words.MARK.get(status, "·"),
        }
        groups.setdefault(page.group, []).append(item)
    return list(groups.items())


def _counts(row: Mapping[str, Any]) -> bool:
    """Whether a figure decides how its page stands: one that is missed anywhere, or over all."""
    return row["status"] == "missed" or (row["system"] is None and row["category"] is None)


def _write_exports(data: Published, folder: Path) -> None:
    for page in PAGES:
        for file, query in page.exports.items():
            try:
                data.export(query, folder / file)
            except NotMeasured:
                continue


def _keep(fresh: Path, site: Path, night: date) -> Path:
    """Give a finished build its name; the one that is there already if nothing is different."""
    files = sorted(fresh.iterdir())
    total = hashlib.sha256()
    for file in files:
        total.update(file.name.encode() + b"\0")
        total.update(hashlib.sha256(file.read_bytes()).digest())
    kept = site / f"{night}-{total.hexdigest()[:_DIGEST_LENGTH]}"
    if not kept.exists():
        sync_dir(fresh)
        fresh.rename(kept)
    return kept


def _origin(data: Published) -> bytes:
    told = {
        "night": data.night.isoformat(),
        "cutoff_at": data.cutoff.isoformat(),
        "measured_at": data.finished.isoformat(),
        "chain_head": data.chain_head,
        "program": __version__,
    }
    return f"{json.dumps(told, indent=2)}\n".encode()


def _replace(link: Path, folder: Path) -> None:
    """Show a night's new build. The one before it stays as evidence if the night was run again, and
    goes if it was made from the very same data."""
    before = link.parent / link.readlink() if link.is_symlink() else folder
    _point(link, folder)
    if before == folder or not (before / _ORIGIN).exists():
        return
    if (before / _ORIGIN).read_bytes() == (folder / _ORIGIN).read_bytes():
        latest = link.parent / LATEST
        if latest.is_symlink() and latest.readlink().name == before.name:
            _point(latest, folder)
        shutil.rmtree(before)


def _newer(site: Path, night: date) -> bool:
    """Whether `latest` shows a later night: building an old one again does not hide it."""
    latest = site / LATEST
    return latest.is_symlink() and latest.readlink().name[:10] > night.isoformat()


def _point(link: Path, folder: Path) -> None:
    """Let a name show another folder, at once: readers see the old or the new."""
    temporary = link.with_name(f".{link.name}.{os.getpid()}.link")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(folder.name, target_is_directory=True)
    temporary.replace(link)


def sections_of(page: Page, data: Published, places: Places | None = None) -> Sequence[Section]:
    """One page's content, for tests and notebooks."""
    return page.build(data, places or Places())
