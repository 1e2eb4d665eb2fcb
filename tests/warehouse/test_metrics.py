"""The night's promises: numerators, denominators, and what is not known."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from optout.errors import UsageError
from optout.model import Categories
from optout.testing import facts
from optout.testing.facts import CUTOFF, NIGHT, change, reading
from optout.warehouse.metrics import DRIFT_OPEN, METRICS, NEITHER, PROMISES, measure, wilson
from optout.warehouse.reconcile import ReconcilePolicy, reconcile

CATEGORIES = Categories(("news", "offers"))
POLICY = ReconcilePolicy(categories=CATEGORIES, hub="hub", systems={"mc": 3, "kl": 1})
BEFORE = CUTOFF - timedelta(hours=5)
NEXT = NIGHT + timedelta(days=1)
ROOT = Path(__file__).parents[2]


def world(con, *, honoured: int, unhonoured: int = 0, neither: int = 0, wanting: int = 0):
    """People who opted out of news at the hub, and people who want it, as `mc` treats them; `kl`
    knows everyone and honours everything."""
    out = {"outs": 1, "category_outs": 1}
    rows, changes = [], []
    for person in range(honoured + unhonoured + neither + wanting):
        wants = person >= honoured + unhonoured + neither
        here = out if person < honoured else {"sends": 1} if person < honoured + unhonoured else {}
        here = {"sends": 1} if wants else here
        rows += [
            reading("hub", person, **({"ins": 1} if wants else out)),
            reading("mc", person, **here),
            reading("kl", person, **({"sends": 1} if wants else out)),
        ]
        if not wants:
            changes.append(change("hub", person, "news", "opted_out", BEFORE))
    facts.store(con, "core.observation", rows)
    facts.store(con, "core.change", changes)


def measured(con, night=NIGHT, *, complete=("hub", "mc", "kl"), incomplete=(), kind="run"):
    facts.begin(con, night, kind=kind)
    facts.read(con, complete, night)
    facts.read(con, incomplete, night, is_complete=False)
    reconcile(con, night, policy=POLICY)
    measure(con, night, policy=POLICY)


def metric(con, name, system="mc", category="news", night=NIGHT):
    sql = f"""SELECT * FROM mart.metric_daily WHERE metric = '{name}' AND night = '{night}'
        AND coalesce(system, '*') = '{system}' AND coalesce(category, '*') = '{category}'"""
    (row,) = facts.records(con, sql)
    return row


def told(con, name, *scope, **when):
    row = metric(con, name, *scope, **when)
    return row["value"], row["numerator"], row["denominator"], row["status"]


def test_optout_recall_counts_who_is_blocked_among_those_who_are_blocked_or_mailed(con):
    """The headline would look better by counting people whom nobody mails anyway."""
    world(con, honoured=3, unhonoured=1, neither=2)
    measured(con)
    assert told(con, "opt_out_recall") == (0.75, 3, 4, "missed")
    assert told(con, "opt_out_recall", "kl") == (1, 6, 6, "met")
    assert told(con, "opt_out_recall", "*", "*") == (0.9, 9, 10, "missed")
    assert told(con, "opt_out_neither") == (2, 2, None, "shown")


@pytest.mark.parametrize(
    ("metric", "numerator", "denominator", "is_met"),
    [
        ("sync_accuracy", 999, 1000, True),
        ("sync_accuracy", 998, 999, False),
        ("opt_out_recall", 10**7, 10**7, True),
        ("opt_out_recall", 10**7 - 1, 10**7, False),
        ("over_suppression", 1, 1000, True),
        ("over_suppression", 1, 999, False),
    ],
)
def test_a_promise_is_met_at_exactly_its_target(metric, numerator, denominator, is_met):
    """A rounding would decide whether a promise was kept: one of ten million is one too many."""
    (promise,) = (p for p in PROMISES if p.metric == metric)
    assert promise.is_met(numerator, denominator) is is_met


def test_accuracy_has_an_interval_and_counts_every_cell_that_says_something(con):
    """A share of few cells would look as certain as one of millions."""
    world(con, honoured=2, unhonoured=1, neither=4, wanting=13)
    measured(con)
    row = metric(con, "sync_accuracy")
    assert (row["numerator"], row["denominator"], row["status"]) == (15, 16, "missed")
    assert 0 < row["low"] < row["value"] < row["high"] < 1
    assert row["target"] == ">= 99.9 %"


def test_over_suppression_is_a_share_of_those_who_need_not_be_blocked(con):
    """Blocks that are right would dilute those that are not."""
    world(con, honoured=50, wanting=9)
    facts.store(
        con,
        "core.observation",
        [reading("hub", 99), reading("mc", 99, outs=1), reading("kl", 99, sends=1)],
    )
    early = BEFORE - timedelta(days=1)
    con.execute("UPDATE core.change SET change_id = uuid()")
    facts.store(
        con,
        "core.change",
        [
            change("mc", 99, "news", "opted_out", early),
            change("hub", 99, "news", "opted_in", BEFORE, is_explicit=True),
        ],
    )
    measured(con)
    assert told(con, "over_suppression") == (0.1, 1, 10, "missed")
    assert told(con, "over_suppression", "kl") == (0, 0, 10, "met")
    assert told(con, "over_suppressed") == (1, 1, None, "shown")
    assert told(con, "sync_accuracy") == (59 / 60, 59, 60, "missed")


def test_what_cannot_be_compared_is_counted_beside_and_in_no_share(con):
    """Unreadable values would pass for agreement, or for failure."""
    world(con, honoured=3, neither=2, wanting=4)
    con.execute(
        "UPDATE core.observation SET unclear = 1 WHERE system = 'mc' AND contact_key IN (?, ?, ?)",
        [facts.key(0), facts.key(3), facts.key(8)],
    )
    measured(con)
    for name, parts in {
        "opt_out_recall": (2, 2, 2),
        "opt_out_neither": (1, None, 0),
        "over_suppression": (0, 3, 1),
        "sync_accuracy": (5, 5, 3),
    }.items():
        row = metric(con, name)
        assert (row["numerator"], row["denominator"], row["not_comparable"]) == parts
    assert told(con, "not_comparable") == (3, 3, None, "shown")


def test_drifts_are_counted_by_class_system_and_category(con):
    """A total without its parts tells nobody where to begin."""
    world(con, honoured=1, unhonoured=2)
    facts.store(
        con,
        "core.observation",
        [
            reading("hub", 50),
            reading("mc", 51, sends=3),
            reading("hub", 0, store="leads", record_id="x", ins=1),
        ],
    )
    measured(con)
    counts = {
        name: [
            metric(con, name, *scope)["value"]
            for scope in (("mc", "news"), ("mc", "offers"), ("mc", "*"), ("*", "*"))
        ]
        for name in ("drift_open", "unhonoured_opt_out", "orphan_mailable")
    }
    assert counts == {
        "drift_open": [3, 1, 4, 4],
        "unhonoured_opt_out": [2, 0, 2, 2],
        "orphan_mailable": [1, 1, 2, 2],
    }
    assert metric(con, "missing_here", "kl", "*")["value"] == 1
    assert metric(con, "missing_here", "*", "*")["value"] == 2
    assert metric(con, "conflicting_duplicates", "hub", "news")["value"] == 1
    con.execute("UPDATE core.observation SET sends = 0 WHERE system = 'mc'")
    measured(con, NEXT)
    assert metric(con, "drift_open", night=NEXT)["value"] == 0


def test_the_cells_that_agree_of_someone_with_a_drift_elsewhere_are_counted_too(con):
    """One wrong category would take all the right ones of that person out of the figures."""
    rows = [reading("hub", 0, ins=1, outs=2), reading("mc", 0, sends=3), reading("kl", 0, sends=1)]
    facts.store(con, "core.observation", rows)
    facts.store(con, "core.change", [change("hub", 0, "offers", "opted_out", BEFORE)])
    measured(con)
    assert told(con, "sync_accuracy", "mc", "news") == (1, 1, 1, "met")
    assert told(con, "sync_accuracy", "mc", "offers") == (0, 0, 1, "missed")
    assert told(con, "sync_accuracy", "mc", "*") == (0.5, 1, 2, "missed")


def test_nothing_to_compare_is_not_a_kept_promise(con):
    """Zero of zero is not one hundred per cent."""
    world(con, honoured=1)
    measured(con)
    row = metric(con, "opt_out_recall", "mc", "offers")
    assert (row["value"], row["status"], row["note"]) == (None, "unknown", "nothing to compare")


def test_figures_of_an_esp_that_was_not_read_are_unknown_and_others_are_not_called_good(con):
    """An opt-out that only the silent system knows would be missing from every denominator."""
    world(con, honoured=3, unhonoured=1)
    measured(con, complete=("hub", "kl"), incomplete=("mc",))
    row = metric(con, "opt_out_recall", "mc")
    assert (row["value"], row["numerator"], row["status"]) == (None, None, "unknown")
    assert row["note"] == "mc was not read completely"
    assert told(con, "opt_out_recall", "kl") == (None, 4, 4, "unknown")
    assert metric(con, "opt_out_recall", "kl")["note"] == "not read completely: mc"
    assert told(con, "unhonoured_opt_out", "mc")[3] == "unknown"
    assert told(con, "unhonoured_opt_out", "kl") == (0, 0, None, "shown")
    assert told(con, "unhonoured_opt_out", "*", "*") == (None, None, None, "unknown")
    assert told(con, "extraction_complete", "mc", "*") == (0, 0, 1, "missed")
    assert told(con, "extraction_complete", "kl", "*") == (1, 1, 1, "met")
    assert told(con, "extraction_complete", "*", "*") == (2 / 3, 2, 3, "missed")


def test_a_missed_promise_stays_missed_when_another_esp_was_not_read(con):
    """A broken promise would be hidden by breaking something else."""
    world(con, honoured=3, unhonoured=1)
    measured(con, complete=("hub", "mc"), incomplete=("kl",))
    assert told(con, "opt_out_recall") == (0.75, 3, 4, "missed")
    assert metric(con, "opt_out_recall")["note"] == "not read completely: kl"
    assert told(con, "opt_out_recall", "*", "*")[3] == "missed"


@pytest.mark.parametrize(
    "how",
    [
        {"complete": ("mc", "kl"), "incomplete": ("hub",)},
        {"complete": ("mc", "kl")},
        {"kind": "backfill"},
    ],
    ids=["hub incomplete", "hub not read", "backfill"],
)
def test_without_the_hub_or_the_snapshot_every_dependent_figure_is_unknown(con, how):
    """Yesterday's figures would be repeated as tonight's."""
    world(con, honoured=3, unhonoured=1)
    measured(con)
    measured(con, NEXT, **how)
    rows = facts.records(
        con,
        f"FROM mart.metric_daily WHERE night = '{NEXT}' AND metric <> 'extraction_complete'",
    )
    assert len(rows) > 30
    assert {(r["status"], r["value"]) for r in rows} == {("unknown", None)}
    assert all(r["note"] for r in rows)


def test_measuring_again_replaces_its_own_rows_and_no_others(con):
    """Two rows for one figure, or the loss of another step's, would both be believed."""
    world(con, honoured=3, unhonoured=1)
    measured(con)
    con.execute(
        "INSERT INTO mart.metric_daily (night, metric, not_comparable, status)"
        " VALUES (?, 'audit_trail', 0, 'met')",
        [NIGHT],
    )
    first = con.execute("FROM mart.metric_daily ORDER BY ALL").fetchall()
    measure(con, NIGHT, policy=POLICY)
    assert con.execute("FROM mart.metric_daily ORDER BY ALL").fetchall() == first


