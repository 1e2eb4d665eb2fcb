"""Who may be mailed what: opted out, unengaged, never asked, undeliverable; consents that end."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from optout.model import Categories
from optout.policy.clocks import AudienceTable, ClocksTable, ConsentTable
from optout.testing import facts
from optout.testing.facts import CUTOFF, NIGHT, key
from optout.warehouse.audience import audience
from optout.warehouse.clock_metrics import CLOCK_METRICS, measure_clocks
from optout.warehouse.clocks import ClockPolicy, clocks
from optout.warehouse.consent import consents, repermission_list

LONG_AGO = CUTOFF - timedelta(days=1000)


def policy_of(**tables):
    return ClockPolicy(
        categories=Categories(("news", "offers")), hub="hub", systems={"mc": 3},
        zone=ZoneInfo("UTC"), send_streams={"mc": ("records",)}, **tables,
    )  # fmt: skip


POLICY = policy_of(audience=AudienceTable(unengaged_days=180))


@pytest.fixture
def con(con):
    facts.begin(con)
    facts.read(con, ("hub", "mc"))
    return con


def event(person, kind, at, number=0, **more):
    return {
        "event_key": UUID(int=person * 1000 + number), "night": NIGHT, "system": "mc",
        "contact_key": key(person), "kind": kind, "occurred_at": at, "time_kind": "source",
        "categories": 1, "transactional": False, "bypass": False, "campaign_id": "c",
        "message_id": f"{person}-{number}",
    } | more  # fmt: skip


def hub(person, **said):
    return facts.reading("hub", person, store="contacts", created_at=LONG_AGO, **said)


def mc(person, **said):
    return facts.reading("mc", person, created_at=LONG_AGO, **said)


def judge(con, policy=POLICY):
    for step in (clocks, consents, audience, measure_clocks):
        step(con, NIGHT, policy=policy)
    rows = con.execute("SELECT contact_key, category, status FROM audit.audience_status")
    return {(number.int - 1, category): status for number, category, status in rows.fetchall()}


def test_every_person_and_category_has_the_status_that_marketing_needs(con):
    """Opted out and merely not engaged are not the same, and neither is a dead address."""
    facts.store(con, "core.observation", [
        hub(1, ins=3), mc(1, sends=3),
        hub(2, ins=3), mc(2, sends=3),
        hub(3, ins=1, outs=2), mc(3, sends=1),
        hub(4),
        hub(5, ins=3), mc(5, sends=3, blocks=3, undeliverable=True),
        hub(6, ins=1), mc(6),
        hub(7, ins=3) | {"created_at": CUTOFF - timedelta(days=30)}, mc(7, sends=3)
        | {"created_at": CUTOFF - timedelta(days=30)},
    ])  # fmt: skip
    facts.store(con, "core.mail_event", [
        event(1, "clicked", CUTOFF - timedelta(days=5)),
        event(2, "opened", CUTOFF - timedelta(days=5)),
        event(2, "sent", CUTOFF - timedelta(days=400), 1),
    ])  # fmt: skip
    facts.store(con, "audit.expected", [
        {"contact_key": key(6), "category": "offers", "state": "opted_out", "reason": "x"}
    ])  # fmt: skip
    found = judge(con)
    assert {k: v for k, v in found.items() if k[0] in (1, 2, 4, 5, 7)} == {
        (1, "news"): "mailable", (1, "offers"): "mailable",
        (2, "news"): "unengaged", (2, "offers"): "unengaged",  # an open is no sign of life
        (4, "news"): "never_asked", (4, "offers"): "never_asked",
        (5, "news"): "undeliverable", (5, "offers"): "undeliverable",
        (7, "news"): "mailable", (7, "offers"): "mailable",  # too new to be called inactive
    }  # fmt: skip
    assert (found[3, "news"], found[3, "offers"]) == ("unengaged", "opted_out")
    assert (found[6, "news"], found[6, "offers"]) == ("not_mailed", "opted_out")
    counts = con.execute("SELECT category, status, people FROM mart.audience_daily").fetchall()
    assert sum(people for *_, people in counts) == 14
    assert ("news", "unengaged", 2) in counts


def test_nobody_is_called_inactive_for_longer_than_anything_is_known(con):
    """Where clicks are known for a month, "no click for half a year" is a guess."""
    facts.store(con, "core.observation", [hub(1, ins=3), mc(1, sends=3)])
    facts.store(con, "core.mail_event", [event(1, "sent", CUTOFF - timedelta(days=30))])
    assert set(judge(con).values()) == {"mailable"}


def test_the_sunset_rule_is_off_unless_switched_on_and_then_apart(con):
    """The company's own wish must never look like a law or an opt-out."""
    facts.store(con, "core.observation", [hub(n, ins=3) for n in (1, 2)] +
                [mc(n, sends=3) for n in (1, 2)])  # fmt: skip
    facts.store(con, "core.mail_event", [
        event(1, "clicked", CUTOFF - timedelta(days=900)),
        event(2, "clicked", CUTOFF - timedelta(days=100), 1),
    ])  # fmt: skip
    judge(con)
    sunset = "SELECT contact_key, active_on, sunset_on FROM audit.sunset"
    assert con.execute(sunset).fetchall() == []
    metrics = "SELECT DISTINCT metric FROM mart.metric_daily WHERE metric = 'sunset'"
    assert con.execute(metrics).fetchall() == []
    found = judge(con, policy_of(consent=ConsentTable(sunset_after_months=24)))
    active = (CUTOFF - timedelta(days=900)).date()
    assert con.execute(sunset).fetchall() == [
        (key(1), active, active.replace(year=active.year + 2))
    ]
    assert con.execute(metrics).fetchall() == [("sunset",)]
    assert "opted_out" not in found.values()


