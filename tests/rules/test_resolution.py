"""Rule 3: which of a person's changes speaks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optout.model import State, TimeKind
from optout.rules.resolution import DEFAULT_WINDOW, PreferenceChange, Reason, resolve

CUTOFF = datetime(2026, 11, 20, tzinfo=UTC)
NOON = datetime(2026, 11, 19, 12, tzinfo=UTC)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def out(at: float = 0, category: str | None = None, **told) -> PreferenceChange:
    return change(State.OPTED_OUT, at, category, **told)


def back(at: float, category: str | None = None, **told) -> PreferenceChange:
    """The person's own opt-in."""
    return change(State.OPTED_IN, at, category, **({"is_explicit": True} | told))


def change(state, at, category, *, start: float | str | None = "same", **told):
    moment = NOON + minutes(at)
    since = moment if start == "same" else None if start is None else NOON + minutes(start)
    kind = TimeKind.SOURCE if start == "same" else TimeKind.ESTIMATED
    return PreferenceChange("esp", category, state, moment, since, **({"time_kind": kind} | told))


def decide(*changes, category="news", cutoff=CUTOFF):
    decision = resolve(changes, category, cutoff, DEFAULT_WINDOW)
    return decision.state, decision.reason


OUT, IN = State.OPTED_OUT, State.OPTED_IN