def test_a_night_that_was_overtaken_keeps_what_was_measured_then(con):
    """Repeating an old night would write today's drifts into the past."""
    world(con, honoured=3, unhonoured=1)
    measured(con)
    con.execute("UPDATE core.observation SET sends = 0, outs = 1")
    measured(con, NEXT)
    measure(con, NIGHT, policy=POLICY)
    assert told(con, "opt_out_recall") == (0.75, 3, 4, "missed")
    assert told(con, "opt_out_recall", night=NEXT) == (1, 4, 4, "met")


def test_an_unknown_night_is_a_mistake_of_the_caller(con):
    """A mistyped date would be reported as a night without problems."""
    with pytest.raises(UsageError):
        measure(con, NIGHT, policy=POLICY)


def test_the_interval_is_that_of_wilson():
    """A published interval must be the one that textbooks give."""
    assert wilson(9, 10) == pytest.approx((0.59585, 0.98212), abs=1e-5)
    assert wilson(10, 10)[1] == 1.0
    assert wilson(0, 10)[0] == 0.0


def test_every_metric_is_written_every_night_and_explained(con):
    """A figure on a page that no document defines cannot be defended before an auditor."""
    world(con, honoured=1)
    measured(con)
    written = con.execute("SELECT DISTINCT metric FROM mart.metric_daily").fetchall()
    assert {name for (name,) in written} == set(METRICS)
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    headings = {line.strip("# `") for line in text.splitlines() if line.startswith("### ")}
    assert set(METRICS) <= headings


def test_every_promise_has_a_file_that_the_document_names():
    """A formula in the document that is not the one in force would mislead."""
    folder = ROOT / "optout" / "warehouse" / "sql"
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    wanted = {f"mart_{name}.sql" for name in (*(p.metric for p in PROMISES), NEITHER, DRIFT_OPEN)}
    assert wanted <= {f.name for f in folder.glob("mart_*.sql")}
    assert [name for name in sorted(wanted) if name not in text] == []
