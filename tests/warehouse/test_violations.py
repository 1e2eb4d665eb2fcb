"""Sends after an opt-out, opt-outs that are still open, and what their figures are worth."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from optout.model import Categories
from optout.policy.clocks import ClocksTable
from optout.testing import facts
from optout.testing.facts import key
from optout.warehouse.audience import audience
from optout.warehouse.clock_metrics import CLOCK_METRICS, measure_clocks
from optout.warehouse.clocks import ClockPolicy, clocks
from optout.warehouse.consent import consents

NIGHT = date(2026, 12, 8)
CUTOFF = datetime(2026, 12, 8, 2)  # noqa: DTZ001 - the warehouse stores naive UTC
POLICY = ClockPolicy(
    categories=Categories(("news", "offers")), hub="hub", systems={"mc": 3, "kl": 3},
    zone=ZoneInfo("UTC"), send_streams={"mc": ("records",), "kl": ("records",)},
)  # fmt: skip
ASKED = datetime(2026, 11, 20, 15)  # noqa: DTZ001 - a Friday, before Thanksgiving


def out(person=1, category="offers", at=ASKED, system="hub", **told):
    more = {"is_explicit": True, "source": "preference_center"} | told
    return facts.change(system, person, category, "opted_out", at, **more)


def mail(at, person=1, categories=2, kind="sent", system="mc", **more):
    number = hash((at, person, kind, system, tuple(sorted(more.items())))) & (2**100 - 1)
    return {
        "event_key": UUID(int=number), "night": NIGHT, "system": system,
        "contact_key": key(person), "kind": kind, "occurred_at": at, "time_kind": "source",
        "campaign_id": "c1", "message_id": f"m{at}{person}", "categories": categories,
        "transactional": False, "bypass": False,
    } | more  # fmt: skip


def lives(person, country, system="hub", **fields):
    return {
        "system": system, "store": "contacts", "record_id": f"r{person}", "country": country,
        "contact_key": key(person), "has_consent_ip": False, "night": NIGHT, **fields,
    }  # fmt: skip


def night_of(con, *, changes=(), mails=(), people=(), observations=(), reads=None, policy=POLICY,
             cutoff=CUTOFF):  # fmt: skip
    """One judged night; the sends that violate, in order."""
    facts.begin(con, NIGHT, cutoff=cutoff - (NIGHT - facts.NIGHT))
    for system, read in ({"hub": {}, "mc": {}, "kl": {}} | (reads or {})).items():
        facts.read(con, (system,), NIGHT, **read)
    facts.store(con, "core.change", changes)
    facts.store(con, "core.mail_event", mails)
    facts.store(con, "core.consent", people)
    facts.store(con, "core.observation", observations)
    return judge(con, policy)


def judge(con, policy=POLICY, night=NIGHT):
    for step in (clocks, consents, audience, measure_clocks):
        step(con, night, policy=policy)
    return facts.records(con, "SELECT * FROM audit.violation ORDER BY sent_at, system")


def figure(con, metric, system=None, category=None):
    rows = facts.records(
        con,
        f"SELECT * FROM mart.metric_daily WHERE night = DATE '{NIGHT}' AND metric = '{metric}'",
    )
    [row] = [r for r in rows if (r["system"], r["category"]) == (system, category)]
    return row


def at(day, hour=12, month=12, year=2026):
    return datetime(year, month, day, hour)  # noqa: DTZ001


GRADES = (
    ("US", at(20, 16, 11), "warning"),
    ("US", at(5, 4), "warning"),  # still Friday the 4th in New York
    ("US", at(5, 6), "breach"),
    ("US", at(7, 12), "breach"),  # the legal reading credits Thanksgiving
    ("US", at(8, 1), "breach"),  # still Monday the 7th in New York
    ("CA", at(4, 12), "warning"),
    ("CA", at(5, 12), "legal_breach"),  # no Canadian holiday between
    ("DE", at(22, 14, 11), "warning"),
    ("DE", at(22, 16, 11), "breach"),  # 48 hours are over
    ("DE", at(8, 1), "breach"),
    ("AU", at(27, 12, 11), "warning"),  # asked on a Saturday, in Sydney: Monday is day 1
    ("AU", at(27, 14, 11), "legal_breach"),
    ("Atlantis", at(22, 16, 11), "breach"),  # the strictest of all: 48 hours
    (None, at(28, 2, 11), "legal_breach"),  # and Australia's week
    ("Brazil", at(22, 16, 11), "breach"),  # no law of its own is configured
)


def test_a_send_is_graded_by_the_clock_of_the_persons_country(con):
    """Inside and beyond the deadline, across weekends, holidays and zones."""
    people = list(enumerate(GRADES))
    found = night_of(
        con,
        changes=[out(n) for n, _ in people],
        mails=[mail(sent, n) for n, (_, sent, _) in people],
        people=[lives(n, country) for n, (country, _, _) in people],
    )
    grades = {v["contact_key"]: v["grade"] for v in found}
    assert grades == {key(n): grade for n, (_, _, grade) in people}
    assert all(v["beyond_strict"] == (v["grade"] != "warning") for v in found)
    assert all(v["strict_deadline"] <= v["legal_deadline"] for v in found)


def test_the_deadlines_of_the_worked_example(con):
    """Friday 20 November and ten business days."""
    [found] = night_of(con, changes=[out()], mails=[mail(at(1))], people=[lives(1, "US")])
    assert found["strict_deadline"] == date(2026, 12, 4)
    assert found["legal_deadline"] == date(2026, 12, 7)


def test_of_two_countries_the_earlier_deadline_counts(con):
    """A contact in Canada and a lead in Germany are one person, with the rights of both."""
    people = [lives(1, "CA"), lives(1, "Germany") | {"record_id": "lead"}]
    [found] = night_of(con, changes=[out()], mails=[mail(at(23, 1, 11))], people=people)
    assert found["grade"] == "breach"
    assert found["jurisdiction"] == "CA+DE"


def test_beside_a_known_country_no_unknown_counts(con):
    """A lead without an address must not make every deadline 48 hours."""
    people = [lives(1, "US"), lives(1, None) | {"record_id": "lead"}]
    [found] = night_of(con, changes=[out()], mails=[mail(at(1))], people=people)
    assert (found["grade"], found["jurisdiction"]) == ("warning", "US")


COVERING = (
    ({}, 1),
    ({"category": "news"}, 0),
    ({"category": None}, 1),
    ({"at": at(2)}, 0),  # after the send
    ({"time_kind": "estimated", "occurred_from": None, "at": at(2)}, 0),  # maybe before
    ({"time_kind": "estimated", "occurred_from": ASKED - timedelta(days=1)}, 1),
    ({"received_at": at(2)}, 0),  # nobody could know yet
)


def test_only_what_certainly_covers_a_send_makes_it_a_violation(con):
    """Each accusation has to stand."""
    people = list(enumerate(COVERING))
    found = night_of(
        con,
        changes=[out(n, **told) for n, (told, _) in people],
        mails=[mail(at(1), n) for n, _ in people],
        people=[lives(n, "US") for n, _ in people],
    )
    assert {v["contact_key"] for v in found} == {key(n) for n, (_, sends) in people if sends}


def test_a_send_after_the_deadline_is_late_even_before_it_was_written_down(con):
    """Canada counts from the person's act, not from the day an agent enters it."""
    change = out(received_at=at(20))
    [found] = night_of(con, changes=[change], mails=[mail(at(7))], people=[lives(1, "CA")])
    assert found["grade"] == "legal_breach"


