"""The trail told case by case: what is a gap, what is not, and what nobody can say."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from duckdb import DuckDBPyConnection

from optout.model import Categories
from optout.rules.trail import TOLERANCE, GapKind
from optout.testing.facts import Row, change, key, reading, store, warehouse
from optout.warehouse.connection import migrations
from optout.warehouse.reconcile import ReconcilePolicy
from optout.warehouse.trail import judge_trail, measure_trail

HUB, ESP = "hub", "esp"
POLICY = ReconcilePolicy(Categories(("news", "sale")), HUB, {ESP: 3})
NIGHTS = [date(2026, 11, day) for day in (1, 2, 3)]
DAY = timedelta(days=1)
NEWS, SALE = 1, 2


def read_at(number: int) -> datetime:
    return datetime(2026, 11, number, 2, 5)  # noqa: DTZ001 - naive UTC as stored


def noon(number: int) -> datetime:
    """The middle of the day before a night."""
    return read_at(number) - timedelta(hours=14)


class Trail:
    """A warehouse of three nights in which one record of the hub and one person in an ESP live."""

    def __init__(self) -> None:
        self.con: DuckDBPyConnection = warehouse()
        self.changes: list[Row] = []
        self.entries: list[Row] = []
        for number in (1, 2, 3):
            self.begin(number)
            for system, streams in ((HUB, ("records", "firehose")), (ESP, ("records",))):
                for stream in streams:
                    self.read(system, stream, number)

    def begin(self, number: int) -> None:
        """A night is run."""
        self.con.execute(
            "INSERT INTO core.night VALUES ($n, $at, 'run', NULL, NULL)",
            {"n": NIGHTS[number - 1], "at": read_at(number) - timedelta(minutes=5)},
        )

    def read(self, system: str, stream: str, number: int, *, is_complete: bool = True) -> None:
        self.con.execute(
            """
            INSERT OR REPLACE INTO core.source_read (
                system, stream, night, manifest_hash, is_complete, is_full, is_snapshot,
                is_skipped, read_at, row_count, finding_count
            ) VALUES (?, ?, ?, 'h', ?, true, true, false, ?, 0, 0)
            """,
            [system, stream, NIGHTS[number - 1], is_complete, read_at(number)],
        )

    def tell(
        self, feed: str, old: str | None, new: str, at: datetime, night: int, **more: Any
    ) -> Row:
        """A change that a feed of the hub (or, with `system`, of the ESP) told."""
        row = change(
            more.pop("system", HUB), 1, more.pop("category", "news"), new, at, feed=feed,
            old_state=old, night=NIGHTS[night - 1], store="contacts", record_id="1",
            change_id=key(100 + len(self.changes)),
        ) | more  # fmt: skip
        self.changes.append(row)
        return row

    def enter(
        self, old: str, new: str, at: datetime, night: int, *, missing: str | None = None,
        is_listed: bool = True, **more: Any,
    ) -> None:  # fmt: skip
        """An entry of the hub's history."""
        row = self.tell(
            "history", old, new, at, night, position=len(self.entries), source="manual", **more
        )
        if is_listed:
            self._list(position=len(self.entries), change_id=row["change_id"], missing=missing,
                       night=NIGHTS[night - 1])  # fmt: skip

    def scribble(self, position: int | None, night: int) -> None:
        """An entry that cannot be read."""
        self._list(position=position, problem="unparsable", night=NIGHTS[night - 1])

    def _list(self, **said: Any) -> None:
        self.entries.append(
            {"system": HUB, "store": "contacts", "record_id": "1", "categories": 0} | said
        )

    def show(self, *words: str, gone: int | None = None) -> None:
        """What the record's field shows, night by night; `gone`: the night that misses it."""
        for number, word in enumerate(words, 1):
            later = number < len(words)
            ends = NIGHTS[number] if later else (NIGHTS[gone - 1] if gone else None)
            store(self.con, "core.observation", [
                reading(HUB, 1, store="contacts", record_id="1", **_bits(word),
                        valid_from=read_at(number), night_from=NIGHTS[number - 1], night_to=ends,
                        seen_after=read_at(number - 1) if number > 1 else None,
                        is_deleted=bool(gone) and not later)
            ])  # fmt: skip

    def judge(self, night: int = 3) -> list[tuple[str, str | None, str | None]]:
        """The gaps: kind, field, missing required field."""
        store(self.con, "core.change", self.changes)
        if self.entries:
            names = ("position", "change_id", "missing", "problem")
            store(self.con, "core.history_entry", [dict.fromkeys(names) | e for e in self.entries])
        judge_trail(self.con, NIGHTS[night - 1], policy=POLICY)
        return self.gaps()

    def gaps(self) -> list[tuple[str, str | None, str | None]]:
        return self.con.execute(
            "SELECT kind, field, missing FROM audit.trail_gap ORDER BY ALL"
        ).fetchall()

    def units(self) -> int:
        rows = self.con.execute("SELECT count(*) FROM audit.trail_change").fetchall()
        return int(rows[0][0])