def consent(person, day, **more):
    return {
        "system": "hub", "store": "contacts", "record_id": f"r{person}", "country": "CA",
        "contact_key": key(person), "has_consent_ip": False, "night": NIGHT, "basis": "purchase",
        "basis_date": day, "basis_ref": "DOC",
    } | more  # fmt: skip


def test_only_those_are_asked_again_whose_consent_ends_and_who_may_be_mailed(con):
    """Asking whoever opted out, or whose consent is over, is itself unlawful mail."""
    ends = NIGHT.replace(year=NIGHT.year - 2)
    facts.store(con, "core.observation", [
        hub(1, ins=3), mc(1, sends=3),
        hub(2, ins=3), mc(2, sends=3),
        hub(3, ins=3), mc(3, sends=3),
        hub(4, ins=3),
        hub(5, ins=3), mc(5, sends=3),
    ])  # fmt: skip
    facts.store(con, "core.consent", [
        consent(1, ends + timedelta(days=20)),
        consent(2, ends),  # over since today
        consent(3, ends + timedelta(days=20)),  # opted out of one
        consent(4, ends + timedelta(days=20)),  # nobody mails
        consent(5, ends + timedelta(days=70)),
    ])  # fmt: skip
    facts.store(con, "core.mail_event", [event(1, "sent", CUTOFF - timedelta(days=1))])
    facts.store(con, "audit.expected", [
        {"contact_key": key(3), "category": "offers", "state": "opted_out", "reason": "x"}
    ])  # fmt: skip
    judge(con)
    asked = [(each.contact_key, each.category, each.days_left) for each in repermission_list(con)]
    assert asked == [(key(1), "news", 19), (key(1), "offers", 19), (key(3), "news", 19)]
    forecast = con.execute("SELECT week_from, people FROM audit.consent_forecast ORDER BY 1")
    assert forecast.fetchall() == [
        (NIGHT + timedelta(days=14), 3), (NIGHT + timedelta(days=63), 1)
    ]  # fmt: skip


def test_a_record_that_the_hub_no_longer_has_proves_nothing(con):
    """The paper went with the contact."""
    facts.store(con, "core.observation", [hub(1, ins=3, night_to=NIGHT), mc(1, sends=3)])
    facts.store(con, "core.consent", [consent(1, NIGHT - timedelta(days=10))])
    judge(con)
    assert con.execute("SELECT count(*) FROM audit.consent").fetchone() == (0,)


