"""A month of a company as on-call hears it: real nights over HTTP, and every notice, in order."""

# ruff: noqa: E501 - a notice is one line

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from optout.alerts.service import Alerting
from optout.alerts.state import Silence
from optout.sandbox.acts import HistoryFault
from optout.sandbox.world.deeds import MAILCHIMP, SENDGRID
from optout.testing.company import (
    EVENTS,
    GONE,
    LAPSES,
    PEOPLE,
    PROMOTIONAL,
    Company,
    Today,
    nothing,
)

EVERY_DAY = 6
"""Nights of the everyday run; all thirty run with the long loops."""
SETTINGS = """
[policy.clocks]
complaint_minimum = 20
[policy.detection]
minimum_deliveries = 20
minimum_baseline_nights = 8
"""
"""What is too little to tell of in a company of sixty."""


@dataclass(frozen=True)
class Night:
    """What happened on the day before a night, and what was told after it."""

    happened: str
    told: str = ""
    day: Callable[[Today], None] = nothing
    """Before the company's mail of noon."""
    evening: Callable[[Today], None] = nothing
    """After it."""
    down: tuple[str, ...] = ()
    is_run: bool = True
    before: Callable[[Alerting], object] | None = None
    afterwards: Callable[[Alerting], None] | None = None


def take_on(rule: str) -> Callable[[Alerting], None]:
    """Somebody acknowledges the alert of a rule."""

    def act(alerting: Alerting) -> None:
        (alert,) = (a for a in alerting.state.alerts(only_open=True) if a.key.rule == rule)
        taken = alerting.evaluator.acknowledge(alert.key.dedup_key, alerting.moment, "ana", None)
        assert taken is not None

    return act


def silence_the_trail(alerting: Alerting) -> None:
    """What was mended over the API leaves no record in these two; the officer knows."""
    with alerting.state.transaction():
        for system in (MAILCHIMP, SENDGRID):
            until = alerting.project.now + timedelta(days=28)
            told = Silence(until, "ana", "mended over the API", None, "trail_incomplete", system)
            alerting.state.silence(told, alerting.project.now)


def both_categories(day: Today) -> None:
    """She is taken off every list."""
    for category in (PROMOTIONAL, EVENTS):
        day.opt_out([LAPSES], category=category)


