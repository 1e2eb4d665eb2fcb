"""Sends, processing times, consents and footers of a whole world, judged against its truth."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from math import inf
from pathlib import Path
from typing import Any

import pytest

from optout.sandbox.world.people import COUNTRIES
from optout.sandbox.world.world import CATEGORIES, Plan
from optout.testing import facts
from optout.testing.nights import Bench
from optout.testing.slow_clocks import SlowClocks, SlowPolicy
from optout.warehouse.clocks import ClockPolicy, clock_policy

ISO = {told: iso for told, iso in COUNTRIES if told and iso}


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory, seed: int) -> dict[str, Any]:
    """Two nights after Christmas, and everything that was written about them."""
    plan = Plan(people=110, seed=seed, first_night=date(2027, 1, 7), campaign_size=80)
    with Bench(Path(tmp_path_factory.mktemp("law")), plan) as bench:
        bench.run()
        bench.world.advance()
        bench.run()
        sent = [s for n in (1, 2) for s in bench.world.sent(n)]
        with bench.project().warehouse.reader() as con:
            rows = {
                name: facts.records(con, f"SELECT * FROM {table}")
                for name, table in (
                    ("violations", "audit.violation"), ("acts", "audit.opt_out"),
                    ("consent", "audit.consent"), ("faults", "audit.campaign_fault"),
                    ("people", "core.identity"), ("campaigns", "core.campaign"),
                    ("metrics", "mart.metric_daily"), ("unconsented", "audit.unconsented_send"),
                    ("gaps", "audit.trail_gap"),
                )
            }  # fmt: skip
        truth, policy = bench.world.truth(2), clock_policy(bench.project().settings)
    names = {row["contact_key"]: row["address"] for row in rows["people"]}
    for name in ("violations", "acts", "consent", "unconsented"):
        for row in rows[name]:
            row["who"] = names[row["contact_key"]]
    return {"truth": truth, "policy": policy, "sent": sent, **rows}


def naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def oracle(truth: Any, policy: ClockPolicy) -> SlowClocks:
    """The slow rules over the fields of the world's own people."""
    consents = [
        {"contact_key": who, "country": country, "basis": g.basis, "basis_date": g.basis_date,
         "basis_ref": g.basis_ref, "method": g.method}
        for who, each in truth.consent.items() for g, country in each
    ]  # fmt: skip
    cutoff = naive(truth.night.cutoff)
    slow = SlowPolicy(CATEGORIES, policy.hub, str(policy.zone), policy.window, cutoff, ISO)
    return SlowClocks(slow, consents=consents)


def test_every_send_after_an_opt_out_is_found_and_nothing_else(nights):
    """A late send that nobody sees ends with the authority; a false one is an accusation."""
    late = nights["truth"].late_sends
    found = {(v["system"], v["who"], v["sent_at"].date()) for v in nights["violations"]}
    everything = {(s.system, s.address, s.sent_at.date()) for s in late}
    proven = {(s.system, s.address, s.sent_at.date()) for s in late if s.known_by < s.sent_at}
    assert proven - found == set()
    assert found - everything == set()
    assert len(proven) > 20


def test_every_send_is_graded_by_the_right_clock(nights):
    """Across Christmas and New Year, in every country of the world's people."""
    truth = nights["truth"]
    slow = oracle(truth, nights["policy"])
    received = {(p.address, p.occurred_at): p.received_at for p in truth.processing}
    found = {(v["system"], v["who"], v["sent_at"].date()): v for v in nights["violations"]}
    grades = set()
    for send in truth.late_sends:
        v = found.get((send.system, send.address, send.sent_at.date()))
        if v is None or v["opted_out_at"] != naive(send.opted_out_at):
            continue  # only bounds of it can be known
        receipt = naive(received.get((send.address, send.opted_out_at), send.opted_out_at))
        out = {"occurred_at": naive(send.opted_out_at), "receipts": [receipt]}
        strict, legal = slow.deadlines(out, send.address)
        at = v["sent_at"]
        right = "legal_breach" if at >= legal.late_from else "breach"
        grades.add(v["grade"])
        assert v["grade"] == (right if at >= strict.late_from else "warning"), send
        assert (v["strict_deadline"], v["legal_deadline"]) == (strict.last_day, legal.last_day)
    assert "warning" in grades and len(grades) > 1


def test_processing_times_contain_the_true_ones(nights):
    """An interval that excludes the truth is worse than none."""
    acts = {(a["who"], a["category"], a["system"], a["occurred_at"]): a for a in nights["acts"]}
    compared = exact = 0
    for told in nights["truth"].processing:
        act = acts.get((told.address, told.category, told.system, naive(told.occurred_at)))
        if act is None or act["is_unseen"]:
            continue
        compared += 1
        exact += act["is_exact"]
        if told.is_open():
            assert act["honoured_at"] is None, told
            continue
        true = max(naive(at) for at in told.effective_at.values() if at)
        assert act["honoured_from"] <= true, told
        assert act["honoured_at"] is None or true <= act["honoured_at"], told
        if act["is_exact"]:
            assert act["honoured_at"] == true
    assert compared > 30 and exact > 0


