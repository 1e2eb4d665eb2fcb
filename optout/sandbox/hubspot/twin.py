"""HubSpot's twin: acts of the world turned into what a portal would hold.

Traps kept: preferences follow the address and not the contact; a type that is SUBSCRIBED is not
mailed while the portal-wide status is UNSUBSCRIBED; support agents leave no trace of the person
who asked; a new address of a contact begins without any preference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from random import Random
from typing import Any, ClassVar

from starlette.routing import Route

from optout.http.client import Limit
from optout.model import Source, State
from optout.sandbox.acts import Act, Mailing, Person, Twin
from optout.sandbox.hubspot.portal import Contact, Email, Portal, Status, iso
from optout.sandbox.hubspot.routes import HubSpotRoutes

WORDS: Mapping[State, str] = {
    State.OPTED_IN: "SUBSCRIBED",
    State.OPTED_OUT: "UNSUBSCRIBED",
    State.NOT_SET: "NOT_SPECIFIED",
}
_SOURCES: Mapping[Source, tuple[str, str]] = {
    Source.EMAIL_LINK: ("Unsubscribe link", "SOURCE_RECIPIENT"),
    Source.PREFERENCE_CENTER: ("Preference page", "SOURCE_RECIPIENT"),
    Source.FORM: ("Form submission", "SOURCE_CUSTOMER"),
    Source.API: ("Public API", "SOURCE_CUSTOMER"),
    Source.IMPORT: ("Contact import", "SOURCE_CUSTOMER"),
    Source.SYNC: ("Integration", "SOURCE_CUSTOMER"),
    Source.VENDOR: ("Spam report", "SOURCE_SPAM_REPORT"),
}
"""Source of an act → the texts of v4 and of the timeline; an agent's doing is the rest."""
_BY_AGENT = ("CRM user", "SOURCE_CUSTOMER")


