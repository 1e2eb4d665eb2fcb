"""The sandbox twin of Twilio SendGrid: what each act leaves behind in an account.

Six stores that say "no" and none that says "yes": the global list, the unsubscribe groups (one
per category), bounces, invalid addresses, spam reports and blocks. Only an unsubscribe by a link
leaves an event with time, address of the machine and browser; whatever a sender adds itself leaves
a stamp at most. The API is in `optout.sandbox.sendgrid.api`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, ClassVar
from uuid import UUID

from starlette.routing import Route

from optout.http.client import Limit
from optout.model import TRANSACTIONAL, Source, State
from optout.sandbox.acts import Act, Mailing, Person, Twin
from optout.sandbox.sendgrid import api as sendgrid_api
from optout.sandbox.sendgrid.state import Account, Group, Message, iso, seconds

FIRST_GROUP = 20_001
MAIN = "main"
_PAGES_OF_THE_VENDOR = frozenset({Source.EMAIL_LINK, Source.PREFERENCE_CENTER})
"""Sources that pass through SendGrid's own unsubscribe pages, and so leave an event."""
_BYPASS = {"bypass_list_management": 1}
_PACE = timedelta(milliseconds=2)
"""Between two messages of a single send."""

SCOPES = frozenset({
    "asm.groups.read", "asm.groups.create", "asm.groups.delete",
    "asm.groups.suppressions.read", "asm.groups.suppressions.create",
    "asm.groups.suppressions.delete", "asm.suppressions.global.read",
    "asm.suppressions.global.create", "asm.suppressions.global.delete",
    "suppression.unsubscribes.read", "suppression.bounces.read", "suppression.blocks.read",
    "suppression.invalid_emails.read", "suppression.spam_reports.read",
    "marketing.read", "messages.read", "email_activity.read", "subusers.read",
})  # fmt: skip
"""Permissions of a new sandbox key; take some away to see what a connector says."""


