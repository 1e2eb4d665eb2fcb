"""Whatever a vendor answers, its night is right or says that it is not. For every vendor."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from optout.sandbox.faults import PASSING, Fault, FaultKind
from optout.sandbox.world.world import World
from optout.testing.contract import PLAN, Reading, RedirectingAdapter
from optout.vendors import VENDORS

Read = Callable[..., Reading]
Faultless = Callable[[str], Reading]
IsHonest = Callable[[str, Reading], bool]

BROKEN = sorted(PASSING - {FaultKind.LIMITED})
_SILENT_FIELD = {"zendesk_sell": "custom_fields"}
"""Where the field on which everything hangs is another than the one whose words are an enum."""


def test_every_vendor_has_a_twin() -> None:
    """A connector without a twin would pass this suite by never being asked."""
    assert set(VENDORS) == set(World(PLAN).twins)


def test_the_faultless_night_is_complete_and_says_something(
    vendor: str, faultless: Faultless
) -> None:
    """All comparisons of this suite would be idle on an empty reading."""
    reading = faultless(vendor)
    assert not reading.incomplete
    assert any(manifest.is_snapshot and manifest.rows for manifest in reading.manifests.values())
    assert sum(map(len, reading.rows.values())) > 20


@pytest.mark.parametrize("turn", range(2))
def test_passing_faults_of_all_kinds_are_survived(
    vendor: str, turn: int, seed: int, read: Read, faultless: Faultless, is_honest: IsHonest
) -> None:
    """A night lost to one reset connection is a night on which nobody knows who opted out."""
    rng = Random(f"{seed} {vendor} {turn}")
    kinds = sorted(PASSING)
    rng.shuffle(kinds)
    last = faultless(vendor).requests
    places = sorted(rng.sample(range(1, last + 1), min(last, len(kinds))))
    faults = [Fault(kind, vendor, nth=nth) for kind, nth in zip(kinds, places, strict=False)]
    reading = read(vendor, *faults)
    applied = reading.bench.sandbox.faults.applied()
    assert sum(applied.values()) >= len(faults) - 1, applied
    assert reading.incomplete == {}, faults
    assert is_honest(vendor, reading)


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(PASSING))
def test_a_passing_fault_at_any_request_is_survived(
    vendor: str, kind: FaultKind, is_full: bool, read: Read, faultless: Faultless,
    is_honest: IsHonest,
) -> None:  # fmt: skip
    """The one request whose fault is not survived is the one that fails in production."""
    if not is_full:
        pytest.skip("all requests only under OPTOUT_SURVIVE=full; a sample runs above")
    for nth in range(1, faultless(vendor).requests + 1):
        reading = read(vendor, Fault(kind, vendor, nth=nth))
        assert reading.incomplete == {}, nth
        assert is_honest(vendor, reading)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_vendor_that_stays_broken_is_reported_and_never_taken_for_empty(
    vendor: str, kind: FaultKind, seed: int, is_full: bool, read: Read, faultless: Faultless,
    is_honest: IsHonest,
) -> None:  # fmt: skip
    """An empty list in place of an error would close every drift and forget every opt-out."""
    if is_full or kind in Random(f"{seed} {vendor}").sample(BROKEN, 2):
        total = read(vendor, Fault(kind, vendor, times=None))
        assert {m.stream for m in total.manifests.values() if m.is_complete} == set()
    nth = Random(f"{seed} {vendor} {kind}").randint(2, faultless(vendor).requests)
    partial = read(vendor, Fault(kind, vendor, nth=nth, times=None))
    assert partial.incomplete, nth
    assert is_honest(vendor, partial), nth


def test_a_refused_credential_is_permanent_and_named(vendor: str, read: Read) -> None:
    """Retrying a revoked token locks accounts, and 'unreachable' sends people the wrong way."""
    reading = read(vendor, Fault(FaultKind.UNAUTHORIZED, vendor, times=None))
    assert reading.incomplete.keys() == reading.manifests.keys()
    for why in reading.incomplete.values():
        assert why.startswith(f"{vendor} ")
        assert "401, the credential was not accepted" in why
        assert "token_env" in why
    assert sum(m.http["retries"] for m in reading.manifests.values()) == 0


def test_a_missing_permission_is_named_and_closes_nothing(
    vendor: str, read: Read, is_honest: IsHonest
) -> None:
    """A scope that was taken away must not look like people who are gone."""
    fault = Fault(FaultKind.UNAVAILABLE, vendor, status=403, times=None)
    reading = read(vendor, fault)
    assert is_honest(vendor, reading)
    assert {m.stream for m in reading.manifests.values() if m.is_snapshot} <= set(
        reading.incomplete
    )
    for stream, why in reading.incomplete.items():
        assert "403" in why, stream
        assert why.rstrip(".").count(". "), f"{stream} names no mend: {why}"


def test_an_unknown_word_is_put_into_quarantine(
    vendor: str, read: Read, faultless: Faultless
) -> None:
    """A new status that is read as 'no opt-out' mails everybody who has it."""
    reading = read(vendor, Fault(FaultKind.UNKNOWN_ENUM, vendor, times=None))
    assert sum(reading.bench.sandbox.faults.applied().values())
    assert len(reading.findings) > len(faultless(vendor).findings)


@pytest.mark.parametrize("kind", [FaultKind.FIELD_ABSENT, FaultKind.FIELD_NULL])
def test_a_consent_field_that_falls_silent_is_noticed(
    vendor: str, kind: FaultKind, read: Read, faultless: Faultless
) -> None:
    """Silence about consent, taken for consent, is how a revision of an API mails everybody."""
    reading = read(vendor, Fault(kind, vendor, times=None, field=_SILENT_FIELD.get(vendor)))
    assert sum(reading.bench.sandbox.faults.applied().values())
    is_quarantined = len(reading.findings) > len(faultless(vendor).findings)
    assert is_quarantined or reading.incomplete


def test_a_total_that_is_not_reached_makes_the_night_incomplete(
    vendor: str, read: Read, faultless: Faultless
) -> None:
    """The vendor's own count is the only witness of a page that never came."""
    told = [m.vendor_total for m in faultless(vendor).manifests.values() if m.is_snapshot]
    reading = read(vendor, Fault(FaultKind.WRONG_TOTAL, vendor, rows=3, times=None))
    if not any(told) or not sum(reading.bench.sandbox.faults.applied().values()):
        pytest.skip(f"{vendor} tells no total on its first night; pages and cursors prove the end")
    assert any(m.is_snapshot and not m.is_complete for m in reading.manifests.values())


