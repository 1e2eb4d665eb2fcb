"""Rule 8: what several records of one person say together."""

from __future__ import annotations

from optout.model import Actual
from optout.rules.reading import Record, conflicts, read_system

NEWS, OFFERS = 1, 2


def test_a_person_is_mailable_if_any_store_would_send():
    """An audience that still mails would hide behind another that does not."""
    view = read_system([Record("a", "1", outs=NEWS), Record("b", "2", sends=NEWS)])
    assert view.actual(NEWS) is Actual.MAILABLE
    assert view.outs == NEWS


def test_a_block_of_one_store_stops_that_store_only_and_a_block_of_the_system_all():
    """A list suppression would be taken for silence everywhere, or a bounce for none."""
    a, b = Record("a", "1", sends=NEWS), Record("b", "1", sends=NEWS)
    withheld = Record("a", "2", store_blocks=NEWS)
    assert read_system([a, withheld]).actual(NEWS) is Actual.NEITHER
    assert read_system([a, b, withheld]).actual(NEWS) is Actual.MAILABLE
    assert read_system([a, b, Record("x", "3", blocks=NEWS)]).mailable == 0


def test_a_missing_yes_is_an_optout_only_where_something_tells_of_it():
    """Everyone who never ticked a box would count as having opted out."""
    weak = Record("a", "1", outs=NEWS | OFFERS, weak_outs=NEWS)
    assert read_system([weak]).outs == OFFERS
    assert read_system([weak], weak_told=NEWS).outs == NEWS | OFFERS
    seen = Record("a", "1", outs=NEWS, weak_outs=NEWS, seen_in=NEWS)
    assert read_system([seen]).actual(NEWS) is Actual.OPTED_OUT


def test_a_suppression_without_a_contact_is_present_and_a_bounce_is_not():
    """An opt-out of a person who is no longer exported would be forgotten."""
    assert read_system([Record("global", "1", outs=NEWS, present=False)]).present
    for says in ({"sends": NEWS, "blocks": NEWS}, {"unclear": NEWS}):
        assert read_system([Record("a", "1", present=False, **says), Record("b", "2")]).present
        assert read_system([Record("a", "1", present=False, **says)]).present
    absent = read_system([Record("bounces", "1", blocks=NEWS, present=False)])
    assert absent.actual(NEWS) is Actual.ABSENT


def test_contradicting_records_are_found_across_the_hubs_stores_but_within_an_esps():
    """Two lists of an ESP may lawfully say different things; two contacts of one person may not."""
    both = [Record("contacts", "1", ins=NEWS), Record("leads", "2", outs=NEWS)]
    assert conflicts(both, across_stores=True) == NEWS
    assert conflicts(both, across_stores=False) == 0
    same = [Record("list", "1", ins=NEWS), Record("list", "2", outs=NEWS)]
    assert conflicts(same, across_stores=False) == NEWS


def test_one_record_told_by_two_streams_does_not_contradict_itself():
    """Every record that a feed and a full read both tell of would be reported as a duplicate."""
    twice = [Record("contacts", "1", ins=NEWS), Record("contacts", "1", outs=NEWS)]
    assert conflicts(twice, across_stores=True) == 0


def test_a_yes_beside_an_optout_of_the_same_record_is_no_yes():
    """A globally opted-out contact whose category still says yes would count as opted in."""
    view = read_system([Record("a", "1", ins=NEWS | OFFERS, outs=NEWS), Record("a", "2")])
    assert view.ins == OFFERS


def test_what_each_record_says_is_joined_and_nothing_is_overwritten():
    """The record that is read last must not silence the others."""
    view = read_system([
        Record("a", "1", ins=NEWS, sends=NEWS, unclear=OFFERS),
        Record("a", "2", ins=OFFERS, sends=OFFERS, outs=4, unclear=8, store_blocks=16),
        Record("a", "3", ins=4, sends=4 | 16 | 32, outs=4, store_blocks=32),
        Record("b", "4", blocks=NEWS),
        Record("b", "5", blocks=64),
    ])  # fmt: skip
    assert view.ins == NEWS | OFFERS
    assert view.outs == 4
    assert view.mailable == OFFERS | 4
    assert view.unclear == OFFERS | 8
    assert view.present


def test_a_record_in_several_rows_is_judged_by_all_of_them():
    """A row that repeats a record must not take back what another row of it said."""
    rows = [Record("a", "1", ins=NEWS), Record("a", "1", ins=OFFERS), Record("a", "2", outs=NEWS)]
    assert conflicts(rows, across_stores=False) == NEWS
    rows = [Record("a", "1", ins=NEWS), Record("a", "2", outs=NEWS), Record("a", "2", outs=OFFERS)]
    assert conflicts(rows, across_stores=False) == NEWS
    rows.append(Record("a", "1", outs=NEWS))
    assert conflicts(rows, across_stores=False) == 0
    weak = [Record("a", "1", ins=NEWS), Record("a", "2", outs=NEWS, weak_outs=NEWS)]
    assert conflicts(weak, across_stores=False) == 0
    assert conflicts(weak, across_stores=False, weak_told=NEWS) == NEWS
    assert conflicts([Record("a", "1", outs=1)], across_stores=True) == 0