def _bits(word: str) -> Row:
    return {
        "opted_in": {"ins": NEWS}, "opted_out": {"outs": NEWS, "category_outs": NEWS},
        "unclear": {"unclear": NEWS}, "not_set": {},
    }[word]  # fmt: skip


OUT, IN, NONE = "opted_out", "opted_in", "not_set"


def test_a_change_with_its_entry_is_complete() -> None:
    """Three pieces of evidence (entry, Firehose, two nights) are one change, and no gap."""
    t = Trail()
    t.show(NONE, OUT)
    t.enter(NONE, OUT, noon(2), 2)
    t.tell("firehose", NONE, OUT, noon(2) + timedelta(seconds=40), 2)
    assert t.judge() == []
    assert t.units() == 1


def test_what_two_nights_show_and_nothing_tells_is_a_gap() -> None:
    """A bulk edit that leaves no entry is exactly what an audit trail is for."""
    t = Trail()
    t.show(NONE, OUT)
    assert t.judge() == [("change_without_entry", "news", None)]


def test_what_the_firehose_tells_and_the_history_does_not_is_a_gap() -> None:
    """The Firehose is kept for 72 hours: it is a witness, no record."""
    t = Trail()
    t.show(OUT)
    t.tell("firehose", NONE, OUT, noon(1), 1)
    assert t.judge() == [("change_without_entry", "news", None)]


def test_in_out_in_within_a_day_is_two_changes() -> None:
    """Two nights show nothing; an opt-out was there, and mail may have gone out."""
    t = Trail()
    t.show(IN)
    t.enter(NONE, IN, noon(1) - 90 * DAY, 1)
    t.tell("firehose", IN, OUT, noon(2), 2)
    t.tell("firehose", OUT, IN, noon(2) + timedelta(hours=1), 2)
    assert t.judge() == [("change_without_entry", "news", None)] * 2
    assert t.units() == 3


def test_each_missing_field_is_a_gap_of_its_own() -> None:
    """The score by missing field says what the integration must learn to write."""
    t = Trail()
    t.show(OUT)
    t.enter(NONE, OUT, noon(1), 1, missing="ip,user_agent")
    assert t.judge() == [
        ("missing_required_field", "news", "ip"), ("missing_required_field", "news", "user_agent"),
    ]  # fmt: skip


def test_an_old_value_that_is_not_the_last_new_one_breaks_the_chain() -> None:
    """Somewhere between the two there was a change of which nobody knows."""
    t = Trail()
    t.show(OUT)
    t.enter(NONE, IN, noon(1) - DAY, 1)
    t.enter(NONE, OUT, noon(1), 1)
    assert t.judge() == [("broken_chain", "news", None)]


def test_a_first_value_that_no_entry_leads_to_breaks_the_chain() -> None:
    """The first night has nothing to compare with, and still the entries must end in the value."""
    t = Trail()
    t.show(NONE)
    t.enter(NONE, IN, noon(1) - 2 * DAY, 1)
    t.enter(IN, OUT, noon(1) - DAY, 1)
    assert t.judge() == [("broken_chain", "news", None)]


def test_a_value_without_any_history_is_told_as_such() -> None:
    """It is no change that we saw; it proves that there was one."""
    t = Trail()
    t.show(OUT)
    assert t.judge() == [("no_history", "news", None)]
    assert t.units() == 1


def test_an_entry_of_a_change_that_never_was_is_a_phantom() -> None:
    """An import that logs what it did not do makes consent out of nothing."""
    t = Trail()
    t.show(NONE)
    t.enter(NONE, IN, noon(2), 2)
    assert t.judge() == [("phantom", "news", None)]