@pytest.mark.parametrize("times", [1, None])
def test_an_answer_to_another_question_is_not_taken(
    vendor: str, times: int | None, seed: int, is_full: bool, read: Read, faultless: Faultless,
    is_honest: IsHonest,
) -> None:  # fmt: skip
    """A cache that knows paths and not questions answers for bounces with what was delivered."""
    everywhere = range(1, faultless(vendor).requests + 1)
    drawn = Random(f"{seed} {vendor} {times}").sample(everywhere, 2)
    for nth in everywhere if is_full else drawn:
        reading = read(vendor, Fault(FaultKind.REPEATED_PAGE, vendor, nth=nth, times=times))
        assert is_honest(vendor, reading), nth


@pytest.mark.parametrize("kind", [FaultKind.MISSING_PAGE, FaultKind.DUPLICATE_PAGE])
def test_nobody_vanishes_or_doubles_with_a_page(
    vendor: str, kind: FaultKind, seed: int, is_full: bool, read: Read, faultless: Faultless
) -> None:
    """Whoever is absent from a complete snapshot is taken for deleted, opt-out and all."""
    right = faultless(vendor)
    everywhere = range(1, right.requests + 1)
    drawn = Random(f"{seed} {vendor} {kind}").sample(everywhere, 4)
    for nth in everywhere if is_full else drawn:
        reading = read(vendor, Fault(kind, vendor, nth=nth))
        for stream, manifest in reading.manifests.items():
            if manifest.is_complete and manifest.is_snapshot:
                assert reading.records(stream) == right.records(stream), nth


@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_to_another_host_is_refused(vendor: str, status: int, read: Read) -> None:
    """It would carry the credential to whoever answers there."""
    network = RedirectingAdapter(status)
    reading = read(vendor, adapter=network)
    assert network.hosts == {"127.0.0.1"}
    assert reading.incomplete.keys() == reading.manifests.keys()
