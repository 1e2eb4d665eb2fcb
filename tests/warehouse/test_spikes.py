"""Nightly detection of opt-out spikes on a warehouse whose counts are known."""

from __future__ import annotations

from datetime import timedelta

import pytest

from optout.errors import UsageError
from optout.model import Categories
from optout.policy.detection import DetectionTable
from optout.testing import facts
from optout.testing.facts import CUTOFF, NIGHT
from optout.warehouse import spikes
from optout.warehouse.spikes import SpikePolicy, count_nights, detect

CATEGORIES = Categories(("news", "offers"))
PEOPLE = 2000
NIGHTS = 45
POLICY = SpikePolicy(categories=CATEGORIES, hub="hub", systems={"mc": 3})


def night_before(ago):
    return NIGHT - timedelta(days=ago)


def moment(ago):
    """When the night's mail went out."""
    return CUTOFF - timedelta(days=ago, hours=12)


def mail(con, *nights, system="mc", to=PEOPLE, campaign=None, kind="delivered", categories=1):
    """A message to each of the first `to` people; each night is a campaign of its own."""
    con.execute(
        """
        INSERT INTO core.mail_event
        SELECT uuid(), n.night, $system, md5(i::VARCHAR)::UUID, $kind, n."at", 'source',
               coalesce($campaign, 'c' || n.ago), NULL, $categories, false, false
        FROM (SELECT unnest($nights) AS night, unnest($moments) AS "at", unnest($ago) AS ago) AS n
        CROSS JOIN range($people) AS r(i)
        """,
        {
            "nights": [night_before(n) for n in nights], "moments": [moment(n) for n in nights],
            "ago": list(nights), "system": system, "kind": kind, "campaign": campaign,
            "categories": categories, "people": to,
        },
    )  # fmt: skip


def opt_outs(con, ago, people, *, after=timedelta(hours=3), span=None, **told):
    """Acts of the people with these numbers, so long after the night's mail."""
    at = moment(ago) + after
    row = {
        "category": "news", "system": "mc", "source": "email_link", "campaign_id": f"c{ago}",
        "occurred_at": at, "occurred_from": at - (span or timedelta()), "received_at": at,
        "time_kind": "estimated" if span else "source", "is_own": True,
        "is_start_estimated": False, "jurisdiction": "unknown", "jurisdiction_kind": "unknown",
        "strict_deadline": at.date(), "strict_late_from": at, "strict_rule": "rule",
        "legal_deadline": at.date(), "legal_late_from": at, "legal_rule": "rule",
        "is_exact": False, "is_unseen": False, "is_open": False,
    } | told  # fmt: skip
    con.execute(
        f"""
        INSERT INTO audit.opt_out BY NAME
        SELECT uuid() AS opt_out_id, md5(p::VARCHAR)::UUID AS contact_key,
               {", ".join(f"${name} AS {name}" for name in row)}
        FROM (SELECT unnest($people) AS p)
        """,
        row | {"people": list(people)},
    )


def usual(ago):
    """About eight people a night, others each night, never exactly alike."""
    return range(ago * 11, ago * 11 + 6 + ago * 7 % 5)


def learn(con):
    """Count the past as its nights would have."""
    count_nights(con, NIGHT, POLICY, nights=NIGHTS + 1)


@pytest.fixture(scope="module")
def quiet():
    """A system of quiet nights, tonight's mail and opt-outs included."""
    con = facts.warehouse()
    con.execute(
        """
        INSERT INTO core.identity
        SELECT md5(i::VARCHAR)::UUID, 'p' || i || CASE
            WHEN i % 4 = 0 THEN '@large.example' WHEN i < 120 THEN '@small.example'
            WHEN i % 100 = 1 THEN '@tiny' || i || '.example'
            ELSE '@d' || i % 5 || '.example' END, 'k1', ?
        FROM range(?) AS r(i)
        """,
        [night_before(NIGHTS), PEOPLE],
    )
    for ago in range(NIGHTS, -1, -1):
        facts.begin(con, night_before(ago))
        facts.read(con, ("hub", "mc"), night_before(ago))
        opt_outs(con, ago, usual(ago))
    mail(con, *range(NIGHTS + 1))
    learn(con)
    yield con
    con.close()


@pytest.fixture
def con(quiet):
    """Each test changes it as it likes; nothing stays."""
    quiet.begin()
    yield quiet
    quiet.rollback()


