"""Each rule on facts that it must speak of, must keep silent about, and cannot judge."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from optout.alerts.rule import Condition, Judgement, Severity
from optout.alerts.rules import RULES
from optout.testing.facts import key, warehouse
from optout.testing.ledger import HUB, START, Ledger

CON = warehouse()
NIGHT = START
CUTOFF = datetime(2026, 9, 30)  # noqa: DTZ001 - the warehouse stores naive UTC
NAMES = [rule.name for rule in RULES]


@pytest.fixture
def facts() -> Iterator[Ledger]:
    """A night's facts that are undone after the test: one schema serves all tests."""
    CON.execute("BEGIN")
    yield Ledger(CON)
    CON.execute("ROLLBACK")


def judge(facts: Ledger, name: str, day: date = NIGHT, now: datetime | None = None) -> Judgement:
    (rule,) = (r for r in RULES if r.name == name)
    return rule.judge(facts.facts(day, now=now))


def only(judgement: Judgement) -> Condition:
    (condition,) = judgement.conditions
    return condition


@pytest.mark.parametrize("name", NAMES)
def test_a_good_night_says_nothing(facts: Ledger, name: str) -> None:
    """A rule that fires on nothing is switched off on its second day."""
    facts.night(1)
    assert list(judge(facts, name).conditions) == []


def test_an_unhonoured_opt_out_is_a_ticket_with_days_left(facts: Ledger) -> None:
    """Waking people for what a working day mends burns them out."""
    facts.night(1)
    facts.drift("unhonoured_opt_out", "mailchimp", range(4), NIGHT)
    facts.opt_out(0, NIGHT, date(2026, 9, 15), "mailchimp")
    found = only(judge(facts, "unhonoured_opt_out"))
    assert (found.severity, found.people, found.key.source) == (Severity.TICKET, 4, HUB)
    assert found.categories == ("promotional",)


@pytest.mark.parametrize(
    ("deadline", "severity", "band"),
    [
        (date(2026, 9, 9), Severity.TICKET, 0),
        (date(2026, 9, 8), Severity.TICKET, 1),
        (date(2026, 9, 3), Severity.TICKET, 2),
        (date(2026, 9, 2), Severity.PAGE, 3),
        (date(2026, 9, 1), Severity.PAGE, 3),
        (date(2026, 8, 31), Severity.PAGE, 4),
    ],
)
def test_one_business_day_before_the_deadline_it_is_a_page(
    facts: Ledger, deadline: date, severity: Severity, band: int
) -> None:
    """The law counts business days; so must the alarm (1 September 2026 is a Tuesday)."""
    facts.night(1)
    facts.drift("unhonoured_opt_out", "mailchimp", range(1), NIGHT)
    facts.opt_out(0, NIGHT, deadline, "mailchimp")
    found = only(judge(facts, "unhonoured_opt_out"))
    assert (found.severity, found.band) == (severity, band)
    told = judge(facts, "deadline").conditions
    assert [(c.severity, c.band) for c in told] == ([(severity, band)] if band else [])


def test_a_send_after_the_opt_out_makes_it_a_page(facts: Ledger) -> None:
    """From then on somebody is mailed against their will."""
    facts.night(1)
    facts.drift("unhonoured_opt_out", "mailchimp", range(2), NIGHT)
    facts.send("mailchimp", 1, NIGHT, "warning")
    assert only(judge(facts, "unhonoured_opt_out")).severity is Severity.PAGE
    breach = only(judge(facts, "breach"))
    assert (breach.severity, len(breach.events)) == (Severity.PAGE, 1)


def test_a_send_is_over_when_nobody_could_be_mailed_again(facts: Ledger) -> None:
    """Closed by the clock alone, the next campaign would mail the same people."""
    facts.night(1)
    facts.drift("unhonoured_opt_out", "mailchimp", range(1), NIGHT)
    facts.send("mailchimp", 0, NIGHT)
    second = facts.night(2)
    assert len(judge(facts, "breach", second).conditions) == 1
    facts.mend("unhonoured_opt_out", "mailchimp", second)
    judgement = judge(facts, "breach", second)
    assert list(judgement.conditions) == []
    assert judgement.judged(facts.facts(second).key("breach", target="mailchimp"))


@pytest.mark.parametrize("missing", [HUB, "mailchimp"])
def test_a_source_that_failed_makes_its_drift_unknown(facts: Ledger, missing: str) -> None:
    """An unread ESP shows nobody as mailable: taken for good news it would close the alert."""
    facts.night(1, incomplete=(missing,))
    judgement = judge(facts, "unhonoured_opt_out")
    one = facts.facts(NIGHT)
    assert not judgement.judged(one.key("unhonoured_opt_out", HUB, "mailchimp"))
    assert judgement.judged(one.key("unhonoured_opt_out", HUB, "sendgrid")) == (missing != HUB)
    facts.drift("unhonoured_opt_out", "mailchimp", range(1), NIGHT)
    assert not only(judge(facts, "unhonoured_opt_out")).is_judged