CASES = {
    "nothing is known": ([], State.NOT_SET, Reason.NO_OPT_OUT),
    "only an opt-in": ([back(0)], IN, Reason.NO_OPT_OUT),
    "an opt-out alone": ([out()], OUT, Reason.OPT_OUT_STANDS),
    "an opt-in long before": ([back(-60), out()], OUT, Reason.OPT_OUT_STANDS),
    "an opt-in just after the window": ([out(), back(15.001)], IN, Reason.LIFTED),
    "an opt-in at the end of the window": ([out(), back(15)], OUT, Reason.SIMULTANEOUS),
    "an opt-in at the same moment": ([out(), back(0)], OUT, Reason.SIMULTANEOUS),
    "an opt-in just before": ([back(-15), out()], OUT, Reason.SIMULTANEOUS),
    "a sync that came later": ([out(), back(60, is_explicit=False)], OUT, Reason.NOT_PERSONAL),
    "a category opt-in against everything": ([out(), back(60, "news")], OUT, Reason.NARROWER_SCOPE),
    "a category opt-in against its category": (
        [out(0, "news"), back(60, "news")], IN, Reason.LIFTED),
    "a release of everything against a category": ([out(0, "news"), back(60)], IN, Reason.LIFTED),
    "a release that kept the category": (
        [out(0, "news"), back(60, kept=frozenset({"news"}))], OUT, Reason.CATEGORY_KEPT),
    "a release that kept the category, of everything": (
        [out(), back(60, kept=frozenset({"news"}))], IN, Reason.LIFTED),
    "another category": ([out(0, "offers")], State.NOT_SET, Reason.NO_OPT_OUT),
    "overlapping intervals": ([out(30, start=0), back(40, start=20)], OUT, Reason.TIME_UNKNOWN),
    "intervals apart": ([out(30, start=0), back(90, start=46)], IN, Reason.LIFTED),
    "intervals apart by the window only": (
        [out(30, start=0), back(90, start=45)], OUT, Reason.TIME_UNKNOWN),
    "an opt-out with no bound": ([out(30, start=None), back(0)], OUT, Reason.TIME_UNKNOWN),
    "an opt-in with no bound": ([out(), back(90, start=None)], OUT, Reason.TIME_UNKNOWN),
    "short intervals within the window": (
        [out(2, start=0), back(9, start=8)], OUT, Reason.SIMULTANEOUS),
    "a second opt-out after the opt-in": (
        [out(), back(60), out(120)], OUT, Reason.OPT_OUT_STANDS),
    "a second opt-out elsewhere that nothing lifts": (
        [out(0, "news"), back(60, "news"), out(30)], OUT, Reason.NARROWER_SCOPE),
    "a cleared field lifts nothing": (
        [out(), change(State.NOT_SET, 60, None, is_explicit=True)], OUT, Reason.OPT_OUT_STANDS),
    "a sync at the same moment": ([out(), back(0, is_explicit=False)], OUT, Reason.OPT_OUT_STANDS),
    "a short interval within a long one": (
        [out(20, start=0), back(1, start=0)], OUT, Reason.TIME_UNKNOWN),
    "two intervals that reach beyond the window": (
        [out(10, start=0), back(17, start=9)], OUT, Reason.TIME_UNKNOWN),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_conflict_is_decided_as_rule_3_says(name):
    """Each row is a way in which mail could reach someone who opted out, or miss one who came
    back."""
    changes, state, reason = CASES[name]
    assert decide(*changes) == (state, reason)


def test_a_dated_change_after_the_cutoff_waits_for_the_next_night():
    """A night must give the same answer however late its reads end."""
    late = out(12 * 60 + 1)
    assert decide(late) == (State.NOT_SET, Reason.NO_OPT_OUT)
    assert decide(out(12 * 60)) == (OUT, Reason.OPT_OUT_STANDS)
    assert decide(late, cutoff=CUTOFF + minutes(1)) == (OUT, Reason.OPT_OUT_STANDS)


def test_an_estimated_optout_counts_as_soon_as_it_may_have_been_before_the_cutoff():
    """An opt-out found by comparing two nights would be mailed for one more day."""
    found = out(13 * 60, start=0)
    assert decide(found)[0] is OUT
    assert decide(replace(found, occurred_from=CUTOFF))[0] is OUT
    assert decide(replace(found, occurred_from=CUTOFF + minutes(1)))[0] is State.NOT_SET


def test_the_latest_standing_optout_decides_and_the_wider_one_at_the_same_moment():
    """The evidence shown to an auditor must be the change that counts."""
    changes = [out(0), out(5, "news"), out(5), out(-60, "news")]
    decision = resolve(changes, "news", CUTOFF, DEFAULT_WINDOW)
    assert decision.decided_by is changes[2]


def test_the_lifting_optin_decides():
    """Whoever asks why mail goes out again is shown the person's own act, the last one."""
    changes = [out(), back(60, change_id=UUID(int=1)), back(90, change_id=UUID(int=2)), back(5)]
    decision = resolve(changes, "news", CUTOFF, DEFAULT_WINDOW)
    assert decision.decided_by is changes[2]


def test_without_any_optout_the_latest_optin_is_the_evidence():
    """The proof of consent shown to an auditor would be one that was since renewed."""
    changes = [back(0), back(60, is_explicit=False), back(30)]
    assert resolve(changes, "news", CUTOFF, DEFAULT_WINDOW).decided_by is changes[1]


def test_the_lifting_optin_need_not_lift_every_optout_itself():
    """The person's last word on the category is the evidence, not an earlier one on everything."""
    changes = [out(0, "news"), out(30), back(60), back(90, "news")]
    assert resolve(changes, "news", CUTOFF, DEFAULT_WINDOW).decided_by is changes[3]


MOMENTS = st.sampled_from([-60, -20, -15, -10, 0, 5, 15, 16, 40, 800])
CHANGES = st.builds(
    change,
    st.sampled_from(list(State)),
    MOMENTS,
    st.sampled_from([None, "news", "offers"]),
    start=st.one_of(st.just("same"), st.none(), st.sampled_from([-90, -61])),
    is_explicit=st.booleans(),
    kept=st.sampled_from([frozenset(), frozenset({"news"})]),
    change_id=st.uuids(),
)
WORLDS = st.lists(CHANGES, max_size=6, unique_by=lambda c: c.change_id)


@given(WORLDS, st.randoms(use_true_random=False))
def test_the_order_in_which_changes_were_read_never_matters(changes, rng):
    """Two runs over the same facts would tell an auditor two stories."""
    shuffled = list(changes)
    rng.shuffle(shuffled)
    for category in ("news", "offers"):
        assert resolve(changes, category, CUTOFF, DEFAULT_WINDOW) == resolve(
            shuffled, category, CUTOFF, DEFAULT_WINDOW
        )


@given(WORLDS, CHANGES)
def test_another_optout_never_makes_anyone_mailable(changes, more):
    """More evidence of an opt-out must not undo one."""
    added = replace(more, state=OUT)
    for category in ("news", "offers"):
        before = resolve(changes, category, CUTOFF, DEFAULT_WINDOW)
        after = resolve([*changes, added], category, CUTOFF, DEFAULT_WINDOW)
        if before.state is OUT:
            assert after.state is OUT


@given(WORLDS, CHANGES)
def test_nothing_but_the_persons_own_optin_lifts(changes, more):
    """A sync, an import or an API write must never bring anyone back."""
    added = replace(more, is_explicit=False)
    before = resolve(changes, "news", CUTOFF, DEFAULT_WINDOW)
    after = resolve([*changes, added], "news", CUTOFF, DEFAULT_WINDOW)
    if before.state is OUT:
        assert after.state is OUT


@given(WORLDS, st.integers(-50, 50))
def test_only_distances_between_moments_count(changes, weeks):
    """A rule that knows the calendar would judge the same conflict differently in spring."""
    shift = timedelta(weeks=weeks)
    moved = [
        replace(
            c,
            occurred_at=c.occurred_at + shift,
            occurred_from=c.occurred_from and c.occurred_from + shift,
        )
        for c in changes
    ]
    before = resolve(changes, "news", CUTOFF, DEFAULT_WINDOW)
    after = resolve(moved, "news", CUTOFF + shift, DEFAULT_WINDOW)
    assert (before.state, before.reason) == (after.state, after.reason)