def said(con, dimension="category", key="news", system="mc", night=NIGHT):
    rows = facts.records(
        con,
        f"""FROM audit.spike WHERE night = '{night}' AND dimension = '{dimension}'
            AND key = '{key}' AND system = '{system}'""",
    )
    assert len(rows) <= 1
    return rows[0] if rows else None


def detected(con, *scope):
    detect(con, NIGHT, policy=POLICY)
    return said(con, *scope)


def detected_anew(con, *scope):
    """Where the past was changed."""
    learn(con)
    return detected(con, *scope)


def test_a_quiet_night_is_said_to_be_normal(con):
    """Without a row nobody could tell a quiet night from one that was never judged."""
    row = detected(con)
    assert row["kind"] == "normal"
    assert (row["opt_outs"], row["deliveries"]) == (6, PEOPLE)
    assert 7 < row["expected"] < 9
    assert 20 < row["threshold"] < 30


def test_a_spike_names_count_expectation_and_threshold(con):
    """An alert without figures cannot be weighed."""
    opt_outs(con, 0, range(1000, 1030))
    row = detected(con)
    assert (row["kind"], row["opt_outs"], row["window_nights"]) == ("spike", 36, 1)
    assert row["p_value"] < row["alpha"] < 1 / 7300
    assert row["ratio"] == pytest.approx(36 / row["expected"])
    assert row["rate"] == 36 / PEOPLE
    assert row["opt_outs"] >= row["threshold"]
    assert row["since"] == NIGHT


def test_each_dimension_tells_where_the_spike_is(con):
    """On-call would know that something rose, and not what to hold."""
    opt_outs(con, 0, range(1000, 1120, 4))
    rows = detect(con, NIGHT, policy=POLICY)
    flagged = {(r.dimension, r.key) for r in rows if r.kind == "spike"}
    assert flagged == {
        ("system", "mc"), ("category", "news"), ("source", "email_link"),
        ("domain", "large.example"), ("campaign", "c0"),
    }  # fmt: skip


def test_the_threshold_is_the_least_count_that_fires(con):
    """A page that shows a wrong limit makes every alert look arbitrary."""
    threshold = detected(con)["threshold"]
    opt_outs(con, 0, range(1000, 1000 + threshold - 7))
    assert detected(con)["kind"] == "normal"
    opt_outs(con, 0, [1900])
    assert detected(con)["kind"] == "spike"


def test_a_moderate_rise_over_four_nights_is_a_slow_rise(con):
    """Twice as many every night stay below the limit of each single night."""
    for ago in range(5):
        opt_outs(con, ago, range(1000 + 20 * ago, 1010 + 20 * ago))
    row = detected_anew(con)
    assert (row["kind"], row["window_nights"]) == ("slow_rise", 4)
    assert row["deliveries"] == 4 * PEOPLE


def test_a_large_send_without_any_opt_out_is_a_dead_feed(con):
    """A broken unsubscribe link looks like a success: nobody leaves any more."""
    con.execute("DELETE FROM audit.opt_out WHERE occurred_at > ?", [moment(0)])
    mail(con, *[0] * 4)
    row = detected(con)
    assert (row["kind"], row["opt_outs"], row["deliveries"]) == ("dead_feed", 0, 5 * PEOPLE)
    assert row["p_value"] < 1e-6
    assert "about 4" in row["note"]


def test_opt_outs_at_one_domain_within_minutes_are_told_apart_as_scanners(con):
    """A page for a machine that opens links teaches on-call to ignore pages."""
    opt_outs(con, 0, range(1000, 1120, 4), after=timedelta(minutes=2))
    row = detected(con)
    assert row["kind"] == "scanner"
    assert "30 of 3" in row["note"]
    assert "large.example" in row["note"]


@pytest.mark.parametrize(
    ("people", "after"),
    [
        (range(1000, 1030), timedelta(minutes=2)),
        (range(1000, 1120, 4), timedelta(hours=2)),
    ],
    ids=["many domains", "hours later"],
)
def test_people_are_not_taken_for_scanners(con, people, after):
    """A bad campaign would be waved through as machine noise."""
    opt_outs(con, 0, people, after=after)
    assert detected(con)["kind"] == "spike"


