"""The oracle, against stories whose outcome is plain; and its figures against each other."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from optout.model import Actual, DriftClass, Source, State
from optout.sandbox.acts import HistoryFault, Mailing
from optout.sandbox.truth.oracle import Oracle
from optout.sandbox.truth.shapes import DriftRow, Truth, rows
from optout.sandbox.truth.tally import weekdays_between
from optout.sandbox.world.deeds import (
    ESPS,
    HUB,
    HUBSPOT,
    KLAVIYO,
    MAILCHIMP,
    SENDGRID,
    SYSTEMS,
    Deed,
    Sent,
    What,
)
from optout.sandbox.world.nights import night
from optout.sandbox.world.world import CATEGORIES, Plan, World

ANA = "ana@example.org"
FIRST = date(2026, 9, 1)
START = datetime(2026, 8, 1, 9, 0, tzinfo=UTC)
PROMO, EVENTS = "promotional", "events"
CENTRE, LINK = Source.PREFERENCE_CENTER, Source.EMAIL_LINK
YES = dict.fromkeys(CATEGORIES, State.OPTED_IN)


class Story:
    """Deeds of one person, told night by night; `at` counts hours from the start of the day."""

    def __init__(self, *, states: dict[str, State] | None = None, skip: Iterable[str] = ()) -> None:
        self.oracle = Oracle(CATEGORIES)
        self.number = 0
        self.deeds: list[Deed] = []
        states = YES if states is None else states
        for system in SYSTEMS:
            if system not in skip:
                what = What.RECORD if system == HUB else What.ADD
                self.tell(system, what, at=START, states=states, record=1)

    def tell(self, system: str, what: What, *, at: datetime | float = 1.0, **more: Any) -> Story:
        """One deed; a number is hours after the beginning of the present day."""
        if not isinstance(at, datetime):
            at = night(FIRST, self.number + 1).cutoff - timedelta(hours=22) + timedelta(hours=at)
        source = more.pop("source", CENTRE if system == HUB else Source.SYNC)
        self.deeds.append(Deed(at, system, what, ANA, ANA, source=source, **more))
        return self

    def out(self, system: str, category: str | None = PROMO, **more: Any) -> Story:
        return self.tell(system, What.OUT, category=category, **more)

    def into(self, system: str, category: str | None = PROMO, **more: Any) -> Story:
        return self.tell(system, What.IN, category=category, **more)

    def everywhere(self, what: What, category: str | None = PROMO, *, but: str = "") -> Story:
        for i, system in enumerate(SYSTEMS):
            if system != but:
                self.tell(system, what, category=category, at=1.0 + i / 10)
        return self

    def read(self, *sent: Sent) -> Truth:
        self.number += 1
        deeds, self.deeds = self.deeds, []
        return self.oracle.step(night(FIRST, self.number), deeds, sent)

    def drift(self) -> set[tuple[str, str, str]]:
        return {(r.drift_class.value, r.system, r.category) for r in self.read().drift}


def test_a_person_who_is_told_to_everybody_has_no_drift() -> None:
    """The ordinary case must be silent, or nothing else can be heard."""
    assert Story().drift() == set()
    assert Story().everywhere(What.OUT).drift() == set()
    assert Story().everywhere(What.OUT, None).drift() == set()


def test_an_opt_out_that_one_system_never_hears_of_is_unhonoured_there() -> None:
    """The headline."""
    for esp in ESPS:
        assert Story().everywhere(What.OUT, but=esp).drift() == {("unhonoured_opt_out", esp, PROMO)}


def test_an_opt_out_of_everything_covers_every_category() -> None:
    """Rule 2."""
    found = Story().everywhere(What.OUT, None, but=HUBSPOT).drift()
    assert found == {("unhonoured_opt_out", HUBSPOT, c) for c in CATEGORIES}


@pytest.mark.parametrize("esp", ESPS)
def test_an_opt_out_that_stays_in_one_esp_is_lost_there_and_unhonoured_elsewhere(esp: str) -> None:
    """The hub does not show it, and the others still mail."""
    found = Story().out(esp, source=LINK).drift()
    others = {("unhonoured_opt_out", other, PROMO) for other in ESPS if other != esp}
    assert found == {("lost_opt_out", esp, PROMO)} | others


def test_a_bulk_edit_in_the_hub_loses_the_opt_out_everywhere() -> None:
    """The ESPs hold it still, and the history remembers it."""
    story = Story().everywhere(What.OUT).tell(HUB, What.SILENT, category=PROMO, at=5.0)
    assert story.drift() == {("lost_opt_out", esp, PROMO) for esp in ESPS}


def test_who_is_unknown_to_the_hub_is_an_orphan_unless_expected_out() -> None:
    """An unhonoured opt-out is worse than a stranger."""
    story = Story(skip=[HUB])
    assert story.drift() == {("orphan_mailable", esp, c) for esp in ESPS for c in CATEGORIES}
    found = story.out(KLAVIYO, None, source=LINK).drift()
    expected = {("lost_opt_out", KLAVIYO, c) for c in CATEGORIES}
    others = [esp for esp in ESPS if esp != KLAVIYO]
    assert found == expected | {("unhonoured_opt_out", o, c) for o in others for c in CATEGORIES}


def test_a_return_that_one_esp_never_hears_of_leaves_it_suppressing_too_much() -> None:
    """Only the person's own later yes makes a block too much."""
    for esp in ESPS:
        story = Story().everywhere(What.OUT)
        story.read()
        story.everywhere(What.IN, but=esp)
        assert story.drift() == {("over_suppressed", esp, PROMO)}


