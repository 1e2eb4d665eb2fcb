"""Klaviyo's connector against its twin: every trap, every interruption."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import or_
from random import Random
from typing import Any

import pytest

from optout.errors import (
    AuthenticationFailed,
    NotFound,
    PermissionMissing,
    RequestRefused,
    SourceError,
    UnexpectedAnswer,
)
from optout.http.client import HttpClient
from optout.model import Categories, Source, State
from optout.records import Campaign, Change, Finding, MailEvent, Reading
from optout.sandbox.acts import Act, Mailing, Person
from optout.sandbox.faults import PASSING, Fault, FaultKind
from optout.sandbox.klaviyo.state import Suppression
from optout.sandbox.klaviyo.twin import KlaviyoTwin
from optout.sandbox.server import Sandbox
from optout.testing.outputs import Killed, MemoryOutput
from optout.vendors.base import Context, ReadRequest
from optout.vendors.klaviyo.connector import Klaviyo, KlaviyoConfig

CUTOFF = datetime(2026, 10, 2, 2, tzinfo=UTC)
AT = CUTOFF - timedelta(hours=10)
CATEGORIES = ("product_updates", "promotional")
ALL, PRODUCT, PROMOTIONAL = 3, 1, 2
TOKEN = "pk_test"


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def server(clock: Clock) -> Iterator[Sandbox]:
    """One server for the module: stopping one takes longer than most of these tests."""
    with Sandbox([KlaviyoTwin(CATEGORIES, token=TOKEN, rng=Random(1))], clock=clock) as server:
        yield server


@pytest.fixture
def sandbox(server: Sandbox, clock: Clock) -> Sandbox:
    """The server without anything of the test before: faults, log, used-up limits."""
    server.faults.clear()
    server.forget()
    clock.sleep(600)
    return server


@pytest.fixture
def twin(sandbox: Sandbox) -> KlaviyoTwin:
    """A new account behind the same server."""
    twin = sandbox.twin("klaviyo")
    assert isinstance(twin, KlaviyoTwin)
    KlaviyoTwin.__init__(twin, CATEGORIES, token=TOKEN, rng=Random(1))
    twin.lock, twin.now = sandbox.lock, CUTOFF
    return twin


Connect = Callable[..., Klaviyo]


@pytest.fixture
def connect(twin: KlaviyoTwin, sandbox: Sandbox, clock: Clock) -> Connect:
    def make(*, token: str = TOKEN, **options: Any) -> Klaviyo:
        table = {
            "name": "klaviyo", "vendor": "klaviyo", "base_url": sandbox.base_url("klaviyo"),
            "token_env": "KLAVIYO_KEY", "categories": twin.category_map(), **options,
        }  # fmt: skip
        config = KlaviyoConfig.model_validate(table)
        http = HttpClient(
            config.name, config.base_url, Klaviyo.http_options(config, token), secrets=(token,),
            clock=clock, sleep=clock.sleep, rng=Random(1),
        )  # fmt: skip
        return Klaviyo(Context(config, token, Categories(CATEGORIES), http))

    return make


def request(**options: Any) -> ReadRequest:
    return ReadRequest(night=CUTOFF.date(), cutoff=CUTOFF, **{"since": None, **options})


def read(connector: Klaviyo, stream: str, asked: ReadRequest | None = None) -> MemoryOutput:
    out = MemoryOutput()
    connector.read(stream, asked or request(), out)
    return out


def address(number: int) -> str:
    return f"p{number}@example.org"


def people(twin: KlaviyoTwin, count: int, **states: State) -> None:
    for number in range(1, count + 1):
        person = Person(number, address(number), "Pat", "Doe")
        twin.add(person, states or {"promotional": State.OPTED_IN}, AT)


def act(source: Source, hours: float = 1, campaign: str | None = None) -> Act:
    return Act(AT + timedelta(hours=hours), source, campaign_id=campaign)


def list_of(twin: KlaviyoTwin, category: str) -> str:
    (list_id,) = twin.category_map()[category]
    return list_id


def of_profile(out: MemoryOutput, number: int = 1) -> Reading:
    (found,) = [
        row for row in out.of(Reading) if row.store == "profile" and row.address == address(number)
    ]
    return found


def of_list(out: MemoryOutput) -> list[Reading]:
    return [row for row in out.of(Reading) if row.store.startswith("list:")]


def suppress(twin: KlaviyoTwin, *reasons: str, list_id: str | None = None) -> None:
    profile = twin.profile(address(1))
    assert profile is not None
    held = profile.list_suppressions if list_id else profile.suppressions
    held += [Suppression(reason, AT, list_id) for reason in reasons]


# --- profiles: what each kind of no means -------------------------------------------------------
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


# --- profiles: what must not look complete ------------------------------------------------------
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


# --- resuming -----------------------------------------------------------------------------------
@pytest.mark.parametrize("stream", ["profiles", "list_members", "campaigns", "events"])
@pytest.mark.parametrize("after", [False, True])
def test_a_read_killed_anywhere_goes_on_and_ends_the_same(
    connect: Connect, twin: KlaviyoTwin, stream: str, after: bool
) -> None:
    """Kill at the first durable step, the second ...: the rows are those of an undisturbed run."""
    people(twin, 210)
    twin.send(Mailing("m1", "Autumn", "promotional", AT), [address(n) for n in range(1, 211)])
    twin.opt_out(address(7), "promotional", act(Source.EMAIL_LINK))
    expected = read(connect(), stream)
    for step in range(1, len(expected.calls) + 1):
        out = MemoryOutput(kill_at=step, kill_after=after, durable_pages=2)
        with pytest.raises(Killed):
            connect().read(stream, request(), out)
        again = out.resumed()
        connect().read(stream, request(), again)
        assert set(again.rows) == set(expected.rows)
        assert again.state == expected.state
        assert again.status == "complete"


def test_a_resumed_read_does_not_ask_for_what_it_has(
    connect: Connect, twin: KlaviyoTwin, sandbox: Sandbox
) -> None:
    """Going on means going on: a million profiles are not read twice for one lost connection."""
    people(twin, 450)
    out = MemoryOutput(kill_at=4)
    with pytest.raises(Killed):
        connect().read("profiles", request(), out)
    sandbox.forget()
    connect().read("profiles", request(), out.resumed())
    assert sandbox.requests["klaviyo"] == 3, "two pages, and the one that proves the end"


@pytest.mark.parametrize("stream", ["profiles", "list_members", "events"])
def test_an_expired_cursor_begins_anew(connect: Connect, twin: KlaviyoTwin, stream: str) -> None:
    """A position from yesterday's interruption is refused: restart, and no row twice."""
    people(twin, 250)
    twin.send(Mailing("m1", "Autumn", "promotional", AT), [address(n) for n in range(1, 251)])
    expected = read(connect(), stream)
    out = MemoryOutput(kill_at=3)
    with pytest.raises(Killed):
        connect().read(stream, request(), out)
    twin.expire_cursors()
    again = out.resumed()
    connect().read(stream, request(), again)
    assert "restart" in again.calls
    assert sorted(map(repr, again.rows)) == sorted(map(repr, expected.rows))


