"""The nightly reconciliation: what it judges, what it leaves alone, and how long a drift lives."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

import duckdb
import pytest

from optout.errors import UsageError
from optout.model import Categories
from optout.testing import facts
from optout.testing.facts import CUTOFF, NIGHT, change, key, reading
from optout.warehouse.reconcile import ReconcilePolicy, reconcile

CATEGORIES = Categories(("news", "offers"))
POLICY = ReconcilePolicy(categories=CATEGORIES, hub="hub", systems={"mc": 3, "kl": 1})
ALL = ("hub", "mc", "kl")
BEFORE = CUTOFF - timedelta(hours=5)
NEXT = NIGHT + timedelta(days=1)
THIRD = NIGHT + timedelta(days=2)


@pytest.fixture
def con():
    connection = facts.warehouse()
    yield connection
    connection.close()


def night(con, when: date = NIGHT, *, complete=ALL, incomplete=(), kind="run"):
    facts.begin(con, when, kind=kind)
    facts.read(con, complete, when)
    facts.read(con, incomplete, when, is_complete=False)


def observe(con, *rows):
    facts.store(con, "core.observation", rows)


def happen(con, *rows):
    """Changes, with ids that do not repeat between calls."""
    (count,) = con.execute("SELECT count(*) FROM core.change").fetchone()
    numbered = [
        {"change_seq": count + n, "change_id": UUID(int=9000 + count + n)} | row
        for n, row in enumerate(rows)
    ]
    facts.store(con, "core.change", numbered)


def drifts(con, where="closed_night IS NULL"):
    rows = facts.records(con, f"SELECT * FROM audit.drift WHERE {where}")
    return sorted((r["class"], r["system"], r["category"] or "*") for r in rows)


def tables(con):
    """Everything that reconciliation writes, in a fixed order."""
    return [
        con.execute(f"SELECT * FROM audit.{t} ORDER BY ALL").fetchall()
        for t in ("expected", "drift", "cell_count")
    ]


def opted_out_at_the_hub(con):
    """Person 0 told the hub; both ESPs still mail."""
    observe(
        con,
        reading("hub", 0, outs=3, global_out=True),
        reading("mc", 0, sends=3, store="audience:1"),
        reading("kl", 0, sends=1, store="list:9"),
    )
    happen(con, change("hub", 0, None, "opted_out", BEFORE, source="support_request"))


UNHONOURED = [
    ("unhonoured_opt_out", "kl", "news"),
    ("unhonoured_opt_out", "mc", "news"),
    ("unhonoured_opt_out", "mc", "offers"),
]


def test_an_optout_that_systems_do_not_honour_is_told_with_its_cause_and_its_decision(con):
    """A drift that names neither the list nor the act sends people searching."""
    night(con)
    opted_out_at_the_hub(con)
    outcome = reconcile(con, NIGHT, policy=POLICY)
    assert (outcome.judged, outcome.opened) == (ALL, 3)
    assert drifts(con) == UNHONOURED
    (row,) = facts.records(con, "SELECT * FROM audit.drift WHERE system = 'kl'")
    told = ("expected", "actual", "reason", "store", "decided_system", "decided_at")
    assert [row[name] for name in told] == [
        "opted_out", "mailable", "opt_out_stands", "list:9", "hub", BEFORE,
    ]  # fmt: skip
    assert row["decided_source"] == "support_request"
    assert (row["opened_night"], row["opened_at"], row["seen_night"]) == (NIGHT, CUTOFF, NIGHT)


def test_running_a_night_again_changes_nothing(con):
    """A retry at four in the morning must not reset ages or open anything twice."""
    opted_out_at_the_hub(con)
    observe(con, reading("hub", 1), reading("mc", 2, sends=1), reading("mc", 1, unclear=1))
    for when in (NIGHT, NEXT):
        night(con, when)
        reconcile(con, when, policy=POLICY)
    con.execute("UPDATE core.observation SET sends = 0, outs = 1 WHERE system = 'kl'")
    con.execute("DELETE FROM core.observation WHERE system = 'mc' AND contact_key = ?", [key(2)])
    night(con, THIRD)
    reconcile(con, THIRD, policy=POLICY)
    first = tables(con)
    assert {row["closed_night"] for row in facts.records(con, "FROM audit.drift")} == {None, THIRD}
    for _ in range(2):
        reconcile(con, THIRD, policy=POLICY)
        assert tables(con) == first


def test_a_night_run_again_on_other_facts_ends_as_if_run_once_on_them(con):
    """The first attempt of a night, made before a source answered, would leave its traces."""
    opted_out_at_the_hub(con)
    night(con)
    reconcile(con, NIGHT, policy=POLICY)
    night(con, NEXT)
    con.execute("UPDATE core.observation SET sends = 0, outs = 1 WHERE system = 'kl'")
    reconcile(con, NEXT, policy=POLICY)
    assert drifts(con, "closed_night IS NOT NULL") == UNHONOURED[:1]
    con.execute("UPDATE core.observation SET sends = 1, outs = 0 WHERE system = 'kl'")
    reconcile(con, NEXT, policy=POLICY)
    assert drifts(con) == UNHONOURED
    (row,) = facts.records(con, "SELECT * FROM audit.drift WHERE system = 'kl'")
    assert (row["opened_night"], row["seen_night"], row["closed_at"]) == (NIGHT, NEXT, None)
    con.execute("UPDATE core.observation SET sends = 0, outs = 1 WHERE system = 'kl'")
    reconcile(con, NEXT, policy=POLICY)
    (row,) = facts.records(con, "SELECT * FROM audit.drift WHERE system = 'kl'")
    assert (row["seen_night"], row["closed_night"]) == (NIGHT, NEXT)


def test_a_drift_keeps_the_night_it_opened_and_closes_when_it_is_gone(con):
    """An age that starts anew each night never reaches a deadline."""
    opted_out_at_the_hub(con)
    for when in (NIGHT, NEXT):
        night(con, when)
        reconcile(con, when, policy=POLICY)
    con.execute("UPDATE core.observation SET sends = 0, outs = 3 WHERE system = 'mc'")
    night(con, THIRD)
    outcome = reconcile(con, THIRD, policy=POLICY)
    assert (outcome.opened, outcome.confirmed, outcome.closed) == (0, 1, 2)
    rows = facts.records(con, "SELECT * FROM audit.drift ORDER BY system, category")
    assert [r["opened_night"] for r in rows] == [NIGHT] * 3
    assert [r["seen_night"] for r in rows] == [THIRD, NEXT, NEXT]
    assert [r["closed_night"] for r in rows] == [None, THIRD, THIRD]
    assert rows[1]["closed_at"] == CUTOFF + timedelta(days=2)


def test_an_esp_that_was_not_read_completely_is_not_judged(con):
    """Half a list would close the drifts of the other half and call the rest missing."""
    opted_out_at_the_hub(con)
    night(con)
    reconcile(con, NIGHT, policy=POLICY)
    before = facts.records(con, "SELECT * FROM audit.drift WHERE system = 'mc' ORDER BY category")
    con.execute("DELETE FROM core.observation WHERE system <> 'hub'")
    night(con, NEXT, complete=("hub", "kl"), incomplete=("mc",))
    outcome = reconcile(con, NEXT, policy=POLICY)
    assert outcome.judged == ("hub", "kl")
    after = facts.records(con, "SELECT * FROM audit.drift WHERE system = 'mc' ORDER BY category")
    assert after == before
    assert drifts(con, "system = 'kl' AND closed_night IS NULL") == [("missing_here", "kl", "*")]


@pytest.mark.parametrize("kind", ["incomplete", "not read", "a stream is missing"])
def test_without_the_whole_hub_nothing_opens_and_nothing_closes(con, kind):
    """Everyone would become an orphan on the night the hub's API was down."""
    opted_out_at_the_hub(con)
    night(con)
    facts.read(con, ["hub"], stream="leads")
    reconcile(con, NIGHT, policy=POLICY)
    before = tables(con)[1]
    con.execute("UPDATE core.observation SET sends = 0")
    observe(con, reading("mc", 5, sends=3))
    facts.begin(con, NEXT)
    facts.read(con, ("mc", "kl"), NEXT)
    if kind == "incomplete":
        facts.read(con, ["hub"], NEXT, is_complete=False)
        facts.read(con, ["hub"], NEXT, stream="leads")
    if kind == "a stream is missing":
        facts.read(con, ["hub"], NEXT)
    assert reconcile(con, NEXT, policy=POLICY).judged == ()
    assert tables(con)[1] == before


