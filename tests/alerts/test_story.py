"""Thirty nights of facts as an evaluator is told them, and every notice that follows, in order.

Real nights tell `test_sandbox_story.py`; here stand what a small company never sees, and the nights
on which the hub itself could not be read.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from optout.alerts.evaluate import Evaluator, Night
from optout.alerts.service import ALL_RULES, NIGHTLY
from optout.alerts.settings import AlertsTable
from optout.alerts.state import AlertState, Silence
from optout.testing.ledger import HUB, START, Ledger

Deed = Callable[[Ledger, date], None]
FAR = date(2026, 12, 1)


def day(number: int) -> date:
    return START + timedelta(days=number - 1)


def quiet(facts: Ledger, tonight: date) -> None:
    pass


def sync_stops(facts: Ledger, tonight: date) -> None:
    """Twelve people opt out in the hub; the sync into mailchimp no longer carries it."""
    facts.drift("unhonoured_opt_out", "mailchimp", range(12), tonight)
    for person in range(12):
        facts.opt_out(person, tonight, day(15), "mailchimp")


def three_more(facts: Ledger, tonight: date) -> None:
    facts.drift("unhonoured_opt_out", "mailchimp", range(12, 15), tonight)


def fifteen_more(facts: Ledger, tonight: date) -> None:
    facts.drift("unhonoured_opt_out", "mailchimp", range(15, 30), tonight)


def one_is_mailed(facts: Ledger, tonight: date) -> None:
    facts.send("mailchimp", 3, tonight, "warning")


def another_is_mailed(facts: Ledger, tonight: date) -> None:
    facts.send("mailchimp", 4, tonight, "warning")


def sync_is_mended(facts: Ledger, tonight: date) -> None:
    facts.mend("unhonoured_opt_out", "mailchimp", tonight)
    for person in range(12):
        facts.honoured(person, datetime.combine(tonight, datetime.min.time()))


def loses_two(facts: Ledger, tonight: date) -> None:
    facts.drift("lost_opt_out", "sendgrid", (50, 51), tonight, decided_system="sendgrid")


def finds_them_again(facts: Ledger, tonight: date) -> None:
    facts.mend("lost_opt_out", "sendgrid", tonight)


def import_brings_back(facts: Ledger, tonight: date) -> None:
    facts.insert(
        "audit.move", night=tonight, system="sendgrid", source="import", is_personal=False,
        people=40, everyone=9000,
    )  # fmt: skip
    facts.drift("unhonoured_opt_out", "sendgrid", range(100, 140), tonight)


def import_is_undone(facts: Ledger, tonight: date) -> None:
    facts.mend("unhonoured_opt_out", "sendgrid", tonight)


def many_complain(facts: Ledger, tonight: date) -> None:
    facts.metric("complaint_rate", tonight, "sendgrid", 32, 20000, "missed")


def more_complain(facts: Ledger, tonight: date) -> None:
    facts.metric("complaint_rate", tonight, "sendgrid", 70, 20000, "missed")


def few_complain(facts: Ledger, tonight: date) -> None:
    facts.metric("complaint_rate", tonight, "sendgrid", 5, 20000, "met")


def hardly_any_mail(facts: Ledger, tonight: date) -> None:
    facts.metric("complaint_rate", tonight, "sendgrid", 0, 40, "unknown")


def changes_without_record(facts: Ledger, tonight: date) -> None:
    facts.metric("audit_trail_completeness", tonight, HUB, 96, 100, "missed")


def records_are_whole(facts: Ledger, tonight: date) -> None:
    facts.metric("audit_trail_completeness", tonight, HUB, 130, 130, "met")


def somebody_takes_it_on(state: AlertState, evaluator: Evaluator, now: datetime) -> None:
    """The mass move is being undone: no reminder on the next night."""
    (lead,) = (a for a in state.alerts(only_open=True) if a.key.rule == "mass_move")
    assert evaluator.acknowledge(lead.key.dedup_key, Night(now, now.date()), "ana", None)


def somebody_silences_the_trail(state: AlertState, evaluator: Evaluator, now: datetime) -> None:
    """A form is being replaced until night 27; what still holds then is told then."""
    silence = Silence(now + timedelta(days=3), "ana", "new form", rule="trail_incomplete")
    state.silence(silence, now)


Saying = Callable[[AlertState, Evaluator, datetime], None]
SAID_BEFORE: dict[int, Saying] = {24: somebody_silences_the_trail}
SAID_AFTER: dict[int, Saying] = {16: somebody_takes_it_on}
PLAN: dict[int, tuple[Deed, tuple[str, ...]]] = {
    2: (sync_stops, ()),
    3: (three_more, ()),
    4: (quiet, ("mailchimp",)),
    5: (quiet, ("mailchimp",)),
    6: (fifteen_more, ()),
    7: (one_is_mailed, ()),
    8: (another_is_mailed, ()),
    9: (quiet, (HUB,)),
    10: (sync_is_mended, ()),
    12: (loses_two, ()),
    14: (finds_them_again, ()),
    16: (import_brings_back, ()),
    18: (import_is_undone, ()),
    20: (many_complain, ()),
    21: (hardly_any_mail, ()),
    22: (more_complain, ()),
    23: (few_complain, ()),
    25: (changes_without_record, ()),
    26: (changes_without_record, ()),
    27: (changes_without_record, ()),
    28: (records_are_whole, ()),
}
"""Night → what happened before it, and what could not be read completely."""

EXPECTED = """
2 trigger ticket new: 12 people opted out in sell and would be mailed by mailchimp
3 trigger page new: 12 opt-outs took more than 24 hours within one night: 1200% of the month's allowance
4 trigger ticket new: mailchimp could not be read completely, 1 night running (0 of 1 streams): what depends on it is unknown
5 trigger page more urgent than before: mailchimp could not be read completely, 2 nights running (0 of 1 streams): what depends on it is unknown
6 resolve page over: Over: mailchimp could not be read completely, 2 nights running (0 of 1 streams): what depends on it is unknown
6 trigger ticket worse than when last told: 30 people opted out in sell and would be mailed by mailchimp
7 trigger page new: mailchimp sent 1 message to 1 person who had opted out (1 before the deadline) [+1]
8 trigger page it happened again: 1 new: mailchimp sent 2 messages to 2 people who had opted out (2 before the deadline) [+2]
9 trigger page still open: mailchimp sent 2 messages to 2 people who had opted out (2 before the deadline) [+2]
9 trigger ticket new: sell could not be read completely, 1 night running (0 of 1 streams): what depends on it is unknown
10 resolve page over: Over: 30 people opted out in sell and would be mailed by mailchimp; 2 people mailed since
10 resolve page over: Over: mailchimp sent 2 messages to 2 people who had opted out (2 before the deadline)
10 resolve page over: Over: 12 opt-outs took more than 24 hours within seven nights: 1200% of the month's allowance
10 resolve ticket over: Over: sell could not be read completely, 1 night running (0 of 1 streams): what depends on it is unknown
12 trigger ticket new: 2 people opted out in sendgrid, and sell does not know
14 resolve ticket over: Over: 2 people opted out in sendgrid, and sell does not know
16 trigger page new: 40 people went from opted out to not in sendgrid in one night, without an act of their own [+1]
16 acknowledge page acknowledged: 40 people went from opted out to not in sendgrid in one night, without an act of their own
18 resolve page over: Over: 40 people went from opted out to not in sendgrid in one night, without an act of their own
20 trigger ticket new: 0.16% of the mail from sendgrid is reported as spam: above 0.1 %
22 trigger page more urgent than before: 0.35% of the mail from sendgrid is reported as spam: above 0.3 %, which mailbox providers never accept
23 resolve page over: Over: 0.35% of the mail from sendgrid is reported as spam: above 0.3 %, which mailbox providers never accept
27 trigger ticket new: 4 changes in sell lack a complete record
28 resolve ticket over: Over: 4 changes in sell lack a complete record
"""  # noqa: E501


EVERY_DAY = 16
"""Nights of the everyday run."""


def test_thirty_nights_tell_exactly_this_story(tmp_path: Path, is_full: bool) -> None:
    """A notice too many and people stop reading; one too few and somebody is mailed."""
    last = 30 if is_full else EVERY_DAY
    wanted = [line for line in EXPECTED.strip().splitlines() if int(line.split()[0]) <= last]
    assert _run(tmp_path, last) == wanted


def _run(folder: Path, last: int) -> list[str]:
    """Every night is judged twice: the second time nothing may be new."""
    facts, told = Ledger(), []
    with AlertState(folder) as state:
        state.con.execute("PRAGMA synchronous = OFF")
        evaluator = Evaluator(state, AlertsTable(), ALL_RULES)
        for number in range(1, last + 1):
            deed, incomplete = PLAN.get(number, (quiet, ()))
            tonight = facts.night(number, incomplete=incomplete)
            deed(facts, tonight)
            now = datetime.combine(tonight, datetime.min.time(), UTC) + timedelta(hours=2)
            if number in SAID_BEFORE:
                SAID_BEFORE[number](state, evaluator, now)
            for _ in range(2 if number in PLAN else 1):
                evaluator.evaluate(facts.facts(tonight, now=now), NIGHTLY, Night(now, tonight))
            if number in SAID_AFTER:
                SAID_AFTER[number](state, evaluator, now)
            told += _told(state, number)
    return told


def _told(state: AlertState, number: int) -> list[str]:
    rows = state.con.execute(
        "SELECT message FROM outbox WHERE done_at IS NULL ORDER BY seq"
    ).fetchall()
    state.con.execute("UPDATE outbox SET done_at = 'told' WHERE done_at IS NULL")
    return [f"{number} {_line(orjson.loads(row[0]))}" for row in rows]


def _line(message: dict[str, Any]) -> str:
    riders = f" [+{len(message['riders'])}]" if message["riders"] else ""
    return (
        f"{message['action']} {message['severity']} {message['reason']}: "
        f"{message['headline']}{riders}"
    )