def test_a_cursor_that_expires_during_the_reading_begins_anew_once(
    connect: Connect, twin: KlaviyoTwin, sandbox: Sandbox
) -> None:
    """Once is bad luck; for ever is a failure that must be told."""
    people(twin, 250)
    sandbox.faults.plant(Fault(FaultKind.EXPIRED_CURSOR, "klaviyo", "/api/profiles", nth=2))
    out = read(connect(), "profiles")
    assert len(out.of(Reading)) == 250
    sandbox.faults.plant(Fault(FaultKind.EXPIRED_CURSOR, "klaviyo", "/api/profiles", times=None))
    with pytest.raises(RequestRefused):
        read(connect(), "profiles")


def test_a_cursor_of_another_question_is_not_used(connect: Connect, twin: KlaviyoTwin) -> None:
    """A full read must not go on in the middle of an incremental one."""
    people(twin, 250)
    out = MemoryOutput(kill_at=2)
    with pytest.raises(Killed):
        connect().read("profiles", request(since=AT - timedelta(days=1)), out)
    again = out.resumed()
    connect().read("profiles", request(), again)
    assert again.calls[0] == "restart"
    assert len(again.of(Reading)) == 250


# --- incremental --------------------------------------------------------------------------------
def test_an_incremental_read_takes_three_feeds(connect: Connect, twin: KlaviyoTwin) -> None:
    """`updated` need not move with a consent: opt-outs come by the suppressions' own stamps."""
    people(twin, 5)
    twin.opt_out(address(1), None, act(Source.EMAIL_LINK, hours=3))
    twin.opt_out(address(2), "promotional", act(Source.PREFERENCE_CENTER, hours=3))
    twin.change_address(address(3), "new@example.org", AT + timedelta(hours=3))
    # the second of `since` itself: the vendor's filter is exclusive, ours must not be
    out = read(connect(), "profiles", request(since=AT + timedelta(hours=3)))
    found = {row.address for row in out.of(Reading) if row.store == "profile"}
    assert found == {address(1), address(2), "new@example.org"}
    assert out.note is not None and "next full read" in out.note
    assert out.status == "complete"


