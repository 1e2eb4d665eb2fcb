"""Deadlines, violations and consent: the nightly SQL agrees with a slow oracle on random worlds."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from random import Random
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from optout.model import Categories
from optout.testing import facts
from optout.testing.slow_clocks import SlowClocks, SlowPolicy
from optout.warehouse.clocks import ClockPolicy, clocks
from optout.warehouse.consent import consents

NAMES = ("news", "offers", "events")
SYSTEMS = ("mc", "kl")
PEOPLE = 60
NIGHT = date(2027, 1, 12)
CUTOFF = datetime(2027, 1, 12, 2)  # noqa: DTZ001 - the warehouse stores naive UTC
ZONE = "America/Denver"
COUNTRIES = {"Canada": "CA", "US": "US", "germany": "DE", "France": "FR", "uk": "GB",
             "Australia": "AU", "Brazil": "BR"}  # fmt: skip
POLICY = ClockPolicy(
    categories=Categories(NAMES), hub="hub", systems={"mc": 7, "kl": 3}, zone=ZoneInfo(ZONE)
)


def moment(rng: Random) -> datetime:
    """Around Christmas and New Year, near midnights and weekends, so that deadlines differ."""
    day = CUTOFF - timedelta(days=rng.choice((0, 1, 2, 3, 5, 7, 10, 14, 15, 18, 20, 25, 32, 34)))
    hour = rng.choice((0, 4, 5, 6, 12, 13, 22, 23))
    return day.replace(hour=hour, minute=rng.choice((0, 10, 59)))


def random_rows(seed: int) -> dict[str, list[facts.Row]]:
    rng = Random(seed)
    people = [facts.key(n) for n in range(PEOPLE)]
    rows: dict[str, list[facts.Row]] = {
        "changes": [], "mails": [], "consents": [], "observations": [], "undated": []
    }  # fmt: skip
    for number, person in enumerate(people):
        rows["changes"] += [random_change(rng, number) for _ in range(rng.choice((0, 1, 2, 3, 4)))]
        rows["mails"] += random_mail(rng, person)
        for record in range(rng.choice((0, 1, 1, 2))):
            rows["consents"].append(random_consent(rng, person, f"{number}-{record}"))
            rows["observations"].append(
                facts.reading(
                    "hub", number, store="contacts", record_id=f"{number}-{record}",
                    category_outs=rng.choice((0, 0, 1, 2, 7)), night_from=date(2026, 11, 1),
                    night_to=rng.choice((None, None, date(2027, 1, 5))),
                )
            )  # fmt: skip
        if rng.random() < 0.1:
            rows["undated"].append({
                "contact_key": person, "category": rng.choice(NAMES), "system": "mc",
                "occurred_at": moment(rng), "occurred_from": None, "time_kind": "estimated",
            })  # fmt: skip
    for n, row in enumerate(rng.sample(rows["changes"], len(rows["changes"]))):
        row |= {"change_id": UUID(int=10**6 + n), "change_seq": n}
    return rows


def random_change(rng: Random, person: int) -> facts.Row:
    at = moment(rng)
    estimated = rng.random() < 0.25
    begin = rng.choice((None, at - timedelta(hours=rng.choice((1, 26))))) if estimated else at
    received = rng.choice((None, None, at, at + timedelta(hours=30)))
    return facts.change(
        rng.choice(("hub", *SYSTEMS)), person, rng.choice((None, *NAMES)),
        rng.choice(("opted_out", "opted_out", "opted_in", "not_set")), at,
        occurred_from=begin, time_kind="estimated" if estimated else "source",
        is_explicit=rng.random() < 0.6, received_at=received,
        night=rng.choice((date(2027, 1, 2), NIGHT)), source="email_link",
    )  # fmt: skip


def random_mail(rng: Random, person: UUID) -> list[facts.Row]:
    rows = []
    for _ in range(rng.choice((0, 1, 3, 6))):
        at, system = moment(rng), rng.choice(SYSTEMS)
        name = f"m{rng.randrange(10**9)}" if rng.random() < 0.7 else None
        campaign = f"c{rng.randrange(4)}"
        for kind in rng.choice((("sent", "delivered"), ("delivered",), ("sent", "bounced"),
                                ("bounced",), ("sent",), ("clicked",), ("dropped",))):  # fmt: skip
            rows.append({
                "event_key": UUID(int=rng.getrandbits(120)), "night": NIGHT, "system": system,
                "contact_key": person, "kind": kind,
                "occurred_at": at + timedelta(seconds=rng.choice((0, 30))), "time_kind": "source",
                "campaign_id": campaign, "message_id": name,
                "categories": rng.choice((0, 1, 2, 4, 6)), "transactional": rng.random() < 0.1,
                "bypass": False,
            })  # fmt: skip
    return rows


def random_consent(rng: Random, person: UUID, record: str) -> facts.Row:
    two_years = NIGHT.replace(year=NIGHT.year - 2)
    near = timedelta(
        days=rng.choice((-400, -2, -1, 0, 1, 2, 6, 7, 8, 9, 30, 31, 32, 60, 61, 62, 300))
    )
    return {
        "system": "hub", "store": "contacts", "record_id": record, "contact_key": person,
        "country": rng.choice((*COUNTRIES, "Atlantis", "", None)),
        "method": rng.choice(("explicit", "Explicit", "implicit", None)),
        "basis": rng.choice(("express", "purchase", "Contract", "inquiry", "membership",
                             "grandfathered", "hearsay", None)),
        "basis_date": rng.choice((None, two_years + near, NIGHT - timedelta(days=180) + near)),
        "basis_ref": rng.choice(("DOC", "DOC", "DOC", None, " ")), "has_consent_ip": False,
        "night": NIGHT,
    }  # fmt: skip


def judged(rows):
    """The world through the nightly SQL."""
    con = facts.warehouse()
    facts.begin(con, NIGHT, cutoff=CUTOFF - (NIGHT - facts.NIGHT))
    facts.read(con, ("hub", *SYSTEMS), NIGHT)
    facts.store(con, "core.change", rows["changes"])
    facts.store(con, "core.mail_event", rows["mails"])
    facts.store(con, "core.consent", rows["consents"])
    facts.store(con, "core.observation", rows["observations"])
    facts.store(con, "audit.expected", [
        {"contact_key": u["contact_key"], "category": u["category"], "state": "opted_out",
         "reason": "opt_out_stands", "decided_system": u["system"],
         "decided_at": u["occurred_at"], "decided_from": None}
        for u in rows["undated"]
    ])  # fmt: skip
    for _ in range(2):  # a second run of the same night changes nothing
        clocks(con, NIGHT, policy=POLICY)
        consents(con, NIGHT, policy=POLICY)
    found = {
        (v["event_key"], v["grade"], v["beyond_strict"], v["opted_out_at"], v["strict_deadline"],
         v["legal_deadline"])
        for v in facts.records(con, "SELECT * FROM audit.violation")
    }  # fmt: skip
    consent = {
        c["contact_key"]: (c["status"], c["basis"], c["expires_on"])
        for c in facts.records(con, "SELECT * FROM audit.consent")
    }
    con.close()
    return found, consent


def by_oracle(rows):
    """The same by plain Python."""
    policy = SlowPolicy(NAMES, "hub", ZONE, POLICY.window, CUTOFF, COUNTRIES)
    slow = SlowClocks(policy, **rows)
    people = [facts.key(n) for n in range(PEOPLE)]
    found = {v for person in people for v in slow.violations(person)}
    live = {o["record_id"] for o in rows["observations"] if o["night_to"] is None}
    kept = [c for c in rows["consents"] if c["record_id"] in live]
    living = SlowClocks(policy, consents=kept)
    consent = {p: c for p in people if (c := living.consent(p, NIGHT)) is not None}
    return found, consent


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32))
def test_sql_and_oracle_agree(seed):
    """A mistake in a deadline would have to be made twice, in two languages."""
    rows = random_rows(seed)
    found, consent = judged(rows)
    expected, expected_consent = by_oracle(rows)
    assert found == expected
    assert consent == expected_consent


def test_random_worlds_hold_every_grade_and_status():
    """An oracle that is never asked a hard question agrees with anything."""
    found, consent = set(), set()
    for seed in range(6):
        violations, consents_of = by_oracle(random_rows(seed))
        found |= {v[1] for v in violations}
        consent |= {c[0] for c in consents_of.values()}
    assert found == {"warning", "breach", "legal_breach"}
    assert consent == {"ok", "within_60", "within_30", "within_7", "expired", "not_proven"}


def test_the_moments_are_utc():
    """The oracle and the SQL must read the same clock."""
    assert CUTOFF.replace(tzinfo=UTC).astimezone(ZoneInfo(ZONE)).date() < NIGHT
