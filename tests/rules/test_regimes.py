"""Regimes are data with a source; optout.toml may only make them stricter."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from optout.errors import ConfigurationError
from optout.policy.clocks import RegimesTable
from optout.rules.regimes import Reading, Unit, builtin_regimes
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