def test_a_lifted_list_suppression_is_closed_by_an_incremental_read(
    connect: Connect, twin: KlaviyoTwin
) -> None:
    """The profile comes without it: the row of the suppression must go as well."""
    twin.updated_moves_on_consent = True
    people(twin, 1)
    twin.opt_out(address(1), "promotional", act(Source.PREFERENCE_CENTER, hours=2))
    twin.opt_in(address(1), "promotional", act(Source.PREFERENCE_CENTER, hours=3))
    out = read(connect(), "profiles", request(since=AT + timedelta(hours=3)))
    assert [(row.deleted, row.outs) for row in of_list(out)] == [(True, 0)] * 2
    assert not any(row.deleted for row in read(connect(), "profiles").of(Reading))


def test_every_night_is_read_in_full_unless_configured_otherwise() -> None:
    """A lifted suppression shows in no feed, and a full read costs a request per hundred."""
    assert KlaviyoConfig.model_fields["full_read_every"].default == 1


# --- members ------------------------------------------------------------------------------------
def test_members_would_be_mailed_for_their_lists_category(
    connect: Connect, twin: KlaviyoTwin
) -> None:
    """Being on a list is no consent, but it is what gets mail."""
    people(twin, 3, promotional=State.OPTED_IN, product_updates=State.NOT_SET)
    twin.add(Person(4, address(4), "Pat", "Doe"), {"product_updates": State.OPTED_IN}, AT)
    out = read(connect(), "list_members")
    rows = {(row.address, row.sends, row.ins) for row in out.of(Reading)}
    assert rows == {(address(n), PROMOTIONAL, PROMOTIONAL) for n in (1, 2, 3)} | {
        (address(4), PRODUCT, PRODUCT)
    }
    assert {(row.in_at, row.in_explicit) for row in out.of(Reading)} == {(AT, False)}
    assert out.status == "complete"


def test_a_list_that_two_categories_share_counts_for_both(
    connect: Connect, twin: KlaviyoTwin
) -> None:
    """A company may send two kinds of mail to one list."""
    people(twin, 1)
    list_id = list_of(twin, "promotional")
    both = {"promotional": [list_id], "product_updates": [list_id]}
    connector = connect(categories=both)
    (row,) = read(connector, "list_members").of(Reading)
    assert row.sends == ALL
    twin.opt_out(address(1), "promotional", act(Source.EMAIL_LINK))
    changes = read(connector, "profiles").of(Change)
    assert [change.category for change in changes] == list(CATEGORIES)
    assert len({change.event_id for change in changes}) == 2


def test_a_mapped_list_that_is_gone_makes_the_night_incomplete(
    connect: Connect, twin: KlaviyoTwin
) -> None:
    """Taken for an empty list, it would close every opt-in of the category."""
    people(twin, 2)
    connector = connect(categories={**twin.category_map(), "product_updates": ["Gone01"]})
    out = read(connector, "list_members")
    assert out.status == "incomplete"
    assert out.why is not None and "Gone01" in out.why
    assert len(out.of(Reading)) == 2, "the other lists are read nevertheless"