def test_a_stream_that_the_account_does_not_have_leaves_a_system_complete(con):
    """A plan without an event feed could never be judged."""
    opted_out_at_the_hub(con)
    night(con)
    facts.read(con, ["mc"], stream="firehose", is_complete=False, is_skipped=True)
    assert reconcile(con, NIGHT, policy=POLICY).judged == ALL


def test_the_configured_streams_outweigh_what_was_ever_read(con):
    """A stream that a newer version no longer reads would make its system incomplete forever."""
    opted_out_at_the_hub(con)
    night(con)
    facts.read(con, ["mc"], stream="old_feed", is_complete=False)
    streams = {"mc": ("records",), "kl": ("records", "events")}
    policy = ReconcilePolicy(CATEGORIES, "hub", POLICY.systems, streams=streams)
    assert reconcile(con, NIGHT, policy=policy).judged == ("hub", "mc")


def test_a_backfilled_night_and_one_that_was_overtaken_are_left_alone(con):
    """What systems show today says nothing of a night that is past."""
    opted_out_at_the_hub(con)
    night(con, NIGHT, kind="backfill")
    assert reconcile(con, NIGHT, policy=POLICY).judged == ()
    assert tables(con) == [[], [], []]
    for when in (NEXT, THIRD):
        night(con, when)
        reconcile(con, when, policy=POLICY)
    before = tables(con)
    con.execute("UPDATE core.observation SET sends = 0")
    reconcile(con, NEXT, policy=POLICY)
    assert tables(con) == before