def test_the_firehose_that_tells_of_none_unmasks_a_pair_of_phantoms() -> None:
    """Out and in again, both invented: two nights agree with them, the Firehose does not."""
    t = Trail()
    t.show(IN)
    t.enter(NONE, IN, noon(1) - 90 * DAY, 1)
    t.enter(IN, OUT, noon(2), 2)
    t.enter(OUT, IN, noon(2) + timedelta(hours=1), 2)
    assert t.judge() == [("phantom", "news", None)] * 2


def test_without_the_firehose_the_history_is_believed() -> None:
    """An account without it must not have all its short-lived changes called phantoms."""
    t = Trail()
    t.con.execute("DELETE FROM core.source_read WHERE stream = 'firehose'")
    t.show(IN)
    t.enter(NONE, IN, noon(1) - 90 * DAY, 1)
    t.enter(IN, OUT, noon(2), 2)
    t.enter(OUT, IN, noon(2) + timedelta(hours=1), 2)
    assert t.judge() == []
    assert t.units() == 3


def test_an_unreadable_entry_stands_for_its_change() -> None:
    """One fault is one gap: the entry is there, it cannot be read."""
    t = Trail()
    t.show(IN, OUT)
    t.enter(NONE, IN, noon(1) - DAY, 1)
    t.scribble(1, 2)
    assert t.judge() == [("unparsable", "news", None)]


def test_an_unreadable_field_stands_for_all_its_changes() -> None:
    """A history that is no list lost everything at once."""
    t = Trail()
    t.show(IN, OUT)
    t.scribble(None, 1)
    assert t.judge() == [("unparsable", "news", None)] * 2


def test_an_entry_that_is_taken_out_later_is_missed() -> None:
    """Whoever tidies the history up must not improve the score by it."""
    t = Trail()
    t.show(OUT)
    t.enter(NONE, OUT, noon(1), 1, is_listed=False)
    assert t.judge() == [("change_without_entry", "news", None)]


def test_a_word_that_nobody_knows_is_a_change_like_any_other() -> None:
    """Somebody extended the drop-down: the preference is lost, and nobody wrote down by whom."""
    t = Trail()
    t.show(IN, "unclear")
    t.enter(NONE, IN, noon(1) - DAY, 1)
    assert t.judge() == [("change_without_entry", "news", None)]


def test_changes_of_a_record_that_is_gone_cannot_be_judged() -> None:
    """Its history went with it: to call them gaps, or complete, would be a guess."""
    t = Trail()
    t.show(IN, gone=2)
    t.enter(NONE, IN, noon(1) - DAY, 1)
    t.tell("firehose", IN, OUT, noon(2), 2)
    assert t.judge() == []
    assert t.con.execute("SELECT * FROM audit.trail_unjudged").fetchall() == [(HUB, 1)]


def test_gaps_of_a_record_stay_when_it_is_gone() -> None:
    """Deleting the contact must not mend the trail."""
    t = Trail()
    t.show(NONE, OUT, gone=3)
    assert t.judge() == [("change_without_entry", "news", None)]


def test_what_the_firehose_tells_after_the_cut_off_waits() -> None:
    """The record was read before it: its entry cannot be known yet."""
    t = Trail()
    t.show(IN)
    t.enter(NONE, IN, noon(1) - DAY, 1)
    t.tell("firehose", IN, OUT, read_at(3) + timedelta(minutes=1), 3)
    assert t.judge() == []


def esp(t: Trail, *masks: dict[str, Any]) -> None:
    """What the ESP shows of the person, night by night."""
    for number, mask in enumerate(masks, 1):
        ends = NIGHTS[number] if number < len(masks) else None
        store(t.con, "core.observation", [
            reading(ESP, 1, valid_from=read_at(number), night_from=NIGHTS[number - 1],
                    night_to=ends, seen_after=read_at(number - 1) if number > 1 else None, **mask)
        ])  # fmt: skip


def test_an_esp_change_that_only_comparing_knows_is_a_gap() -> None:
    """A Mailchimp interest that is switched off leaves no event."""
    t = Trail()
    esp(t, {"ins": NEWS}, {"outs": NEWS, "category_outs": NEWS})
    assert t.judge() == [("change_without_entry", "news", None)]