def test_a_list_that_shrank_is_held_against_the_vendors_count(
    connect: Connect, twin: KlaviyoTwin, sandbox: Sandbox
) -> None:
    """People may leave a list; a page that the vendor lost must not look like that."""
    people(twin, 150)
    first = read(connect(), "list_members")
    sandbox.forget()
    assert read(connect(), "list_members", request(state=first.state)).status == "complete"
    assert "/api/lists/{id}" not in {entry.template for entry in sandbox.log}
    members = twin.lists[list_of(twin, "promotional")]
    for profile_id in list(members.members)[:100]:
        members.leave(profile_id)
    assert read(connect(), "list_members", request(state=first.state)).status == "complete"
    assert "/api/lists/{id}" in {entry.template for entry in sandbox.log}
    sandbox.faults.plant(Fault(FaultKind.WRONG_TOTAL, "klaviyo", "/api/lists/{id}", times=None))
    assert read(connect(), "list_members", request(state=first.state)).status == "incomplete"


# --- events -------------------------------------------------------------------------------------
def test_events_become_mail_and_changes(connect: Connect, twin: KlaviyoTwin) -> None:
    """What was sent, to whom, for which category, and who left by which link."""
    people(twin, 3)
    twin.send(Mailing("m1", "Autumn", "promotional", AT), [address(n) for n in (1, 2, 3)])
    twin.click(address(1), "m1", AT + timedelta(hours=1))
    twin.bounce(address(2), "m1", AT + timedelta(hours=1))
    twin.complain(address(3), "m1", AT + timedelta(hours=2))
    twin.opt_out(address(1), None, act(Source.EMAIL_LINK, hours=3, campaign="m1"))
    out = read(connect(), "events")
    kinds = sorted(event.kind for event in out.of(MailEvent))
    assert kinds == ["bounced", "clicked", "complained"] + ["delivered"] * 3
    campaign_id = twin.campaigns["m1"].id
    assert {event.campaign_id for event in out.of(MailEvent)} == {campaign_id}
    assert {event.categories for event in out.of(MailEvent)} == {PROMOTIONAL}
    assert not any(event.transactional for event in out.of(MailEvent))
    (change,) = out.of(Change)
    assert (change.feed, change.category, change.new) == ("event", None, "opted_out")
    assert (change.source, change.explicit) == ("email_link", True)
    assert (change.campaign_id, change.occurred_at) == (campaign_id, AT + timedelta(hours=3))
    assert out.status == "complete"


def test_list_events_speak_of_the_lists_category(connect: Connect, twin: KlaviyoTwin) -> None:
    """Events name the list by its name only."""
    people(twin, 1)
    twin.opt_out(address(1), "promotional", act(Source.PREFERENCE_CENTER, hours=1))
    twin.opt_in(address(1), "promotional", act(Source.PREFERENCE_CENTER, hours=2))
    twin.silently_mailable(address(1), "promotional", AT + timedelta(hours=3))
    changes = [c for c in read(connect(), "events").of(Change) if c.category]
    told = [(c.category, c.new, c.source, c.explicit) for c in changes]
    assert sorted(told) == [
        ("promotional", "opted_in", "api", False),
        ("promotional", "opted_in", "preference_center", True),
        ("promotional", "opted_out", "preference_center", True),
    ]


def test_staffs_suppressions_are_told_and_their_end_is_no_opt_in(
    connect: Connect, twin: KlaviyoTwin
) -> None:
    """Unsuppressing gives nobody's consent."""
    people(twin, 1)
    twin.opt_out(address(1), None, act(Source.SUPPORT_REQUEST, hours=1))
    profile = twin.profile(address(1))
    assert profile is not None
    twin.unsuppress(profile, AT + timedelta(hours=2))
    changes = read(connect(), "events").of(Change)
    assert sorted((c.new, c.source, c.explicit) for c in changes) == [
        ("not_set", "manual", False), ("opted_out", "manual", False),
    ]  # fmt: skip