def test_a_night_that_was_never_begun_is_a_mistake_of_the_caller(con):
    """A mistyped date would silently judge nothing."""
    with pytest.raises(UsageError, match="2026-11-20 was never run"):
        reconcile(con, NIGHT, policy=POLICY)


def test_a_cell_that_cannot_be_compared_tonight_does_not_close_its_drift(con):
    """One unreadable value would end an alert and restart the clock of a broken promise."""
    opted_out_at_the_hub(con)
    night(con)
    reconcile(con, NIGHT, policy=POLICY)
    con.execute("UPDATE core.observation SET unclear = 1, sends = 0 WHERE system = 'kl'")
    night(con, NEXT)
    reconcile(con, NEXT, policy=POLICY)
    assert drifts(con, "system = 'kl' AND closed_night IS NULL") == [
        ("not_comparable", "kl", "news"),
        ("unhonoured_opt_out", "kl", "news"),
    ]
    con.execute("UPDATE core.observation SET unclear = 0, sends = 1 WHERE system = 'kl'")
    night(con, THIRD)
    reconcile(con, THIRD, policy=POLICY)
    (row,) = facts.records(
        con, "SELECT * FROM audit.drift WHERE system = 'kl' AND closed_night IS NULL"
    )
    assert (row["class"], row["opened_night"]) == ("unhonoured_opt_out", NIGHT)
    assert (row["seen_before"], row["seen_night"]) == (NIGHT, THIRD)
    reconcile(con, THIRD, policy=POLICY)
    assert facts.records(
        con, "SELECT * FROM audit.drift WHERE system = 'kl' AND closed_night IS NULL"
    ) == [row]


def test_a_person_missing_from_an_esp_is_one_row_for_all_categories(con):
    """One absence, counted once a category, would look like many."""
    night(con)
    observe(con, reading("hub", 0), reading("mc", 0))
    reconcile(con, NIGHT, policy=POLICY)
    assert drifts(con) == [("missing_here", "kl", "*")]


def test_only_categories_that_are_mapped_to_an_esp_are_judged_there(con):
    """A list that carries no offers would be blamed for not blocking them."""
    night(con)
    observe(con, reading("hub", 0), reading("mc", 0), reading("kl", 0, sends=3))
    happen(con, change("hub", 0, "offers", "opted_out", BEFORE))
    reconcile(con, NIGHT, policy=POLICY)
    assert drifts(con) == []


