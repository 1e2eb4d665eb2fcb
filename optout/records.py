"""The typed records that every connector speaks: the only shape in which a vendor is known.

A connector turns each vendor record into rows of these kinds; nothing outside its file knows
the vendor's shapes. Times are aware UTC datetimes (stored as naive UTC microseconds), masks are
those of `optout.model.Categories`. `address` is the address as the vendor gave it: the landing
writer normalises it and adds the contact key, so a connector never hashes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, NamedTuple, get_type_hints

import pyarrow as pa


class Reading(NamedTuple):
    """What one store of one system says of one record tonight (a snapshot row).

    Several readings can feed one cell. With R the readings of a person in a system:
    mailable(c) = some store has c in OR(sends) without OR(store_blocks), and no reading of the
    system has c in blocks; opted out(c) = some reading has c in outs.
    """

    store: str
    """`contacts`, `leads`, `audience:<id>`, `global`, `group:<id>`, `list:<id>`, `profile` ..."""
    record_id: str
    """The vendor's id within the store; with the store it identifies the row."""
    address: str | None
    """None only where `deleted`, when the vendor tells nothing but the id."""
    ins: int = 0
    """Categories with a positive word (opted in, subscribed with the interest)."""
    outs: int = 0
    """Categories with an opt-out; a global one covers all. Never bounces or complaints."""
    sends: int = 0
    """Categories that this store would mail, by what it holds itself. Always 0 in the hub."""
    blocks: int = 0
    """Categories that this row blocks throughout the system, for whatever reason."""
    store_blocks: int = 0
    """Categories that this row blocks in its own store only (a Klaviyo list suppression)."""
    unclear: int = 0
    """Categories whose value could not be understood: not comparable, and a finding."""
    category_outs: int = 0
    """The part of `outs` that is said of the category itself, not by a global opt-out."""
    weak_outs: int = 0
    """The part of `outs` that is only the lack of a yes (a Mailchimp interest that is false): no
    opt-out where it was never seen true, no change tells of it, and the hub says not_set."""
    global_out: bool = False
    """The record holds an opt-out of everything."""
    in_at: datetime | None = None
    """When the positive word in `ins` was given, by the vendor's own stamp."""
    in_source: str = "unknown"
    """Source of that word."""
    in_explicit: bool = False
    """The person gave it (rule 3)."""
    in_global: bool = False
    """It releases a global opt-out, not only categories."""
    undeliverable: bool = False
    complained: bool = False
    present: bool = True
    """False for a row that is no contact here (a bounce entry of an address not exported)."""
    deleted: bool = False
    """The vendor says that this record is gone (only in incremental reads)."""
    created_at: datetime | None = None
    modified_at: datetime | None = None
    """The vendor's own stamp of the last change of the record: an upper bound, never the act."""
    raw: str = "{}"
    """The vendor's record, as JSON text."""


class Consent(NamedTuple):
    """The governance fields of one hub record."""

    store: str
    record_id: str
    address: str | None
    country: str | None = None
    """As the vendor gave it; jurisdictions are derived later."""
    method: str | None = None
    """explicit | implicit | grandfathered."""
    basis: str | None = None
    """express | purchase | contract | inquiry | membership | grandfathered."""
    basis_date: date | None = None
    basis_ref: str | None = None
    last_updated_at: datetime | None = None
    update_source: str | None = None
    update_reason: str | None = None
    consent_ip: str | None = None
    raw: str = "{}"


