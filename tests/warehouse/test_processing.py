"""How long opt-outs took to reach every system: bounds, exact times, and what stays open."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from optout.model import Categories
from optout.testing import facts
from optout.warehouse.clock_metrics import measure_clocks
from optout.warehouse.clocks import ClockPolicy, clocks

POLICY = ClockPolicy(
    categories=Categories(("news", "offers")), hub="hub", systems={"mc": 3}, zone=ZoneInfo("UTC")
)
FIRST = date(2026, 11, 16)
NIGHTS = [FIRST + timedelta(days=n) for n in range(5)]
ACTED = datetime(2026, 11, 18, 9)  # noqa: DTZ001 - the day before the fourth night


def read_at(night):
    return datetime(night.year, night.month, night.day, 2)  # noqa: DTZ001


def row(system, *, night=0, to=None, **said):
    """A record that said something from one night to another."""
    return facts.reading(
        system, 1, night_from=NIGHTS[night], night_to=None if to is None else NIGHTS[to],
        valid_from=read_at(NIGHTS[night]), **said,
    )  # fmt: skip


def judged(con, observations, changes=(), *, last=4, skip=()):
    """The act on the last of the nights; `skip`: nights on which mc was not read completely."""
    for n, night in enumerate(NIGHTS[: last + 1]):
        moved = read_at(night) - (night - facts.NIGHT)
        facts.begin(con, night, cutoff=moved)
        for system in ("hub", "mc"):
            is_complete = not (system == "mc" and n in skip)
            facts.read(con, (system,), night, is_complete=is_complete)
        con.execute(
            "UPDATE core.source_read SET read_at = ? WHERE night = ?", [read_at(night), night]
        )
    act = facts.change(
        "hub", 1, "offers", "opted_out", ACTED, is_explicit=True, source="preference_center",
        received_at=ACTED, effective_at=ACTED,
    )  # fmt: skip
    facts.store(con, "core.change", [act, *changes])
    facts.store(con, "core.observation", observations)
    clocks(con, NIGHTS[last], policy=POLICY)
    measure_clocks(con, NIGHTS[last], policy=POLICY)
    [found] = facts.records(con, "SELECT * FROM audit.opt_out WHERE is_own")
    return found


HUB = (row("hub", to=3, ins=2), row("hub", night=3, outs=2, category_outs=2))
MAILING = row("mc", ins=2, sends=2)
STOPPED = (row("mc", to=3, ins=2, sends=2), row("mc", night=3, outs=2, category_outs=2))


def test_without_a_stamp_the_time_lies_between_two_reads(con):
    """Taking the read for the moment would add a day to every processing time."""
    found = judged(con, [*HUB, *STOPPED])
    assert found["honoured_from"] == ACTED
    assert found["honoured_at"] == read_at(NIGHTS[3])
    assert not found["is_exact"] and not found["is_open"]


def test_the_system_s_own_word_makes_it_exact(con):
    """A vendor that tells the moment spares a day of doubt."""
    told = facts.change("mc", 1, "offers", "opted_out", ACTED + timedelta(hours=3),
                        effective_at=ACTED + timedelta(hours=3), source="sync")  # fmt: skip
    found = judged(con, [*HUB, *STOPPED], [told])
    assert found["honoured_from"] == found["honoured_at"] == ACTED + timedelta(hours=3)
    assert found["is_exact"]


def test_a_system_that_mails_on_leaves_it_open_with_a_lower_bound(con):
    """An opt-out that is not honoured must not vanish from the times."""
    found = judged(con, [*HUB, MAILING])
    assert found["is_open"] and found["open_systems"] == "mc"
    assert found["honoured_at"] is None
    assert found["honoured_from"] == read_at(NIGHTS[4])
    assert found["business_days_left"] == 0  # 48 hours end today


def test_a_hub_that_does_not_show_it_leaves_it_open(con):
    """The next import would undo what the ESPs did."""
    found = judged(con, [row("hub", ins=2), *STOPPED])
    assert found["is_open"] and found["open_systems"] == "hub"


def test_who_was_not_mailed_anyway_was_served_at_once(con):
    """A system that never mailed the person must not make the time a day long."""
    found = judged(con, [*HUB, row("mc")])
    assert found["honoured_from"] == found["honoured_at"] == ACTED


def test_a_stop_seen_late_lies_after_the_last_read_that_saw_it_mail(con):
    """The lower bound grows with every night that the system mails on."""
    late = (row("mc", to=4, ins=2, sends=2), row("mc", night=4, outs=2, category_outs=2))
    found = judged(con, [*HUB, *late])
    assert found["honoured_from"] == read_at(NIGHTS[3])
    assert found["honoured_at"] == read_at(NIGHTS[4])


def test_an_incomplete_read_is_no_evidence(con):
    """A night on which the list was not read to its end cannot say that somebody was gone."""
    found = judged(con, [*HUB, *STOPPED], last=3, skip=(3,))
    assert found["is_unseen"]
    assert found["honoured_at"] is None


def test_an_act_that_was_lifted_before_any_read_is_set_aside(con):
    """In and out within a day: nobody saw whether mail had stopped."""
    back = facts.change("hub", 1, "offers", "opted_in", ACTED + timedelta(hours=2),
                        is_explicit=True)  # fmt: skip
    found = judged(con, [row("hub", ins=2), MAILING], [back])
    assert found["is_unseen"] and not found["is_open"]
    assert found["lifted_at"] == ACTED + timedelta(hours=2)


def test_a_global_opt_out_waits_for_every_category(con):
    """Three lists left and one to go is not gone."""
    changes = [facts.change("hub", 1, None, "opted_out", ACTED, is_explicit=True,
                            source="support_request")]  # fmt: skip
    half = (row("mc", to=3, ins=3, sends=3), row("mc", night=3, ins=1, sends=1, outs=2))
    for n, night in enumerate(NIGHTS):
        facts.begin(con, night, cutoff=read_at(night) - (night - facts.NIGHT))
        facts.read(con, ("hub", "mc"), night)
        con.execute("UPDATE core.source_read SET read_at = ? WHERE night = ?",
                    [read_at(NIGHTS[n]), night])  # fmt: skip
    facts.store(con, "core.change", changes)
    facts.store(con, "core.observation", [row("hub", night=0, outs=3), *half])
    clocks(con, NIGHTS[4], policy=POLICY)
    [found] = facts.records(con, "SELECT * FROM audit.opt_out")
    assert found["category"] is None
    assert found["is_open"] and found["open_systems"] == "mc"


def figure(con, metric, system=None):
    rows = facts.records(
        con,
        f"SELECT * FROM mart.metric_daily WHERE metric = '{metric}' AND category IS NULL"
        f" AND system IS NOT DISTINCT FROM {repr(system) if system else 'NULL'}",
    )
    return rows[0]


def test_a_promise_is_kept_by_the_upper_bound(con):
    """17 hours at the utmost is less than 24."""
    judged(con, [*HUB, *STOPPED])
    row = figure(con, "opt_out_processing_p95")
    assert (row["status"], row["value"], row["low"], row["high"]) == ("met", 17.0, 0.0, 17.0)
    assert (row["numerator"], row["denominator"]) == (0, 1)
    assert figure(con, "opt_out_processing_max")["status"] == "met"


def test_a_promise_that_the_bounds_do_not_decide_is_unknown(con):
    """Between 17 and 41 hours lies 24: nobody can say."""
    late = (row("mc", to=4, ins=2, sends=2), row("mc", night=4, outs=2, category_outs=2))
    judged(con, [*HUB, *late])
    row_ = figure(con, "opt_out_processing_p95")
    assert (row_["status"], row_["value"], row_["low"], row_["high"]) == (
        "unknown", None, 17.0, 41.0,
    )  # fmt: skip
    assert figure(con, "opt_out_processing_max")["status"] == "met"


def test_a_promise_is_broken_by_the_lower_bound(con):
    """Whatever happens now, it took longer."""
    judged(con, [*HUB, MAILING])
    row_ = figure(con, "opt_out_processing_p95")
    assert (row_["status"], row_["value"], row_["high"]) == ("missed", 41.0, None)
    assert figure(con, "opt_out_processing_max")["status"] == "unknown"
    assert figure(con, "opt_out_processing_p95", "hub")["status"] == "met"
    assert figure(con, "open_opt_outs")["value"] == 1


def test_only_acts_of_the_window_count(con):
    """A slow opt-out of last year must not spoil this month's figure, nor the other way round."""
    policy = ClockPolicy(
        categories=POLICY.categories, hub="hub", systems=POLICY.systems, zone=POLICY.zone,
        clocks=POLICY.clocks.model_copy(update={"processing_days": 1}),
    )  # fmt: skip
    judged(con, [*HUB, MAILING])
    measure_clocks(con, NIGHTS[4], policy=policy)
    row_ = figure(con, "opt_out_processing_p95")
    assert row_["status"] == "unknown" and row_["note"].startswith("nothing to compare")