class SendGridTwin(Twin):
    """One SendGrid account with its subusers.

    Switches are plain attributes: `logs_on` and `activity_on` (whether the account has these
    APIs), `export_polls` (how often a job answers `pending`), `export_parts`, `export_gzip`,
    `export_ttl`, `export_failures` (jobs that end in `failure`), `tells_count`, `scopes`.
    """

    vendor: ClassVar[str] = "sendgrid"
    limits: ClassVar[tuple[Limit, ...]] = (Limit(requests=600, seconds=60),)
    limit_style: ClassVar[str] = "sendgrid"

    def __init__(self, categories: Sequence[str], *, token: str, rng: Random) -> None:
        super().__init__(categories, token=token, rng=rng)
        self.main = Account(MAIN, 1000)
        self.subusers: dict[str, Account] = {}
        self.group_of = {name: FIRST_GROUP + i for i, name in enumerate(self.categories)}
        for name, number in self.group_of.items():
            title = name.replace("_", " ").capitalize()[:30]
            self.main.groups[number] = Group(
                number, title, f"{title} of the company", number == FIRST_GROUP
            )
        self.scopes: set[str] = set(SCOPES)
        self.logs_on = True
        self.activity_on = False
        self.export_polls = 1
        self.export_parts = 2
        self.export_gzip = True
        self.export_ttl = timedelta(hours=72)
        self.export_failures = 0
        self.tells_count = True
        self._single_send_of: dict[str, str] = {}

    # --- for the configuration ------------------------------------------------------------------
    def category_map(self) -> Mapping[str, Sequence[str]]:
        """Category → its unsubscribe group."""
        return {name: [str(number)] for name, number in self.group_of.items()}

    def routes(self) -> list[Route]:
        """The API, with the traps that the vendor's has."""
        return sendgrid_api.routes(self)

    def add_subuser(self, name: str, *, region: str = "global", disabled: bool = False) -> Account:
        """A further, wholly separate set of stores."""
        account = Account(name, 2000 + len(self.subusers), region, disabled)
        self.subusers[name] = account
        return account

    def clock(self) -> datetime:
        """The sandbox's time; the real one where no world moves it."""
        return self.now or datetime.now(UTC)

    def new_id(self) -> str:
        """A random identifier that the seed determines."""
        return str(UUID(int=self.rng.getrandbits(128), version=4))

    # --- acts -----------------------------------------------------------------------------------
    def add(self, person: Person, states: Mapping[str, State], at: datetime) -> None:
        """A contact arrives by a sync, with the suppressions that the sync knows of."""
        self.main.put_contact(
            person.address, self.new_id(), at,
            first_name=person.first_name, last_name=person.last_name,
            country=person.country or "",
        )  # fmt: skip
        for category, state in states.items():
            if state is State.OPTED_OUT:
                self.main.suppress(self.group_of[category], person.address, at)

    def opt_out(self, address: str, category: str | None, act: Act) -> None:
        """Into the category's group (or the global list), with an event if it came by a link."""
        if category is None:
            self.main.unsubscribe(address, act.at)
            self._act_event("unsubscribe", address, None, act)
            return
        group = self.group_of[category]
        self.main.suppress(group, address, act.at)
        self._act_event("group_unsubscribe", address, group, act)

    def opt_in(self, address: str, category: str | None, act: Act) -> None:
        """Out of the group; a global opt-in leaves the groups as they are, and no event."""
        if category is None:
            self.main.lists["unsubscribes"].pop(address.lower(), None)
            return
        group = self.group_of[category]
        self.main.release(group, address)
        self._act_event("group_resubscribe", address, group, act)

    def change_address(self, old: str, new: str, at: datetime) -> None:
        """The address is the key: a new contact appears, and suppressions stay with the old."""
        former = self.main.contacts.pop(old.lower(), None)
        names = {k: former[k] for k in ("first_name", "last_name", "country")} if former else {}
        self.main.put_contact(new, self.new_id(), at, **names)

    def delete(self, address: str, at: datetime) -> None:
        """The contact goes; its suppressions survive."""
        self.main.contacts.pop(address.lower(), None)

    def silently_mailable(self, address: str, category: str | None, at: datetime) -> None:
        """An import takes the address off the lists that keep it from mail; no trace is left."""
        self.main.lists["unsubscribes"].pop(address.lower(), None)
        chosen = self.categories if category is None else (category,)
        for name in chosen:
            self.main.release(self.group_of[name], address)
        if not self.holds(address):
            self.main.put_contact(address, self.new_id(), at)

    def holds(self, address: str) -> bool:
        """Whether there is a contact."""
        return address.lower() in self.main.contacts

    # --- mail -----------------------------------------------------------------------------------
    def send(self, mailing: Mailing, addresses: Sequence[str]) -> None:
        """A single send to these addresses. SendGrid drops what is suppressed unless the sender
        bypasses the lists: whoever is reached although suppressed was sent to with a bypass."""
        group = None
        if mailing.category is not None and mailing.has_unsubscribe:
            group = self.group_of[mailing.category]
        singlesend = None if mailing.category is None else self._single_send(mailing, group)
        campaign = {} if singlesend is None else self._campaign(mailing, singlesend)
        label = mailing.category or TRANSACTIONAL
        for number, address in enumerate(addresses):
            message = Message(
                f"{self.rng.getrandbits(64):016x}.recvd-sandbox-1.0",
                mailing.sent_at + number * _PACE, mailing.from_address, mailing.name,
                address.lower(), "delivered", group, (label,), campaign,
            )  # fmt: skip
            bypass = _BYPASS if self.main.is_suppressed(address, group) else {}
            self._delivery(message, bypass)
            self.main.keep(message)

    def drop(self, mailing: Mailing, address: str) -> None:
        """SendGrid's own suppression holds a message back."""
        group = self.group_of[mailing.category] if mailing.category else None
        message = Message(
            f"{self.rng.getrandbits(64):016x}.recvd-sandbox-1.0",
            mailing.sent_at, mailing.from_address, mailing.name, address.lower(),
            "dropped", group, (mailing.category or TRANSACTIONAL,),
        )  # fmt: skip
        extra = {"smtp-id": f"<{message.id}>", "reason": "Unsubscribed Address"}
        self.event(message, "dropped", mailing.sent_at, **extra)
        self.main.keep(message)

    def click(self, address: str, mailing_id: str, at: datetime) -> None:
        """A click event on the message."""
        message = self.main.message_to(address, self._single_send_of.get(mailing_id))
        if message is not None:
            url = "https://shop.example.org/offer"
            self.event(message, "click", at, url=url, ip="198.51.100.7", useragent="Mozilla/5.0")

    def bounce(self, address: str, mailing_id: str | None, at: datetime) -> None:
        """Onto the bounce list, with the event."""
        email = address.lower()
        reason, status = "550 5.1.1 user unknown", "5.1.1"
        self.main.lists["bounces"][email] = {
            "created": seconds(at), "email": email, "reason": reason, "status": status,
        }  # fmt: skip
        message = self.main.message_to(address, self._single_send_of.get(mailing_id or ""))
        if message is not None:
            message.status = "bounced"
            self.event(message, "bounce", at, type="bounce", reason=reason, status=status)

    def complain(self, address: str, mailing_id: str, at: datetime) -> None:
        """Onto the spam report list, whose `ip` is that of the sending machine."""
        email = address.lower()
        self.main.lists["spam_reports"][email] = {
            "created": seconds(at), "email": email, "ip": "192.0.2.10",
        }  # fmt: skip
        message = self.main.message_to(address, self._single_send_of.get(mailing_id))
        if message is not None:
            self.event(message, "spamreport", at)

    # --- inner works ----------------------------------------------------------------------------
    def event(self, message: Message, name: str, at: datetime, **extra: Any) -> None:
        """Add an event to a message."""
        message.events.append({
            "event": name,
            "email": message.to_email,
            "sg_message_id": message.id,
            "sg_event_id": f"{self.rng.getrandbits(96):024x}",
            "timestamp": seconds(at),
            **{key: value for key, value in extra.items() if value is not None},
        })  # fmt: skip

    def _act_event(self, name: str, address: str, group: int | None, act: Act) -> None:
        if act.source not in _PAGES_OF_THE_VENDOR:
            return
        campaign = self._single_send_of.get(act.campaign_id or "")
        message = self.main.message_to(address, campaign)
        if message is None:
            return
        extra: dict[str, Any] = {"ip": act.ip, "useragent": act.user_agent, "asm_group_id": group}
        if name == "unsubscribe":
            extra["date"] = act.at.strftime("%Y-%m-%d")
        self.event(message, name, act.at, **extra)

    def _delivery(self, message: Message, details: Mapping[str, int]) -> None:
        at, smtp = message.created, f"<{message.id}>"
        self.event(
            message, "received", at, recv_msgid=message.id[:16], client_ip="192.0.2.10",
            protocol="HTTP", recipient_count=1, size=2048,
            v3_payload_details={"recipient_count": 1, **details},
        )  # fmt: skip
        self.event(message, "processed", at, **{"smtp-id": smtp})
        done = at + timedelta(seconds=2)
        extra = {"smtp-id": smtp, "ip": "192.0.2.10", "response": "250 OK"}
        self.event(message, "delivered", done, **extra)

    def _campaign(self, mailing: Mailing, singlesend: str) -> dict[str, Any]:
        """What a message says of its single send."""
        return {
            "marketing_campaign_id": int(UUID(singlesend)) % 10**8,
            "marketing_campaign_name": mailing.name,
            "custom_args": {"singlesend_id": singlesend, "singlesend_name": mailing.name},
        }

    def _single_send(self, mailing: Mailing, group: int | None) -> str:
        """The single send of a mailing, made once."""
        known = self._single_send_of.get(mailing.id)
        if known is not None:
            return known
        number = self.new_id()
        self._single_send_of[mailing.id] = number
        link = '<p><a href="<%asm_group_unsubscribe_raw_url%>">Unsubscribe</a></p>' if group else ""
        sent = iso(mailing.sent_at)
        self.main.single_sends[number] = {
            "id": number, "name": mailing.name, "status": "triggered",
            "categories": [mailing.category] if mailing.category else [],
            "send_at": sent, "created_at": sent, "updated_at": sent, "send_to": {"all": True},
            "email_config": {
                "subject": mailing.name, "html_content": f"<h1>{mailing.name}</h1>{link}",
                "plain_content": mailing.name, "generate_plain_content": True, "editor": "code",
                "suppression_group_id": group, "custom_unsubscribe_url": None,
                "sender_id": self._sender(mailing), "ip_pool": None,
            },
        }  # fmt: skip
        return number

    def _sender(self, mailing: Mailing) -> int:
        """The verified sender with this identity; without a postal address where there is none."""
        street = "1 Example Street" if mailing.has_postal_address else ""
        for number, sender in self.main.senders.items():
            if (sender["from"]["email"], sender["address"]) == (mailing.from_address, street):
                return number
        number = len(self.main.senders) + 1
        made = seconds(mailing.sent_at)
        self.main.senders[number] = {
            "id": number, "nickname": f"{mailing.from_name} {number}",
            "from": {"email": mailing.from_address, "name": mailing.from_name},
            "reply_to": {"email": mailing.reply_to, "name": mailing.from_name},
            "address": street, "address_2": "", "city": "Springfield" if street else "",
            "state": "", "zip": "", "country": "United States" if street else "",
            "verified": True, "locked": False, "created_at": made, "updated_at": made,
        }  # fmt: skip
        return number
