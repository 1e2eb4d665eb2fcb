"""Klaviyo's profiles: what must not look like a complete reading."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from optout.errors import UnexpectedAnswer
from optout.model import Source
from optout.records import Finding, Reading
from optout.sandbox.acts import Mailing, Person
from optout.sandbox.faults import PASSING, Fault, FaultKind
from optout.sandbox.klaviyo.twin import KlaviyoTwin
from optout.sandbox.server import Sandbox
from optout.testing.klaviyo import (
    ALL,
    AT,
    CUTOFF,
    Connect,
    act,
    address,
    of_profile,
    people,
    read,
    request,
)
from optout.testing.outputs import MemoryOutput


def test_consent_that_is_absent_ends_the_reading(connect: Connect, twin: KlaviyoTwin) -> None:
    """Absence taken for "no opt-out" is the worst mistake that a reader can make here."""
    people(twin, 2)
    twin.consent_field_empty = "absent"
    with pytest.raises(UnexpectedAnswer, match="subscriptions"):
        read(connect(), "profiles")


def test_one_absent_consent_ends_the_reading(
    connect: Connect, twin: KlaviyoTwin, sandbox: Sandbox
) -> None:
    """The field is documented as required: one record without it and the contract is broken."""
    people(twin, 2)
    sandbox.faults.plant(Fault(FaultKind.FIELD_ABSENT, "klaviyo", "/api/profiles"))
    with pytest.raises(UnexpectedAnswer, match="consent"):
        read(connect(), "profiles")


def test_a_consent_field_that_turns_empty_is_noticed(connect: Connect, twin: KlaviyoTwin) -> None:
    """It happened at this vendor: the field came, with nothing in it, and lists were mailed."""
    people(twin, 3)
    good = read(connect(), "profiles")
    assert good.status == "complete"
    twin.consent_field_empty = "null"
    out = read(connect(), "profiles", request(state=good.state))
    assert out.status == "incomplete"
    assert out.why is not None and "empty on 3 of 3 profiles" in out.why
    assert read(connect(), "profiles").status == "incomplete", "on the first night as well"


def test_a_single_empty_consent_is_a_finding(
    connect: Connect, twin: KlaviyoTwin, sandbox: Sandbox
) -> None:
    """One strange record must not cost the night; its cells are not comparable."""
    people(twin, 3)
    sandbox.faults.plant(Fault(FaultKind.FIELD_NULL, "klaviyo", "/api/profiles"))
    out = read(connect(), "profiles")
    assert out.status == "complete"
    assert of_profile(out).unclear == ALL
    assert [f.code for f in out.of(Finding)] == ["missing_field"]


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_lost_page_is_noticed(
    connect: Connect, twin: KlaviyoTwin, sandbox: Sandbox, nth: int
) -> None:
    """The vendor tells no total, so an empty page is asked for twice."""
    people(twin, 250)
    sandbox.faults.plant(Fault(FaultKind.MISSING_PAGE, "klaviyo", "/api/profiles", nth=nth))
    with pytest.raises(UnexpectedAnswer, match="empty"):
        read(connect(), "profiles")


def test_a_list_of_profiles_that_ends_early_is_noticed(
    connect: Connect, twin: KlaviyoTwin, sandbox: Sandbox
) -> None:
    """A next link that is null too soon: the profile with the highest id was not among them."""
    people(twin, 250)
    sandbox.faults.plant(
        Fault(FaultKind.FIELD_NULL, "klaviyo", "/api/profiles", field="next", nth=2)
    )
    with pytest.raises(UnexpectedAnswer, match="ended before its last"):
        read(connect(), "profiles")


def test_a_profile_made_during_the_reading_is_no_failure(
    connect: Connect, twin: KlaviyoTwin
) -> None:
    """New profiles of the night's own hours belong to the next night."""
    people(twin, 2)

    class Out(MemoryOutput):
        def page_done(self, cursor: Any = None) -> None:
            super().page_done(cursor)
            twin.add(Person(9, address(9), "New", "One"), {}, CUTOFF + timedelta(minutes=1))

    out = Out()
    connect().read("profiles", request(), out)
    assert out.status == "complete"


def test_a_repeated_cursor_ends_the_reading(
    connect: Connect, twin: KlaviyoTwin, sandbox: Sandbox
) -> None:
    """Otherwise the night never ends."""
    people(twin, 250)
    sandbox.faults.plant(Fault(FaultKind.REPEATED_CURSOR, "klaviyo", "/api/profiles", nth=2))
    with pytest.raises(UnexpectedAnswer, match="repeats"):
        read(connect(), "profiles")


def test_a_page_given_twice_counts_once(
    connect: Connect, twin: KlaviyoTwin, sandbox: Sandbox
) -> None:
    """Duplicates must neither raise the count nor add rows."""
    people(twin, 150)
    sandbox.faults.plant(Fault(FaultKind.DUPLICATE_PAGE, "klaviyo"))
    assert len(read(connect(), "profiles").of(Reading)) == 150


@pytest.mark.parametrize("kind", sorted(PASSING))
@pytest.mark.parametrize("stream", ["profiles", "list_members", "campaigns", "events"])
def test_passing_faults_change_nothing(
    connect: Connect, twin: KlaviyoTwin, sandbox: Sandbox, kind: FaultKind, stream: str
) -> None:
    """A 429, a cut connection or half an answer: asked again, the same rows come out."""
    people(twin, 120)
    twin.send(Mailing("m1", "Autumn", "promotional", AT), [address(n) for n in range(1, 121)])
    twin.opt_out(address(7), None, act(Source.EMAIL_LINK, campaign="m1"))
    expected = read(connect(), stream)
    for nth in (1, 2, 3):
        sandbox.faults.clear()
        sandbox.faults.plant(Fault(kind, "klaviyo", nth=nth, seconds=1))
        out = read(connect(), stream)
        assert sorted(map(repr, out.rows)) == sorted(map(repr, expected.rows))
        assert out.status == "complete"
