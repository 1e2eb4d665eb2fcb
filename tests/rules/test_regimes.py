"""Regimes are data with a source; optout.toml may only make them stricter."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

import pytest

from optout.errors import ConfigurationError
from optout.policy.clocks import RegimesTable
from optout.rules.clocks import legal_date, strict_date
from optout.rules.countries import country_code
from optout.rules.regimes import (
    ConsentRule,
    Counting,
    Reading,
    Regime,
    Regimes,
    Rule,
    Unit,
    builtin_regimes,
    parse_regimes,
)
from optout.settings import parse_settings

REGIMES = builtin_regimes()
RULES = {rule.key: rule for rule in REGIMES.rules}
US = RULES["can_spam.opt_out_honoured"]
RULE = {
    "regime": "can_spam", "rule_id": "opt_out_honoured", "unit": "business_days", "amount": 5,
    "calendar": "US", "source": "our promise", "checked_on": "2026-11-23",
}  # fmt: skip


def test_every_rule_says_where_it_stands_and_when_it_was_checked():
    """A deadline without a source cannot be defended, one without a date cannot be trusted."""
    for rule in (*REGIMES.rules, *REGIMES.consents):
        assert rule.source and rule.checked_on
    assert len(RULES) == len(REGIMES.rules)
    assert {r.regime for r in REGIMES.rules} == {r.id for r in REGIMES.regimes}


def test_every_law_has_both_deadlines_and_every_country_a_zone():
    """A country without a zone would count its days somewhere else."""
    for regime in REGIMES.laws:
        for country in regime.countries:
            readings = {rule.reading for rule in REGIMES.limits(country)}
            assert Reading.BOTH in readings or readings == {Reading.STRICT, Reading.LEGAL}
            assert str(REGIMES.zone(country, ZoneInfo("UTC"))) != "UTC"


@pytest.mark.parametrize("country", [None, "BR"])
def test_where_no_law_is_configured_all_of_them_bind(country):
    """Unknown is not a value of "anything goes"."""
    laws = {r.id for r in REGIMES.laws}
    assert {rule.regime for rule in REGIMES.limits(country)} == laws
    assert REGIMES.consent_regimes(country) == ("casl",)


def test_providers_rules_bind_their_own_mailboxes_only():
    """Google's 48 hours are no law of the United States."""
    assert {rule.regime for rule in REGIMES.limits("US")} == {"can_spam"}
    assert any("gmail.com" in domains for _, domains in REGIMES.mailbox_limits())


def test_a_stricter_rule_replaces_ours_and_a_new_one_is_added():
    """A company may promise more than the law."""
    tightened = RegimesTable.model_validate(
        {"rules": [RULE, RULE | {"regime": "gdpr", "rule_id": "same_night", "unit": "hours",
                                 "amount": 24}]}
    ).apply(REGIMES)  # fmt: skip
    amounts = {rule.key: rule.amount for rule in tightened.rules}
    assert amounts["can_spam.opt_out_honoured"] == 5
    assert amounts["gdpr.same_night"] == 24
    assert amounts["casl.unsubscribe_given_effect"] == 10


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 11},
        {"unit": "months", "amount": 1},
        {"unit": "hours", "amount": 24 * 11},
        {"amount": 10, "calendar": "CA"},
        {"amount": 5, "sources": ["email_link"]},
        {"kind": "request"},
    ],
)
def test_a_looser_rule_is_refused(change):
    """A setting must not be able to make an unlawful send look lawful."""
    with pytest.raises(ValueError, match="looser"):
        RegimesTable.model_validate({"rules": [RULE | change]})


def test_a_rule_of_half_the_readings_is_no_stricter_one():
    """Replacing a strict limit by a legal one would remove it."""
    with pytest.raises(ValueError, match="looser"):
        REGIMES.tightened([replace(RULES["gdpr.objection_stops_mail"], reading=Reading.LEGAL)])


def test_a_looser_rule_in_the_file_is_told_with_its_key():
    """The person who wrote it has to find it."""
    table = {
        "hub": {"name": "sell", "vendor": "zendesk_sell", "base_url": "https://api.getbase.com",
                "token_env": "SELL_TOKEN"},
        "esp": [{"name": "mailchimp", "vendor": "mailchimp", "token_env": "MC",
                 "base_url": "https://us1.api.mailchimp.com/3.0",
                 "categories": {"events": ["a/b"]}}],
        "policy": {"regimes": {"rules": [RULE | {"amount": 30}]}},
    }  # fmt: skip
    with pytest.raises(ConfigurationError, match=r"can_spam\.opt_out_honoured"):
        parse_settings(table)
    table["policy"]["regimes"]["rules"][0]["amount"] = 3
    assert parse_settings(table).policy.regimes.rules[0].unit is Unit.BUSINESS_DAYS


CHECKED = date(2026, 11, 23)
PARSED = {
    "regime": [
        {"id": "law", "name": "A law", "countries": ["AA", "BB"], "consent": "opt_in"},
        {"id": "lax", "name": "A lax law", "countries": ["CC"]},
        {"id": "box", "name": "A provider", "mailboxes": ["mail.example"]},
    ],
    "rule": [
        {"regime": "law", "rule_id": "stop", "kind": "opt_out", "start_event": "occurred_at",
         "unit": "years", "amount": 2, "counting": "request_day", "severity": "breach",
         "source": "s. 1", "checked_on": CHECKED, "reading": "strict", "calendar": "local",
         "sources": ["email_link"], "mark": "own"},
        {"regime": "box", "rule_id": "stop", "kind": "opt_out", "start_event": "occurred_at",
         "unit": "hours", "amount": 48, "counting": "elapsed", "severity": "breach",
         "source": "s. 2", "checked_on": CHECKED},
    ],
    "consent": [
        {"regime": "law", "basis": "membership", "source": "s. 3", "checked_on": CHECKED,
         "unit": "months", "amount": 6, "open_ended": True, "methods": ["explicit"]},
        {"regime": "lax", "basis": "express", "source": "s. 4", "checked_on": CHECKED},
    ],
    "zones": {"AA": "Europe/Vienna"},
    "countries": {"aaland": "AA"},
    "unknown": {"consent": "law"},
}  # fmt: skip


