"""Every vendor's lists are read to their last page, and none of them without end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from optout.sandbox.faults import Fault, FaultKind
from optout.sandbox.world.world import Plan
from optout.testing.contract import Reading, RepeatingAdapter, read_once
from optout.testing.nights import Bench
from optout.vendors.mailchimp.connector import Mailchimp
from optout.vendors.mailchimp.pages import Paging

Read = Callable[..., Reading]

MANY = Plan(people=330, seed=6, campaign_size=10, drift=0)
"""More than three of the pages that most vendors serve."""


@pytest.fixture
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a vendor's pages are longer than this world."""
    monkeypatch.setattr(Mailchimp, "paging", Paging(count=60, overlap=10))
    monkeypatch.setattr("optout.vendors.sendgrid.lists.PAGE", 5)
    monkeypatch.setattr("optout.vendors.sendgrid.groups.ALL_PAGE", 20)


@pytest.fixture
def bench(tmp_path: Path, short_pages: None) -> Iterator[Bench]:
    with Bench(tmp_path, MANY) as bench:
        yield bench


def test_the_last_page_is_reached(vendor: str, bench: Bench) -> None:
    """Whoever stands on a page that is not read has no opt-out as far as anybody knows."""
    reading = read_once(bench, vendor)
    assert reading.incomplete == {}
    seen = {
        row["address"]
        for rows in reading.rows.values()
        for row in rows
        if row.kind == "reading" and row["present"] and not row["deleted"]
    }
    twin = bench.world.twins[vendor]
    everybody = {address for _, _, address in bench.world.truth().cells}
    known = {address for address in everybody if twin.holds(address)}
    assert len(known) > 200
    assert known <= seen


@pytest.mark.parametrize("way", ["page", "cursor"])
def test_a_repeated_page_or_cursor_ends_the_read_and_is_no_end_of_the_list(
    vendor: str, way: str, bench: Bench
) -> None:
    """A list that repeats itself must neither be read for ever nor count as read."""
    network = RepeatingAdapter() if way == "page" else None
    if way == "cursor":
        bench.sandbox.faults.plant(Fault(FaultKind.REPEATED_CURSOR, vendor, times=None))
    reading = read_once(bench, vendor, network)
    struck = network.repeated if network else sum(bench.sandbox.faults.applied().values())
    if not struck and way == "cursor":
        pytest.skip(f"{vendor} has no cursors")
    assert struck
    assert reading.incomplete
    assert reading.requests < 2_000


def test_rows_that_come_twice_are_one(vendor: str, bench: Bench, tmp_path: Path) -> None:
    """Counted twice, a person would be two in every figure."""
    bench.sandbox.faults.plant(Fault(FaultKind.DUPLICATE_PAGE, vendor, nth=3, times=4))
    reading = read_once(bench, vendor)
    with Bench(tmp_path / "right", replace(MANY)) as other:
        right = read_once(other, vendor)
    for stream, manifest in reading.manifests.items():
        assert not manifest.is_complete or reading.rows[stream] == right.rows[stream]
