"""What a Klaviyo account holds, and how the vendor writes it down in JSON:API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from optout.sandbox.acts import Mailing

UNSUBSCRIBE = "UNSUBSCRIBE"
USER_SUPPRESSED = "USER_SUPPRESSED"
HARD_BOUNCE = "HARD_BOUNCE"
SPAM = "SPAM_COMPLAINT"

LIFTED_BY_SUBSCRIBING = frozenset({UNSUBSCRIBE, USER_SUPPRESSED, SPAM, "SPAM_REPORT"})
"""Subscribing a profile erases these, whoever does it: bounces and invalid addresses stay."""

RECEIVED = "Received Email"
CLICKED = "Clicked Email"
BOUNCED = "Bounced Email"
DROPPED = "Dropped Email"
SPAM_MARKED = "Marked Email as Spam"
SUBSCRIBED = "Subscribed to Email Marketing"
UNSUBSCRIBED = "Unsubscribed from Email Marketing"
LIST_SUBSCRIBED = "Subscribed to List"
LIST_UNSUBSCRIBED = "Unsubscribed from List"
SUPPRESSED = "Manually Suppressed from Email Marketing"
UNSUPPRESSED = "Manually Unsuppressed from Email Marketing"

METRICS = (RECEIVED, CLICKED, BOUNCED, DROPPED, SPAM_MARKED, SUBSCRIBED, UNSUBSCRIBED,
           LIST_SUBSCRIBED, LIST_UNSUBSCRIBED, SUPPRESSED, UNSUPPRESSED, "Opened Email",
           "Placed Order")  # fmt: skip


def stamp(at: datetime | None) -> str | None:
    """A moment as the vendor writes it."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="seconds")


@dataclass
class Suppression:
    """One reason for not mailing, of everything or of one list."""

    reason: str
    at: datetime
    list_id: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The vendor's form; a global one has no list."""
        listed = {"list_id": self.list_id} if self.list_id else {}
        return {**listed, "reason": self.reason, "timestamp": stamp(self.at)}


@dataclass
class Profile:
    """One profile; consent, suppression and list membership are three separate things."""

    id: str
    email: str | None
    created: datetime
    updated: datetime
    first_name: str = ""
    last_name: str = ""
    country: str | None = None
    consent: str = "NEVER_SUBSCRIBED"
    consent_at: datetime | None = None
    method: str | None = None
    double_optin: bool | None = None
    last_updated: datetime | None = None
    suppressions: list[Suppression] = field(default_factory=list)
    list_suppressions: list[Suppression] = field(default_factory=list)

    def subscriptions(self) -> dict[str, Any]:
        """The additional field; absent from an answer unless it is asked for."""
        marketing = {
            # True for somebody suppressed from one list only, and for who never consented.
            "can_receive_email_marketing": not self.suppressions,
            "consent": self.consent,
            "consent_timestamp": stamp(self.consent_at),
            "last_updated": stamp(self.last_updated),
            "method": self.method,
            "method_detail": "",
            "custom_method_detail": None,
            "double_optin": self.double_optin,
            "suppression": [each.as_json() for each in self.suppressions],
            "list_suppressions": [each.as_json() for each in self.list_suppressions],
        }
        return {"email": {"marketing": marketing}}

    def attributes(self) -> dict[str, Any]:
        """The attributes that are always there."""
        return {
            "email": self.email,
            "phone_number": None,
            "external_id": None,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "created": stamp(self.created),
            "updated": stamp(self.updated),
            "last_event_date": stamp(self.updated),
            "location": {"country": self.country},
            "properties": {},
        }

    def values(self, name: str) -> Sequence[Any]:
        """The values of a filterable field, of which one must meet a condition."""
        several: Mapping[str, Sequence[Any]] = {
            "subscriptions.email.marketing.suppression.timestamp":
                [each.at for each in self.suppressions],
            "subscriptions.email.marketing.suppression.reason":
                [each.reason for each in self.suppressions],
            "subscriptions.email.marketing.list_suppressions.timestamp":
                [each.at for each in self.list_suppressions],
            "subscriptions.email.marketing.list_suppressions.reason":
                [each.reason for each in self.list_suppressions],
            "subscriptions.email.marketing.list_suppressions.list_id":
                [each.list_id for each in self.list_suppressions],
        }  # fmt: skip
        return several[name] if name in several else [getattr(self, name)]

    def sort_key(self, name: str) -> Any:
        """What the profiles are put in order by; the latest of several stamps."""
        values = [value for value in self.values(name) if value is not None]
        if not values:
            return ""
        top = max(values)
        return top.timestamp() if isinstance(top, datetime) else top