def test_an_opt_out_in_a_store_that_is_new_to_the_person_is_a_change() -> None:
    """A suppression list beside the member record: neither record ever changed, the person did."""
    t = Trail()
    esp(t, {"ins": NEWS})
    beside = {"store": "suppressed", "outs": NEWS, "category_outs": NEWS}
    later = {"valid_from": read_at(2), "night_from": NIGHTS[1], "seen_after": read_at(1)}
    first = {"valid_from": read_at(1), "night_from": NIGHTS[0]}
    rows = [reading(ESP, 2, **first, **beside), reading(ESP, 1, **later, **beside)]
    store(t.con, "core.observation", rows)
    assert t.judge() == [("change_without_entry", "news", None)]


@pytest.mark.parametrize("is_read_before", [True, False], ids=["a new store", "a first read"])
def test_what_the_first_read_of_a_store_shows_is_no_change(is_read_before: bool) -> None:
    """A list that is added to the configuration would be a gap for everybody on it."""
    t = Trail()
    esp(t, {"ins": NEWS})
    beside = {"store": "suppressed", "outs": NEWS, "category_outs": NEWS}
    seen = {"seen_after": read_at(1) if is_read_before else None}
    later = {"valid_from": read_at(2), "night_from": NIGHTS[1], **seen, **beside}
    store(t.con, "core.observation", [reading(ESP, 1, **later), reading(ESP, 2, **later)])
    assert t.judge() == []


@pytest.mark.parametrize("category", ["news", None], ids=["of the category", "of everything"])
def test_an_esp_event_explains_what_two_nights_show(category: str | None) -> None:
    """An unsubscribe from everything closes each list."""
    t = Trail()
    esp(t, {"ins": NEWS}, {"outs": NEWS, "category_outs": NEWS})
    t.tell("event", None, OUT, noon(2), 2, system=ESP, category=category)
    assert t.judge() == []
    assert t.units() == 1


def test_what_happened_while_an_esp_could_not_be_read_is_explained_by_its_time() -> None:
    """After nights in the dark each suppression would be a gap, although its stamp is there."""
    t = Trail()
    t.read(ESP, "records", 2, is_complete=False)
    first = {"valid_from": read_at(1), "night_from": NIGHTS[0]}
    later = {"valid_from": read_at(3), "night_from": NIGHTS[2], "seen_after": read_at(1)}
    out = {"outs": NEWS, "category_outs": NEWS}
    store(t.con, "core.observation", [
        reading(ESP, 1, **first, night_to=NIGHTS[2], ins=NEWS), reading(ESP, 1, **later, **out),
    ])  # fmt: skip
    t.tell("stamp", None, OUT, noon(2), 3, system=ESP)
    assert t.judge() == []


def test_an_old_esp_stamp_explains_no_new_change() -> None:
    """A stamp of last year that became known tonight is not tonight's change."""
    t = Trail()
    esp(t, {"outs": NEWS, "category_outs": NEWS}, {"ins": NEWS})
    t.tell("stamp", None, IN, noon(2) - 300 * DAY, 2, system=ESP)
    assert t.judge() == [("change_without_entry", "news", None)]


def test_an_esp_record_without_its_time_lacks_a_field() -> None:
    """A bound is not a time: the deadline cannot be proven with it."""
    t = Trail()
    t.tell("status", None, OUT, noon(2), 2, system=ESP, time_kind="estimated", occurred_from=None)
    assert t.judge() == [("missing_required_field", "news", "at")]


def test_two_feeds_of_an_esp_tell_one_change() -> None:
    """A suppression and its event are one act, whatever the clocks say."""
    t = Trail()
    t.tell("suppression", None, OUT, noon(2), 2, system=ESP)
    t.tell("event", None, OUT, noon(2) + timedelta(minutes=4), 2, system=ESP)
    assert t.judge() == []
    assert t.units() == 1


def test_an_incomplete_system_keeps_its_gaps_and_has_no_figure() -> None:
    """Half a read must neither mend a gap nor make the score look good."""
    t = Trail()
    t.show(NONE, OUT)
    t.con.execute("DELETE FROM core.night WHERE night = $n", {"n": NIGHTS[2]})
    t.judge(2)
    t.begin(3)
    t.read(HUB, "records", 3, is_complete=False)
    judge_trail(t.con, NIGHTS[2], policy=POLICY)
    measure_trail(t.con, NIGHTS[2], policy=POLICY)
    assert t.gaps() == [("change_without_entry", "news", None)]
    rows = t.con.execute(
        "SELECT system, status, value FROM mart.metric_daily"
        " WHERE metric = 'audit_trail_completeness' ORDER BY ALL"
    ).fetchall()
    assert [row[1:] for row in rows] == [("unknown", None)] * 3