RETURNS = (
    ({"category": "offers"}, 0),
    ({"category": None}, 0),
    ({"category": "news"}, 1),
    ({"category": "offers", "is_explicit": False}, 1),  # an import lifts nothing
    ({"category": "offers", "at": ASKED + timedelta(minutes=10)}, 1),  # simultaneous
    ({"category": "offers", "at": at(2)}, 1),  # after the send
    ({"category": "offers", "occurred_from": None, "time_kind": "estimated"}, 1),
)


def test_an_opt_out_that_was_lifted_before_the_send_is_no_violation(con):
    """Who came back may be mailed; who was only imported may not."""
    people = list(enumerate(RETURNS))
    changes = [out(n) for n, _ in people]
    for n, (opt_in, _) in people:
        told = {"at": at(25, month=11), "is_explicit": True} | opt_in
        category, moment = told.pop("category"), told.pop("at")
        changes.append(facts.change("hub", n, category, "opted_in", moment, **told))
    found = night_of(con, changes=changes, mails=[mail(at(1), n) for n, _ in people])
    assert {v["contact_key"] for v in found} == {key(n) for n, (_, sends) in people if sends}


def test_a_release_that_left_the_category_out_lifts_it_not(con):
    """The person's page still said no to offers (docs/adr/0002)."""
    changes = [
        out(),
        facts.change("kl", 1, None, "opted_in", at(25, month=11), is_explicit=True, night=NIGHT),
    ]
    kept = facts.reading("kl", 1, category_outs=2, outs=2, night_from=NIGHT)
    found = night_of(
        con, changes=changes, mails=[mail(at(1))], people=[lives(1, "US")], observations=[kept]
    )
    assert len(found) == 1