def test_a_scanner_of_a_small_firm_is_not_named(con):
    """The domain of a firm with few contacts points at people."""
    opt_outs(con, 0, range(61, 120, 2), after=timedelta(minutes=1))
    row = detected(con)
    assert (row["kind"], "small" in row["note"]) == ("scanner", True)
    con.execute("DELETE FROM core.identity WHERE address LIKE '%0@small.example'")
    con.execute("DELETE FROM core.identity WHERE address LIKE 'p_@small.example'")
    con.execute("DELETE FROM core.identity WHERE address LIKE 'p1%@small.example'")
    con.execute(
        "UPDATE core.identity SET address = 'x@d1.example' WHERE address LIKE 'p2%@small.example'"
    )
    row = detected(con)
    assert "small.example" not in row["note"]
    assert "one small domain" in row["note"]


def test_no_domain_with_few_contacts_is_a_series(con):
    """Counts of a domain with one contact are that person's."""
    opt_outs(con, 0, [101, 201, 301])
    learn(con)
    rows = facts.records(con, "FROM mart.opt_out_series WHERE dimension = 'domain'")
    keys = {row["key"] for row in rows}
    assert keys == {"large.example", "small.example", "other", *(f"d{i}.example" for i in range(5))}


def test_a_night_that_was_not_read_completely_is_not_judged(con):
    """Half a feed looks like calm, or like a dead feed."""
    con.execute("UPDATE core.source_read SET is_complete = false WHERE night = ?", [NIGHT])
    opt_outs(con, 0, range(1000, 1030))
    assert detected(con) is None
    assert con.execute("SELECT count(*) FROM audit.spike").fetchone() == (0,)


def test_incomplete_nights_teach_nothing(con):
    """Nights with half of their events would lower the limit until a usual night fires."""
    expected = detected_anew(con)["expected"]
    con.execute(
        "UPDATE core.source_read SET is_complete = false WHERE night BETWEEN ? AND ?",
        [night_before(36), night_before(30)],
    )
    con.execute(
        "DELETE FROM audit.opt_out WHERE occurred_at BETWEEN ? AND ?", [moment(37), moment(29)]
    )
    assert detected_anew(con)["expected"] == pytest.approx(expected, rel=0.1)


def test_flagged_nights_teach_nothing_until_they_are_the_new_normal(con, monkeypatch):
    """One blast would hide the next, or a lasting change would alarm for ever."""
    expected = detected_anew(con)["expected"]
    for ago in range(20, 30):
        opt_outs(con, ago, range(1000, 1060))
    assert detected_anew(con)["expected"] > 2 * expected
    con.executemany(
        "INSERT INTO audit.spike (night, kind, dimension, system, key, since, window_nights,"
        " opt_outs, deliveries) VALUES (?, 'spike', 'category', 'mc', 'news', ?, 1, 66, 2000)",
        [[night_before(ago)] * 2 for ago in range(20, 30)],
    )
    assert detected(con)["expected"] == pytest.approx(expected, rel=0.1)
    monkeypatch.setattr(spikes, "NEW_NORMAL", 19)
    assert detected(con)["expected"] > 2 * expected
    con.execute("UPDATE audit.spike SET kind = 'dead_feed' WHERE night < ?", [NIGHT])
    assert detected(con)["expected"] == pytest.approx(expected, rel=0.1)


def test_tonight_and_the_fortnight_before_it_are_no_part_of_the_baseline(con):
    """A rise would teach itself as normal while it grows."""
    expected = detected_anew(con)["expected"]
    for ago in range(14):
        opt_outs(con, ago, range(1000, 1060))
    assert detected_anew(con)["expected"] == expected


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ("DELETE FROM core.mail_event WHERE night = $night AND abs(hash(contact_key)) % 5 > 0",
         "fewer than 500 deliveries"),
        ("UPDATE core.source_read SET is_complete = false WHERE night < $night - 30",
         "17 nights to learn from, 20 are needed"),
    ],
    ids=["deliveries", "nights"],
)  # fmt: skip
def test_where_there_is_too_little_it_says_so(con, change, note):
    """Silence about a small series would be read as: all is well."""
    con.execute("DELETE FROM core.mail_event WHERE night BETWEEN ? AND ?",
                [night_before(13), night_before(1)])  # fmt: skip
    con.execute(change, {"night": NIGHT} if "$night" in change else None)
    row = detected_anew(con)
    assert (row["kind"], row["note"]) == ("too_little_to_tell", note)
    assert row["expected"] is None


def test_the_same_act_told_twice_counts_once(con):
    """Two feeds that tell one act would double every rate, and a third feed would alarm."""
    for _ in range(3):
        opt_outs(con, 0, usual(0))
    assert detected(con)["opt_outs"] == len(usual(0))