def test_a_deadline_does_not_wait_for_a_source(facts: Ledger) -> None:
    """The law's clock runs on while an API is down."""
    facts.night(1, incomplete=("mailchimp", HUB))
    facts.opt_out(0, NIGHT, date(2026, 9, 2), "mailchimp")
    found = only(judge(facts, "deadline"))
    assert (found.severity, found.is_judged) == (Severity.PAGE, True)
    later = datetime(2026, 9, 5, tzinfo=UTC)
    assert only(judge(facts, "deadline", now=later)).band == 4


def test_a_lost_opt_out_names_who_holds_it(facts: Ledger) -> None:
    """The hub feeds every other system: what it forgot comes back."""
    facts.night(1)
    facts.drift("lost_opt_out", "sendgrid", range(3), NIGHT, decided_system="sendgrid")
    found = only(judge(facts, "lost_opt_out"))
    assert (found.key.source, found.key.target, found.people) == ("sendgrid", HUB, 3)


@pytest.mark.parametrize(
    ("high", "severity"), [(0.9985, Severity.TICKET), (0.9995, Severity.DIGEST)]
)
def test_accuracy_is_told_with_the_bound_of_its_interval(
    facts: Ledger, high: float, severity: Severity
) -> None:
    """Two wrong cells of a hundred may be chance; two hundred of ten thousand are not."""
    facts.night(1)
    facts.metric("sync_accuracy", NIGHT, "sendgrid", 9980, 10000, "missed", low=0.9, high=high)
    assert only(judge(facts, "accuracy_below_target")).severity is severity


@pytest.mark.parametrize(
    ("counts", "speaks"),
    [((10, 14, 18, 25), True), ((10, 14, 13, 25), False), ((100, 101, 102, 103), False)],
)
def test_drift_that_grows_night_after_night_is_told(
    facts: Ledger, counts: tuple[int, ...], speaks: bool
) -> None:
    """Each night by itself looks small."""
    for number, count in enumerate(counts, 1):
        day = facts.night(number)
        facts.metric("drift_open", day, "sendgrid", count, None, "shown")
    assert bool(judge(facts, "drift_grows", day).conditions) is speaks


@pytest.mark.parametrize(
    ("people", "everyone", "personal", "speaks"),
    [
        (21, 10**6, False, True), (20, 10**6, False, False), (6, 5000, False, True),
        (4, 1000, False, False), (400, 9000, True, False),
    ],
)  # fmt: skip
def test_many_who_move_without_an_act_of_their_own_are_a_page(
    facts: Ledger, people: int, everyone: int, personal: bool, speaks: bool
) -> None:
    """One import can undo a year of opt-outs in a night."""
    facts.night(1)
    facts.insert(
        "audit.move", night=NIGHT, system="sendgrid", source="import", is_personal=personal,
        people=people, everyone=everyone,
    )  # fmt: skip
    found = judge(facts, "mass_move").conditions
    assert bool(found) is speaks
    if found:
        assert "import" in found[0].suspected
        assert found[0].severity is Severity.PAGE


def test_a_mass_move_is_over_when_it_is_mended(facts: Ledger) -> None:
    """The next quiet night mends nothing."""
    facts.night(1)
    facts.insert(
        "audit.move", night=NIGHT, system="sendgrid", source="sync", is_personal=False,
        people=50, everyone=9000,
    )  # fmt: skip
    facts.drift("unhonoured_opt_out", "sendgrid", range(50), NIGHT)
    second = facts.night(2)
    assert len(judge(facts, "mass_move", second).conditions) == 1
    facts.mend("unhonoured_opt_out", "sendgrid", second)
    assert list(judge(facts, "mass_move", second).conditions) == []


def test_one_failed_night_is_a_ticket_and_two_are_a_page(facts: Ledger) -> None:
    """One night heals by itself; after two, opt-outs have been unseen for 48 hours."""
    facts.night(1, incomplete=("sendgrid",))
    assert only(judge(facts, "extraction_incomplete")).severity is Severity.TICKET
    second = facts.night(2, incomplete=("sendgrid",))
    found = only(judge(facts, "extraction_incomplete", second))
    assert (found.severity, found.count, found.since) == (Severity.PAGE, 2, NIGHT)
    assert "503" in found.suspected


