"""What a Mailchimp account holds: audiences with members, campaigns with their reports.

Only state and its JSON as the Marketing API shows it; what moves it is in
`optout.sandbox.mailchimp.twin`, how it is asked for in `optout.sandbox.mailchimp.routes`. Times are
aware UTC datetimes of whole seconds, which is all that the vendor keeps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

STATUSES = ("subscribed", "unsubscribed", "cleaned", "pending", "transactional", "archived")
SERVER_IP = "203.0.113.10"
"""The address of the company's own server: what `ip_opt` holds after a write through the API."""
UNSUB_TAG = '<a href="*|UNSUB|*">Unsubscribe</a>'
ADDRESS_TAG = "*|HTML:LIST_ADDRESS_HTML|*"

Json = dict[str, Any]


def subscriber_hash(address: str) -> str:
    """The key of a member: MD5 of the lower-cased address, by the vendor's definition."""
    return hashlib.md5(address.lower().encode(), usedforsecurity=False).hexdigest()


def seconds(moment: datetime) -> datetime:
    """The moment in UTC, cut to the second."""
    return moment.astimezone(UTC).replace(microsecond=0)


def stamp(moment: datetime | None) -> str:
    """ISO 8601 as the vendor writes it; no moment is an empty string, not null."""
    return "" if moment is None else moment.isoformat()


@dataclass(slots=True)
class Member:
    """One address on one audience."""

    address: str
    web_id: int
    contact_id: str
    list_id: str
    status: str
    interests: dict[str, bool]
    last_changed: datetime
    source: str
    signup: datetime | None = None
    ip_signup: str = ""
    opt: datetime | None = None
    ip_opt: str = ""
    reason: str = ""
    unsubscribed_at: datetime | None = None
    in_compliance: bool = False
    """Unsubscribed by the person, or bounced: only a confirmation by the person subscribes it."""
    feed: list[Json] = field(default_factory=list)
    """Activity, oldest first, in the shape of the activity feed."""
    first_name: str = ""
    last_name: str = ""

    @property
    def id(self) -> str:
        """The subscriber hash."""
        return subscriber_hash(self.address)

    def json(self) -> Json:
        """The member as `/lists/{list_id}/members` shows it."""
        return {
            "id": self.id,
            "email_address": self.address,
            "unique_email_id": self.id[:10],
            "contact_id": self.contact_id,
            "full_name": f"{self.first_name} {self.last_name}".strip(),
            "web_id": self.web_id,
            "email_type": "html",
            "status": self.status,
            "unsubscribe_reason": self.reason,
            "consents_to_one_to_one_messaging": True,
            "merge_fields": {"FNAME": self.first_name, "LNAME": self.last_name},
            "interests": dict(self.interests),
            "stats": {"avg_open_rate": 0, "avg_click_rate": 0},
            "ip_signup": self.ip_signup,
            "timestamp_signup": stamp(self.signup),
            "ip_opt": self.ip_opt,
            "timestamp_opt": stamp(self.opt),
            "member_rating": 2,
            "last_changed": stamp(self.last_changed),
            "language": "",
            "vip": False,
            "email_client": "",
            "source": self.source,
            "tags_count": 0,
            "tags": [],
            "list_id": self.list_id,
        }


@dataclass
class Audience:
    """One list: its members by subscriber hash, and its one group of interests."""

    id: str
    name: str
    group_id: str
    interests: dict[str, str]
    """Interest id → name; empty where the whole audience is one category."""
    created: datetime
    members: dict[str, Member] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)
    """Hashes of permanently deleted members, who cannot be added again."""
    abuse: list[Json] = field(default_factory=list)
    contact: dict[str, str] = field(
        default_factory=lambda: {
            "company": "Example Shop",
            "address1": "1 Sandbox Street",
            "address2": "",
            "city": "Springfield",
            "state": "",
            "zip": "01101",
            "country": "US",
            "phone": "",
        }
    )
    version: int = 0
    """Moves with every change: what the cached listings are valid for."""
    _listings: dict[Any, list[Member]] = field(default_factory=dict)

    def touch(self, member: Member, at: datetime) -> None:
        """Any edit moves `last_changed`, whatever was edited."""
        member.last_changed = max(seconds(at), member.last_changed)
        self.version += 1

    def listing(self, key: Any, make: Callable[[Iterable[Member]], list[Member]]) -> list[Member]:
        """The members that `make` picks, kept under `key` until anything changes."""
        full_key = (self.version, len(self.members), key)
        if full_key not in self._listings:
            if len(self._listings) > 8 or any(k[:2] != full_key[:2] for k in self._listings):
                self._listings.clear()
            self._listings[full_key] = make(self.members.values())
        return self._listings[full_key]

    def json(self) -> Json:
        """The audience as `/lists` shows it."""
        count = {status: 0 for status in STATUSES}
        for member in self.members.values():
            count[member.status] += 1
        return {
            "id": self.id,
            "web_id": int(self.id, 16) % 1_000_000,
            "name": self.name,
            "contact": dict(self.contact),
            "permission_reminder": "You signed up in our shop.",
            "use_archive_bar": True,
            "campaign_defaults": {
                "from_name": "Example Shop",
                "from_email": "news@shop.example.org",
                "subject": "",
                "language": "en",
            },
            "date_created": stamp(self.created),
            "list_rating": 3,
            "email_type_option": False,
            "visibility": "prv",
            "double_optin": True,
            "marketing_permissions": False,
            "stats": {
                "member_count": count["subscribed"],
                "unsubscribe_count": count["unsubscribed"],
                "cleaned_count": count["cleaned"],
            },
        }

    def group_json(self) -> Json:
        """The group as `/interest-categories` shows it."""
        return {
            "list_id": self.id,
            "id": self.group_id,
            "title": "What may we write about?",
            "display_order": 0,
            "type": "checkboxes",
        }

    def interests_json(self) -> list[Json]:
        """The interests of the group."""
        return [
            {
                "category_id": self.group_id,
                "list_id": self.id,
                "id": key,
                "name": name,
                "subscriber_count": str(sum(m.interests[key] for m in self.members.values())),
                "display_order": place,
            }
            for place, (key, name) in enumerate(self.interests.items(), 1)
        ]