def test_every_consent_is_judged_by_its_basis(nights):
    """Each expired and expiring consent, and nobody whose country asks for none."""
    truth = nights["truth"]
    slow = oracle(truth, nights["policy"])
    right = {who: found for who in truth.consent if (found := slow.consent(who, truth.night.date))}
    judged = {c["who"]: (c["status"], c["basis"], c["expires_on"]) for c in nights["consent"]}
    assert judged == right
    assert {"ok", "expired", "not_proven"} < {status for status, *_ in right.values()}
    assert any(status.startswith("within") for status, *_ in right.values())


def test_every_send_without_a_consent_is_found(nights):
    """Exactly the messages to people whose consent was not proven, or over on that day."""
    judged = {c["who"]: c for c in nights["consent"]}
    zone = nights["policy"].zone
    expected = set()
    for sent in nights["sent"]:
        for who in sent.who:
            c = judged.get(who)
            if c is None:
                continue
            country = ISO.get(nights["truth"].consent[who][0][1] or "")
            at = sent.mailing.sent_at
            on = at.astimezone(nights["policy"].regimes.zone(country, zone)).date()
            if c["status"] == "not_proven" or (c["expires_on"] and on >= c["expires_on"]):
                expected.add((sent.system, who, at.date()))
    found = [(u["system"], u["who"], u["sent_at"].date()) for u in nights["unconsented"]]
    # Of who has since left the hub, only the night before knew the consent.
    assert {each for each in found if each[1] in judged} == expected
    assert len(found) == len(set(found))


def test_every_footer_that_was_edited_is_found(nights):
    """A mail without a way out, or without an address of who sent it."""
    names = {(c["system"], c["campaign_id"]): c["name"] for c in nights["campaigns"]}
    found = {(f["system"], names[f["system"], f["campaign_id"]], f["fault"])
             for f in nights["faults"]}  # fmt: skip
    right = set()
    for each in nights["sent"]:
        if not each.mailing.has_unsubscribe:
            right.add((each.system, each.mailing.name, "no_unsubscribe"))
        if not each.mailing.has_postal_address:
            right.add((each.system, each.mailing.name, "no_postal_address"))
    assert found == right and right


def figure(
    nights: dict[str, Any],
    metric: str,
    system: str | None = None,
    category: str | None = None,
    night: date | None = None,
) -> Any:
    """One figure, of the last night where none is named."""
    wanted = (night or nights["truth"].night.date, metric, system, category)
    [row] = [m for m in nights["metrics"]
             if (m["night"], m["metric"], m["system"], m["category"]) == wanted]  # fmt: skip
    return row


def test_every_count_is_the_number_of_its_rows(nights):
    """An officer who opens the rows behind a figure must find as many as it says."""
    late, without = nights["violations"], nights["unconsented"]
    beyond = [v for v in late if v["beyond_strict"]]
    assert beyond and without
    for metric, rows in (("violations", late), ("violations_beyond_deadline", beyond),
                         ("sends_without_consent", without)):  # fmt: skip
        found = {(r["found_night"], r["system"], c) for r in rows for c in (r["category"], None)}
        for night, system, category in found | {(n, None, None) for n, *_ in found}:
            inside = [r for r in rows if r["found_night"] == night
                      and system in (None, r["system"])
                      and category in (None, r["category"])]  # fmt: skip
            row = figure(nights, metric, system, category, night)
            assert row["numerator"] == len(inside), metric
    everything = nights["policy"].categories.all
    asked = [c for c in nights["consent"] if c["opted_out"] != everything]
    endings = {"consent_ending_7": 7, "consent_ending_30": 30, "consent_ending_60": 60}
    for metric, days in endings.items():
        ending = [c for c in asked if c["days_left"] is not None and 0 <= c["days_left"] <= days]
        assert figure(nights, metric)["value"] == len(ending)
    for metric, status in (("consent_expired", "expired"), ("consent_not_proven", "not_proven")):
        held = [c for c in asked if c["status"] == status]
        assert figure(nights, metric)["value"] == len(held) > 0
    out = {a["who"] for a in nights["acts"] if a["category"] is None and a["lifted_at"] is None}
    assert figure(nights, "global_opt_outs")["value"] == len(out) > 0


def test_the_middle_processing_time_lies_between_its_bounds(nights):
    """The median is of intervals: neither end may stand for the other."""
    row = figure(nights, "opt_out_processing_p50")
    cutoff = naive(nights["truth"].night.cutoff)
    since = cutoff - timedelta(days=nights["policy"].clocks.processing_days)
    told = [a for a in nights["acts"] if (a["is_own"] or a["source"] == "unknown")
            and a["time_kind"] == "source" and since < a["occurred_at"] <= cutoff
            and not a["is_unseen"]]  # fmt: skip
    assert row["denominator"] == len(told) > 10
    middle = (len(told) + 1) // 2 - 1
    lows = sorted(max(0.0, hours(a["occurred_at"], a["honoured_from"])) for a in told)
    highs = sorted(hours(a["occurred_at"], a["honoured_at"]) for a in told)
    assert row["low"] == pytest.approx(lows[middle])
    assert (row["high"] or inf) == pytest.approx(highs[middle])


def hours(since: datetime, until: datetime | None) -> float:
    """Between two moments; without end where it has not come."""
    return inf if until is None else (until - since).total_seconds() / 3600


def test_every_gap_of_the_trail_is_counted(nights):
    """The count beside the score is that of the list."""
    gaps = nights["gaps"]
    for system in {g["system"] for g in gaps} | {None}:
        listed = [g for g in gaps if system in (None, g["system"])]
        assert figure(nights, "trail_gaps", system)["value"] == len(listed) > 0
