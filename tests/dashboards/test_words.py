"""Numbers and times as people read them."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from dashboards import words
from dashboards.render import coded


def said(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("value", "target", "text"),
    [
        (1.0, None, "100 %"),
        (0.0, None, "0 %"),
        (0.99996, None, "99.996 %"),
        (0.9999999, None, "> 99.9999 %"),
        (0.0000001, None, "< 0.0001 %"),
        (0.99896, 0.999, "99.896 %"),
        (0.999, 0.999, "99.9 %"),
        (0.00101, 0.001, "0.101 %"),
        (0.8795, 1.0, "87.95 %"),
        (None, 1.0, "–"),
    ],
)
def test_a_share_is_never_rounded_onto_the_other_side_of_its_target(value, target, text):
    """99.996 % shown as 100 % would call a broken promise kept."""
    assert said(words.percent(value, target)) == text


def test_times_are_told_in_the_configured_zone_and_in_utc():
    """A deadline read in the wrong zone is a day off."""
    moment = datetime(2026, 11, 20, 2, 5)  # noqa: DTZ001 - as stored
    assert words.moment(moment, ZoneInfo("America/New_York")) == "19 Nov 2026, 21:05 EST"
    assert words.utc(moment) == "2026-11-20 02:05:00 UTC"


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (words.hours(0.5), "30 min"),
        (words.hours(7.46), "7.5 h"),
        (words.hours(100), "4.2 days"),
        (words.hours(None), "–"),
        (words.seconds(3.21), "3.2 s"),
        (words.seconds(3600), "60 min"),
        (words.nights(1), "1 night"),
        (words.nights(12), "12 nights"),
        (words.day(date(2026, 9, 5)), "5 Sep 2026"),
        (words.target(">= 99.9 %"), "≥ 99.9 %"),
        (words.title("email_link"), "Email link"),
        (words.title("opt_out_recall"), "Opt-out recall"),
        (words.title(None), "All"),
        (words.listed(["a", "b", "c"]), "a, b and c"),
        (words.count(1234567), "1,234,567"),
    ],
)
def test_figures_are_formatted_for_people(shown, text):
    """Raw floats and enum names make a reader guess."""
    assert said(shown) == text


def test_words_of_others_lose_their_addresses():
    """A campaign's name or an error's text can hold a person's address."""
    assert "ana@example.org" not in words.plain("News for ana@example.org")


def test_a_number_brings_its_noun_in_the_right_form():
    """`1 sends` makes a reader doubt the figure as well."""
    of = "{n:send|sends} of {d}"
    assert of.format(n=words.Counted(1), d=words.Counted(12_345)) == "1 send of 12,345"
    assert of.format(n=words.Counted(0), d=words.Counted(1)) == "0 sends of 1"


def test_what_stands_between_backticks_is_code_and_nothing_escapes():
    """A next step that cannot be told from its command is typed wrongly."""
    said = coded("Run `optout drift --system <one>` & mend it.")
    assert said == "Run <code>optout drift --system &lt;one&gt;</code> &amp; mend it."