def test_a_sync_or_an_import_lifts_nothing() -> None:
    """Rule 3: whatever a machine writes, the opt-out stands."""
    story = Story().everywhere(What.OUT)
    story.read()
    for system in SYSTEMS:
        story.into(system, source=Source.IMPORT, at=1.0)
    assert story.drift() == {("unhonoured_opt_out", esp, PROMO) for esp in ESPS}


def test_a_yes_within_the_window_is_simultaneous_and_the_no_wins() -> None:
    """Fifteen minutes, and not a second more."""
    for minutes, stands in ((15.0, True), (15.1, False)):
        story = Story().out(HUB, at=1.0)
        story.into(HUBSPOT, source=CENTRE, at=1.0 + minutes / 60)
        expected = {("unhonoured_opt_out", esp, PROMO) for esp in ESPS} if stands else set()
        assert story.drift() == expected


def test_a_yes_to_one_category_lifts_no_opt_out_of_everything() -> None:
    """A narrower word does not answer a wider one."""
    story = Story().everywhere(What.OUT, None)
    story.read()
    assert story.into(HUBSPOT, source=CENTRE).drift() == set()
    assert story.read().expected_out[PROMO] == {ANA}


def test_a_release_leaves_what_the_releasing_system_still_shows_out() -> None:
    """The person freed everything and left this category: it stays."""
    story = Story().everywhere(What.OUT).everywhere(What.OUT, None)
    story.read()
    story.into(HUB, None, at=1.0)
    found = story.read()
    assert found.expected_out[PROMO] == {ANA}
    assert found.expected_out[EVENTS] == frozenset()
    assert {r.drift_class for r in found.drift} == {DriftClass.OVER_SUPPRESSED}
    assert {r.category for r in found.drift} == set(CATEGORIES) - {PROMO}


def test_a_release_lifts_nothing_that_the_releasing_system_shows_out_whoever_said_it() -> None:
    """The hub's own word is answered, but its field is not: another system's later word on that
    category is not lifted by a page that still showed it as switched off."""
    story = Story().out(HUB)
    story.read()
    story.into(HUBSPOT, source=CENTRE)
    assert story.read().expected_out[PROMO] == frozenset()
    story.out(SENDGRID, source=LINK).into(HUB, None, at=3.0)
    assert story.read().expected_out[PROMO] == {ANA}