def test_lists_of_the_same_name_are_read_protectively(connect: Connect, twin: KlaviyoTwin) -> None:
    """An opt-out covers all lists of the name; an opt-in only what they share: nothing."""
    people(twin, 1)
    for listed in twin.lists.values():
        listed.name = "News"
    twin.opt_out(address(1), "promotional", act(Source.EMAIL_LINK, hours=1))
    twin.opt_in(address(1), "promotional", act(Source.PREFERENCE_CENTER, hours=2))
    changes = [c for c in read(connect(), "events").of(Change) if c.category]
    assert sorted((c.category or "", c.new, c.store) for c in changes) == [
        ("product_updates", "opted_out", None), ("promotional", "opted_out", None),
    ]  # fmt: skip


def test_an_event_of_a_list_that_is_gone_is_a_finding(connect: Connect, twin: KlaviyoTwin) -> None:
    """A renamed list's old events cannot be told apart: shown, not guessed."""
    people(twin, 1)
    twin.opt_out(address(1), "promotional", act(Source.EMAIL_LINK))
    twin.lists[list_of(twin, "promotional")].name = "Another name"
    out = read(connect(), "events")
    assert out.of(Change) == []
    assert [(f.code, f.field) for f in out.of(Finding)] == [("unresolved", "List")]


def test_transactional_mail_of_flows_is_no_breach(
    connect: Connect, twin: KlaviyoTwin, sandbox: Sandbox
) -> None:
    """A receipt may go to somebody who opted out; whether it is one, only the flow tells."""
    people(twin, 2)
    twin.send(Mailing("m1", "Receipt", None, AT), [address(1), address(2)])
    out = read(connect(), "events")
    assert [event.transactional for event in out.of(MailEvent)] == [True, True]
    sandbox.forget()
    known = request(state=out.state)
    again = read(connect(), "events", known)
    assert [event.transactional for event in again.of(MailEvent)] == [True, True]
    asked = {entry.template for entry in sandbox.log}
    assert "/api/flow-messages/{id}" not in asked, "remembered for a week"
    later = replace(known, cutoff=CUTOFF + timedelta(days=8), since=AT)
    read(connect(), "events", later)
    assert "/api/flow-messages/{id}" in {entry.template for entry in sandbox.log}
    twin.scopes.discard("flows:read")
    out = read(connect(), "events")
    assert [event.transactional for event in out.of(MailEvent)] == [False, False]
    assert out.note is not None and "flows:read" in out.note


def test_events_are_read_with_an_overlap_and_only_up_to_the_cutoff(
    connect: Connect, twin: KlaviyoTwin
) -> None:
    """Events come late with older stamps; those after the cut-off wait for the next night."""
    people(twin, 1)
    for days in (-100, -3, -1):
        twin.send(Mailing(f"m{days}", "Mail", "promotional", CUTOFF + timedelta(days=days)),
                  [address(1)])  # fmt: skip
    twin.send(Mailing("next", "Mail", "promotional", CUTOFF + timedelta(hours=1)), [address(1)])
    first = read(connect(), "events")
    assert len(first.of(MailEvent)) == 2, "90 days on the first night"
    second = read(connect(), "events", request(state=first.state))
    assert len(second.of(MailEvent)) == 1, "48 hours afterwards"
    assert set(second.of(MailEvent)) < set(first.of(MailEvent))
    wide = request(state=first.state, since=CUTOFF - timedelta(days=10))
    assert len(read(connect(), "events", wide).of(MailEvent)) == 2


def test_a_belated_night_does_not_take_the_state_back(connect: Connect, twin: KlaviyoTwin) -> None:
    """A backfill reads old events; the next night must go on where the last one ended."""
    people(twin, 1)
    through = (CUTOFF + timedelta(days=3)).isoformat()
    asked = request(state={"through": through}, since=CUTOFF - timedelta(days=1))
    out = read(connect(), "events", asked)
    assert out.state is not None and out.state["through"] == through