def test_the_score_counts_changes_and_names_what_lacks() -> None:
    """The officer sees what the score is made of."""
    t = Trail()
    t.show(OUT)
    t.enter(NONE, IN, noon(1) - DAY, 1)
    t.enter(IN, OUT, noon(1), 1, missing="ip")
    t.judge()
    measure_trail(t.con, NIGHTS[2], policy=POLICY)
    measure_trail(t.con, NIGHTS[2], policy=POLICY)
    row = t.con.execute(
        "SELECT value, numerator, denominator, status FROM mart.metric_daily"
        " WHERE metric = 'audit_trail_completeness' AND system = 'hub'"
    ).fetchone()
    assert row == (0.5, 1, 2, "missed")
    told = t.con.execute(
        "SELECT dimension, word, changes, complete, gaps FROM mart.trail_daily ORDER BY ALL"
    ).fetchall()
    assert told == [
        ("field", "news", 2, 1, 1), ("kind", "missing_required_field", 2, 1, 1),
        ("missing_field", "ip", 2, 1, 1), ("source", "manual", 2, 1, 1),
    ]  # fmt: skip


def test_judging_twice_changes_nothing() -> None:
    """Ids of gaps are what alerts and open items hold on to."""
    t = Trail()
    t.show(NONE, OUT)
    t.judge()
    before = t.con.execute("SELECT * FROM audit.trail_gap").fetchall()
    judge_trail(t.con, NIGHTS[2], policy=POLICY)
    assert t.con.execute("SELECT * FROM audit.trail_gap").fetchall() == before


def acts(t: Trail) -> list[tuple[Any, ...]]:
    store(t.con, "core.change", t.changes)
    return t.con.execute(
        "SELECT act_id, new_state, occurred_at, evidence, feeds FROM core.act ORDER BY occurred_at"
    ).fetchall()


def test_one_act_in_three_feeds_is_one_act_with_three_pieces_of_evidence() -> None:
    """The history of a person must not count one click three times."""
    t = Trail()
    t.tell("report", None, OUT, noon(1), 1, system=ESP, source="email_link")
    t.tell("activity", None, OUT, noon(1) + timedelta(seconds=3), 1, system=ESP)
    t.tell("comparison", None, OUT, read_at(1), 1, system=ESP, time_kind="estimated",
           occurred_from=read_at(1) - DAY)  # fmt: skip
    ((act_id, new, at, evidence, feeds),) = acts(t)
    assert (act_id, new, at, evidence) == (t.changes[0]["change_id"], OUT, noon(1), 3)
    assert feeds == ["activity", "comparison", "report"]


def test_late_evidence_falls_into_its_place() -> None:
    """What was recorded keeps its id; the exact time that comes later becomes the act's."""
    t = Trail()
    t.tell("comparison", None, OUT, read_at(1), 1, system=ESP, time_kind="estimated",
           occurred_from=read_at(1) - DAY)  # fmt: skip
    t.tell("event", None, OUT, noon(1), 2, system=ESP)
    ((_, _, at, evidence, _),) = acts(t)
    assert (at, evidence) == (noon(1), 2)


def test_two_acts_and_two_systems_are_never_merged() -> None:
    """Out, in and out again are three acts; the same in another system is another."""
    t = Trail()
    for i, new in enumerate((OUT, IN, OUT)):
        t.tell("event", None, new, noon(1) + timedelta(minutes=i), 1, system=ESP)
    t.tell("history", None, OUT, noon(1), 1)
    assert len(acts(t)) == 4


def test_the_words_and_numbers_of_the_rules_are_those_of_the_warehouse() -> None:
    """The tolerance stands in a view as well, the kinds in tables."""
    assert f"INTERVAL {TOLERANCE // timedelta(minutes=1)} MINUTE" in migrations()[2]
    assert {kind.value for kind in GapKind} == {
        "change_without_entry", "missing_required_field", "broken_chain", "unparsable",
        "no_history", "phantom",
    }  # fmt: skip
