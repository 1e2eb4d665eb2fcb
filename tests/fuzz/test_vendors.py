"""Records of shapes that nobody documents: a row, a finding, or a stream that is incomplete."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from optout.testing.contract import PLAN, Reading, read_once
from optout.testing.nights import Bench
from optout.testing.tamper import Breaker, TamperingAdapter
from optout.vendors import VENDORS

NULL_IS_A_WORD = frozenset({"zendesk_sell"})
"""Where an absent or empty field means `not_set` (rule 8)."""

UNSET = {"hubspot": {"hs_email_optout = ''", "hs_email_optout = None"}}
"""How a property is told that was never set, or cleared: no opt-out, whatever stood there."""

NO_ADDRESS_IS_A_WORD = frozenset({"klaviyo", "zendesk_sell"})
"""Where somebody without an address is known by telephone only: nobody whom mail could reach, and
nothing is said of them unless they opted out."""


@pytest.fixture(params=sorted(VENDORS))
def vendor(request: pytest.FixtureRequest) -> str:
    """Every vendor of the registry."""
    return str(request.param)


@pytest.fixture
def read(tmp_path: Path) -> Iterator[Callable[[str, Breaker | None], Reading]]:
    """One system's first night, from a new world into a new installation."""
    with ExitStack() as stack:
        count = iter(range(10_000))

        def night(vendor: str, breaker: Breaker | None = None) -> Reading:
            bench = stack.enter_context(Bench(tmp_path / str(next(count)), PLAN))
            adapter = TamperingAdapter(breaker) if breaker else None
            return read_once(bench, vendor, adapter)

        yield night


def test_no_record_of_an_odd_shape_vanishes(
    vendor: str, seed: int, is_full: bool, read: Callable[..., Reading]
) -> None:
    """One field of another type must not cost the night, and its person must not be forgotten."""
    right = read(vendor)
    for turn in range(150 if is_full else 3):
        breaker = Breaker(Random(f"{seed} {vendor} {turn}"), every=4 + 8 * (turn % 3))
        reading = read(vendor, breaker)
        for stream, manifest in reading.manifests.items():
            where = f"{turn} {vendor} {stream}: {breaker.broken}"
            if not manifest.is_complete:
                assert manifest.why_not, where
                continue
            lost = missing(right, reading, stream)
            # A record whose id was changed stands there under its new one.
            found = len(reading.records(stream) - right.records(stream))
            found += sum(row.kind == "finding" for row in reading.rows[stream])
            if vendor in NO_ADDRESS_IS_A_WORD:
                found += sum(each.startswith("email ") for each in breaker.broken)
            # A person of whom nobody knows the name is missed in every list, and told of once.
            people = {record_id for _, record_id in lost}
            assert len(people) <= found, f"{where}: nobody knows of {lost}"
            is_cleared = not UNSET.get(vendor, set()).isdisjoint(breaker.broken)
            assert is_cleared or not forgotten(right, reading, stream, vendor), where


def missing(right: Reading, reading: Reading, stream: str) -> set[tuple[str, str]]:
    """Records whose state the stream does not tell, although it is called complete."""
    return right.records(stream) - reading.records(stream) if stream in right.rows else set()


def forgotten(right: Reading, reading: Reading, stream: str, vendor: str) -> list[str]:
    """Records that lost an opt-out to an odd shape, and nothing was said of it."""
    if vendor in NULL_IS_A_WORD:
        return []
    told = {(row["store"], row["record_id"]): row for row in reading.rows[stream]
            if row.kind == "reading"}  # fmt: skip
    noticed = {row["record_id"] for row in reading.rows[stream] if row.kind == "finding"}
    lost = []
    for row in right.rows[stream]:
        if row.kind != "reading" or row["record_id"] in noticed:
            continue
        now = told.get((row["store"], row["record_id"]))
        if now is not None and row["outs"] & ~(now["outs"] | now["unclear"]):
            lost.append(f"{row['store']} {row['record_id']}")
    return lost