STORY = {
    1: Night(
        "Sixty people and three systems that agree.",
        told="""
        ticket, new: The consent of 1 person ends within 30 days (casl)
        """,
    ),
    2: Night(
        "Three people opt out; the sync to Mailchimp has stopped.",
        day=lambda day: day.opt_out(range(3), skip=MAILCHIMP),
        told="""
        ticket, new: 3 people opted out in zendesk_sell and would be mailed by mailchimp [+1]
        """,
    ),
    3: Night(
        "Three more. SendGrid answers nothing.",
        day=lambda day: day.opt_out(range(3, 6), skip=MAILCHIMP),
        down=(SENDGRID,),
        told="""
        page, new: 3 opt-outs took more than 24 hours within one night: 300% of the month's allowance
        ticket, new: sendgrid could not be read completely, 1 night running (0 of 9 streams): what depends on it is unknown
        """,
    ),
    4: Night(
        "SendGrid is still dark. A campaign of Mailchimp reaches one of them.",
        day=lambda day: day.mail([0], PROMOTIONAL),
        down=(SENDGRID,),
        told="""
        page, new: mailchimp sent 1 message to 1 person who had opted out (1 before the deadline) [+2]
        page, still open: 3 opt-outs took more than 24 hours within one night: 300% of the month's allowance
        page, more urgent than before: sendgrid could not be read completely, 2 nights running (0 of 9 streams): what depends on it is unknown
        """,
    ),
    5: Night(
        "SendGrid is back. The campaign reaches two of them; Ana takes it on.",
        day=lambda day: day.mail([0, 1], PROMOTIONAL),
        afterwards=take_on("breach"),
        told="""
        page, over: sendgrid could not be read completely, 2 nights running (0 of 9 streams): what depends on it is unknown
        page, it happened again: 2 new: mailchimp sent 3 messages to 2 people who had opted out (3 before the deadline) [+2]
        page, acknowledged: mailchimp sent 3 messages to 2 people who had opted out (3 before the deadline)
        """,
    ),
    6: Night(
        "Ana suppresses all six in Mailchimp by its API.",
        day=lambda day: day.mend(range(6)),
        afterwards=silence_the_trail,
        told="""
        page, over: 6 people opted out in zendesk_sell and would be mailed by mailchimp; 2 people mailed since
        page, over: mailchimp sent 3 messages to 2 people who had opted out (3 before the deadline)
        ticket, new: 6 changes in mailchimp lack a complete record
        """,
    ),
    8: Night(
        "The first attempt of the night dies while it loads; the second one ends well.",
        before=lambda alerting: alerting.run_failed(
            alerting.project.tonight, "core/load", "LandingError"
        ),
        told="""
        ticket, still open: The consent of 1 person ends within 30 days (casl)
        ticket, new: The nightly run failed in core/load (LandingError)
        ticket, over: The nightly run failed in core/load (LandingError)
        """,
    ),
    9: Night(
        "Two people follow SendGrid's link; nobody tells the hub.",
        evening=lambda day: day.follow_link((10, 11), SENDGRID, is_carried=False),
        told="""
        ticket, new: 2 people opted out in sendgrid and would be mailed by mailchimp [+1]
        ticket, new: 2 people opted out in sendgrid, and zendesk_sell does not know [+1]
        """,
    ),
    10: Night(
        "Both are written into the hub.",
        day=lambda day: day.mend((10, 11)),
        told="""
        ticket, over: 2 people opted out in sendgrid and would be mailed by mailchimp
        ticket, over: 2 people opted out in sendgrid, and zendesk_sell does not know
        """,
    ),
    11: Night(
        "The late ones of the first week are seven nights ago.",
        told="""
        page, over: 3 opt-outs took more than 24 hours within seven nights: 300% of the month's allowance
        """,
    ),
    12: Night(
        "An old list is imported into SendGrid: who left long ago is mailable again.",
        evening=lambda day: day.revive(GONE, SENDGRID),
        afterwards=take_on("mass_move"),
        told="""
        page, new: 22 people went from opted out to not in sendgrid in one night, without an act of their own [+3]
        page, acknowledged: 22 people went from opted out to not in sendgrid in one night, without an act of their own
        """,
    ),
    13: Night(
        "The import is undone.",
        day=lambda day: day.mend(GONE),
        told="""
        page, over: 22 people went from opted out to not in sendgrid in one night, without an act of their own
        ticket, the deadline is nearer: The consent of 1 person ends within 7 days (casl)
        """,
    ),
    15: Night(
        "One person opts out; SendGrid never hears of it, and nobody looks at the ticket for two weeks.",
        day=lambda day: day.opt_out([7], skip=SENDGRID),
        told="""
        ticket, new: 1 person opted out in zendesk_sell and would be mailed by sendgrid [+1]
        """,
    ),
    16: Night(
        "It is 24 hours old now.",
        told="""
        ticket, new: 1 opt-out took more than 24 hours within seven nights: 100% of the month's allowance
        """,
    ),
    17: Night(
        "Somebody adds a word to the hub's drop-down.",
        day=lambda day: day.extend_the_drop_down([12]),
        told="""
        ticket, new: 1 change in zendesk_sell lacks a complete record
        ticket, new: zendesk_sell says something new in email_pref_events that is not understood (2 records)
        """,
    ),
    18: Night(
        "The word is taken back.",
        day=lambda day: day.take_the_word_back([12]),
        told="""
        ticket, over: zendesk_sell says something new in email_pref_events that is not understood (2 records)
        ticket, new: zendesk_sell says something new in email_pref_history that is not understood (1 record)
        """,
    ),
    19: Night(
        "A form writes two opt-outs without their history.",
        day=lambda day: day.opt_out((13, 14), fault=HistoryFault("change_without_entry")),
        told="""
        ticket, over: zendesk_sell says something new in email_pref_history that is not understood (1 record)
        """,
    ),
    20: Night(
        "A week since the reminder of night 13.",
        told="""
        ticket, still open: The consent of 1 person ends within 7 days (casl)
        """,
    ),
    21: Night(
        "A Canadian's purchase is two years ago: her consent has ended.",
        told="""
        ticket, over: The consent of 1 person ends within 7 days (casl)
        ticket, the deadline is nearer: 1 person opted out in zendesk_sell and would be mailed by sendgrid [+2]
        page, new: 1 person would still be mailed whose consent has ended (casl)
        """,
    ),
    22: Night(
        "She is taken off every list.",
        day=both_categories,
        told="""
        page, over: 1 person would still be mailed whose consent has ended (casl)
        """,
    ),
    23: Night(
        "Its lateness is seven nights ago.",
        told="""
        ticket, over: 1 opt-out took more than 24 hours within seven nights: 100% of the month's allowance
        """,
    ),
    24: Night(
        "Fifteen people leave by the link of one campaign.",
        evening=lambda day: day.follow_link(range(15, 30), MAILCHIMP, is_carried=True),
        told="""
        ticket, the deadline is nearer: 1 person opted out in zendesk_sell and would be mailed by sendgrid [+2]
        ticket, still open: 4 changes in zendesk_sell lack a complete record
        page, new: 15 opt-outs in mailchimp tonight, 310.5 times as many as expected of 37 deliveries
        """,
    ),
    25: Night(
        "A Friday: one business day is left for the opt-out of night 15.",
        told="""
        page, over: 15 opt-outs in mailchimp tonight, 310.5 times as many as expected of 37 deliveries
        page, more urgent than before: 1 person opted out in zendesk_sell and would be mailed by sendgrid [+2]
        """,
    ),
    26: Night(
        "The machine is off; a sensor elsewhere still ticks.",
        is_run=False,
        told="""
        page, still open: 1 person opted out in zendesk_sell and would be mailed by sendgrid [+2]
        ticket, new: The newest night began 28 hours ago: nothing newer is known
        """,
    ),
    27: Night(
        "Two readers report spam; the campaigns are held back.",
        evening=lambda day: day.complain((52, 53)),
        afterwards=take_on("complaints"),
        told="""
        ticket, over: The newest night began 28 hours ago: nothing newer is known
        page, new: 0.93% of the mail from mailchimp is reported as spam: above 0.3 %, which mailbox providers never accept
        page, acknowledged: 0.93% of the mail from mailchimp is reported as spam: above 0.3 %, which mailbox providers never accept
        """,
    ),
    28: Night(
        "The last day for the opt-out of night 15, and nobody has looked.",
        told="""
        page, still open: 1 person opted out in zendesk_sell and would be mailed by sendgrid [+2]
        """,
    ),
    29: Night(
        "Its deadline is over.",
        told="""
        page, the deadline is nearer: 1 person opted out in zendesk_sell and would be mailed by sendgrid [+2]
        """,
    ),
    30: Night(
        "SendGrid suppresses the person at last.",
        day=lambda day: day.mend([7]),
        told="""
        page, over: 1 person opted out in zendesk_sell and would be mailed by sendgrid
        """,
    ),
}
"""Night → its day; on all others nothing happens but the company's mail at noon."""
OPEN_AFTER_SIX = {"trail_incomplete", "consent_expiry", "budget_burn"}
LEFT_OPEN = {"trail_incomplete", "complaints"}
"""What no act took back, and a month's share of complaints."""


