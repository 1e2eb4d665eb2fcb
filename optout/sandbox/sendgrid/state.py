"""What a SendGrid account or subuser holds: the state behind the twin's API.

Nothing here is shared between accounts: suppressions, groups, contacts and messages of a subuser
are its own, as with the vendor. Addresses are stored in lower case. Stamps are Unix seconds in the
suppression lists and ISO 8601 elsewhere, as the vendor has them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

LISTS = ("unsubscribes", "bounces", "blocks", "invalid_emails", "spam_reports")
"""The stores below /v3/suppression; the groups are the sixth."""


def iso(at: datetime) -> str:
    """ISO 8601 in UTC with seconds, the vendor's form."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(at: datetime) -> int:
    """Unix seconds, cut as the vendor cuts them."""
    return int(at.timestamp())


@dataclass
class Group:
    """An unsubscribe group (ASM), which companies use as a category of mail."""

    id: int
    name: str
    description: str
    is_default: bool = False
    members: dict[str, int] = field(default_factory=dict)
    """Address → when it was suppressed."""

    def as_json(self) -> dict[str, Any]:
        """The group as /v3/asm/groups tells it."""
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "is_default": self.is_default,
            "unsubscribes": len(self.members),
        }


@dataclass
class Message:
    """One message to one person with its events, in the form of the Email Logs API."""

    id: str
    created: datetime
    from_email: str
    subject: str
    to_email: str
    status: str
    group_id: int | None = None
    labels: tuple[str, ...] = ()
    campaign: dict[str, Any] = field(default_factory=dict)
    """`marketing_campaign_*` and `custom_args` of a single send."""
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def last_event(self) -> int:
        """Unix seconds of the newest event."""
        return max((int(event["timestamp"]) for event in self.events), default=0)

    def summary(self) -> dict[str, Any]:
        """What a search of the Email Logs shows."""
        return {
            "from_email": self.from_email,
            "sg_message_id": self.id,
            "subject": self.subject,
            "to_email": self.to_email,
            "status": self.status,
            "sg_message_id_created_at": iso(self.created),
        }

    def details(self) -> dict[str, Any]:
        """What GET /v3/logs/{id} shows: at most the 100 newest events."""
        shown: dict[str, Any] = self.summary() | {
            "api_key_id": "sandboxkey",
            "client_ip": "192.0.2.10",
            "category": list(self.labels),
            "events": self.events[-100:],
            **self.campaign,
        }
        del shown["sg_message_id_created_at"]
        if self.group_id is not None:
            shown["asm_group_id"] = self.group_id
        return shown


@dataclass
class Export:
    """An export job of the marketing contacts; its files hold what there was when it was asked."""

    id: str
    created: datetime
    expires: datetime
    parts: list[bytes]
    suffix: str
    count: int
    polls_left: int
    fails: bool = False


@dataclass
class Account:
    """The main account, or one subuser."""

    name: str
    id: int
    region: str = "global"
    disabled: bool = False
    contacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[int, Group] = field(default_factory=dict)
    lists: dict[str, dict[str, dict[str, Any]]] = field(
        default_factory=lambda: {name: {} for name in LISTS}
    )
    single_sends: dict[str, dict[str, Any]] = field(default_factory=dict)
    senders: dict[int, dict[str, Any]] = field(default_factory=dict)
    messages: dict[str, Message] = field(default_factory=dict)
    exports: dict[str, Export] = field(default_factory=dict)
    _sent_to: dict[str, list[str]] = field(default_factory=dict)

    def unsubscribe(self, address: str, at: datetime) -> None:
        """Put an address on the global list; an entry that is there keeps its first stamp."""
        email = address.lower()
        self.lists["unsubscribes"].setdefault(email, {"created": seconds(at), "email": email})

    def suppress(self, group_id: int, address: str, at: datetime) -> None:
        """Put an address into a group; into the global list if there is no such group (any more),
        as the vendor documents it."""
        group = self.groups.get(group_id)
        if group is None:
            self.unsubscribe(address, at)
        else:
            group.members.setdefault(address.lower(), seconds(at))

    def release(self, group_id: int, address: str) -> None:
        """Take an address out of a group."""
        if group_id in self.groups:
            self.groups[group_id].members.pop(address.lower(), None)

    def is_suppressed(self, address: str, group_id: int | None) -> bool:
        """Whether mail with this group (None: without one) would be dropped."""
        email = address.lower()
        listed = any(email in self.lists[name] for name in LISTS if name != "blocks")
        group = self.groups.get(group_id) if group_id is not None else None
        return listed or (group is not None and email in group.members)

    def keep(self, message: Message) -> None:
        """File a message, so that later events find it."""
        self.messages[message.id] = message
        self._sent_to.setdefault(message.to_email, []).append(message.id)

    def message_to(self, address: str, singlesend: str | None) -> Message | None:
        """The message of a campaign to an address, or its last message."""
        sent = [self.messages[each] for each in self._sent_to.get(address.lower(), ())]
        if singlesend is not None:
            of_it = [m for m in sent if _singlesend(m) == singlesend]
            sent = of_it or sent
        return sent[-1] if sent else None

    def put_contact(self, address: str, id: str, at: datetime, **fields: str) -> dict[str, Any]:
        """Insert or update a contact; the address is the key."""
        email = address.lower()
        contact = self.contacts.get(email)
        if contact is None:
            contact = {
                "id": id, "email": email, "alternate_emails": [], "list_ids": [],
                "segment_ids": [], "created_at": iso(at),
            }  # fmt: skip
            self.contacts[email] = contact
        contact.update(fields)
        contact["updated_at"] = iso(at + timedelta(seconds=29))  # written with a delay
        return contact


def _singlesend(message: Message) -> str | None:
    found = message.campaign.get("custom_args", {}).get("singlesend_id")
    return None if found is None else str(found)