@dataclass
class Campaign:
    """One sent campaign with its report."""

    id: str
    web_id: int
    title: str
    audience: Audience
    interest: str | None
    """The interest that the campaign's segment asks for; None: sent to the whole audience."""
    sent_at: datetime
    from_name: str
    reply_to: str
    html: str
    auto_footer: bool = False
    recipients: dict[str, str] = field(default_factory=dict)
    """Address → sent | hard | soft."""
    unsubscribed: list[Json] = field(default_factory=list)
    abuse: list[Json] = field(default_factory=list)
    clicks: dict[str, list[Json]] = field(default_factory=dict)
    kind: str = "regular"

    def json(self) -> Json:
        """The campaign as `/campaigns` shows it."""
        audience = self.audience
        recipients: Json = {
            "list_id": audience.id,
            "list_is_active": True,
            "list_name": audience.name,
            "segment_text": "",
            "recipient_count": len(self.recipients),
        }
        if self.interest:
            condition = {
                "condition_type": "Interests",
                "field": f"interests-{audience.group_id}",
                "op": "interestcontains",
                "value": [self.interest],
            }
            recipients["segment_opts"] = {"match": "all", "conditions": [condition]}
        return {
            "id": self.id,
            "web_id": self.web_id,
            "type": self.kind,
            "create_time": stamp(self.sent_at),
            "status": "sent",
            "emails_sent": len(self.recipients),
            "send_time": stamp(self.sent_at),
            "content_type": "html",
            "recipients": recipients,
            "settings": {
                "subject_line": self.title,
                "title": self.title,
                "from_name": self.from_name,
                "reply_to": self.reply_to,
                "auto_footer": self.auto_footer,
                "authenticate": True,
            },
        }

    def report(self) -> Json:
        """The campaign's report as `/reports` shows it."""
        states = list(self.recipients.values())
        clicks = [click for each in self.clicks.values() for click in each]
        return {
            "id": self.id,
            "campaign_title": self.title,
            "type": self.kind,
            "list_id": self.audience.id,
            "list_is_active": True,
            "list_name": self.audience.name,
            "subject_line": self.title,
            "emails_sent": len(states),
            "abuse_reports": len(self.abuse),
            "unsubscribed": len(self.unsubscribed),
            "send_time": stamp(self.sent_at),
            "bounces": {
                "hard_bounces": states.count("hard"),
                "soft_bounces": states.count("soft"),
                "syntax_errors": 0,
            },
            "clicks": {
                "clicks_total": len(clicks),
                "unique_clicks": len({click["url"] for click in clicks}),
                "unique_subscriber_clicks": len(self.clicks),
            },
        }

    def about(self, address: str) -> Json:
        """What every row of a report says of the person and the list."""
        return {
            "email_id": subscriber_hash(address),
            "email_address": address,
            "campaign_id": self.id,
            "list_id": self.audience.id,
            "list_is_active": True,
        }

    def sent_to(self) -> list[Json]:
        """The rows of `/reports/{campaign_id}/sent-to`: no row tells when."""
        return [
            self.about(address)
            | {"merge_fields": {}, "vip": False, "status": status, "open_count": 0}
            for address, status in self.recipients.items()
        ]

    def email_activity(self) -> list[Json]:
        """The rows of `/reports/{campaign_id}/email-activity`, for all recipients."""
        return [
            self.about(address) | {"activity": list(self.clicks.get(address, []))}
            for address in self.recipients
        ]
