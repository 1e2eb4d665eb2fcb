"""How Mailchimp holds preferences, without HTTP; and the table of all holdings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from optout.model import PERSONAL_SOURCES, Actual, Source, State
from optout.sandbox.truth.holding import (
    Holding,
    HubSpotHolding,
    KlaviyoHolding,
    SendGridHolding,
    Word,
)
from optout.sandbox.truth.holding_hub import HubHolding
from optout.sandbox.world.deeds import HUBSPOT, KLAVIYO, MAILCHIMP, SENDGRID, Deed


@dataclass
class _Member:
    """One person in one Mailchimp audience."""

    status: str = "subscribed"
    in_compliance: bool = False
    """The person left, or the address bounced: a system cannot subscribe it again."""
    word: Word | None = None
    """The unsubscribe, where the status is one."""


class MailchimpHolding(Holding):
    """Two audiences: the first has an interest per category, the second is the last category.

    `yes` and `outs` are of the interests; an interest that is false is read as an opt-out unless it
    was never seen true and the hub has no word on it: then nobody may ever have asked.
    """

    def __init__(self, categories: Sequence[str]) -> None:
        super().__init__(categories)
        self.members: dict[int, _Member] = {}
        self.seen: set[str] = set()
        """Interests that were true on some night."""
        self._gone: dict[str, datetime] = {}
        """When each interest that is false was switched off."""
        self._neutral: set[str] = set()
        """Interests whose false means nothing tonight."""

    def home(self, category: str) -> int:
        """The audience of a category."""
        return int(category == self.categories[-1])

    def add(self, deed: Deed) -> None:
        """The second audience only gets whom something is known of."""
        states = deed.states or {}
        for home in (0, 1):
            told = {c: s for c, s in states.items() if self.home(c) == home}
            if home == 1 and not set(told.values()) - {State.NOT_SET}:
                continue
            if home not in self.members:
                self.members[home] = _Member()
                if set(told.values()) == {State.OPTED_OUT}:
                    self._leave(home, deed)
            self.yes |= {c for c, s in told.items() if home == 0 and s is State.OPTED_IN}

    def _leave(self, home: int, deed: Deed) -> None:
        member = self.members[home]
        if member.status not in ("unsubscribed", "cleaned"):
            category = None if home == 0 else self.categories[-1]
            member.status = "unsubscribed"
            member.word = Word(deed.system, category, deed.at, False, deed.source)
        personal = deed.source in PERSONAL_SOURCES or deed.source is Source.FORM
        if personal and deed.source is not Source.SUPPORT_REQUEST:
            member.in_compliance = True

    def out(self, deed: Deed) -> None:
        """An interest goes; or the member leaves the audience (all audiences)."""
        if deed.category is not None and self.home(deed.category) == 0:
            if deed.category in self.yes:
                self._gone[deed.category] = deed.at
            self.yes.discard(deed.category)
            return
        homes = [1] if deed.category is not None else (list(self.members) or [0])
        for home in homes:
            self.members.setdefault(home, _Member("transactional"))
            self._leave(home, deed)

    def into(self, deed: Deed) -> None:
        """An interest comes; who left by himself comes back only by himself."""
        for category in self.categories if deed.category is None else (deed.category,):
            home = self.home(category)
            member = self.members.setdefault(home, _Member())
            if member.status != "subscribed" and (deed.category is None or home == 1):
                personal = deed.source in PERSONAL_SOURCES or deed.source is Source.FORM
                if personal or not member.in_compliance:
                    self.members[home] = member = _Member()
            if deed.category is not None or member.status == "subscribed":
                self._wish(category)

    def _wish(self, category: str) -> None:
        if self.home(category) == 0:
            self.yes.add(category)

    def silent(self, deed: Deed) -> None:
        """Archived and unarchived as subscribed."""
        for category in self.categories if deed.category is None else (deed.category,):
            if self.home(category) in self.members:
                self.members[self.home(category)] = _Member()
                self._wish(category)

    def delete(self) -> None:
        """Archived in every audience."""
        for member in self.members.values():
            member.status = "archived"

    def clean(self, category: str | None) -> None:
        """Bounced, or complained: in the audience of that mail."""
        for home, member in self.members.items():
            if category is None or home == self.home(category):
                member.status = "cleaned" if member.status == "subscribed" else member.status

    def move_to(self, other: Holding) -> None:
        """The member keeps everything but the address."""
        super().move_to(other)
        if isinstance(other, MailchimpHolding):
            other.members, self.members = self.members, {}
            other.seen = set(self.seen)

    def read(self, hub: HubHolding, low: datetime | None, high: datetime) -> None:
        """What is read tonight; fixes what can be known of the opt-outs' times."""
        self._neutral = {
            c for c in self.categories
            if c not in self.seen and hub.state(c) is State.NOT_SET
        }  # fmt: skip
        for member in self.members.values():
            if member.word is not None and member.word.high is None:
                member.word.low, member.word.high = low, member.word.at
        for category in self.categories[:-1]:
            if not self._interest_is_out(category):
                self.outs.pop(category, None)
            elif category not in self.outs:
                at = self._gone.get(category, high)
                word = Word(MAILCHIMP, category, at, False, Source.UNKNOWN, low, high)
                self.outs[category] = word
        member0 = self.members.get(0)
        if member0 is not None and member0.status == "subscribed":
            self.seen |= self.yes

    def _interest_is_out(self, category: str) -> bool:
        member = self.members.get(0)
        if member is None or member.status != "subscribed":
            return False
        return category not in self.yes and category not in self._neutral

    def held(self, category: str) -> list[Word]:
        """The unsubscribe of the audience, and the interest."""
        member = self.members.get(self.home(category))
        if member is None or member.status not in ("subscribed", "unsubscribed"):
            return []
        found = [member.word] if member.word is not None else []
        return found + ([self.outs[category]] if category in self.outs else [])

    def blocks(self, category: str) -> bool:
        """Whether no mail of the category would go out, for whatever reason."""
        member = self.members.get(self.home(category))
        is_in = member is not None and member.status == "subscribed"
        return not is_in or (self.home(category) == 0 and category not in self.yes)

    def actual(self, category: str) -> Actual:
        """Archived and cleaned members are neither; so is who is on the other audience only."""
        if not self.members:
            return Actual.ABSENT
        if self.held(category):
            return Actual.OPTED_OUT
        return Actual.NEITHER if self.blocks(category) else Actual.MAILABLE


HOLDINGS: dict[str, type[Holding]] = {
    MAILCHIMP: MailchimpHolding,
    SENDGRID: SendGridHolding,
    KLAVIYO: KlaviyoHolding,
    HUBSPOT: HubSpotHolding,
}
