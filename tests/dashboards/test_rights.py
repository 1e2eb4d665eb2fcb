"""People can be taken out of pages that were built long ago."""

from __future__ import annotations

from dashboards.build import build
from dashboards.data import open_published
from dashboards.rights import forget, rename
from optout.testing.published import Shape, write_published


def test_a_forgotten_person_stands_in_no_page_and_no_file_of_any_night(tmp_path):
    """An erasure that leaves last month's pages is none."""
    copy = write_published(tmp_path / "optout.duckdb", Shape(nights=5, systems=2, drift=40))
    site = tmp_path / "site"
    with open_published(copy) as data:
        key = data.frame("drift_open").column("contact_key")[0]
        other = data.frame("drift_open").column("contact_key")[1]
        build(data, site)
        before = data.calendar(2)[0]
    with open_published(copy, night=before) as data:
        build(data, site)

    def holding(text: str) -> set[str]:
        files = [f for f in site.rglob("*.*") if f.is_file() and f.parent.name != "assets"]
        return {str(f) for f in files if text in f.read_text(encoding="utf-8")}

    assert len(holding(key)) >= 2
    kept = holding(other)
    assert forget(site, {key}) >= 2
    assert holding(key) == set()
    assert holding(other) == kept
    assert forget(site, {key}) == 0
    assert rename(site, {other: "00000000-0000-0000-0000-000000000000"}) >= 2
    assert holding(other) == set()
    assert holding("00000000-0000-0000-0000-000000000000") == kept
    assert forget(tmp_path / "nowhere", {key}) == 0
