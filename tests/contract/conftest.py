"""What every vendor's connector is held to: one world, and its faultless reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from requests.adapters import BaseAdapter

from optout.sandbox.faults import Fault
from optout.sandbox.world.world import Plan
from optout.testing.contract import PLAN, Reading, read_once
from optout.testing.nights import Bench
from optout.vendors import VENDORS


@pytest.fixture(params=sorted(VENDORS))
def vendor(request: pytest.FixtureRequest) -> str:
    """Every vendor of the registry, a new one too."""
    return str(request.param)


@pytest.fixture
def read(tmp_path: Path) -> Iterator[Callable[..., Reading]]:
    """Read one system's first night from a new world, into a new installation."""
    with ExitStack() as stack:
        benches: list[Bench] = []

        def night(
            vendor: str, *faults: Fault, adapter: BaseAdapter | None = None, plan: Plan = PLAN
        ) -> Reading:
            bench = stack.enter_context(Bench(tmp_path / f"{vendor}-{len(benches)}", plan))
            benches.append(bench)
            bench.sandbox.faults.plant(*faults)
            return read_once(bench, vendor, adapter)

        yield night


@pytest.fixture(scope="session")
def faultless(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Reading]:
    """The same night without any fault, read once per vendor."""
    known: dict[str, Reading] = {}

    def of(vendor: str) -> Reading:
        if vendor not in known:
            with Bench(tmp_path_factory.mktemp(vendor), PLAN) as bench:
                known[vendor] = read_once(bench, vendor)
        return known[vendor]

    return of


@pytest.fixture
def is_honest(faultless: Callable[[str], Reading]) -> Callable[[str, Reading], bool]:
    """Holds a reading against the faultless one: what counts as complete is, all else says why."""

    def check(vendor: str, reading: Reading) -> bool:
        right = faultless(vendor)
        assert reading.manifests.keys() == right.manifests.keys()
        for stream, manifest in reading.manifests.items():
            if not manifest.is_complete:
                assert manifest.why_not, f"{stream} does not say why"
            elif not manifest.is_skipped:
                assert reading.rows[stream] == right.rows[stream], f"{stream} is not what was there"
            else:
                assert not manifest.is_snapshot, f"{stream} was skipped: its people look gone"
        return True

    return check