def test_contradicting_duplicates_are_told_for_the_system_that_holds_them(con):
    """The hub mails by whichever record it finds first."""
    night(con)
    observe(
        con,
        reading("hub", 0, store="contacts", record_id="1", ins=1),
        reading("hub", 0, store="leads", record_id="2", outs=1, category_outs=1),
        reading("mc", 0, store="audience:1", record_id="1", ins=2, sends=2),
        reading("mc", 0, store="audience:1", record_id="2", outs=3, category_outs=2),
        reading("kl", 0, store="list:1", record_id="1", ins=1),
        reading("kl", 0, store="list:2", record_id="1", outs=1),
    )
    happen(
        con,
        change("hub", 0, "news", "opted_out", BEFORE),
        change("mc", 0, "news", "opted_out", BEFORE),
        change("mc", 0, "offers", "opted_out", BEFORE),
    )
    reconcile(con, NIGHT, policy=POLICY)
    found = "class = 'conflicting_duplicates'"
    assert drifts(con, found) == [
        ("conflicting_duplicates", "hub", "news"),
        ("conflicting_duplicates", "mc", "offers"),
    ]
    rows = facts.records(con, f"SELECT * FROM audit.drift WHERE {found} ORDER BY system")
    assert [(r["store"], r["expected"]) for r in rows] == [("leads", None), ("audience:1", None)]


def test_a_release_spares_what_its_own_system_still_shows_as_opted_out(con):
    """Confirming a subscription in general would switch on the one mail the person declined."""
    night(con)
    observe(
        con,
        reading("hub", 0),
        reading("mc", 0, outs=2, category_outs=2, sends=1),
        reading("kl", 0),
    )
    happen(
        con,
        change("hub", 0, "news", "opted_out", BEFORE),
        change("mc", 0, "offers", "opted_out", BEFORE),
        change("mc", 0, None, "opted_in", BEFORE + timedelta(hours=1), is_explicit=True),
    )
    reconcile(con, NIGHT, policy=POLICY)
    rows = facts.records(
        con, "SELECT category, state, reason FROM audit.expected ORDER BY category"
    )
    assert [tuple(r.values()) for r in rows] == [
        ("news", "opted_in", "lifted"),
        ("offers", "opted_out", "category_kept"),
    ]


def test_an_estimate_that_a_stamp_has_made_exact_no_longer_counts(con):
    """A person who came back at noon would stay blocked by an evening estimate of the morning."""
    night(con)
    observe(con, reading("hub", 0), reading("mc", 0), reading("kl", 0))
    early = BEFORE - timedelta(hours=9)
    happen(
        con,
        change("mc", 0, "news", "opted_out", BEFORE, occurred_from=early, time_kind="estimated"),
        change("hub", 0, "news", "opted_in", BEFORE - timedelta(hours=1), is_explicit=True),
    )
    reconcile(con, NIGHT, policy=POLICY)
    assert con.execute("SELECT reason FROM audit.expected").fetchall() == [("time_unknown",)]
    happen(con, change("mc", 0, "news", "opted_out", early + timedelta(minutes=1)))
    reconcile(con, NIGHT, policy=POLICY)
    assert con.execute("SELECT reason FROM audit.expected").fetchall() == [("lifted",)]


def test_a_missing_yes_that_counts_is_an_optout_without_a_date(con):
    """An unticked interest, once ticked, would be mailed because no event tells of it."""
    night(con)
    weak = {"outs": 1, "category_outs": 1, "weak_outs": 1, "valid_from": BEFORE}
    observe(
        con,
        reading("hub", 0),
        reading("mc", 0, seen_in=1, **weak),
        reading("kl", 0, sends=1),
        reading("hub", 1),
        reading("mc", 1, **weak),
        reading("kl", 1, sends=1),
    )
    reconcile(con, NIGHT, policy=POLICY)
    assert drifts(con) == [("lost_opt_out", "mc", "news"), ("unhonoured_opt_out", "kl", "news")]
    assert con.execute("SELECT DISTINCT contact_key FROM audit.drift").fetchall() == [(key(0),)]
    (row,) = facts.records(con, "SELECT * FROM audit.expected")
    assert (row["decided_system"], row["decided_at"], row["decided_from"]) == ("mc", BEFORE, None)
    assert row["decided_change"] is None