def test_metrics_of_others_with_the_same_name_are_left_alone(
    connect: Connect, twin: KlaviyoTwin, sandbox: Sandbox
) -> None:
    """An integration may name its metric like Klaviyo's: its events are no mail of ours."""
    people(twin, 1)
    twin.foreign_metrics["Sh0001"] = "Received Email"
    sandbox.forget()
    assert read(connect(), "events").status == "complete"
    alone = sum(entry.template == "/api/events" for entry in sandbox.log)
    del twin.metrics["Dropped Email"]
    twin.foreign_metrics["Sh0002"] = "Dropped Email"
    sandbox.forget()
    assert read(connect(), "events").status == "complete"
    assert sum(entry.template == "/api/events" for entry in sandbox.log) == alone, "the only one"
    twin.foreign_metrics.clear()
    assert read(connect(), "events").note == "no metric 'Dropped Email'"


def test_an_opt_out_that_names_a_message_came_by_its_link(
    connect: Connect, twin: KlaviyoTwin
) -> None:
    """No specification promises a `method` on events; the message is what else they tell."""
    people(twin, 1)
    twin.send(Mailing("m1", "Autumn", "promotional", AT), [])
    twin.opt_out(address(1), None, act(Source.EMAIL_LINK, campaign="m1"))
    twin.opt_out(address(1), None, act(Source.API))
    told = twin.events["Unsubscribed from Email Marketing"]
    told[:] = [replace(each, properties={**each.properties, "method": None}) for each in told]
    changes = read(connect(), "events").of(Change)
    assert sorted((c.source, c.explicit, c.actor or "") for c in changes) == [
        ("email_link", True, "person"), ("unknown", False, ""),
    ]  # fmt: skip


def test_complaints_count_once(connect: Connect, twin: KlaviyoTwin) -> None:
    """Suppression and event tell the same complaint: the rate must not double."""
    people(twin, 2)
    twin.send(Mailing("m1", "Autumn", "promotional", AT), [address(1), address(2)])
    twin.complain(address(1), "m1", AT)
    twin.complain(address(2), "m1", CUTOFF - timedelta(days=200))
    profiles = read(connect(), "profiles")
    assert [event.address for event in profiles.of(MailEvent)] == [address(2)]
    later = replace(request(state=profiles.state), cutoff=CUTOFF + timedelta(days=300))
    again = read(connect(), "profiles", later)
    assert [event.address for event in again.of(MailEvent)] == [address(2)]


# --- campaigns ----------------------------------------------------------------------------------
def test_campaigns_tell_how_they_keep_their_duties(connect: Connect, twin: KlaviyoTwin) -> None:
    """Sender, way out and postal address of each mailing."""
    twin.send(Mailing("m1", "Good", "promotional", AT), [])
    twin.send(Mailing("m2", "Bad", "promotional", AT, has_unsubscribe=False,
                      has_postal_address=False), [])  # fmt: skip
    twin.send(Mailing("m3", "Future", "promotional", CUTOFF + timedelta(hours=1)), [])
    good, bad = read(connect(), "campaigns").of(Campaign)
    assert (good.name, good.categories, good.sent_at) == ("Good", PROMOTIONAL, AT)
    assert (good.from_address, good.from_name) == ("news@shop.example.org", "Example Shop")
    assert good.reply_to == "help@shop.example.org"
    assert (good.has_unsubscribe, good.has_postal_address) == (True, True)
    assert (bad.has_unsubscribe, bad.has_postal_address) == (False, False)


def test_without_the_account_a_missing_address_tag_is_not_known(
    connect: Connect, twin: KlaviyoTwin
) -> None:
    """The address may be written out; without the account nobody can tell."""
    twin.send(Mailing("m1", "Bare", "promotional", AT, has_postal_address=False), [])
    twin.scopes.discard("accounts:read")
    (row,) = read(connect(), "campaigns").of(Campaign)
    assert row.has_postal_address is None


# --- errors, check ------------------------------------------------------------------------------
def test_a_revoked_key_is_an_error_and_no_empty_account(
    connect: Connect, twin: KlaviyoTwin
) -> None:
    """A failed read must never look like one that found nobody."""
    people(twin, 2)
    for stream in ("profiles", "list_members", "campaigns", "events"):
        with pytest.raises(AuthenticationFailed):
            read(connect(token="pk_wrong"), stream)
    twin.scopes.clear()
    with pytest.raises(PermissionMissing):
        read(connect(), "profiles")