def test_a_delivery_told_a_night_later_is_no_second_send(con):
    """Counting a message twice doubles the breach."""
    facts.store(con, "core.observation", [hub(1, ins=3), mc(1, sends=3)])
    facts.store(con, "core.consent", [consent(1, date(2020, 1, 1))])
    at = CUTOFF - timedelta(hours=5)
    facts.store(con, "core.mail_event", [event(1, "sent", at)])
    judge(con)
    later = NIGHT + timedelta(days=1)
    facts.begin(con, later)
    facts.read(con, ("hub", "mc"), later)
    told = event(1, "delivered", at + timedelta(minutes=1), 1, night=later, message_id="1-0")
    facts.store(con, "core.mail_event", [told])
    for _ in range(2):
        consents(con, later, policy=POLICY)
    rows = con.execute("SELECT sent_at, status, found_night FROM audit.unconsented_send").fetchall()
    assert rows == [(at, "expired", NIGHT)]


def test_whoever_changes_often_is_flagged_and_each_act_counts_once(con):
    """Possible abuse; three feeds that tell of one act are no three acts."""
    changes = []
    for person, acts in ((1, 5), (2, 4)):
        for n in range(acts):
            at = CUTOFF - timedelta(days=n + 1)
            state = "opted_in" if n % 2 else "opted_out"
            for feed, category in (("history", "news"), ("firehose", "news"), ("history", None)):
                told = {"is_explicit": True, "feed": feed}
                changes.append(facts.change("hub", person, category, state, at, **told))
    facts.store(con, "core.change", changes)
    judge(con, policy_of(clocks=ClocksTable(frequent_changes=5)))
    found = con.execute("SELECT contact_key, changes FROM audit.frequent_changer").fetchall()
    assert found == [(key(1), 5)]


@pytest.mark.parametrize(
    ("complaints", "status", "note"),
    [(0, "met", None), (1, "missed", None), (3, "missed", "at or above 0.3 %")],
)
def test_complaints_are_measured_per_delivery_from_a_thousand_on(con, complaints, status, note):
    """One complaint in ten messages says nothing, one in a thousand is the limit."""
    at = CUTOFF - timedelta(days=2)
    facts.store(con, "core.mail_event", [event(n, "delivered", at) for n in range(1000)] +
                [event(n, "complained", at, 1) for n in range(complaints)])  # fmt: skip
    judge(con)
    sql = ("SELECT status, value, note, denominator FROM mart.metric_daily"
           " WHERE metric = 'complaint_rate' AND system IS NULL")  # fmt: skip
    [row] = con.execute(sql).fetchall()
    assert (row[0], row[1], row[3]) == (status, complaints / 1000, 1000)
    assert (row[2] or "").startswith(note or "")
    few = policy_of(clocks=ClocksTable(complaint_minimum=1001))
    judge(con, few)
    assert con.execute(sql).fetchall()[0][:2] == ("unknown", None)


def test_opt_outs_are_told_by_source_and_campaign_beside_deliveries(con):
    """The rows from which rates and spikes are made: a person's act once, never its copies."""
    at = CUTOFF - timedelta(hours=6)
    told = {"is_explicit": True, "source": "email_link", "campaign_id": "c"}
    facts.store(con, "core.change", [
        facts.change("mc", 1, "news", "opted_out", at, **told),
        facts.change("hub", 1, "news", "opted_out", at + timedelta(minutes=3), source="sync"),
    ])  # fmt: skip
    facts.store(con, "core.mail_event", [event(n, k, at, i) for n in (1, 2) for i, k in
                                         enumerate(("sent", "delivered"))])  # fmt: skip
    judge(con)
    rows = con.execute("SELECT * EXCLUDE (night) FROM mart.opt_out_rate ORDER BY ALL").fetchall()
    assert rows == [("mc", "news", "c", "email_link", 1, 0), ("mc", "news", "c", None, 0, 2)]


def test_the_cut_off_is_the_end_of_the_day(con):
    """What happened after it belongs to the next night."""
    later = datetime(2026, 11, 20, 1)  # noqa: DTZ001
    told = {"is_explicit": True}
    facts.store(con, "core.change", [facts.change("mc", 1, "news", "opted_out", later, **told)])
    facts.store(con, "core.mail_event", [event(1, "delivered", later)])
    judge(con)
    assert con.execute("SELECT count(*) FROM mart.opt_out_rate").fetchone() == (0,)
    assert con.execute("SELECT count(*) FROM audit.opt_out").fetchone() == (0,)


def test_every_figure_is_explained():
    """A figure on a page that no document defines cannot be defended before an auditor."""
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    headings = {line.strip("# `") for line in text.splitlines() if line.startswith("### ")}
    assert [name for name in CLOCK_METRICS if name not in headings] == []
