"""From Mailchimp's reports and activity to changes, and from a campaign to its categories."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from optout.http.redact import Redactor
from optout.model import Categories, Source, State
from optout.records import Change, Finding, Row
from optout.vendors.mailchimp.members import Audience, moment
from optout.vendors.mailchimp.pages import Json

_POSITIVE = frozenset({"interestcontains", "interestcontainsall"})
_ADMIN = "by admin"
_redact = Redactor()


def event_id(*parts: object) -> str:
    """A stable id; the person in `parts` is a pseudonym, for a hash can be guessed back."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:32]


def opted_out(
    audience: Audience, masks: Categories, row: Mapping[str, Any], at: datetime | None, **more: Any
) -> Iterator[Change]:
    """One unsubscribe as a change of every category that the audience holds; of everything, where
    it holds them all (a later yes to one category then lifts nothing).

    `row` names the person (`email_id`: a pseudonym), the campaign (if any) and the reason. The id
    is the same whichever feed tells of it: the report's entry and the activity's are one change.
    """
    email_id, campaign = str(row["email_id"]), str(row.get("campaign_id") or "")
    reason = str(row.get("reason") or "")
    is_admin = _ADMIN in reason.casefold() or bool(row.get("is_admin"))
    is_person = bool(campaign) and not is_admin
    source = Source.MANUAL if is_admin else Source.EMAIL_LINK if campaign else Source.UNKNOWN
    for category in [None] if audience.is_everything else masks.of(audience.mapped):
        yield Change(
            event_id("unsub", audience.list_id, email_id, campaign, at, category),
            record_id=email_id,
            address=str(row["email_address"]),
            category=category,
            old=None,
            new=State.OPTED_OUT.value,
            occurred_at=at,
            occurred_from=at,
            time_kind="source" if at else "estimated",
            received_at=at,
            effective_at=at,
            source=source.value,
            explicit=is_person,
            actor="agent" if is_admin else "person" if campaign else None,
            reason=_redact(reason) or None,
            campaign_id=campaign or None,
            store=audience.store,
            missing=None if at else "at",
            **more,
        )


def campaign_categories(campaign: Json | None, audience: Audience | None) -> int:
    """The categories of a campaign: those of the interests that its segment asks for, else those
    that its audience is as a whole, or the only one that it holds; 0: the vendor does not tell."""
    if audience is None:
        return 0
    recipients = (campaign or {}).get("recipients") or {}
    mask = 0
    for condition in (recipients.get("segment_opts") or {}).get("conditions") or []:
        if isinstance(condition, dict) and condition.get("op") in _POSITIVE:
            values = condition.get("value")
            for interest in values if isinstance(values, list) else [values]:
                mask |= audience.interests.get(str(interest), 0)
    if mask or audience.whole:
        return mask or audience.whole
    return audience.mapped if audience.mapped.bit_count() == 1 else 0


def bounces(report: Json) -> list[int]:
    """Hard, soft and syntax bounces."""
    told = report.get("bounces") or {}
    return [count(told, name) for name in ("hard_bounces", "soft_bounces", "syntax_errors")]


def count(place: Json, name: str) -> int:
    """A number of a report; 0 where it is not told."""
    value = place.get(name)
    return value if isinstance(value, int) else 0


def sent_at(report: Json) -> datetime | None:
    """When the campaign went out; None where that is no time."""
    try:
        return moment(report.get("send_time"))
    except ValueError:
        return None


def told_time(row: Json, field: str, store: str, record: str) -> tuple[datetime | None, list[Row]]:
    """A time of a row, and the finding where it is none."""
    try:
        return moment(row.get(field)), []
    except ValueError:
        return None, [Finding("unparsable", store, record, field, "not a time")]
