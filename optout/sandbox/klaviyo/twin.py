"""The twin of Klaviyo: profiles, lists, two kinds of suppression, events and campaigns.

Its traps are the vendor's: consent is shown only if asked for, subscribing erases opt-outs, an API
unsubscribe from a list that the profile is not on goes global, `updated` need not move when a
consent does, and cursors expire. Revision 2026-07-15. HTTP is in `klaviyo_api`, the form of the
records in `klaviyo_state`.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, ClassVar

from starlette.routing import Route

from optout.address import BadAddress, normalise
from optout.http.client import Limit
from optout.model import Source, State
from optout.sandbox.acts import Act, Mailing, Person, Twin
from optout.sandbox.klaviyo import api as klaviyo_api
from optout.sandbox.klaviyo import state as ks

_METHODS: Mapping[Source, str] = {
    Source.EMAIL_LINK: "UNSUBSCRIBE_PAGE",
    Source.PREFERENCE_CENTER: "PREFERENCE_PAGE",
    Source.SUPPORT_REQUEST: "MANUAL",
    Source.FORM: "KLAVIYO_FORM",
    Source.API: "API",
    Source.MANUAL: "MANUAL",
    Source.IMPORT: "IMPORT",
    Source.SYNC: "API",
}
_SCOPES = ("accounts:read", "profiles:read", "lists:read", "metrics:read", "events:read",
           "campaigns:read", "flows:read", "subscriptions:write")  # fmt: skip
_BY_STAFF = frozenset({Source.SUPPORT_REQUEST, Source.MANUAL})
_BY_MACHINE = frozenset({Source.API, Source.SYNC, Source.IMPORT})


def _key(address: str) -> str:
    try:
        return normalise(address)
    except BadAddress:
        return address


class KlaviyoTwin(Twin):
    """One Klaviyo account."""

    vendor: ClassVar[str] = "klaviyo"
    limit_style: ClassVar[str] = "klaviyo"
    limits: ClassVar[tuple[Limit, ...]] = (Limit(75, 1.0), Limit(750, 60.0))
    """Burst and steady window of profiles and lists; every endpoint has windows of its own."""
    endpoint_limits: ClassVar[Mapping[str, tuple[Limit, ...]]] = {
        "/api/accounts": (Limit(1, 1.0), Limit(15, 60.0)),
        "/api/metrics": (Limit(10, 1.0), Limit(150, 60.0)),
        "/api/events": (Limit(350, 1.0), Limit(3500, 60.0)),
        "/api/campaigns": (Limit(10, 1.0), Limit(150, 60.0)),
        "/api/campaign-messages/{id}": (Limit(10, 1.0), Limit(150, 60.0)),
        "/api/flow-messages/{id}": (Limit(3, 1.0), Limit(60, 60.0)),
    }

    def __init__(self, categories: Sequence[str], *, token: str, rng: Random) -> None:
        super().__init__(categories, token=token, rng=rng)
        self.profiles: dict[str, ks.Profile] = {}
        self.lists: dict[str, ks.MailingList] = {}
        self.metrics = {name: f"Mt{i:04d}" for i, name in enumerate(ks.METRICS, 1)}
        self.foreign_metrics: dict[str, str] = {}
        """Id → name of metrics that an integration made; names need not be unique."""
        self.events: dict[str, list[ks.Event]] = {name: [] for name in ks.METRICS}
        self.campaigns: dict[str, ks.Campaign] = {}
        """By the world's id of the mailing."""
        self.scopes = set(_SCOPES)
        self.consent_field_empty: str | None = None
        """`null` or `absent`: the account's answers lose everybody's consent."""
        self.updated_moves_on_consent = False
        """Whether a change of consent moves `updated`; the vendor does not say."""
        self.cursor_generation = 0
        self._by_email: dict[str, str] = {}
        self._event_count = 0
        self._profile_count = 0
        self._epoch = datetime.fromisoformat("2020-01-01T00:00:00+00:00")
        self._category_lists = {name: self.add_list(name) for name in self.categories}

    # --- for the configuration and the tests --------------------------------------------------
    def category_map(self) -> Mapping[str, Sequence[str]]:
        """One list per category."""
        return {name: [list_id] for name, list_id in self._category_lists.items()}

    def routes(self) -> list[Route]:
        """The API below `/klaviyo`."""
        return klaviyo_api.routes(self)

    def add_list(self, name: str) -> str:
        """A new list; returns its id."""
        list_id = f"KL{len(self.lists) + 1:04d}"
        self.lists[list_id] = ks.MailingList(list_id, name, self._epoch)
        return list_id

    def expire_cursors(self) -> None:
        """Every cursor given out so far is worth nothing from now on."""
        self.cursor_generation += 1

    def profile(self, address: str) -> ks.Profile | None:
        """The profile that has this address."""
        found = self._by_email.get(_key(address))
        return None if found is None else self.profiles[found]

    def holds(self, address: str) -> bool:
        """Whether there is a profile with the address."""
        return self.profile(address) is not None

    # --- acts ---------------------------------------------------------------------------------
    def add(self, person: Person, states: Mapping[str, State], at: datetime) -> None:
        """Import: memberships for opt-ins, staff's list suppressions for opt-outs."""
        profile = self._ensure(person.address, at)
        profile.first_name, profile.last_name = person.first_name, person.last_name
        profile.country = person.country
        wanted = [name for name, state in states.items() if state is State.OPTED_IN]
        if wanted and profile.consent == "NEVER_SUBSCRIBED":
            self._consent(profile, "SUBSCRIBED", "API", at)
        for name, state in states.items():
            listed = self.lists[self._category_lists[name]]
            if state is State.OPTED_IN:
                listed.join(profile.id, at)
            elif state is State.OPTED_OUT:
                self._suppress(profile, ks.USER_SUPPRESSED, at, listed.id)

    def opt_out(self, address: str, category: str | None, act: Act) -> None:
        """Unsubscribe, by the person, by staff or through the API, of everything or of a list."""
        profile = self._ensure(address, act.at)
        if category is not None:
            self.unsubscribe(profile, act, self._category_lists[category])
        elif act.source in _BY_STAFF:
            self._suppress(profile, ks.USER_SUPPRESSED, act.at)
            self._event(ks.SUPPRESSED, profile, act.at, {})
        else:
            self.unsubscribe(profile, act, None)

    def opt_in(self, address: str, category: str | None, act: Act) -> None:
        """Subscribe to one list, or to all of them."""
        profile = self._ensure(address, act.at)
        lists = [category] if category is not None else list(self.categories)
        self.subscribe(profile, act, [self._category_lists[name] for name in lists])

    def change_address(self, old: str, new: str, at: datetime) -> None:
        """Edit the profile's address; refused (409) where another profile has the new one."""
        profile = self.profile(old)
        if profile is None or self.profile(new) is not None:
            return
        del self._by_email[_key(old)]
        profile.email = new
        self._by_email[_key(new)] = profile.id
        profile.updated = max(profile.updated, at)

    def delete(self, address: str, at: datetime) -> None:
        """A data privacy deletion: profile, memberships and events go."""
        profile = self.profile(address)
        if profile is None:
            return
        del self._by_email[_key(address)]
        del self.profiles[profile.id]
        for listed in self.lists.values():
            listed.leave(profile.id)
        for name, events in self.events.items():
            self.events[name] = [each for each in events if each.profile_id != profile.id]

    # --- mail ---------------------------------------------------------------------------------
    def send(self, mailing: Mailing, addresses: Sequence[str]) -> None:
        """A campaign to its category's list, or a transactional flow message."""
        number = len(self.campaigns) + 1
        lists = () if mailing.category is None else (self._category_lists[mailing.category],)
        campaign = ks.Campaign(
            f"01CAMPAIGN{number:016d}", f"01MESSAGE{number:017d}", f"Tp{number:04d}",
            mailing, lists, is_flow=mailing.category is None,
        )  # fmt: skip
        self.campaigns[mailing.id] = campaign
        for offset, address in enumerate(addresses):
            profile = self.profile(address)
            if profile is not None:
                at = mailing.sent_at + timedelta(seconds=1 + offset % 300)
                self._event(ks.RECEIVED, profile, at, self._of_message(mailing.id))

    def click(self, address: str, mailing_id: str, at: datetime) -> None:
        """A link in the mail was opened."""
        profile = self.profile(address)
        if profile is not None:
            self._event(ks.CLICKED, profile, at, self._of_message(mailing_id))

    def bounce(self, address: str, mailing_id: str | None, at: datetime) -> None:
        """A hard bounce suppresses the profile for ever."""
        profile = self._ensure(address, at)
        self._suppress(profile, ks.HARD_BOUNCE, at)
        properties = {**self._of_message(mailing_id), "Bounce Type": "Hard"}
        self._event(ks.BOUNCED, profile, at, properties)

    def complain(self, address: str, mailing_id: str, at: datetime) -> None:
        """A spam complaint suppresses the profile."""
        profile = self._ensure(address, at)
        self._suppress(profile, ks.SPAM, at)
        self._event(ks.SPAM_MARKED, profile, at, self._of_message(mailing_id))

    def silently_mailable(self, address: str, category: str | None, at: datetime) -> None:
        """An integration subscribes the address again: the opt-out is erased by that."""
        self.opt_in(address, category, Act(at, Source.API, ip=None, user_agent=None))

    # --- what the vendor's subscription jobs do -------------------------------------------------
    def unsubscribe(self, profile: ks.Profile, act: Act, list_id: str | None) -> None:
        """Take back consent. Through the API, a list that the profile is not on means all mail."""
        properties: dict[str, Any] = {"method": _METHODS.get(act.source)}
        if act.source is Source.EMAIL_LINK:
            properties |= self._of_message(act.campaign_id)
        on_list = list_id is not None and profile.id in self.lists[list_id].members
        if list_id is None or (act.source in _BY_MACHINE and not on_list):
            self._consent(profile, "UNSUBSCRIBED", _METHODS.get(act.source), act.at)
            self._suppress(profile, ks.UNSUBSCRIBE, act.at)
            self._event(ks.UNSUBSCRIBED, profile, act.at, properties)
            return
        reason = ks.USER_SUPPRESSED if act.source in _BY_STAFF else ks.UNSUBSCRIBE
        self.lists[list_id].leave(profile.id)
        self._suppress(profile, reason, act.at, list_id)
        properties["List"] = self.lists[list_id].name
        self._event(ks.LIST_UNSUBSCRIBED, profile, act.at, properties)

    def subscribe(self, profile: ks.Profile, act: Act, list_ids: Iterable[str]) -> None:
        """Give consent and join lists; erases opt-outs and complaints, never bounces."""
        method = _METHODS.get(act.source)
        profile.suppressions = [
            each for each in profile.suppressions if each.reason not in ks.LIFTED_BY_SUBSCRIBING
        ]
        self._consent(profile, "SUBSCRIBED", method, act.at)
        self._event(ks.SUBSCRIBED, profile, act.at, {"method": method})
        for list_id in list_ids:
            profile.list_suppressions = [
                each for each in profile.list_suppressions
                if each.list_id != list_id or each.reason not in ks.LIFTED_BY_SUBSCRIBING
            ]  # fmt: skip
            listed = self.lists[list_id]
            listed.join(profile.id, act.at)
            properties = {"List": listed.name, "method": method}
            self._event(ks.LIST_SUBSCRIBED, profile, act.at, properties)

    def unsuppress(self, profile: ks.Profile, at: datetime) -> None:
        """Staff lift their own suppression, and nothing else."""
        profile.suppressions = [
            each for each in profile.suppressions if each.reason != ks.USER_SUPPRESSED
        ]
        self._event(ks.UNSUPPRESSED, profile, at, {})

    def ensure(self, address: str) -> ks.Profile:
        """The profile of an address named in a job, made if there is none."""
        return self._ensure(address, self.now or self._epoch)

    # --- inner works ----------------------------------------------------------------------------
    def _ensure(self, address: str, at: datetime) -> ks.Profile:
        profile = self.profile(address)
        if profile is None:
            self._profile_count += 1
            number = f"01KPRF{self._profile_count:020d}"
            profile = ks.Profile(number, address, at, at)
            self.profiles[profile.id] = profile
            self._by_email[_key(address)] = profile.id
        return profile

    def _touch(self, profile: ks.Profile, at: datetime) -> None:
        profile.last_updated = at
        if self.updated_moves_on_consent:
            profile.updated = max(profile.updated, at)

    def _consent(self, profile: ks.Profile, word: str, method: str | None, at: datetime) -> None:
        profile.consent, profile.consent_at, profile.method = word, at, method
        profile.double_optin = False if word == "SUBSCRIBED" else None
        self._touch(profile, at)

    def _suppress(
        self, profile: ks.Profile, reason: str, at: datetime, list_id: str | None = None
    ) -> None:
        entry = ks.Suppression(reason, at, list_id)
        held = profile.list_suppressions if list_id else profile.suppressions
        if all((each.reason, each.list_id) != (reason, list_id) for each in held):
            held.append(entry)
        self._touch(profile, at)

    def _event(
        self, metric: str, profile: ks.Profile, at: datetime, properties: Mapping[str, Any]
    ) -> None:
        self._event_count += 1
        event_id = f"Ev{self._event_count:09d}"
        shown = {"$event_id": event_id, **properties}
        insort(
            self.events[metric],
            ks.Event(at, event_id, metric, profile.id, shown),
            key=lambda each: (each.at, each.id),
        )

    def _of_message(self, mailing_id: str | None) -> dict[str, Any]:
        campaign = self.campaigns.get(mailing_id) if mailing_id else None
        if campaign is None:
            return {}
        properties: dict[str, Any] = {
            "$message": campaign.message_id,
            "Subject": campaign.mailing.name,
            "$group_ids": list(campaign.list_ids),
        }
        if campaign.is_flow:
            properties["$flow"] = f"Fl{campaign.template_id[2:]}"
        else:
            properties["Campaign Name"] = campaign.mailing.name
        return properties