def test_a_release_lifts_category_opt_outs_of_the_other_systems() -> None:
    """Wider and later: the link's category opt-out of yesterday is answered."""
    story = Story().out(SENDGRID, source=LINK).out(HUB, None, at=2.0)
    story.read()
    story.into(HUB, None, at=1.0)
    found = story.read()
    assert found.expected_out[PROMO] == frozenset()
    assert {(r.drift_class.value, r.system) for r in found.drift} == {("over_suppressed", SENDGRID)}


def test_what_has_no_time_is_not_lifted_within_its_bounds() -> None:
    """Mailchimp's interest was switched off some time since the last read: it may have been after
    the person's yes."""
    story = Story()
    story.read()
    story.out(HUB, at=1.0).into(HUB, at=2.0).out(MAILCHIMP, at=1.5)
    found = story.read()
    assert DriftRow(DriftClass.LOST_OPT_OUT, MAILCHIMP, PROMO, ANA) in found.drift
    assert set(found.reasons.values()) == {"time_unknown"}
    story.out(HUB, at=1.0).into(HUB, at=2.0)
    assert {r.drift_class for r in story.read().drift} == {DriftClass.OVER_SUPPRESSED}


def test_an_interest_that_was_never_true_is_no_opt_out_while_the_hub_is_silent() -> None:
    """Nobody may ever have asked; but a word of the hub makes it one."""
    story = Story(states=dict.fromkeys(CATEGORIES, State.NOT_SET))
    assert story.drift() == set()
    assert story.read().cells[MAILCHIMP, PROMO, ANA] is Actual.NEITHER
    story.out(HUB)
    assert story.read().cells[MAILCHIMP, PROMO, ANA] is Actual.OPTED_OUT


def test_an_interest_once_seen_true_is_an_opt_out_when_it_goes() -> None:
    """Even if the hub never said anything."""
    story = Story(skip=[HUB])
    story.tell(HUB, What.RECORD, at=START, states={}, record=1)
    story.read()
    story.out(MAILCHIMP)
    assert ("lost_opt_out", MAILCHIMP, PROMO) in story.drift()


def test_klaviyo_stops_everything_for_a_list_the_profile_is_not_on() -> None:
    """The sync's one category becomes four, and the hub shows one."""
    story = Story(states={**YES, PROMO: State.NOT_SET}).everywhere(What.OUT)
    rows_of_klaviyo = {row for row in story.drift() if row[1] == KLAVIYO}
    lost = {("lost_opt_out", KLAVIYO, c) for c in CATEGORIES if c != PROMO}
    assert rows_of_klaviyo == lost


def test_missing_counts_only_for_who_is_known_to_the_hub() -> None:
    """Information for every category; SendGrid's suppression is a record as well."""
    for esp in ESPS:
        assert Story(skip=[esp]).drift() == {("missing_here", esp, c) for c in CATEGORIES}
        assert Story(skip=[esp, HUB]).drift() == {
            ("orphan_mailable", other, c) for other in ESPS if other != esp for c in CATEGORIES
        }
    story = Story(skip=[SENDGRID])
    for system in (HUB, MAILCHIMP, KLAVIYO, HUBSPOT, SENDGRID):
        story.out(system)
    assert story.drift() == set()


def test_duplicates_conflict_if_one_says_yes_and_another_no() -> None:
    """The flag of one counts for all its categories; not_set conflicts with nothing."""
    story = Story(states={PROMO: State.OPTED_IN, EVENTS: State.OPTED_IN})
    story.tell(HUB, What.RECORD, at=START, states={}, record=2, is_lead=True)
    assert not any(row[0] == "conflicting_duplicates" for row in story.drift())
    story.out(HUB, None, record=2)
    conflicts = {row for row in story.drift() if row[0] == "conflicting_duplicates"}
    assert conflicts == {("conflicting_duplicates", HUB, c) for c in (PROMO, EVENTS)}


