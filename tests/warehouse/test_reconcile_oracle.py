"""The nightly SQL, the readable rules and a slow independent oracle agree on random worlds."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from optout.model import State, TimeKind
from optout.rules.drift import Cell, Stamp, classify, is_in_flight
from optout.rules.reading import Record, conflicts, read_system
from optout.rules.resolution import PreferenceChange, resolve
from optout.testing import facts
from optout.testing.facts import CUTOFF, NIGHT
from optout.testing.random_facts import CATEGORIES, PEOPLE, POLICY, SYSTEMS, random_world
from optout.testing.slow_reading import World
from optout.testing.slow_rules import SlowRules
from optout.warehouse.reconcile import reconcile
from optout.warehouse.script import statements


def judged(world: World, **options):
    """The world through the nightly SQL."""
    con = facts.warehouse()
    con.executemany(
        "INSERT INTO core.identity VALUES (?, 'someone', 'key', ?)",
        [(facts.key(person), NIGHT) for person in range(PEOPLE)],
    )
    facts.begin(con)
    facts.read(con, SYSTEMS)
    facts.store(con, "core.observation", world.readings)
    facts.store(con, "core.change", world.changes)
    reconcile(con, NIGHT, policy=POLICY, **options)
    expected = facts.records(con, "SELECT * FROM audit.expected")
    drift = facts.records(con, "SELECT * FROM audit.drift")
    con.close()
    return expected, drift


def by_oracle(world: World):
    slow = SlowRules(world, POLICY)
    expected, drift = set(), set()
    for person in map(facts.key, range(PEOPLE)):
        for name in CATEGORIES.names:
            if found := slow.expected(person, name):
                expected.add((person, name, *found))
            for system in SYSTEMS:
                store = slow.conflict(person, system, name)
                if store and POLICY.systems.get(system, 7) & CATEGORIES.bit(name):
                    drift.add(("conflicting_duplicates", system, name, person, (None, store)))
        for system, mask in POLICY.systems.items():
            for name in CATEGORIES.of(mask):
                if verdict := slow.verdict(person, system, name):
                    if verdict[0] == "missing_here":
                        drift.add(("missing_here", system, None, person, None))
                    else:
                        drift.add((verdict[0], system, name, person, verdict[1:]))
    return expected, drift


def shaped(expected, drift):
    return (
        {
            (
                e["contact_key"],
                e["category"],
                e["state"],
                e["reason"],
                e["decided_change"],
                e["decided_system"],
                e["decided_at"],
                e["decided_from"],
            )
            for e in expected
        },
        {
            (
                d["class"],
                d["system"],
                d["category"],
                d["contact_key"],
                {
                    "missing_here": None,
                    "conflicting_duplicates": (d["reason"], d["store"]),
                }.get(d["class"], (d["reason"], d["store"], d["expected"], d["actual"])),
            )
            for d in drift
        },
    )


def by_readable_rules(world: World):
    """The world through `optout.rules`, person by person, as `optout explain` does it."""
    slow = SlowRules(world, POLICY)
    expected, drift = set(), set()
    for person in map(facts.key, range(PEOPLE)):
        views, told = _views(world, person)
        changes = _known_changes(world, person, told)
        for name in CATEGORIES.names:
            bit = CATEGORIES.bit(name)
            decision = resolve(changes, name, CUTOFF, POLICY.window)
            if decision.reason != "no_opt_out":
                by = decision.decided_by
                when = (by.occurred_at, by.occurred_from)
                what = (decision.state, decision.reason, by.change_id, by.system)
                expected.add((person, name, *what, *when))
            for system, mask in POLICY.systems.items():
                if not mask & bit:
                    continue
                view = views[system]
                cell = Cell(
                    decision=decision,
                    mailable=bool(view.mailable & bit),
                    holds_out=bool(view.outs & bit),
                    present=view.present,
                    unclear=bool(view.unclear & bit),
                    known=any(r["present"] for r in _rows(world, person, "hub")),
                    hub_out=bool(views["hub"].outs & bit),
                    hub_unclear=bool(views["hub"].unclear & bit),
                    in_flight=_in_flight(world, slow, person, system, name, view, changes),
                )
                if found := classify(cell):
                    every = found[0] == "missing_here"
                    drift.add((found[0], system, None if every else name, person, found[1]))
        for system in SYSTEMS:
            records = [_record(r) for r in _rows(world, person, system)]
            mask = conflicts(records, across_stores=system == "hub", weak_told=told[system])
            for name in CATEGORIES.of(mask & POLICY.systems.get(system, CATEGORIES.all)):
                drift.add(("conflicting_duplicates", system, name, person, None))
    return expected, drift


def _rows(world: World, person: UUID, system: str):
    return [
        r
        for r in world.readings
        if r["contact_key"] == person and r["system"] == system and not r["night_to"]
    ]


def _record(row) -> Record:
    return Record(**{name: row[name] for name in Record.__dataclass_fields__})


def _views(world: World, person: UUID):
    hub = read_system([_record(r) for r in _rows(world, person, "hub")])
    views, told = {}, {}
    for system in SYSTEMS:
        told[system] = hub.ins | hub.outs
        for c in world.changes:
            if c["contact_key"] == person and c["system"] == system:
                name = c["category"]
                told[system] |= CATEGORIES.bit(name) if name else CATEGORIES.all
        records = [_record(r) for r in _rows(world, person, system)]
        views[system] = read_system(records, weak_told=told[system])
    return views, told


def _known_changes(world: World, person: UUID, told) -> list[PreferenceChange]:
    """As `explain` builds them: what the view leaves, weak outs that nothing else tells of, and
    what each system keeps of a release."""
    slow = SlowRules(world, POLICY)
    rows = []
    for name in (None, *CATEGORIES.names):
        for act in slow.acts(person, name or CATEGORIES.names[0]):
            if act["category"] == name:
                rows.append(act)
    rows += [
        c
        for c in world.changes
        if c["contact_key"] == person and c["time_kind"] == "source" and c["occurred_at"] > CUTOFF
    ]
    result = []
    for act in rows:
        kept = 0
        for r in _rows(world, person, act["system"]):
            kept |= r["category_outs"]
        result.append(
            PreferenceChange(
                system=act["system"],
                category=act["category"],
                state=State(act["new_state"]),
                occurred_at=act["occurred_at"],
                occurred_from=act["occurred_from"],
                time_kind=TimeKind(act.get("time_kind", "estimated")),
                is_explicit=act["is_explicit"],
                change_id=act["change_id"],
                kept=frozenset(CATEGORIES.of(kept)),
            )
        )
    return result


def _in_flight(world, slow, person, system, name, view, changes) -> bool:
    mine = [c for c in changes if c.category in (None, name)]
    causes = slow._causes(person, system, name)
    return is_in_flight(
        mailable=bool(view.mailable & CATEGORIES.bit(name)),
        causes=[Stamp(r["modified_at"], r["valid_from"]) for r in causes],
        own=[c for c in mine if c.system == system],
        hub=[c for c in mine if c.system == "hub"],
        cutoff=CUTOFF,
    )


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 10**9))
def test_the_sql_gives_what_the_slow_oracle_gives(seed):
    """A clever join that forgets one combination would go unnoticed for years."""
    world = random_world(seed)
    expected, drift = judged(world)
    by_sql, by_hand = shaped(expected, drift), by_oracle(world)
    assert by_sql[0] == by_hand[0]
    assert by_sql[1] == by_hand[1]
    assert len(drift) == len(by_sql[1])


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**9))
def test_the_readable_rules_give_what_the_slow_oracle_gives(seed):
    """`optout explain` would tell a person's story otherwise than the nightly figures."""
    world = random_world(seed)
    expected, drift = by_readable_rules(world)
    by_hand = by_oracle(world)
    assert expected == by_hand[0]
    assert drift == {(*v[:4], v[4][0] if v[4] else None) for v in by_hand[1]}