def test_a_field_that_comes_empty_is_told_by_its_name(facts: Ledger) -> None:
    """A renamed custom field reads as 'nobody ever opted out'."""
    facts.night(1)
    second = facts.night(2)
    for number in range(25):
        facts.insert(
            "core.finding", night=second, system="sendgrid", stream="records",
            code="missing_field", store="main", record_id=f"r{number}", field="consent",
            detail="", categories=0,
        )  # fmt: skip
    assert only(judge(facts, "field_gone_empty", second)).key.scope == "consent"


def test_a_hub_that_forgets_preferences_is_a_page(facts: Ledger) -> None:
    """What the hub forgets, every sync out of it spreads."""
    for number, unset in ((1, 100), (2, 600)):
        day = facts.night(number)
        for state, count in (("not_set", unset), ("opted_in", 1000 - unset)):
            facts.insert(
                "mart.preference_daily", night=day, category="events", state=state, people=count
            )
    found = only(judge(facts, "field_gone_empty", day))
    assert (found.severity, found.people) == (Severity.PAGE, 500)


def test_new_values_and_new_revisions_are_told(facts: Ledger) -> None:
    """A vendor's new word for 'unsubscribed' is read as no word at all."""
    facts.night(1, streams={"sendgrid": {"revision": "2025-01-15"}})
    second = facts.night(2, streams={"sendgrid": {"revision": "2026-01-15"}})
    facts.insert(
        "core.finding", night=second, system="mailchimp", stream="records", code="unknown_value",
        store="main", record_id="r", field="status", detail="paused", categories=1,
    )  # fmt: skip
    found = {c.key.scope: c.severity for c in judge(facts, "schema_changed", second).conditions}
    assert found == {"unknown_value:status": Severity.TICKET, "revision": Severity.DIGEST}


@pytest.mark.parametrize(
    ("limited", "severity"), [(5, None), (6, Severity.DIGEST), (21, Severity.TICKET)]
)
def test_pressure_on_limits_is_told_before_the_night_does_not_end(
    facts: Ledger, limited: int, severity: Severity | None
) -> None:
    """The night grows with the contacts; the limit does not."""
    facts.night(1, streams={"sendgrid": {"rate_limited": limited}})
    found = judge(facts, "rate_limit_pressure").conditions
    assert [c.severity for c in found] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("hours", "severity"), [(26, None), (27, Severity.TICKET), (51, Severity.PAGE)]
)
def test_no_new_night_is_told_by_the_sensors(
    facts: Ledger, hours: int, severity: Severity | None
) -> None:
    """A schedule that was switched off raises no failed run."""
    facts.night(1)
    now = datetime(2026, 9, 1, tzinfo=UTC) + timedelta(hours=hours)
    found = judge(facts, "freshness", now=now).conditions
    assert [c.severity for c in found] == ([severity] if severity else [])


def consent(facts: Ledger, person: int, status: str, regime: str, mailable: bool) -> None:
    facts.insert(
        "audit.consent", contact_key=key(person), status=status, basis="inquiry",
        last_safe_day=date(2026, 9, 20), jurisdiction="CA", regime=regime, opted_out=0,
        night=NIGHT,
    )  # fmt: skip
    word = (1 << 48) if mailable else 1
    facts.insert("audit.audience", contact_key=key(person), word=word)


def test_consent_is_told_by_regime_and_by_how_soon_it_ends(facts: Ledger) -> None:
    """Once it has ended, asking for it anew is itself unlawful."""
    facts.night(1)
    consent(facts, 1, "within_60", "casl", True)
    assert only(judge(facts, "consent_expiry")).severity is Severity.DIGEST
    consent(facts, 2, "within_7", "casl", True)
    ending = only(judge(facts, "consent_expiry"))
    assert (ending.severity, ending.band) == (Severity.TICKET, 3)
    consent(facts, 3, "expired", "casl", True)
    consent(facts, 4, "expired", "gdpr", False)
    scopes = {c.key.scope: c.severity for c in judge(facts, "consent_expiry").conditions}
    assert scopes == {"casl:ending": Severity.TICKET, "casl:expired": Severity.PAGE}


@pytest.mark.parametrize(
    ("complaints", "volume", "severity"),
    [(0, 20000, None), (19, 20000, None), (20, 20000, Severity.TICKET),
     (60, 20000, Severity.PAGE), (5, 999, None)],
)  # fmt: skip
def test_complaints_have_two_bounds_and_a_least_volume(
    facts: Ledger, complaints: int, volume: int, severity: Severity | None
) -> None:
    """One complaint of a hundred mails is no 1 %; 0.3 % of many is a blocked domain."""
    facts.night(1)
    status = "met" if volume >= 1000 else "unknown"
    facts.metric("complaint_rate", NIGHT, "sendgrid", complaints, volume, status)
    judgement = judge(facts, "complaints")
    assert [c.severity for c in judgement.conditions] == ([severity] if severity else [])
    known = judgement.judged(facts.facts(NIGHT).key("complaints", "sendgrid"))
    assert known is (volume >= 1000)