def test_a_word_that_nobody_knows_makes_the_cells_not_comparable() -> None:
    """But it excuses no mail to somebody whose opt-out is known from elsewhere."""
    story = Story().tell(HUB, What.GARBLE, category=PROMO)
    assert story.drift() == {("not_comparable", esp, PROMO) for esp in ESPS}
    story = Story().tell(HUB, What.GARBLE, category=PROMO).out(KLAVIYO, source=LINK)
    assert ("unhonoured_opt_out", SENDGRID, PROMO) in story.drift()


def test_a_bounce_is_neither_and_no_drift() -> None:
    """Undeliverable honours nothing and breaks nothing."""
    story = Story()
    for esp in ESPS:
        story.tell(esp, What.BOUNCE, category=PROMO)
    found = story.everywhere(What.OUT).read()
    assert found.drift == frozenset()
    story = Story()
    story.tell(SENDGRID, What.BOUNCE, category=PROMO).out(HUB)
    recall = story.read().recall[SENDGRID, PROMO]
    assert (recall.opted_out, recall.mailable, recall.neither) == (0, 0, 1)
    assert recall.value is None


# --- what else is known --------------------------------------------------------------------------
def mail(system: str, number: int, category: str | None = PROMO) -> Sent:
    at = night(FIRST, number).cutoff - timedelta(hours=14)
    return Sent(system, Mailing("m1", "News", category, at), (ANA,), (ANA,))


def test_a_send_after_an_opt_out_is_told_with_the_weekdays_between() -> None:
    """Only a covering opt-out, only before the send, and never transactional mail."""
    story = Story().out(HUB, at=1.0)
    assert len(story.read(mail(SENDGRID, 1), mail(SENDGRID, 1, EVENTS)).late_sends) == 1
    found = story.read(mail(KLAVIYO, 2), mail(KLAVIYO, 2, None)).late_sends
    assert [(each.system, each.weekdays_after) for each in found] == [(SENDGRID, 0), (KLAVIYO, 1)]
    late = Story().out(HUB, at=20.0)
    assert late.read(mail(SENDGRID, 1)).late_sends == ()


def test_weekdays_leave_out_weekends() -> None:
    """Ten business days are two weeks."""
    assert weekdays_between(date(2026, 9, 4), date(2026, 9, 7)) == 1
    assert weekdays_between(date(2026, 9, 1), date(2026, 9, 15)) == 10
    assert weekdays_between(date(2026, 9, 1), date(2026, 9, 1)) == 0


def test_an_opt_out_is_processed_when_the_last_system_stops() -> None:
    """Each system's own moment; None where it still mails."""
    story = Story().everywhere(What.OUT, but=HUBSPOT)
    (one,) = story.read().processing
    assert one.is_open()
    assert one.effective_at[HUBSPOT] is None
    assert one.effective_at[HUB] == one.occurred_at
    story.out(HUBSPOT)
    (one,) = story.read().processing
    stopped = one.effective_at[HUBSPOT]
    assert stopped is not None
    assert stopped > night(FIRST, 1).cutoff
    assert not one.is_open()


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(HistoryFault("missing_required_field", "source"), "missing_required_field"),
     (HistoryFault("broken_chain"), "broken_chain"), (HistoryFault("unparsable"), "unparsable"),
     (HistoryFault("change_without_entry"), "change_without_entry")],
)  # fmt: skip
def test_planted_faults_of_the_history_are_known(fault: HistoryFault, kind: str) -> None:
    """Rule 7's gaps, by record and field; the opt-out counts all the same."""
    found = Story().out(HUB, fault=fault).read()
    assert [(gap.kind, gap.category, gap.missing) for gap in found.gaps] == [
        (kind, PROMO, fault.field)
    ]
    assert found.expected_out[PROMO] == {ANA}


def test_a_phantom_entry_changes_nothing() -> None:
    """An entry without a change is a gap, and no preference."""
    story = Story(states={**YES, PROMO: State.NOT_SET})
    story.into(HUB, source=Source.IMPORT, fault=HistoryFault("phantom"))
    found = story.read()
    assert [gap.kind for gap in found.gaps] == ["phantom"]
    assert found.drift == frozenset()