def test_nothing_personal_and_no_key_in_errors_and_logs(
    connect: Connect, twin: KlaviyoTwin, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Errors are shown on pages and sent by alerts."""
    people(twin, 250)
    twin.opt_out(address(1), None, act(Source.EMAIL_LINK))
    suppress(twin, "canary@example.org")
    shown: list[str] = []
    kinds = (FaultKind.SERVER_ERROR, FaultKind.HTML, FaultKind.REPEATED_CURSOR,
             FaultKind.FIELD_ABSENT, FaultKind.UNAUTHORIZED)  # fmt: skip
    with caplog.at_level(logging.DEBUG):
        for kind in kinds:
            for stream in ("profiles", "list_members", "events"):
                sandbox.faults.clear()
                sandbox.faults.plant(Fault(kind, "klaviyo", nth=2, times=None))
                try:
                    read(connect(), stream)
                except SourceError as error:
                    shown.append(str(error))
        sandbox.faults.clear()
        out = read(connect(), "profiles")
    shown += [f"{finding.code} {finding.detail}" for finding in out.of(Finding)]
    assert len(shown) > len(kinds)
    for text in [*shown, caplog.text]:
        assert "example.org" not in text
        assert TOKEN not in text


def test_a_sound_account_has_no_fatal_problem(connect: Connect, twin: KlaviyoTwin) -> None:
    """`optout check` must be silent where all is well; a list of no category is worth a word."""
    people(twin, 1)
    assert list(connect().check()) == []
    list_id = twin.add_list("Old")
    (problem,) = connect().check()
    assert (problem.fatal, list_id in problem.message) == (False, True)


@pytest.mark.parametrize(
    ("scope", "fatal"),
    [
        ("profiles:read", True), ("lists:read", True), ("metrics:read", True),
        ("events:read", True), ("campaigns:read", True), ("accounts:read", False),
    ],
)  # fmt: skip
def test_check_names_the_missing_scope(
    connect: Connect, twin: KlaviyoTwin, scope: str, fatal: bool
) -> None:
    """A 403 in the first night is too late, and says too little."""
    people(twin, 1)
    twin.scopes.discard(scope)
    found = [p for p in connect().check() if scope in p.message]
    assert [(p.key, p.fatal) for p in found] == [("esp.klaviyo.token_env", fatal)]


def test_check_finds_wrong_lists_metrics_key_and_consent(
    connect: Connect, twin: KlaviyoTwin
) -> None:
    """Everything at once, each with its place in optout.toml."""
    people(twin, 1)
    del twin.metrics["Received Email"]
    twin.consent_field_empty = "absent"
    categories = {**twin.category_map(), "promotional": ["Gone01"], "product_updates": []}
    problems = {p.key: p for p in connect(categories=categories).check() if p.fatal}
    assert problems.keys() == {
        "esp.klaviyo.categories.promotional", "esp.klaviyo.categories.product_updates",
        "esp.klaviyo.token_env",
    }  # fmt: skip
    assert any("Received Email" in p.message for p in connect().check() if not p.fatal)
    (wrong,) = connect(token="pk_wrong").check()
    assert wrong.key == "esp.klaviyo.token_env"


def test_check_notices_a_retired_revision(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Revisions are retired on a schedule; the pinned one will be, too."""
    monkeypatch.setattr(Klaviyo, "revision", "2019-01-01")
    (problem,) = connect().check()
    assert "revision" in problem.message


def test_a_missing_page_of_the_api_is_not_found(connect: Connect) -> None:
    """A base_url with a wrong path must say so."""
    connector = connect()
    wrong = connect(base_url=connector.config.base_url + "/wrong")
    with pytest.raises(NotFound):
        read(wrong, "profiles")


def test_reading_keeps_to_the_vendors_limits(
    connect: Connect, twin: KlaviyoTwin, sandbox: Sandbox
) -> None:
    """Ten campaigns' messages a second and 150 a minute: no 429 that one could have foreseen."""
    for number in range(40):
        twin.send(Mailing(f"m{number}", "Mail", "promotional", AT), [])
    assert len(read(connect(), "campaigns").of(Campaign)) == 40
    assert sandbox.limited["klaviyo"] == 0
