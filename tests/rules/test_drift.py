"""Rule 5: one class per cell, the first that fits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from optout.model import DriftClass, State, TimeKind
from optout.rules.drift import Cell, Stamp, classify, is_in_flight
from optout.rules.resolution import Decision, PreferenceChange, Reason

CUTOFF = datetime(2026, 11, 20, tzinfo=UTC)
STANDS = Decision(State.OPTED_OUT, Reason.OPT_OUT_STANDS, None)
LIFTED = Decision(State.OPTED_IN, Reason.LIFTED, None)
NOTHING = Decision(State.NOT_SET, Reason.NO_OPT_OUT, None)

CASES = {
    "mail to someone who opted out": (
        Cell(STANDS, mailable=True), (DriftClass.UNHONOURED_OPT_OUT, "opt_out_stands")),
    "the same, unknown to the hub": (
        Cell(STANDS, mailable=True, known=False),
        (DriftClass.UNHONOURED_OPT_OUT, "opt_out_stands")),
    "the same, and the hub's value is unclear": (
        Cell(STANDS, mailable=True, hub_unclear=True),
        (DriftClass.UNHONOURED_OPT_OUT, "opt_out_stands")),
    "mail beside an opt-out in another list": (
        Cell(STANDS, mailable=True, holds_out=True),
        (DriftClass.UNHONOURED_OPT_OUT, "opt_out_stands")),
    "mail to nobody's contact": (
        Cell(NOTHING, mailable=True, known=False), (DriftClass.ORPHAN_MAILABLE, "no_opt_out")),
    "an opt-out that the hub lost": (
        Cell(STANDS, holds_out=True), (DriftClass.LOST_OPT_OUT, "opt_out_stands")),
    "an opt-out that the hub lost, not undone by a near opt-in": (
        Cell(Decision(State.OPTED_OUT, Reason.SIMULTANEOUS, None), holds_out=True),
        (DriftClass.LOST_OPT_OUT, "simultaneous")),
    "an opt-out of someone unknown to the hub": (
        Cell(STANDS, holds_out=True, known=False), (DriftClass.LOST_OPT_OUT, "opt_out_stands")),
    "an opt-out that no change explains": (
        Cell(NOTHING, holds_out=True), (DriftClass.LOST_OPT_OUT, "opt_out_stands")),
    "an opt-out that everyone shows": (Cell(STANDS, holds_out=True, hub_out=True), None),
    "a block that was lifted": (
        Cell(LIFTED, holds_out=True), (DriftClass.OVER_SUPPRESSED, "lifted")),
    "a block that was lifted, still in the hub": (
        Cell(LIFTED, holds_out=True, hub_out=True), (DriftClass.OVER_SUPPRESSED, "lifted")),
    "no record here": (Cell(STANDS, present=False), (DriftClass.MISSING_HERE, None)),
    "no record anywhere": (Cell(STANDS, present=False, known=False), None),
    "a value of the system is unclear": (
        Cell(STANDS, mailable=True, unclear=True), (DriftClass.NOT_COMPARABLE, "unclear_value")),
    "a value of the hub is unclear": (
        Cell(NOTHING, mailable=True, hub_unclear=True),
        (DriftClass.NOT_COMPARABLE, "unclear_value")),
    "the hub is unclear about a block": (
        Cell(STANDS, holds_out=True, hub_unclear=True),
        (DriftClass.NOT_COMPARABLE, "unclear_value")),
    "a difference in flight": (
        Cell(STANDS, mailable=True, in_flight=True), (DriftClass.NOT_COMPARABLE, "in_flight")),
    "an absence is never in flight": (
        Cell(STANDS, present=False, in_flight=True), (DriftClass.MISSING_HERE, None)),
    "neither is never drift": (Cell(STANDS), None),
    "mail to someone who wants it": (Cell(NOTHING, mailable=True), None),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_cell_has_the_first_class_that_fits(name):
    """A wrong class sends the right people to the wrong place."""
    cell, verdict = CASES[name]
    assert classify(cell) == verdict


def at(minutes: float) -> datetime:
    return CUTOFF + timedelta(minutes=minutes)


def told(state: State, minutes: float, kind: TimeKind = TimeKind.SOURCE) -> PreferenceChange:
    return PreferenceChange("esp", "news", state, at(minutes), at(minutes), kind)


FRESH = Stamp(modified_at=at(3), valid_from=at(5))


def flies(*, mailable=True, causes=(), own=(), hub=()):
    return is_in_flight(mailable=mailable, causes=causes, own=own, hub=hub, cutoff=CUTOFF)


def test_a_dated_change_after_the_cutoff_explains_what_it_leads_to():
    """Tonight's later news would be taken for a broken promise."""
    assert flies(own=[told(State.OPTED_IN, 1)])
    assert flies(mailable=False, own=[told(State.OPTED_OUT, 1)])
    assert not flies(own=[told(State.OPTED_OUT, 1)])
    assert not flies(own=[told(State.OPTED_IN, 0)])
    assert not flies(own=[told(State.OPTED_IN, 1, TimeKind.ESTIMATED)])


def test_a_release_in_the_hub_after_the_cutoff_explains_a_missing_optout_there():
    """A person who came back after midnight would count as an opt-out that the hub lost."""
    assert flies(mailable=False, hub=[told(State.OPTED_IN, 1)])
    assert not flies(mailable=True, hub=[told(State.OPTED_IN, 1)])
    assert not flies(mailable=False, hub=[told(State.OPTED_IN, 0)])
    assert flies(mailable=False, hub=[told(State.OPTED_OUT, -1), told(State.OPTED_IN, 1)])


@pytest.mark.parametrize(
    "causes",
    [
        [],
        [Stamp(None, at(5))],
        [Stamp(at(0), at(5))],
        [Stamp(at(3), at(0))],
        [FRESH, Stamp(at(-1), at(5))],
    ],
    ids=["none", "no stamp", "not after the cut-off", "said so before", "one of two is old"],
)
def test_an_undated_change_is_believed_only_where_nothing_else_is_possible(causes):
    """An unhonoured opt-out would hide behind any edit of its record."""
    assert flies(causes=[FRESH])
    assert not flies(causes=causes)


def test_a_dated_change_that_led_to_it_before_leaves_nothing_to_an_undated_one():
    """The record of an old failure would be excused because someone edited a name tonight."""
    gone, back = State.OPTED_OUT, State.OPTED_IN
    for changes in (
        [(back, -5)],
        [(back, 0)],
        [(back, -5), (gone, -5)],
        [(back, -9), (gone, -5), (back, -4)],
    ):
        assert not flies(causes=[FRESH], own=[told(*c) for c in changes])
    for changes in ([(back, -5), (gone, -4)], [(gone, -9), (back, -5), (gone, -4)]):
        assert flies(causes=[FRESH], own=[told(*c) for c in changes])
