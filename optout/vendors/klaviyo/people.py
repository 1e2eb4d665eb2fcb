"""What a Klaviyo profile or list member says of a person, as rows. Pure: no requests.

Consent, global suppression, list suppression and list membership are four separate things:
being on a list is no consent, consent is no membership, and `can_receive_email_marketing` stays
true for somebody suppressed from one list only, so it is never read. Fields are those of the
specification of revision 2026-07-15.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any

from optout.errors import UnexpectedAnswer
from optout.model import PERSONAL_SOURCES, Categories, Source, State
from optout.records import Change, Finding, MailEvent, Reading, Row
from optout.vendors.klaviyo.words import (
    OPT_OUT,
    SPAM,
    STAFF,
    UNDELIVERABLE,
    Held,
    actor_of,
    enum_word,
    is_true,
    moment,
    raw_json,
    source_of,
    text,
)


@dataclass(frozen=True)
class _Person:
    """One profile while it is read."""

    id: str
    address: str
    attributes: Mapping[str, Any]
    marketing: Mapping[str, Any]
    consent: str | None
    raw: str

    @property
    def method(self) -> Any:
        return self.marketing.get("method")


@dataclass(frozen=True)
class PeopleRows:
    """Turns profiles and list members into rows.

    `lists`: id of a mapped list → mask of its categories. `complaints_before`: complaints older
    than this are told from suppressions, later ones by the event feed alone, lest one complaint
    count twice. `is_full`: False adds the end of list suppressions that are gone.
    """

    system: str
    categories: Categories
    lists: Mapping[str, int]
    complaints_before: datetime | None = None
    is_full: bool = True

    def profile(self, item: Mapping[str, Any]) -> Iterator[Row]:
        """The rows of one profile of `/api/profiles`; none if it has no address."""
        attributes = item["attributes"]
        address = attributes.get("email")
        if not address:
            yield from self._without_address(item)
            return
        marketing = self.marketing(attributes)
        consent = (marketing or {}).get("consent")
        word = re.sub(r"[ -]+", "_", str(consent).upper()) if consent else None
        raw = raw_json(item)
        person = _Person(item["id"], address, attributes, marketing or {}, word, raw)
        yield from self._global(person)
        yield from self._listed(person)

    def member(self, item: Mapping[str, Any], list_id: str) -> Iterator[Row]:
        """The row of one profile on a mapped list. Joining is no act of the person's: lists are
        filled by imports and integrations as well."""
        attributes = item["attributes"]
        address = attributes.get("email")
        if not address:
            return
        mask = self.lists[list_id]
        joined = moment(attributes.get("joined_group_at"))
        yield Reading(
            store=f"list:{list_id}", record_id=item["id"], address=address, ins=mask, sends=mask,
            in_at=joined, created_at=moment(attributes.get("created")), modified_at=joined,
            raw=raw_json(item),
        )  # fmt: skip

    def marketing(self, attributes: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The e-mail marketing part of a profile; None where the vendor left it empty.

        Raises UnexpectedAnswer where it is absent though it was asked for: a reader who took that
        for "no opt-out" would see none at all.
        """
        if "subscriptions" not in attributes:
            raise self._absent("subscriptions")
        found: Any = attributes["subscriptions"]
        for name in ("email", "marketing"):
            found = found.get(name) if isinstance(found, dict) else None
        if not isinstance(found, dict):
            return None
        if "consent" not in found:
            raise self._absent("consent")
        return found

    def _absent(self, field: str) -> UnexpectedAnswer:
        return UnexpectedAnswer(
            f"the field '{field}' is absent though it was asked for", system=self.system,
            request="GET /api/profiles",
        )  # fmt: skip

    def _without_address(self, item: Mapping[str, Any]) -> Iterator[Row]:
        """A profile known by telephone only cannot be compared; an opt-out on it is shown."""
        subscriptions = item["attributes"].get("subscriptions") or {}
        marketing = (subscriptions.get("email") or {}).get("marketing") or {}
        reasons = {entry.get("reason") for entry in marketing.get("suppression") or ()}
        if marketing.get("consent") == "UNSUBSCRIBED" or reasons & OPT_OUT:
            yield Finding("no_address", "profile", item["id"], "email", "unsubscribed")

    # --- the profile as a whole -----------------------------------------------------------------
    def _global(self, person: _Person) -> Iterator[Row]:
        entries = person.marketing.get("suppression") or []
        held = Held.of({str(entry.get("reason")) for entry in entries})
        is_out = held.outs or person.consent == "UNSUBSCRIBED"
        known = person.consent in ("SUBSCRIBED", "UNSUBSCRIBED", "NEVER_SUBSCRIBED")
        is_unclear = held.unknown or (not known and not is_out)
        reading = Reading(
            store="profile", record_id=person.id, address=person.address,
            outs=self.categories.all if is_out else 0, global_out=is_out,
            blocks=self.categories.all if entries else 0,
            unclear=self.categories.all if is_unclear else 0,
            undeliverable=held.undeliverable, complained=held.complained,
            created_at=moment(person.attributes.get("created")),
            modified_at=moment(person.attributes.get("updated")), raw=person.raw,
        )  # fmt: skip
        yield self._with_consent(reading, person)
        if not known:
            yield self._odd_consent(person)
        for entry in entries:
            yield from self._global_entry(person, entry)
        if is_out and not held.outs:
            at = moment(person.marketing.get("consent_timestamp"))
            event_id = f"consent:{person.id}:{at.isoformat() if at else ''}"
            source = source_of(person.method)
            change = self._change(person, event_id, "status", at, source, reason="UNSUBSCRIBED")
            # Without a suppression the vendor goes on mailing: the opt-out has no effect yet.
            yield change._replace(effective_at=None)

    def _with_consent(self, reading: Reading, person: _Person) -> Reading:
        """The stamp of a consent given. It speaks of mail as such and names no category, so `ins`
        stays empty: it can release a global opt-out, never that of one category."""
        if person.consent != "SUBSCRIBED":
            return reading
        source = source_of(person.method)
        confirmed = is_true(person.marketing.get("double_optin"))
        if confirmed and source not in PERSONAL_SOURCES:
            source = Source.EMAIL_LINK
        return reading._replace(
            in_at=moment(person.marketing.get("consent_timestamp")), in_source=source.value,
            in_explicit=source in PERSONAL_SOURCES, in_global=True,
        )  # fmt: skip

    def _odd_consent(self, person: _Person) -> Finding:
        empty = person.consent is None
        return Finding(
            "missing_field" if empty else "unknown_value", "profile", person.id, "consent",
            "null" if empty else enum_word(person.consent), address=person.address,
            categories=self.categories.all,
        )  # fmt: skip

    def _global_entry(self, person: _Person, entry: Mapping[str, Any]) -> Iterator[Row]:
        reason, at = str(entry.get("reason")), moment(entry.get("timestamp"))
        if at is None:
            yield self._undated(person, "profile")
        event_id = f"suppression:{person.id}:{reason}:{at.isoformat() if at else ''}"
        if reason in OPT_OUT:
            # `method` tells how consent was last changed: of the opt-out only if that was one.
            told = reason not in STAFF and person.consent == "UNSUBSCRIBED"
            source = Source.MANUAL if reason in STAFF else Source.UNKNOWN
            source = source_of(person.method) if told else source
            yield self._change(person, event_id, "suppression", at, source, reason=reason)
        elif reason in SPAM:
            if at and self.complaints_before and at < self.complaints_before:
                yield MailEvent(event_id, "complained", person.address, at, record_id=person.id)
        elif reason not in UNDELIVERABLE:
            yield self._odd_reason(person, reason, "profile", self.categories.all)

    # --- single lists ---------------------------------------------------------------------------
    def _listed(self, person: _Person) -> Iterator[Row]:
        entries: dict[str, list[Mapping[str, Any]]] = {}
        is_unclear = False
        for entry in person.marketing.get("list_suppressions") or ():
            list_id = entry.get("list_id")
            if not isinstance(list_id, str):
                is_unclear = True
            elif list_id in self.lists:
                entries.setdefault(list_id, []).append(entry)
        for list_id, of_list in entries.items():
            yield from self._list_suppression(person, list_id, of_list)
        others = self.lists.keys() - entries.keys()
        if is_unclear:
            yield from self._suppressed_somewhere(person, sorted(others))
        elif not self.is_full:
            for list_id in others:
                yield Reading(f"list:{list_id}", person.id, person.address, deleted=True)

    def _suppressed_somewhere(self, person: _Person, others: list[str]) -> Iterator[Row]:
        """An opt-out of a list that is not named may be one of any: none of them can be judged."""
        for list_id in others:
            yield Reading(
                store=f"list:{list_id}", record_id=person.id, address=person.address,
                unclear=self.lists[list_id], present=False, raw=person.raw,
            )  # fmt: skip
        yield Finding(
            "missing_field", "profile", person.id, "list_id", address=person.address,
            categories=reduce(or_, (self.lists[each] for each in others), 0),
        )  # fmt: skip

    def _list_suppression(
        self, person: _Person, list_id: str, entries: list[Mapping[str, Any]]
    ) -> Iterator[Row]:
        mask, store = self.lists[list_id], f"list:{list_id}"
        held = Held.of({str(entry.get("reason")) for entry in entries})
        out = mask if held.outs else 0
        yield Reading(
            store=store, record_id=person.id, address=person.address, outs=out, category_outs=out,
            store_blocks=mask, unclear=mask if held.unknown else 0, present=False,
            undeliverable=held.undeliverable, complained=held.complained,
            modified_at=moment(person.attributes.get("updated")),
            raw=raw_json(entries),
        )  # fmt: skip
        for entry in entries:
            reason, at = str(entry.get("reason")), moment(entry.get("timestamp"))
            if at is None:
                yield self._undated(person, store)
            if reason in OPT_OUT:
                source = Source.MANUAL if reason in STAFF else Source.UNKNOWN
                event_id = f"{store}:{person.id}:{reason}:{at.isoformat() if at else ''}"
                for category in self.categories.of(mask):
                    change = self._change(
                        person, f"{event_id}:{category}", "suppression", at, source, reason=reason
                    )
                    yield change._replace(category=category, store=store)
            elif reason not in UNDELIVERABLE | SPAM:
                yield self._odd_reason(person, reason, store, mask)

    # --- parts ----------------------------------------------------------------------------------
    def _change(
        self, person: _Person, event_id: str, feed: str, at: datetime | None, source: Source, *,
        reason: str,
    ) -> Change:  # fmt: skip
        """An opt-out of everything; without a stamp it lies somewhere before the read."""
        return Change(
            event_id=event_id, feed=feed, record_id=person.id, address=person.address,
            category=None, old=None, new=State.OPTED_OUT.value, occurred_at=at, occurred_from=at,
            time_kind="source" if at else "estimated", effective_at=at, source=source.value,
            explicit=source in PERSONAL_SOURCES, channel=text(person.method),
            actor=actor_of(source), reason=reason, store="profile", evidence_ref=event_id,
        )  # fmt: skip

    def _undated(self, person: _Person, store: str) -> Finding:
        return Finding("unparsable", store, person.id, "timestamp", address=person.address)

    def _odd_reason(self, person: _Person, reason: str, store: str, mask: int) -> Finding:
        return Finding(
            "unknown_value", store, person.id, "reason", enum_word(reason), address=person.address,
            categories=mask,
        )  # fmt: skip