def test_the_order_of_rows_changes_nothing():
    """Pages arrive in any order; a decision that depends on it cannot be defended."""
    world = random_world(7)
    turned = World(world.readings[::-1], world.changes[::-1], world.cutoff)
    assert shaped(*judged(world)) == shaped(*judged(turned))


def test_passes_over_ranges_of_keys_change_nothing():
    """A person at the border of two passes would be judged twice, or never."""
    world = random_world(11)
    for rows in (world.readings, world.changes):
        for row in rows:
            row["contact_key"] = spread(row["contact_key"])
    whole = judged(world)
    assert whole[1]
    assert shaped(*judged(world, people_a_pass=PEOPLE // 6)) == shaped(*whole)


def spread(key: UUID) -> UUID:
    """Keys are hashes; some lie on the border of two ranges."""
    number = key.int - 1
    return UUID(int=((number << 128) // PEOPLE) - (number % 3 == 0 and number > 0))


def test_the_join_for_superseded_estimates_agrees_with_the_view():
    """`explain` reads the view, the night the join: they would tell two stories."""
    con = facts.warehouse()
    facts.store(con, "core.change", random_world(3).changes)
    con.execute("CREATE TEMP VIEW rec_change AS SELECT * FROM core.change")
    con.execute(statements("audit_changes")[0])
    all_but_known = (
        "SELECT change_id FROM core.change EXCEPT SELECT change_id FROM core.known_change"
    )
    by_view = con.execute(all_but_known).fetchall()
    by_join = con.execute("SELECT change_id FROM rec_superseded").fetchall()
    assert by_view and sorted(by_view) == sorted(by_join)
