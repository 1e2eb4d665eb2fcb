"""What is true of the world on each night: the exact drift, and the figures that follow.

The oracle replays the deeds, never asks a twin, and applies rules 3, 5 and 8 of the design word by
word. Where the text leaves two readings it takes the one that protects the person who opted out:

* SendGrid knows whoever is exported or holds an opt-out; a bounce is no record.
* An opt-out without a stamp lies between the last read and this one, on the first night anywhere
  before; an opt-in within that time lifts nothing.
* A release of everything leaves a category that the releasing system still shows opted out.
* `lost_opt_out` needs an opt-out that the ESP holds now, and a hub that does not show it, be it
  that the hub does not know the person.
* What the hub says unclearly excuses no mail to somebody whose opt-out is known from elsewhere.
* An interest that was never seen true, where the hub says nothing, is no opt-out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from optout.model import PERSONAL_SOURCES, Actual, DriftClass
from optout.sandbox.acts import Governance
from optout.sandbox.truth.holding import Holding, Word
from optout.sandbox.truth.holding_hub import HubHolding
from optout.sandbox.truth.holding_mailchimp import HOLDINGS
from optout.sandbox.truth.shapes import DriftRow, Recall, Truth
from optout.sandbox.truth.tally import Clock, LateSend, late_sends
from optout.sandbox.truth.trail import Trail
from optout.sandbox.truth.words import Said, Yes, is_lifted, is_time_unknown, standing
from optout.sandbox.world.deeds import ESPS, HUB, HUBSPOT, KLAVIYO, Deed, Sent, What
from optout.sandbox.world.nights import Night

_TELLS_YES = frozenset({HUB, HUBSPOT, KLAVIYO})
"""Systems whose record of an opt-in says who made it and when."""
_TELLS_ALL = frozenset({HUB, HUBSPOT, KLAVIYO})
"""Systems whose feeds tell an opt-out even if it was undone before the night."""


class Oracle:
    """Replays deeds night by night."""

    def __init__(self, categories: Sequence[str]) -> None:
        self.categories = tuple(categories)
        self._hub: dict[str, HubHolding] = {}
        self._esps: dict[str, dict[str, Holding]] = {system: {} for system in ESPS}
        self._said: dict[str, Said] = {}
        self._consent: dict[str, list[tuple[Governance, str | None]]] = {}
        self._rows: dict[str, dict[DriftRow, str]] = {}
        self._expected: dict[str, frozenset[str]] = {}
        self._cells: dict[str, tuple[Actual, ...]] = {}
        self._trail = Trail()
        self._clock = Clock(self.categories)
        self._late: list[LateSend] = []
        self._last_read: datetime | None = None

    # --- replay ---------------------------------------------------------------------------------
    def step(self, night: Night, deeds: Sequence[Deed], sent: Sequence[Sent]) -> Truth:
        """Take in what happened since the last night, and tell what is true now."""
        touched: dict[str, None] = {}
        for deed in deeds:
            self._take(deed, night)
            touched[deed.who] = None
            if deed.what is What.MOVE:
                touched[deed.new_who] = None
        for who in touched:
            self._read(who, night)
        for each in sent:
            self._late += late_sends(each, night.number, self._said)
        for who in touched:
            self._judge(who)
        self._last_read = night.read_at
        self._trail.read()
        self._clock.read(night.read_at)
        return self._truth(night)

    def hub(self, who: str) -> HubHolding:
        """What the hub has of a person."""
        return self._hub.setdefault(who, HubHolding())

    def esp(self, system: str, who: str) -> Holding:
        """What an ESP has of a person."""
        found = self._esps[system].get(who)
        if found is None:
            found = self._esps[system][who] = HOLDINGS[system](self.categories)
        return found

    def said(self, who: str) -> Said:
        """What a person is known to have said."""
        return self._said.setdefault(who, Said())

    def _take(self, deed: Deed, night: Night) -> None:
        if deed.system == HUB:
            self._take_hub(deed, night)
        elif deed.what is What.MOVE:
            self.esp(deed.system, deed.who).move_to(self.esp(deed.system, deed.new_who))
        else:
            holding = self.esp(deed.system, deed.who)
            holding.tell(deed)
            self._note_words(deed, holding)
        self._note_yes(deed)
        esps = {system: self.esp(system, deed.who) for system in ESPS}
        self._clock.tell(deed, self.hub(deed.who), esps)

    def _take_hub(self, deed: Deed, night: Night) -> None:
        if deed.what is What.MOVE:
            self._hub[deed.new_who] = self._hub.pop(deed.who, HubHolding())
            self._consent[deed.new_who] = self._consent.pop(deed.who, [])
            return
        hub = self.hub(deed.who)
        if deed.what is What.DELETE:
            self._trail.forget(hub.records)
        hub.tell(deed)
        touched = [n for n in hub.records if deed.record in (None, n)]
        self._trail.tell(deed, night.number, touched)
        if deed.what is What.RECORD:
            consent = deed.governance or Governance()
            self._consent.setdefault(deed.who, []).append((consent, deed.country))
        elif deed.what is What.DELETE:
            self._consent.pop(deed.who, None)
        elif deed.what is What.OUT:
            self._note_hub_word(deed)

    def _note_hub_word(self, deed: Deed) -> None:
        """The history tells the time, unless the entry is missing or cannot be read."""
        kind = deed.fault.kind if deed.fault else None
        if kind == "phantom":
            return
        lost = kind in ("change_without_entry", "unparsable") or (
            deed.fault is not None and deed.fault.field == "at"
        )
        word = Word(HUB, deed.category, deed.at, not lost, deed.source)
        if not lost:
            word.low = word.high = deed.at
        self.said(deed.who).outs.append(word)

    def _note_words(self, deed: Deed, holding: Holding) -> None:
        """Feeds tell an opt-out even if it does not live to see the night."""
        if deed.what is not What.OUT or deed.system not in _TELLS_ALL:
            return
        known = self.said(deed.who).outs
        for word in holding.outs.values():
            if not any(word is each for each in known):
                word.low = word.high = word.at
                known.append(word)

    def _note_yes(self, deed: Deed) -> None:
        if deed.what is not What.IN or deed.source not in PERSONAL_SOURCES:
            return
        if deed.system not in _TELLS_YES:
            raise ValueError(f"{deed.system} cannot tell that an opt-in was the person's own")
        yeses = self.said(deed.who).yeses
        yeses.append(Yes(deed.system, deed.category, deed.at))
        if deed.system == HUBSPOT and deed.category is None:
            # The page of all types says yes to each of them as well.
            yeses += [Yes(deed.system, category, deed.at) for category in self.categories]

    # --- the read ---------------------------------------------------------------------------------
    def _read(self, who: str, night: Night) -> None:
        """What the night's read learns of one person."""
        said = self.said(who)
        hub = self.hub(who)
        for word in said.outs:
            if word.system == HUB and word.high is None:
                word.low, word.high = self._last_read, night.read_at
        for system in ESPS:
            holding = self.esp(system, who)
            holding.read(hub, self._last_read, night.read_at)
            for category in self.categories:
                for word in holding.held(category):
                    if not any(word is each for each in said.outs):
                        said.outs.append(word)

    # --- judgement --------------------------------------------------------------------------------
    def _shows(self, who: str, system: str, category: str) -> bool:
        if system == HUB:
            return self.hub(who).shows_category_out(category)
        return category in self.esp(system, who).outs

    def _judge(self, who: str) -> None:
        """Rule 5 for every cell of one person."""
        self._rows[who] = dict(self._judged(who))
        self._cells[who] = tuple(
            self.esp(system, who).actual(category)
            for system in ESPS
            for category in self.categories
        )
        self._expected[who] = frozenset(
            c for c in self.categories
            if standing(self.said(who), c, lambda s, k: self._shows(who, s, k))
        )  # fmt: skip

    def _judged(self, who: str) -> Iterator[tuple[DriftRow, str]]:
        hub = self.hub(who)
        if not hub.knows and not any(self._is_known(system, who) for system in ESPS):
            return
        for category in self.categories:
            if hub.conflicts(category):
                yield DriftRow(DriftClass.CONFLICTING_DUPLICATES, HUB, category, who), ""
            for system in ESPS:
                found = self._cell(who, system, category)
                if found is not None:
                    yield DriftRow(found[0], system, category, who), found[1]

    def _is_known(self, system: str, who: str) -> bool:
        holding = self.esp(system, who)
        return any(holding.actual(c) is not Actual.ABSENT for c in self.categories)

    def _cell(self, who: str, system: str, category: str) -> tuple[DriftClass, str] | None:
        """The first class that fits, with its reason."""
        hub = self.hub(who)
        said = self.said(who)
        holding = self.esp(system, who)
        actual = holding.actual(category)

        def shows(releasing: str, of: str) -> bool:
            return self._shows(who, releasing, of)

        still = standing(said, category, shows)
        vague = any(is_time_unknown(word, said.yeses, shows) for word in still)
        reason = "time_unknown" if vague else ""
        if actual is Actual.MAILABLE and still:
            return DriftClass.UNHONOURED_OPT_OUT, reason
        if actual is Actual.MAILABLE and not hub.knows:
            return DriftClass.ORPHAN_MAILABLE, ""
        decided = actual in (Actual.MAILABLE, Actual.OPTED_OUT)
        if decided and hub.is_unclear(category) and not hub.shows_out(category):
            return DriftClass.NOT_COMPARABLE, "unknown_value"
        if actual is Actual.OPTED_OUT:
            held = holding.held(category)
            lifted = [is_lifted(word, said.yeses, shows) for word in held]
            if not all(lifted) and not hub.shows_out(category):
                return DriftClass.LOST_OPT_OUT, reason
            if all(lifted) and not still:
                return DriftClass.OVER_SUPPRESSED, ""
        if actual is Actual.ABSENT and hub.knows:
            return DriftClass.MISSING_HERE, ""
        return None

    # --- the result -------------------------------------------------------------------------------
    def _truth(self, night: Night) -> Truth:
        reasons = {row: why for rows in self._rows.values() for row, why in rows.items()}
        expected = {
            c: frozenset(who for who, out in self._expected.items() if c in out)
            for c in self.categories
        }
        places = [(system, category) for system in ESPS for category in self.categories]
        cells = {
            (system, category, who): actual
            for who, actuals in self._cells.items()
            for (system, category), actual in zip(places, actuals, strict=True)
        }
        recall = {}
        for system, category in places:
            words = [cells[system, category, who] for who in expected[category]]
            kinds = (Actual.OPTED_OUT, Actual.MAILABLE, Actual.NEITHER, Actual.ABSENT)
            recall[system, category] = Recall(*(words.count(kind) for kind in kinds))
        return Truth(
            night=night,
            drift=frozenset(reasons),
            reasons={row: why for row, why in reasons.items() if why},
            expected_out=expected,
            recall=recall,
            cells=cells,
            gaps=tuple(self._trail.gaps),
            hub_changes=(self._trail.changes, self._trail.complete),
            late_sends=tuple(self._late),
            processing=tuple(self._clock.all),
            consent={who: tuple(each) for who, each in self._consent.items() if each},
        )