def test_frequent_changers_are_told_in_the_digest(facts: Ledger) -> None:
    """Two syncs that fight over a person look like a person who cannot decide."""
    facts.night(1)
    facts.insert(
        "audit.frequent_changer", contact_key=key(1), changes=9, first_at=NIGHT, last_at=NIGHT
    )
    assert only(judge(facts, "frequent_changers")).severity is Severity.DIGEST


def late(facts: Ledger, person: int, hours: int, honoured_in: int) -> None:
    """An opt-out `hours` before the cut-off that took `honoured_in` hours."""
    at = CUTOFF - timedelta(hours=hours)
    facts.opt_out(
        person, NIGHT, date(2026, 12, 1), "", occurred_at=at, is_open=False,
        honoured_at=at + timedelta(hours=honoured_in),
        honoured_from=at + timedelta(hours=honoured_in),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("tonight", "week", "all_of", "severity"),
    [
        (0, 0, 400, None), (1, 0, 400, Severity.TICKET), (2, 0, 400, Severity.PAGE),
        (0, 2, 400, Severity.TICKET), (1, 0, 3000, None), (2, 0, 3000, Severity.PAGE),
    ],
)  # fmt: skip
def test_the_budget_of_late_opt_outs_is_a_month_long(
    facts: Ledger, tonight: int, week: int, all_of: int, severity: Severity | None
) -> None:
    """Hours mean nothing to a nightly product; one night that eats the month does."""
    day = facts.night(30)
    ages = [40] * tonight + [100] * week
    for person, hours in enumerate(ages):
        late(facts, person, hours, 30)
    at = CUTOFF - timedelta(hours=200)
    prompt: dict[str, Any] = {"occurred_at": at, "is_open": False, "honoured_at": at}
    facts.opt_out(10**5, NIGHT, date(2026, 12, 1), "", **prompt, honoured_from=at)
    facts.con.execute(
        "INSERT INTO audit.opt_out SELECT o.* FROM audit.opt_out AS o, range(?)"
        " WHERE o.contact_key = ?",
        [all_of - len(ages) - 1, key(10**5)],
    )
    found = judge(facts, "budget_burn", day).conditions
    assert [c.severity for c in found] == ([severity] if severity else [])


def spike(facts: Ledger, kind: str, dimension: str, name: str) -> None:
    facts.insert(
        "audit.spike", night=NIGHT, kind=kind, dimension=dimension, system="sendgrid", key=name,
        since=NIGHT, window_nights=1, opt_outs=90, deliveries=20000, expected=40.0, rate=0.0045,
        ratio=2.25,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name", "severity"),
    [
        ("spike", "opt_out_spike", Severity.PAGE), ("slow_rise", "slow_rise", Severity.TICKET),
        ("dead_feed", "dead_feed", Severity.PAGE),
        ("scanner", "scanner_opt_outs", Severity.DIGEST),
    ],
)  # fmt: skip
def test_what_detection_says_becomes_one_alert_a_system(
    facts: Ledger, kind: str, name: str, severity: Severity
) -> None:
    """Campaign, category and system show the same rise: three pages for one mail."""
    facts.night(1)
    spike(facts, kind, "system", "sendgrid")
    spike(facts, kind, "campaign", "c7")
    found = only(judge(facts, name))
    assert found.severity is severity
    if kind == "spike":
        assert "campaign c7" in found.suspected


def test_too_little_mail_closes_no_spike(facts: Ledger) -> None:
    """No mail is no evidence that people stopped leaving."""
    facts.night(1)
    spike(facts, "too_little_to_tell", "system", "sendgrid")
    judgement = judge(facts, "opt_out_spike")
    assert not judgement.judged(facts.facts(NIGHT).key("opt_out_spike", "sendgrid"))


def test_gaps_of_the_trail_are_told_by_kind(facts: Ledger) -> None:
    """'Incomplete' without a kind is nothing that anybody can mend."""
    facts.night(1)
    facts.metric("audit_trail_completeness", NIGHT, HUB, 96, 100, "missed")
    facts.insert(
        "mart.trail_daily", night=NIGHT, system=HUB, dimension="kind", word="broken_chain",
        changes=100, complete=96, gaps=4,
    )  # fmt: skip
    found = only(judge(facts, "trail_incomplete"))
    assert (found.count, found.suspected) == (4, "By kind: broken_chain 4.")


def test_a_broken_chain_is_a_page(facts: Ledger) -> None:
    """Evidence that somebody edited is worse than none."""
    facts.night(1)
    facts.metric("chain_intact", NIGHT, None, 0, 1, "missed")
    assert only(judge(facts, "chain_broken")).severity is Severity.PAGE