@pytest.mark.timeout(900)
def test_the_nights_tell_exactly_this_story(
    tmp_path: Path, is_full: bool, commands_exist: Callable[[str], None]
) -> None:
    """A notice too many and people stop reading; one too few and somebody is mailed."""
    with Company(tmp_path, SETTINGS) as company:
        for number in range(1, (30 if is_full else EVERY_DAY) + 1):
            night = STORY.get(number, Night("An ordinary day."))
            messages = _live(company, night)
            told = [_line(message) for message in messages]
            assert told == _lines(night.told), f"{number}: {night.happened}"
            for message in messages:
                commands_exist(message["next_step"])
        with company.alerting() as alerting:
            still_open = {a.key.rule for a in alerting.state.alerts(only_open=True)}
    assert still_open == (LEFT_OPEN if is_full else OPEN_AFTER_SIX)


def _live(company: Company, night: Night) -> list[dict[str, Any]]:
    """One day and its night; judged twice, and the second time nothing is new."""

    def whole(day: Today) -> None:
        night.day(day)
        day.mail(range(PEOPLE), EVENTS)
        night.evening(day)

    if night.before:
        with company.alerting(timedelta(hours=23)) as alerting:
            night.before(alerting)
    company.night(whole, down=night.down, is_run=night.is_run)
    later = timedelta(0) if night.is_run else timedelta(hours=4)
    with company.alerting(later) as alerting:
        assert alerting.run().is_quiet == night.is_run
        if night.afterwards:
            night.afterwards(alerting)
            alerting.deliver()
    return company.news()


def _line(message: dict[str, Any]) -> str:
    riders = f" [+{len(message['riders'])}]" if message["riders"] else ""
    over = message["headline"].removeprefix("Over: ")
    return f"{message['severity']}, {message['reason']}: {over}{riders}"


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]
