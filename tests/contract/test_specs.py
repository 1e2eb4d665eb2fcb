"""Every connector against a server that we did not write: the vendor's own specification."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from optout.testing.contract import PLAN, read_once
from optout.testing.nights import Bench
from optout.testing.specs import Specification, SpecServer

SPECS = Path(__file__).parents[3] / "shared" / "specs"
pytestmark = [
    pytest.mark.specs,
    pytest.mark.skipif(not SPECS.is_dir(), reason="the vendors' specifications are not here"),
]
UNFORESEEN = "does not have the documented shape"
"""How a night ends whose reader stumbled over an answer."""
UNDOCUMENTED = {
    f"GET /v3/asm/suppressions: unknown parameter {name}" for name in ("limit", "offset")
}
"""The vendor pages this list all the same (sendgrid/docs#5178)."""


@pytest.fixture(scope="module")
def specifications() -> dict[str, Specification]:
    """Vendor → its specification, read once."""
    return {
        folder.name: Specification(sorted(folder.glob("*.json")))
        for folder in SPECS.iterdir()
        if folder.is_dir()
    }


def test_legal_questions_are_asked_and_legal_answers_survived(
    vendor: str, seed: int, is_full: bool, tmp_path: Path,
    specifications: dict[str, Specification],
) -> None:  # fmt: skip
    """A connector that fits only our own twin fits nothing."""
    if vendor not in specifications:
        pytest.skip(f"there is no official specification of {vendor}")
    for turn in range(40 if is_full else 4):
        with Bench(tmp_path / str(turn), PLAN) as bench:
            rng = Random(f"{seed} {vendor} {turn}")
            stores = bench.connector(vendor).config.categories.values()
            known = sorted({part for each in stores for s in each for part in s.split("/")})
            server = SpecServer(specifications[vendor], f"/{vendor}", rng, known)
            reading = read_once(bench, vendor, server)
            assert server.illegal - UNDOCUMENTED == set()
            assert server.asked, server.unknown
            assert not bench.sandbox.log, "somebody else was asked"
        for stream, why in reading.incomplete.items():
            assert UNFORESEEN not in why, (seed, turn, stream, why)