MESSAGES = (
    ((at(1), {}), (at(1), {"kind": "delivered"}), 1),
    ((at(1), {"kind": "delivered"}), 1),
    ((at(1), {"kind": "dropped"}), 0),
    ((at(1), {"kind": "opened"}), (at(1), {"kind": "clicked"}), 0),
    ((at(1), {"transactional": True}), 0),
    ((at(1), {"categories": 0}), 0),
    ((at(1), {"categories": 3}), 1),
    ((at(9), {}), 0),  # after the cut-off: tomorrow's
    ((at(1), {}), (at(2), {}), 2),
    # a vendor whose number names the template, not the message
    ((at(1), {"kind": "delivered", "message_id": "flow"}),
     (at(2), {"kind": "delivered", "message_id": "flow"}), 2),
)  # fmt: skip


def test_a_message_counts_once_if_it_was_marketing_and_went_out(con):
    """Counting what was never sent accuses falsely, counting twice exaggerates."""
    people = list(enumerate(MESSAGES))
    found = night_of(
        con,
        changes=[out(n) for n, _ in people],
        mails=[mail(sent, n, **told) for n, (*mails, _) in people for sent, told in mails],
    )
    counts = [sum(v["contact_key"] == key(n) for v in found) for n, _ in people]
    assert counts == [sends for *_, sends in MESSAGES]


def test_a_send_without_a_category_breaks_an_opt_out_of_everything(con):
    """Whoever left everything gets no mail, whatever it was about."""
    changes = [out(category=None)]
    [found] = night_of(con, changes=changes, mails=[mail(at(1), categories=0)])
    assert found["category"] is None and found["is_global"]


def test_the_first_opt_out_speaks_although_copies_came_later(con):
    """A sync an hour later must not give the company an hour, or ten days."""
    changes = [out(), out(system="mc", at=at(1, 9), is_explicit=False, source="sync")]
    [found] = night_of(con, changes=changes, mails=[mail(at(7))], people=[lives(1, "US")])
    assert found["opted_out_at"] == ASKED
    assert found["grade"] == "breach"
    [act] = facts.records(con, "SELECT * FROM audit.opt_out")
    assert act["system"] == "hub"


def test_a_one_click_request_binds_within_google_s_48_hours(con):
    """Mailbox providers are faster than the law, for their own mailboxes."""
    facts.store(con, "core.identity", [
        {"contact_key": key(1), "address": "ana@gmail.com", "key_id": "k1", "first_night": NIGHT},
        {"contact_key": key(2), "address": "bo@example.org", "key_id": "k1", "first_night": NIGHT},
    ])  # fmt: skip
    changes = [out(person, source="email_link", system="mc") for person in (1, 2)]
    mails = [mail(at(24, month=11), person) for person in (1, 2)]
    people = [lives(1, "US"), lives(2, "US")]
    night_of(con, changes=changes, mails=mails, people=people)
    grades = dict(con.execute("SELECT contact_key, grade FROM audit.violation").fetchall())
    assert grades == {key(1): "breach", key(2): "warning"}


def test_a_found_violation_keeps_its_night_and_goes_only_with_better_evidence(con):
    """A report handed out must not change by itself; an opt-in told late does correct it."""
    night_of(con, changes=[out()], mails=[mail(at(1))], people=[lives(1, "US")])
    later = NIGHT + timedelta(days=1)
    facts.begin(con, later, cutoff=CUTOFF - (NIGHT - facts.NIGHT))
    facts.read(con, ("hub", "mc", "kl"), later)
    [found] = judge(con, night=later)
    assert found["found_night"] == NIGHT
    told = facts.change("kl", 1, "offers", "opted_in", at(25, month=11), is_explicit=True)
    facts.store(con, "core.change", [told | {"change_id": UUID(int=5)}])
    assert judge(con, night=later) == []