def test_reconciliation_leaves_no_working_tables_behind(con):
    """A night's leftovers would fill the memory of a long-lived process."""
    night(con)
    opted_out_at_the_hub(con)
    reconcile(con, NIGHT, policy=POLICY)
    left = con.execute("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall()
    assert left == []


def test_a_failure_within_the_callers_transaction_is_told_as_it_was_and_leaves_nothing(con):
    """The cause would be hidden behind "the transaction is aborted"."""
    night(con)
    opted_out_at_the_hub(con)
    con.execute("BEGIN")
    con.execute("ALTER TABLE audit.expected DROP COLUMN reason")
    with pytest.raises(duckdb.BinderException, match="reason"):
        reconcile(con, NIGHT, policy=POLICY)
    con.execute("ROLLBACK")
    assert con.execute("SELECT 1 FROM duckdb_tables() WHERE temporary").fetchall() == []
    assert reconcile(con, NIGHT, policy=POLICY).opened == 3


def minutes(count: int):
    return BEFORE + timedelta(minutes=count)


def back(at: int, category: str | None = "news", *, since: int | None = None):
    """The person's own opt-in: dated at the hub, or known as an interval elsewhere."""
    told = {"occurred_from": minutes(since), "time_kind": "estimated"} if since is not None else {}
    system = "hub" if since is None else "kl"
    return change(system, 0, category, "opted_in", minutes(at), is_explicit=True, **told)


def gone(at: int, category: str | None = "news", *, since: int | None = None):
    told = {"occurred_from": minutes(since), "time_kind": "estimated"} if since is not None else {}
    return change("mc", 0, category, "opted_out", minutes(at), **told)


DECIDED = {
    "an interval that begins within the window lifts nothing": (
        [gone(0), back(60), back(120, since=10)], 1),
    "one that begins at the end of the window neither": (
        [gone(0), back(60), back(120, since=15)], 1),
    "the same for everything": (
        [gone(0, None), back(60, None), back(120, None, since=10)], 1),
    "the same for everything at the end of the window": (
        [gone(0, None), back(60, None), back(120, None, since=15)], 1),
    "a later one that lifts only the first opt-out": (
        [gone(0), gone(30), back(60), back(200, since=20)], 3),
    "the same for everything, first": (
        [gone(0, None), gone(30, None), back(60, None), back(200, None, since=20)], 3),
    "one of everything speaks before one of the category": ([gone(0), back(60), back(60, None)], 2),
    "the greater id speaks at the same moment": ([gone(0), back(60), back(60)], 2),
}  # fmt: skip


@pytest.mark.parametrize("name", DECIDED)
def test_the_evidence_of_a_release_is_the_latest_optin_that_lifted(con, name):
    """An auditor would be shown an act that released nothing."""
    changes, speaks = DECIDED[name]
    night(con)
    observe(con, reading("hub", 0), reading("mc", 0), reading("kl", 0))
    happen(con, *changes)
    reconcile(con, NIGHT, policy=POLICY)
    row = facts.records(con, "SELECT * FROM audit.expected WHERE category = 'news'")[0]
    assert (row["state"], row["decided_change"]) == ("opted_in", UUID(int=9000 + speaks))


def test_a_release_that_kept_the_category_is_no_evidence_for_it(con):
    """The category's own opt-in lifted; the later release of everything did not speak of it."""
    night(con)
    observe(con, reading("hub", 0, category_outs=1, outs=1), reading("mc", 0), reading("kl", 0))
    happen(con, gone(0), back(60), back(120, None))
    reconcile(con, NIGHT, policy=POLICY)
    (row,) = facts.records(con, "SELECT * FROM audit.expected")
    assert (row["state"], row["decided_change"]) == ("opted_in", UUID(int=9001))


def test_an_optin_between_two_overlapping_estimates_is_not_overlooked(con):
    """Its attempt would be missing from the story that support tells the person."""
    night(con)
    observe(con, reading("hub", 0), reading("mc", 0), reading("kl", 0))
    happen(con, gone(100, since=0), gone(60, since=50), back(20))
    reconcile(con, NIGHT, policy=POLICY)
    assert con.execute("SELECT reason FROM audit.expected").fetchall() == [("time_unknown",)]


def test_equal_moments_of_undated_holdings_are_settled_by_name(con):
    """Two runs would name two different systems as the one that decided."""
    night(con)
    weak = {"outs": 1, "weak_outs": 1, "seen_in": 1, "valid_from": BEFORE}
    observe(con, reading("hub", 0), reading("kl", 0, **weak), reading("mc", 0, **weak))
    reconcile(con, NIGHT, policy=POLICY)
    assert con.execute("SELECT decided_system FROM audit.expected").fetchall() == [("mc",)]