def test_acts_without_a_night_belong_to_none(con):
    """The opt-outs found in a system's first read would be the spike of that night."""
    opt_outs(con, 0, range(1000, 1060), span=timedelta(days=30))
    assert detected(con)["opt_outs"] == len(usual(0))


def test_events_that_arrive_late_are_counted_where_they_belong(con):
    """Yesterday's rest would be added to tonight, or lost."""
    detected(con)
    opt_outs(con, 1, range(1000, 1004))
    detect(con, NIGHT, policy=POLICY)
    count = facts.records(con, f"""FROM mart.opt_out_series WHERE night = '{night_before(1)}'
        AND dimension = 'category' AND key = 'news'""")[0]  # fmt: skip
    assert count["opt_outs"] == len(usual(1)) + 4
    assert said(con)["opt_outs"] == len(usual(0))


def test_a_vendor_that_tells_sends_and_bounces_is_counted_by_their_difference(con):
    """Without deliveries told, its series would have no denominator."""
    mail(con, 0, system="kl", kind="sent", to=900)
    mail(con, 0, system="kl", kind="bounced", to=100)
    count_nights(con, NIGHT, POLICY)
    rows = facts.records(con, "FROM mart.opt_out_series WHERE dimension = 'system'")
    counts = {(r["system"], r["night"]): r["deliveries"] for r in rows}
    assert counts["kl", NIGHT] == 800
    assert counts["hub", NIGHT] == PEOPLE + 800


def test_an_opt_out_of_everything_counts_in_each_category_that_is_mailed(con):
    """It would be missing where people leave for good."""
    opt_outs(con, 0, [1000], category=None)
    count_nights(con, NIGHT, POLICY)
    rows = facts.records(con, f"FROM mart.opt_out_series WHERE night = '{NIGHT}'"
                              " AND dimension = 'category' AND system = 'mc'")  # fmt: skip
    assert {r["key"]: r["opt_outs"] for r in rows} == {"news": len(usual(0)) + 1, "offers": 1}


def test_since_is_the_first_night_of_those_in_a_row(con):
    """An alert could not say how long it has been so."""
    learn(con)
    opt_outs(con, 1, range(1000, 1030))
    opt_outs(con, 0, range(1030, 1060))
    learn(con)
    con.execute("DELETE FROM core.night WHERE night = ?", [NIGHT])
    detect(con, night_before(1), policy=POLICY)
    facts.begin(con, NIGHT)
    detect(con, NIGHT, policy=POLICY)
    assert (said(con)["kind"], said(con)["since"]) == ("spike", night_before(1))


def test_detecting_again_changes_nothing(con):
    """A night that is run twice would alarm twice."""
    opt_outs(con, 0, range(1000, 1030))
    detected(con)
    tables = ("audit.spike", "mart.opt_out_series")
    first = [con.execute(f"FROM {t} ORDER BY ALL").fetchall() for t in tables]
    detect(con, NIGHT, policy=POLICY)
    assert [con.execute(f"FROM {t} ORDER BY ALL").fetchall() for t in tables] == first


def test_a_night_that_was_overtaken_keeps_what_was_said(con):
    """Repeating an old night would rewrite what on-call was told."""
    assert detect(con, night_before(1), policy=POLICY) == []
    con.execute("UPDATE core.night SET kind = 'backfill' WHERE night = ?", [NIGHT])
    assert detect(con, NIGHT, policy=POLICY) == []


def test_an_unknown_night_is_a_mistake_of_the_caller(con):
    """A mistyped date would be reported as calm."""
    with pytest.raises(UsageError):
        detect(con, night_before(-1), policy=POLICY)


def test_the_budget_is_shared_by_as_many_series_as_are_judged(con):
    """A company with two hundred series would get ten times the false pages."""
    assert DetectionTable().rules(200).alpha == pytest.approx(DetectionTable().rules().alpha / 10)
    assert DetectionTable().rules(3) == DetectionTable().rules()


def test_nothing_personal_stands_in_what_is_said(con):
    """Alerts and the published copy would carry addresses."""
    opt_outs(con, 0, range(1000, 1120, 4), after=timedelta(minutes=2))
    detect(con, NIGHT, policy=POLICY)
    text = str(
        [con.execute(f"FROM {t}").fetchall() for t in ("audit.spike", "mart.opt_out_series")]
    )
    assert "@" not in text
    assert "tiny" not in text
