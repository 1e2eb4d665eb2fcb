"""Klaviyo's profiles as rows: what each kind of no means."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import reduce
from operator import or_
from typing import Any

import pytest

from optout.model import Source
from optout.records import Change, Finding, Reading
from optout.sandbox.faults import Fault, FaultKind
from optout.sandbox.klaviyo.state import Suppression
from optout.sandbox.klaviyo.twin import KlaviyoTwin
from optout.sandbox.server import Sandbox
from optout.testing.klaviyo import (
    ALL,
    AT,
    PROMOTIONAL,
    Connect,
    act,
    address,
    list_of,
    of_list,
    of_profile,
    people,
    read,
    suppress,
)


def test_a_global_unsubscribe_is_an_opt_out_of_everything(
    connect: Connect, twin: KlaviyoTwin
) -> None:
    """The plainest opt-out: held, blocking, dated, and by the person."""
    people(twin, 2)
    twin.opt_out(address(1), None, act(Source.PREFERENCE_CENTER))
    out = read(connect(), "profiles")
    row = of_profile(out)
    assert (row.outs, row.blocks, row.global_out, row.category_outs) == (ALL, ALL, True, 0)
    assert (row.sends, row.ins, row.unclear, row.in_at) == (0, 0, 0, None)
    (change,) = out.of(Change)
    assert (change.feed, change.category, change.new) == ("suppression", None, "opted_out")
    assert change.occurred_at == change.effective_at == AT + timedelta(hours=1)
    assert (change.source, change.explicit, change.actor) == ("preference_center", True, "person")
    other = of_profile(out, 2)
    assert (other.outs, other.blocks) == (0, 0)
    assert out.status == "complete"


def test_can_receive_is_never_trusted(connect: Connect, twin: KlaviyoTwin) -> None:
    """It stays true for somebody who left one list only: reading it loses the opt-out."""
    people(twin, 1)
    twin.opt_out(address(1), "promotional", act(Source.EMAIL_LINK))
    out = read(connect(), "profiles")
    assert json.loads(of_profile(out).raw)["attributes"]["subscriptions"]["email"]["marketing"][
        "can_receive_email_marketing"
    ]  # fmt: skip
    (row,) = of_list(out)
    assert row.store == f"list:{list_of(twin, 'promotional')}"
    assert (row.outs, row.category_outs, row.store_blocks) == (PROMOTIONAL,) * 3
    assert (row.present, row.sends, row.blocks) == (False, 0, 0)
    (change,) = out.of(Change)
    assert (change.category, change.store) == ("promotional", row.store)
    assert of_profile(out).outs == 0


@pytest.mark.parametrize(
    ("reason", "outs", "undeliverable", "complained", "unclear"),
    [
        ("UNSUBSCRIBE", ALL, False, False, 0),
        ("USER_SUPPRESSED", ALL, False, False, 0),
        ("USER_INITIATED", ALL, False, False, 0),
        ("HARD_BOUNCE", 0, True, False, 0),
        ("BOUNCE", 0, True, False, 0),
        ("INVALID_EMAIL", 0, True, False, 0),
        ("SPAM_COMPLAINT", 0, False, True, 0),
        ("SPAM_REPORT", 0, False, True, 0),
        ("SOMETHING_NEW", 0, False, False, ALL),
    ],
)
def test_every_reason_blocks_but_only_some_are_opt_outs(
    connect: Connect, twin: KlaviyoTwin, reason: str, outs: int, undeliverable: bool,
    complained: bool, unclear: int,
) -> None:  # fmt: skip
    """Bounces told as opt-outs would spoil every rate; an unknown reason must not be dropped."""
    people(twin, 1)
    suppress(twin, reason)
    out = read(connect(), "profiles")
    row = of_profile(out)
    assert (row.outs, row.blocks, row.unclear) == (outs, ALL, unclear)
    assert (row.undeliverable, row.complained) == (undeliverable, complained)
    assert bool(out.of(Change)) is bool(outs)
    assert [f.code for f in out.of(Finding)] == (["unknown_value"] if unclear else [])


@pytest.mark.parametrize(
    ("reason", "outs", "unclear"),
    [
        ("UNSUBSCRIBE", PROMOTIONAL, 0),
        ("USER_SUPPRESSED", PROMOTIONAL, 0),
        ("HARD_BOUNCE", 0, 0),
        ("SPAM_REPORT", 0, 0),
        ("SOMETHING_NEW", 0, PROMOTIONAL),
    ],
)
def test_a_list_suppression_blocks_its_list_whatever_the_reason(
    connect: Connect, twin: KlaviyoTwin, reason: str, outs: int, unclear: int
) -> None:
    """It must not block the other lists, nor be told as an opt-out where it is none."""
    people(twin, 1)
    suppress(twin, reason, list_id=list_of(twin, "promotional"))
    (row,) = of_list(read(connect(), "profiles"))
    assert (row.outs, row.store_blocks, row.unclear) == (outs, PROMOTIONAL, unclear)


def test_suppressions_of_unmapped_lists_are_nothing_to_us(
    connect: Connect, twin: KlaviyoTwin
) -> None:
    """A list without a category has no cell."""
    people(twin, 1)
    suppress(twin, "UNSUBSCRIBE", list_id=twin.add_list("Old"))
    out = read(connect(), "profiles")
    assert of_list(out) == [] and out.of(Change) == []


@pytest.mark.parametrize("list_id", [None, 7, {"id": "KL0001"}])
def test_an_opt_out_of_a_list_that_is_not_named_makes_all_of_them_unclear(
    connect: Connect, twin: KlaviyoTwin, list_id: Any
) -> None:
    """It may be one of any list: taken for none it would be forgotten."""
    people(twin, 1)
    suppress(twin, "UNSUBSCRIBE", list_id=list_of(twin, "promotional"))
    profile = twin.profile(address(1))
    assert profile is not None
    profile.list_suppressions.append(Suppression("UNSUBSCRIBE", AT, list_id))
    out = read(connect(), "profiles")
    rows = of_list(out)
    assert [row.outs for row in rows if not row.unclear] == [PROMOTIONAL]
    assert reduce(or_, (row.unclear for row in rows)) == ALL - PROMOTIONAL
    (finding,) = out.of(Finding)
    assert (finding.code, finding.field, finding.categories) == (
        "missing_field", "list_id", ALL - PROMOTIONAL,
    )  # fmt: skip


def test_an_opt_out_without_suppression_is_held_but_does_not_block(
    connect: Connect, twin: KlaviyoTwin
) -> None:
    """Klaviyo would still mail this person: exactly what the audit is to find."""
    people(twin, 1)
    profile = twin.profile(address(1))
    assert profile is not None
    profile.consent, profile.consent_at = "UNSUBSCRIBED", AT
    out = read(connect(), "profiles")
    row = of_profile(out)
    assert (row.outs, row.global_out, row.blocks) == (ALL, True, 0)
    (change,) = out.of(Change)
    assert (change.feed, change.occurred_at, change.effective_at) == ("status", AT, None)


def test_the_method_of_a_subscription_is_not_that_of_an_opt_out(
    connect: Connect, twin: KlaviyoTwin
) -> None:
    """While consent says SUBSCRIBED, `method` tells how that came about, not the suppression."""
    people(twin, 1)
    twin.opt_in(address(1), "promotional", act(Source.PREFERENCE_CENTER))
    suppress(twin, "UNSUBSCRIBE")
    (change,) = read(connect(), "profiles").of(Change)
    assert (change.source, change.explicit) == ("unknown", False)


@pytest.mark.parametrize(
    ("method", "double", "source", "explicit"),
    [
        ("PREFERENCE_PAGE", None, "preference_center", True),
        ("Hosted Page", False, "preference_center", True),
        ("API", False, "api", False),
        ("IMPORT", False, "import", False),
        ("Back in Stock", False, "form", False),
        ("API", True, "email_link", True),
        ("KLAVIYO_FORM", "True", "email_link", True),
        ("NEVER_HEARD_OF", False, "unknown", False),
        (None, None, "unknown", False),
    ],
)
def test_only_a_persons_own_act_gives_explicit_consent(
    connect: Connect, twin: KlaviyoTwin, method: Any, double: Any, source: str, explicit: bool
) -> None:
    """An import taken for consent would lift opt-outs of people who never said yes."""
    people(twin, 1)
    profile = twin.profile(address(1))
    assert profile is not None
    profile.method, profile.double_optin = method, double
    row = of_profile(read(connect(), "profiles"))
    assert (row.in_source, row.in_explicit, row.in_at, row.in_global) == (
        source, explicit, AT, True,
    )  # fmt: skip
    assert row.ins == 0, "consent to mail as such is no word on a category"


def test_an_unknown_consent_word_is_quarantined(connect: Connect, twin: KlaviyoTwin) -> None:
    """The vendor adds words without notice: no crash, no guess."""
    people(twin, 1)
    profile = twin.profile(address(1))
    assert profile is not None
    profile.consent = "PENDING"
    out = read(connect(), "profiles")
    assert of_profile(out).unclear == ALL
    (finding,) = out.of(Finding)
    assert (finding.code, finding.detail, finding.categories) == ("unknown_value", "PENDING", ALL)
    assert out.status == "complete"


def test_profiles_without_an_address_are_counted_and_opt_outs_shown(
    connect: Connect, twin: KlaviyoTwin
) -> None:
    """A telephone-only profile cannot be compared, but its opt-out must not vanish."""
    people(twin, 3)
    twin.opt_out(address(1), None, act(Source.EMAIL_LINK))
    for number in (1, 2):
        profile = twin.profile(address(number))
        assert profile is not None
        profile.email = None
    out = read(connect(), "profiles")
    assert len(out.of(Reading)) == 1
    assert [f.code for f in out.of(Finding)] == ["no_address"]
    assert out.note is not None and "2 of 3 profiles have no address" in out.note


def test_an_undated_suppression_is_an_opt_out_all_the_same(
    connect: Connect, twin: KlaviyoTwin, sandbox: Sandbox
) -> None:
    """A broken stamp must cost the time, never the opt-out."""
    people(twin, 1)
    twin.opt_out(address(1), None, act(Source.EMAIL_LINK))
    sandbox.faults.plant(
        Fault(FaultKind.FIELD_NULL, "klaviyo", "/api/profiles", field="timestamp", rows=1)
    )
    out = read(connect(), "profiles")
    assert of_profile(out).outs == ALL
    (change,) = out.of(Change)
    assert (change.occurred_at, change.time_kind) == (None, "estimated")
    assert [f.code for f in out.of(Finding)] == ["unparsable"]
