"""Lists for marketing: the people of each category by group, as keys, in CSV files.

    site/lists/audience-promotional.csv      contact_key,status

One file a category, of the newest night: at ten million people a copy a night would fill the disk,
and what a night has to prove are its counts. Who may be mailed is in none of them.
"""

from __future__ import annotations

from pathlib import Path

from dashboards.data import NotMeasured, Published
from optout.files import make_dir, sync_dir, write_atomic

FOLDER = "lists"
QUERY = "audience_people"
_ORIGIN = "origin.json"
STATUSES = ("opted_out", "unengaged", "never_asked", "undeliverable")
"""The groups of a list."""


def file_of(category: str) -> str:
    """The name of a category's list."""
    return f"audience-{category}.csv"


def write_lists(data: Published, site: Path, origin: bytes) -> None:
    """Replace the lists by those of this copy, unless they are of the same `origin`: pages are
    built twice a night. A copy that holds no audience leaves none behind: an old list would pass
    for tonight's."""
    folder = make_dir(site / FOLDER)
    mark = folder / _ORIGIN
    if mark.exists() and mark.read_bytes() == origin:
        return
    mark.unlink(missing_ok=True)
    wanted = set()
    for category in data.context.categories:
        target = folder / file_of(category)
        fresh = target.with_name(f".{target.name}.new")
        try:
            data.export(QUERY, fresh, category=category)
            fresh.replace(target)
            wanted.add(target.name)
        except NotMeasured:
            continue
        finally:
            fresh.unlink(missing_ok=True)
    for stale in folder.iterdir():
        if stale.name not in wanted:
            stale.unlink()
    write_atomic(mark, origin)
    sync_dir(folder)