def test_what_was_changed_in_silence_breaks_the_next_entry() -> None:
    """The next entry's old value is not the last entry's new one."""
    story = Story().out(HUB).tell(HUB, What.SILENT, category=PROMO, at=2.0)
    assert [gap.kind for gap in story.read().gaps] == ["change_without_entry"]
    story.out(HUB, source=Source.SYNC)
    gaps = story.read().gaps
    assert [(gap.kind, gap.is_consequence) for gap in gaps[1:]] == [("broken_chain", True)]


def test_a_finding_without_a_category_is_of_all_of_them() -> None:
    """`optout drift --json` writes null for all."""
    assert rows("missing_here", KLAVIYO, None, ANA, CATEGORIES) == frozenset(
        DriftRow(DriftClass.MISSING_HERE, KLAVIYO, c, ANA) for c in CATEGORIES
    )
    assert len(rows("missing_here", KLAVIYO, PROMO, ANA, CATEGORIES)) == 1


# --- a whole world -------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def world() -> World:
    made = World(Plan(people=200, seed=21, drift=2))
    made.advance()
    made.advance()
    return made


@pytest.mark.parametrize("number", [1, 2, 3])
def test_rows_cells_and_figures_agree(world: World, number: int) -> None:
    """Each figure of the truth follows from its cells: a wrong row would show in a wrong sum."""
    truth = world.truth(number)
    for row in truth.drift - truth.of(DriftClass.CONFLICTING_DUPLICATES):
        actual = truth.cells[row.system, row.category, row.address]
        is_out = row.address in truth.expected_out[row.category]
        assert {
            DriftClass.UNHONOURED_OPT_OUT: actual is Actual.MAILABLE and is_out,
            DriftClass.ORPHAN_MAILABLE: actual is Actual.MAILABLE and not is_out,
            DriftClass.LOST_OPT_OUT: actual is Actual.OPTED_OUT and is_out,
            DriftClass.OVER_SUPPRESSED: actual is Actual.OPTED_OUT and not is_out,
            DriftClass.MISSING_HERE: actual is Actual.ABSENT,
            DriftClass.NOT_COMPARABLE: not is_out,
        }[row.drift_class], row
    for (system, category), recall in truth.recall.items():
        out = truth.expected_out[category]
        assert sum(recall) == len(out)
        unhonoured = {
            row for row in truth.of(DriftClass.UNHONOURED_OPT_OUT)
            if (row.system, row.category) == (system, category)
        }  # fmt: skip
        assert recall.mailable == len(unhonoured)
        mailable_out = {who for who in out if truth.cells[system, category, who] is Actual.MAILABLE}
        assert {row.address for row in unhonoured} == mailable_out


def test_one_class_for_each_cell(world: World) -> None:
    """Rule 5: the first that fits, and no other."""
    for number in (1, 2, 3):
        found = [
            row[1:] for row in world.truth(number).drift
            if row.drift_class is not DriftClass.CONFLICTING_DUPLICATES
        ]  # fmt: skip
        assert len(found) == len(set(found))


def test_truth_of_a_night_stays_when_the_world_moves_on() -> None:
    """Yesterday's truth is asked for again when a night is replayed."""
    first = World(Plan(people=60, seed=2))
    before = first.truth(1).drift
    first.advance()
    first.truth(2)
    second = World(Plan(people=60, seed=2))
    second.advance()
    assert first.truth(1).drift == before == second.truth(1).drift
    assert first.truth(2).drift == second.truth(2).drift


def test_an_esp_cannot_prove_a_personal_yes_that_it_does_not_tell() -> None:
    """SendGrid keeps no yes: a story that relies on one tells what nobody could know."""
    with pytest.raises(ValueError, match="cannot tell"):
        Story().into(SENDGRID, source=CENTRE).read()