class HubSpotTwin(Twin):
    """One HubSpot portal."""

    vendor: ClassVar[str] = "hubspot"
    limits: ClassVar[tuple[Limit, ...]] = (Limit(requests=100, seconds=10),)
    limit_style: ClassVar[str] = "hubspot"

    def __init__(self, categories: Sequence[str], *, token: str, rng: Random) -> None:
        super().__init__(categories, token=token, rng=rng)
        self.portal = Portal(self.categories, Random(rng.getrandbits(64)))  # noqa: S311
        self.http = HubSpotRoutes(self, self.portal)
        self._types = {name: 11 + i for i, name in enumerate(self.categories)}
        self._next_email = 5001

    # --- for the configuration ----------------------------------------------------------------
    def category_map(self) -> Mapping[str, Sequence[str]]:
        """Each category is one subscription type."""
        return {name: [str(number)] for name, number in self._types.items()}

    def routes(self) -> list[Route]:
        """See `optout.sandbox.hubspot.routes`."""
        return self.http.routes()

    # --- acts ---------------------------------------------------------------------------------
    def add(self, person: Person, states: Mapping[str, State], at: datetime) -> None:
        """An import of a contact with statuses; an existing contact only gets the statuses."""
        if self.portal.contact(person.address) is None:
            names: dict[str, str | None] = {
                "email": person.address.lower(),
                "firstname": person.first_name,
                "lastname": person.last_name,
            }
            self.portal.make_contact(names, at)
        changes = []
        for category, state in states.items():
            if state is not State.NOT_SET:
                text = _SOURCES[Source.IMPORT][0]
                changes.append(self._set(person.address, category, WORDS[state], at, text))
        if changes:
            self.portal.tell(person.address, at, _from("SOURCE_CUSTOMER", changes))

    def opt_out(self, address: str, category: str | None, act: Act) -> None:
        """A type, or everything: then the types keep what they say."""
        self._act(address, [category], "UNSUBSCRIBED", act)

    def opt_in(self, address: str, category: str | None, act: Act) -> None:
        """A type, which lifts nothing portal-wide; or everything: each type and the portal."""
        wanted = [category] if category is not None else [*self.categories, None]
        self._act(address, wanted, "SUBSCRIBED", act)

    def change_address(self, old: str, new: str, at: datetime) -> None:
        """The contact gets another address, of which nothing is known."""
        contact = self.portal.contact(old)
        if contact is not None:
            contact.put("email", new.lower(), at)
            self.portal.index(contact)
            self.portal.mirror(new, at)

    def delete(self, address: str, at: datetime) -> None:
        """The contact is archived; its addresses keep their statuses."""
        contact = self.portal.contact(address)
        if contact is not None:
            contact.archived_at = at
            self.portal.index(contact)

    # --- mail ---------------------------------------------------------------------------------
    def send(self, mailing: Mailing, addresses: Sequence[str]) -> None:
        """One marketing e-mail with its campaign, and two events for each recipient."""
        email = self.portal.by_mailing.get(mailing.id) or self._publish(mailing)
        for address in addresses:
            cause = self.portal.event(
                "SENT", address, mailing.sent_at, emailCampaignId=email.campaign_id,
                subject=mailing.name, **{"from": mailing.from_address},
            )  # fmt: skip
            self.portal.sent_by[address.lower(), email.campaign_id] = cause
            self._happened("DELIVERED", address, email, mailing.sent_at)
            email.count("sent")
            email.count("delivered")

    def click(self, address: str, mailing_id: str, at: datetime) -> None:
        """A CLICK event."""
        self._happened("CLICK", address, self.portal.by_mailing.get(mailing_id), at)

    def bounce(self, address: str, mailing_id: str | None, at: datetime) -> None:
        """A BOUNCE event, its place in the timeline, and the contact's bounce properties."""
        email = self.portal.by_mailing.get(mailing_id or "")
        cause = self._happened("BOUNCE", address, email, at, category="UNKNOWN_USER")
        change = {"change": "BOUNCED", "changeType": "PORTAL_BOUNCE"}
        self.portal.tell(address, at, _from("SOURCE_NON_DELIVERY_REPORT", [change]), cause)
        contact = self.portal.contact(address)
        if contact is not None:
            contact.put("hs_email_bounce", "1", at, "EMAIL")
            contact.put("hs_email_hard_bounce_reason_enum", "UNKNOWN_USER", at, "EMAIL")
        if email:
            email.count("bounce")

    def complain(self, address: str, mailing_id: str, at: datetime) -> None:
        """A SPAMREPORT event and its place in the timeline; no status changes by it."""
        email = self.portal.by_mailing.get(mailing_id)
        cause = self._happened("SPAMREPORT", address, email, at)
        change = {"change": "REPORTED_SPAM", "changeType": "PORTAL_SPAM_REPORT"}
        self.portal.tell(address, at, _from("SOURCE_SPAM_REPORT", [change]), cause)
        if email:
            email.count("spamreport")

    def silently_mailable(self, address: str, category: str | None, at: datetime) -> None:
        """An import sets SUBSCRIBED again; the timeline names the customer, not the recipient."""
        wanted = [category] if category is not None else [*self.categories, None]
        text = _SOURCES[Source.IMPORT][0]
        changes = [self._set(address, each, "SUBSCRIBED", at, text) for each in wanted]
        self.portal.tell(address, at, _from("SOURCE_CUSTOMER", changes))

    def holds(self, address: str) -> bool:
        """Whether a living contact has the address."""
        return self.portal.contact(address) is not None

    # --- what only tests ask of the twin ------------------------------------------------------
    def add_alias(self, address: str, other: str, at: datetime) -> Contact:
        """Give the contact of `address` an additional one."""
        contact = self.portal.contact(address)
        if contact is None:
            raise KeyError("no such contact")
        every = [*contact.addresses[1:], other.lower()]
        contact.put("hs_additional_emails", ";".join(every), at)
        self.portal.index(contact)
        return contact

    def opt_out_unit(self, address: str, unit: int, at: datetime) -> None:
        """Opt out of everything that one business unit sends."""
        self.portal.unit_wide[address.lower(), unit] = Status("UNSUBSCRIBED", at)

    def write(
        self, address: str, type_id: int | None, word: str, at: datetime, source: str
    ) -> dict[str, Any]:
        """Set a status (None: portal-wide) through the API or a list; the timeline tells it."""
        change = self._put(address, type_id, Status(word, at, source))
        self.portal.tell(address, at, _from("SOURCE_CUSTOMER", [change]))
        return change

    # --- inner works --------------------------------------------------------------------------
    def _act(self, address: str, wanted: Sequence[str | None], word: str, act: Act) -> None:
        text, native = _SOURCES.get(act.source, _BY_AGENT)
        basis = None
        if act.source is Source.FORM and word == "SUBSCRIBED":
            basis = "CONSENT_WITH_NOTICE"
        changes = [self._set(address, each, word, act.at, text, basis) for each in wanted]
        cause = None
        email = self.portal.by_mailing.get(act.campaign_id or "")
        if email is not None:
            subscriptions = [{"id": c["subscriptionId"], "status": word} for c in changes
                             if "subscriptionId" in c]  # fmt: skip
            cause = self.portal.event(
                "STATUSCHANGE", address, act.at, emailCampaignId=email.campaign_id, source=native,
                requestedBy=address.lower(), subscriptions=subscriptions, bounced=False,
                portalSubscriptionStatus=word if None in wanted else "SUBSCRIBED",
            )  # fmt: skip
            email.count("unsubscribed" if word == "UNSUBSCRIBED" else "subscribed")
        self.portal.tell(address, act.at, _from(native, changes), cause)

    def _set(
        self, address: str, category: str | None, word: str, at: datetime, text: str,
        basis: str | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        number = self._types[category] if category is not None else None
        return self._put(address, number, Status(word, at, text, basis))

    def _put(self, address: str, type_id: int | None, status: Status) -> dict[str, Any]:
        """Store a status; the change as the timeline words it, without source and stamp."""
        if type_id is None:
            self.portal.wide[address.lower()] = status
            self.portal.mirror(address, status.at)
            return {"change": status.word, "changeType": "PORTAL_STATUS"}
        self.portal.statuses.setdefault(address.lower(), {})[type_id] = status
        return {
            "change": status.word,
            "changeType": "SUBSCRIPTION_STATUS",
            "subscriptionId": type_id,
        }

    def _happened(
        self, kind: str, address: str, email: Email | None, at: datetime, **more: Any
    ) -> dict[str, Any]:
        campaign = email.campaign_id if email else None
        sent = self.portal.sent_by.get((address.lower(), campaign or 0))
        return self.portal.event(kind, address, at, emailCampaignId=campaign, sentBy=sent, **more)

    def _publish(self, mailing: Mailing) -> Email:
        number = self._next_email
        self._next_email += 1
        campaign = number * 10
        shown: dict[str, Any] = {
            "id": str(number), "name": mailing.name, "subject": mailing.name, "isAb": False,
            "type": "BATCH_EMAIL", "state": "PUBLISHED", "isPublished": True, "archived": False,
            "emailTemplateMode": "DRAG_AND_DROP", "isTransactional": mailing.category is None,
            "publishDate": iso(mailing.sent_at), "createdAt": iso(mailing.sent_at),
            "updatedAt": iso(mailing.sent_at), "businessUnitId": "0",
            "from": {"fromName": mailing.from_name, "replyTo": mailing.from_address,
                     "customReplyTo": mailing.reply_to},
            "primaryEmailCampaignId": str(campaign), "allEmailCampaignIds": [str(campaign)],
            "content": {"widgets": _widgets(mailing), "plainTextVersion": mailing.name},
        }  # fmt: skip
        if mailing.category is not None:
            shown["subscriptionDetails"] = {
                "subscriptionId": str(self._types[mailing.category]),
                "officeLocationId": "1" if mailing.has_postal_address else None,
            }
        email = Email(number, campaign, mailing.id, shown)
        self.portal.emails[number] = self.portal.by_mailing[mailing.id] = email
        return email


def _from(native: str, changes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The changes with the timeline's word for who made them."""
    return [{**change, "source": native} for change in changes]


def _widgets(mailing: Mailing) -> dict[str, Any]:
    """A drag-and-drop body: a tree of modules, the footer with the links among them."""
    body = {"body": {"html": f"<p>{mailing.name}</p>", "path": "@hubspot/rich_text"}}
    if not mailing.has_unsubscribe:
        return {"module-0": body}
    return {"module-0": body, "email_can_spam": {"body": {"path": "@hubspot/email_footer"}}}