@dataclass
class MailingList:
    """One list: who is on it and since when; being on it is no consent."""

    id: str
    name: str
    created: datetime
    members: dict[str, datetime] = field(default_factory=dict)
    order: list[str] | None = None
    """Ids of the members in order; None: to be put in order again."""

    def join(self, profile_id: str, at: datetime) -> None:
        """Put a profile on the list; who is on it already keeps the older date."""
        if profile_id not in self.members:
            self.members[profile_id] = at
            self.order = None

    def leave(self, profile_id: str) -> None:
        """Take a profile off the list."""
        if self.members.pop(profile_id, None) is not None:
            self.order = None

    def ordered(self) -> list[str]:
        """Ids of the members, in order."""
        if self.order is None:
            self.order = sorted(self.members)
        return self.order

    def attributes(self) -> dict[str, Any]:
        """The list's attributes."""
        return {
            "name": self.name,
            "created": stamp(self.created),
            "updated": stamp(self.created),
            "opt_in_process": "single_opt_in",
        }


@dataclass(frozen=True)
class Event:
    """One event of a profile."""

    at: datetime
    id: str
    metric: str
    profile_id: str
    properties: Mapping[str, Any]

    def attributes(self) -> dict[str, Any]:
        """The event's attributes."""
        return {
            "timestamp": int(self.at.timestamp()),
            "event_properties": dict(self.properties),
            "datetime": stamp(self.at),
            "uuid": f"{int(self.at.timestamp()):08x}-0000-11ee-8001-{int(self.id[2:], 36):012x}",
        }


@dataclass(frozen=True)
class Campaign:
    """A campaign with its one message and template; a flow message where `is_flow`."""

    id: str
    message_id: str
    template_id: str
    mailing: Mailing
    list_ids: tuple[str, ...]
    is_flow: bool = False

    def attributes(self) -> dict[str, Any]:
        """The campaign's attributes in the shape of revision 2026-07-15."""
        at = stamp(self.mailing.sent_at)
        return {
            "name": self.mailing.name,
            "status": "Sent",
            "archived": False,
            "audiences": {"included": list(self.list_ids), "excluded": []},
            "send_options": {"use_smart_sending": True},
            "tracking_options": None,
            "send_strategy": {"method": "immediate"},
            "created_at": at,
            "scheduled_at": at,
            "updated_at": at,
            "send_time": at,
        }

    def message_attributes(self) -> dict[str, Any]:
        """The attributes of the campaign's message."""
        mailing = self.mailing
        content = {
            "subject": mailing.name,
            "preview_text": "",
            "from_email": mailing.from_address,
            "from_label": mailing.from_name,
            "reply_to_email": mailing.reply_to,
            "cc_email": None,
            "bcc_email": None,
        }
        at = stamp(mailing.sent_at)
        return {
            "definition": {"channel": "email", "label": mailing.name, "content": content},
            "send_times": [{"datetime": at, "is_local": False}],
            "created_at": at,
            "updated_at": at,
        }

    def template_attributes(self) -> dict[str, Any]:
        """The attributes of the template, with the vendor's tags where the mailing has them."""
        body = [f"<p>{self.mailing.name}</p>"]
        if self.mailing.has_unsubscribe:
            body.append("<p>{% unsubscribe 'Unsubscribe' %}</p>")
        if self.mailing.has_postal_address:
            body.append("<p>{{ organization.name }} {{ organization.full_address }}</p>")
        at = stamp(self.mailing.sent_at)
        return {
            "name": self.mailing.name,
            "editor_type": "CODE",
            "html": f"<html><body>{''.join(body)}</body></html>",
            "text": None,
            "amp": None,
            "created": at,
            "updated": at,
        }