def test_each_field_of_the_file_is_read():
    """A field that is dropped on the way is a rule that nobody applies."""
    stop = Rule(
        "law", "stop", "opt_out", "occurred_at", Unit.YEARS, 2, Counting.REQUEST_DAY, "breach",
        "s. 1", CHECKED, Reading.STRICT, "local", ("email_link",), "own",
    )  # fmt: skip
    box = Rule(
        "box", "stop", "opt_out", "occurred_at", Unit.HOURS, 48, Counting.ELAPSED, "breach",
        "s. 2", CHECKED, Reading.BOTH, "none", (), "general",
    )  # fmt: skip
    assert parse_regimes(PARSED) == Regimes(
        regimes=(
            Regime("law", "A law", frozenset({"AA", "BB"}), frozenset(), "opt_in"),
            Regime("lax", "A lax law", frozenset({"CC"}), frozenset(), "opt_out"),
            Regime("box", "A provider", frozenset(), frozenset({"mail.example"}), "opt_out"),
        ),
        rules=(stop, box),
        consents=(
            ConsentRule("law", "membership", "s. 3", CHECKED, Unit.MONTHS, 6, True, ("explicit",)),
            ConsentRule("lax", "express", "s. 4", CHECKED, None, 0, False, ()),
        ),
        zones={"AA": "Europe/Vienna"},
        countries={"aaland": "AA"},
        unknown_consent="law",
    )


def test_whoever_asks_gets_the_law_of_the_place():
    """A person judged by somebody else's law is judged wrongly."""
    regimes = parse_regimes(PARSED)
    law, box = regimes.rules
    assert regimes.consent_regimes("AA") == ("law",)
    assert regimes.consent_regimes("CC") == ()
    assert regimes.consent_regimes("DD") == regimes.consent_regimes(None) == ("law",)
    assert [c.basis for c in regimes.consent_rules("lax")] == ["express"]
    here = ZoneInfo("UTC")
    assert regimes.zone("AA", here) == ZoneInfo("Europe/Vienna")
    assert regimes.zone("BB", here) == regimes.zone(None, here) == here
    assert regimes.mailbox_limits() == ((box, frozenset({"mail.example"})),)
    assert law.calendar_of("BB") == "BB" and law.calendar_of(None) is None
    assert box.calendar_of("BB") is None
    assert replace(box, calendar="US").calendar_of("BB") == "US"


def test_years_end_on_the_same_date():
    """29 February gives the day before it where there is none."""
    rule = replace(parse_regimes(PARSED).rules[0], amount=1)
    assert strict_date(rule, date(2028, 2, 29)) == date(2029, 2, 28)
    assert legal_date(rule, date(2026, 6, 5), ()) == date(2027, 6, 7), "a Saturday moves on"


@pytest.mark.parametrize(
    ("change", "is_taken"),
    [
        ({"unit": Unit.DAYS, "amount": 2}, True),
        ({"unit": Unit.DAYS, "amount": 3}, False),
        ({"unit": Unit.HOURS, "amount": 48, "calendar": "none"}, True),
        ({"unit": Unit.HOURS, "amount": 47, "counting": Counting.REQUEST_DAY}, True),
        ({"unit": Unit.HOURS, "amount": 48, "counting": Counting.REQUEST_DAY}, False),
        ({"unit": Unit.HOURS, "amount": 48, "calendar": "US"}, False),
        ({"unit": Unit.BUSINESS_DAYS, "amount": 1}, False),
    ],
)
def test_only_what_can_but_come_earlier_replaces_a_rule(change, is_taken):
    """Units are compared by their longest: a business day may last a long weekend."""
    regimes = parse_regimes(PARSED)
    rule = replace(regimes.rules[1], **change)
    if is_taken:
        assert regimes.tightened([rule]).rules[1] == rule
        return
    with pytest.raises(ValueError, match="looser"):
        regimes.tightened([rule])


def test_a_rule_of_no_regime_is_refused():
    """A deadline that no law knows would be applied to nobody."""
    regimes = parse_regimes(PARSED)
    with pytest.raises(ValueError, match="no regime 'other'"):
        regimes.tightened([replace(regimes.rules[0], regime="other")])
    added = regimes.tightened([replace(regimes.rules[0], rule_id="more")])
    assert [r.rule_id for r in added.rules] == ["stop", "stop", "more"]


@pytest.mark.parametrize(
    ("told", "code"),
    [("Österreich", "AT"), ("OSTERREICH", "AT"), ("u.s.a.", "US"), ("Polska", None),
     ("łaa-LAND", "XX"), ("Føø", "YY"), ("", None), (None, None), ("usa", "US")],
)  # fmt: skip
def test_a_country_is_known_in_any_spelling(told, code):
    """An unknown country costs a person the law that protects them best."""
    others = {"osterreich": "AT", "laa land": "XX", "foo": "YY", "u s a": "US"}
    assert country_code(told, others) == code
