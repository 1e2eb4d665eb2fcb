"""People can be taken out of pages and lists that were built long ago (`optout.rights.files`)."""

from __future__ import annotations

import re

from dashboards.build import build
from dashboards.data import open_published
from optout.rights.files import rename_keys
from optout.testing.published import Shape, write_published

ROW = re.compile(r"<tr\b.*?</tr>", re.DOTALL)
OTHER = "00000000-0000-0000-0000-000000000000"


def test_a_person_stands_in_rows_only_and_bears_a_new_key_everywhere(tmp_path):
    """An erasure takes rows out of pages and files: a key elsewhere would stay for good."""
    shape = Shape(nights=5, systems=2, categories=2, drift=40)
    site = tmp_path / "published" / "site"
    copy = write_published(tmp_path / "published" / "optout.duckdb", shape)
    with open_published(copy) as data:
        key = data.frame("drift_open").column("contact_key")[0]
        listed = data.frame("audience_people", category="product_updates").column("contact_key")[0]
        build(data, site)
        before = data.calendar(2)[0]
    with open_published(copy, night=before) as data:
        build(data, site)

    def holding(text: str) -> set[str]:
        files = [f for f in site.rglob("*.*") if f.is_file() and f.parent.name != "assets"]
        return {str(f) for f in files if text in f.read_text(encoding="utf-8")}

    kept = holding(str(key))
    assert {file.rpartition(".")[2] for file in kept} == {"html", "csv"}
    assert len(holding(str(listed))) == shape.categories
    for page in site.rglob("*.html"):
        assert str(key) not in ROW.sub("", page.read_text(encoding="utf-8"))
    assert rename_keys(tmp_path, {str(key): OTHER}) == len(kept)
    assert holding(str(key)) == set()
    assert holding(OTHER) == kept