def test_violations_are_unknown_where_no_send_log_was_read(con):
    """No evidence of a send is no evidence of none."""
    policy = ClockPolicy(
        categories=POLICY.categories, hub="hub", systems=POLICY.systems, zone=POLICY.zone,
        send_streams={"mc": ("records",), "kl": ()},
    )  # fmt: skip
    night_of(con, policy=policy)
    assert figure(con, "violations", "mc")["status"] == "met"
    unknown = figure(con, "violations", "kl")
    assert (unknown["status"], unknown["value"]) == ("unknown", None)
    assert unknown["note"] == "kl does not tell to whom it sent"
    assert figure(con, "violations")["status"] == "unknown"
    assert figure(con, "overdue_opt_outs", "kl")["status"] == "met"


def test_what_is_missed_stays_missed_although_another_is_silent(con):
    """A violation that is proven does not wait for more evidence."""
    reads = {"kl": {"is_complete": False}}
    night_of(con, changes=[out()], mails=[mail(at(1))], reads=reads)
    assert figure(con, "violations")["status"] == "missed"
    assert figure(con, "violations", "mc", "offers")["value"] == 1
    assert figure(con, "violations", "kl")["status"] == "unknown"


def test_nothing_is_known_where_the_hub_was_not_read(con):
    """An incomplete source makes dependent figures unknown, never good."""
    night_of(con, changes=[out()], mails=[mail(at(1))], reads={"hub": {"is_complete": False}})
    rows = facts.records(con, "SELECT * FROM mart.metric_daily")
    assert {row["metric"] for row in rows} == set(CLOCK_METRICS) - {"sunset"}
    assert {(row["status"], row["value"], row["note"]) for row in rows} == {
        ("unknown", None, "hub was not read completely")
    }


def test_a_second_run_changes_nothing(con):
    """A night may be run again whenever somebody likes."""
    tables = ("audit.opt_out", "audit.opt_out_effect", "audit.violation", "audit.consent",
              "audit.unconsented_send", "audit.audience", "mart.metric_daily",
              "mart.opt_out_rate", "mart.audience_daily", "audit.undated_opt_out")  # fmt: skip
    people = [lives(1, "CA", basis="purchase", basis_date=date(2024, 1, 1), basis_ref="D")]
    hub = facts.reading("hub", 1, store="contacts", ins=2, night_from=NIGHT)
    mails = [mail(at(1)), mail(at(7))]
    night_of(con, changes=[out()], mails=mails, people=people, observations=[hub])

    def snapshot():
        return {t: sorted(map(str, con.execute(f"FROM {t}").fetchall())) for t in tables}

    first = snapshot()
    assert all(first[t] for t in tables if t != "audit.undated_opt_out")
    judge(con)
    assert snapshot() == first


def test_campaigns_are_faulted_for_what_is_seen_to_be_missing(con):
    """What the vendor does not show is unknown, and a merge tag is filled in later."""
    full = {
        "system": "mc", "night": NIGHT, "sent_at": at(7), "categories": 2, "transactional": False,
        "from_address": "news@shop.example.org", "reply_to": "*|REPLY|*", "has_unsubscribe": True,
        "has_postal_address": True, "has_list_unsubscribe": None,
    }  # fmt: skip
    cases = {
        "good": {}, "tags": {"from_address": "{{ sender }}"}, "no reply": {"reply_to": None},
        "no_unsubscribe": {"has_unsubscribe": False}, "no_postal_address":
        {"has_postal_address": False}, "bad_from": {"from_address": "news"},
        "bad_reply_to": {"reply_to": "nobody@evil.example"},
        "no_list_unsubscribe": {"has_list_unsubscribe": False},
        "hidden": {"has_unsubscribe": None}, "receipt": {"has_unsubscribe": False,
                                                         "transactional": True},
    }  # fmt: skip
    facts.store(con, "core.campaign", [full | {"campaign_id": n} | c for n, c in cases.items()])
    domains = ClocksTable(sender_domains=("shop.example.org",))
    policy = ClockPolicy(
        categories=POLICY.categories, hub="hub", systems=POLICY.systems, zone=POLICY.zone,
        clocks=domains, send_streams=POLICY.send_streams,
    )  # fmt: skip
    night_of(con, policy=policy)
    found = con.execute("SELECT campaign_id, fault FROM audit.campaign_fault").fetchall()
    assert sorted(found) == [
        (name, name) for name in ("bad_from", "bad_reply_to", "no_list_unsubscribe",
                                  "no_postal_address", "no_unsubscribe")
    ]  # fmt: skip
    row = figure(con, "campaign_faults", "mc")
    assert (row["value"], row["status"], row["not_comparable"]) == (5, "missed", 1)
    assert figure(con, "campaign_faults", "kl")["status"] == "met"