class Change(NamedTuple):
    """One preference change told by a vendor: an event, a dated suppression, a history entry."""

    event_id: str
    """Stable: the same change read twice, in any order, has the same id (see `event_id`)."""
    feed: str
    """history | firehose | report | activity | suppression | status | timeline | event | log."""
    record_id: str
    address: str | None
    category: str | None
    """None: of everything (global)."""
    old: str | None
    """A State value, None where the vendor does not say."""
    new: str
    """A State value."""
    occurred_at: datetime | None
    """The act, or the latest moment at which it can have happened; None: before the read."""
    occurred_from: datetime | None
    """The earliest moment; equal to occurred_at for a vendor's own stamp, None: no bound."""
    time_kind: str = "source"
    """TimeKind."""
    received_at: datetime | None = None
    effective_at: datetime | None = None
    """When this system stopped or started mailing, where it tells."""
    source: str = "unknown"
    """Source."""
    explicit: bool = False
    """The person made it (rule 3); only then can an opt-in lift an opt-out."""
    channel: str | None = None
    """The vendor's own word for the source."""
    actor: str | None = None
    """person | agent | api | vendor."""
    reason: str | None = None
    ip: str | None = None
    """As told; truncated before it is stored in `core`."""
    user_agent: str | None = None
    campaign_id: str | None = None
    store: str | None = None
    evidence_ref: str | None = None
    position: int | None = None
    """The place in the system's own list, where order is evidence (the hub's history)."""
    missing: str | None = None
    """Required fields that the system's own record lacks, comma-separated."""
    raw: str = "{}"


class MailEvent(NamedTuple):
    """One message and one person: what the vendor's send log tells."""

    event_id: str
    kind: str
    """sent | delivered | bounced | dropped | opened | clicked | complained."""
    address: str | None
    at: datetime | None
    at_kind: str = "source"
    """`estimated` where only the campaign's send time is known."""
    campaign_id: str | None = None
    message_id: str | None = None
    categories: int = 0
    """What the message belongs to; 0 where the vendor does not tell."""
    transactional: bool = False
    bypass: bool = False
    """The sender told the vendor to ignore suppressions."""
    record_id: str | None = None
    raw: str = "{}"


class Campaign(NamedTuple):
    """One mailing with what can be told of its duty to identify and to offer an opt-out."""

    campaign_id: str
    name: str | None = None
    subject: str | None = None
    sent_at: datetime | None = None
    categories: int = 0
    transactional: bool = False
    from_name: str | None = None
    from_address: str | None = None
    reply_to: str | None = None
    has_unsubscribe: bool | None = None
    """None: the vendor does not show the content."""
    has_postal_address: bool | None = None
    has_list_unsubscribe: bool | None = None
    sent_count: int | None = None
    delivered_count: int | None = None
    opt_out_count: int | None = None
    complaint_count: int | None = None
    raw: str = "{}"


class Finding(NamedTuple):
    """Something in a vendor's record that could not be used: counted, shown, never dropped."""

    code: str
    """unknown_value | bad_address | no_address | missing_field | unparsable | unresolved | ..."""
    store: str
    record_id: str
    field: str = ""
    detail: str = ""
    """Free of personal data: the vendor's word for an enum, a type name, a count."""
    address: str | None = None
    categories: int = 0
    """Cells that this makes not comparable."""
    raw: str = "{}"


Row = Reading | Consent | Change | MailEvent | Campaign | Finding

KINDS: Mapping[type, str] = {
    Reading: "reading",
    Consent: "consent",
    Change: "change",
    MailEvent: "mail_event",
    Campaign: "campaign",
    Finding: "finding",
}
"""Row type → kind: the name of the landing file and of the `raw` table."""

_TIME = pa.timestamp("us")
_ARROW: Mapping[Any, pa.DataType] = {
    str: pa.string(),
    str | None: pa.string(),
    int: pa.int32(),
    int | None: pa.int32(),
    bool: pa.bool_(),
    bool | None: pa.bool_(),
    datetime | None: _TIME,
    date | None: pa.date32(),
}


def arrow_schema(kind: type) -> pa.Schema:
    """The columns of a kind's landing file: its fields, `contact_key` first where it has one."""
    hints = get_type_hints(kind)
    fields = [pa.field(name, _ARROW[hint]) for name, hint in hints.items()]
    if "address" in hints:
        fields.insert(0, pa.field("contact_key", pa.uuid()))
    return pa.schema(fields)


SCHEMAS: Mapping[str, pa.Schema] = {name: arrow_schema(kind) for kind, name in KINDS.items()}
