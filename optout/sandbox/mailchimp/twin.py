"""Mailchimp's twin: acts of the world turned into what an account would hold.

Two audiences, because the state of a person is one of each audience and there is no account-wide
unsubscribe: the first holds all categories but the last as interests, the second is the last
category as a whole. Traps kept: a category that is switched off leaves no time and no event; an
unsubscribe has a time only in a report or the activity feed; `last_changed` moves with any edit;
archiving forgets the status before it, so that unarchiving subscribes without anybody's act; an
interest that is false may never have been answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any, ClassVar

from starlette.routing import Route

from optout.http.client import Limit
from optout.model import PERSONAL_SOURCES, Source, State
from optout.sandbox.acts import Act, Mailing, Person, Twin
from optout.sandbox.mailchimp.routes import MailchimpRoutes
from optout.sandbox.mailchimp.state import (
    ADDRESS_TAG,
    SERVER_IP,
    UNSUB_TAG,
    Audience,
    Campaign,
    Member,
    seconds,
    stamp,
    subscriber_hash,
)

BY_ADMIN = "N/A (Unsubscribed by admin)"
FORM_SOURCE = "Hosted Signup Form"
API_SOURCE = "API - Generic"
IMPORT_SOURCE = "Import"
_FOUNDED = datetime(2020, 1, 1, tzinfo=UTC)
_BY_PERSON = PERSONAL_SOURCES | {Source.FORM}


class MailchimpTwin(Twin):
    """One Mailchimp account."""

    vendor: ClassVar[str] = "mailchimp"
    base_path: ClassVar[str] = "/3.0"
    limits: ClassVar[tuple[Limit, ...]] = (Limit(concurrent=10),)
    limit_style: ClassVar[str] = "mailchimp"

    def __init__(self, categories: Sequence[str], *, token: str, rng: Random) -> None:
        super().__init__(categories, token=token, rng=rng)
        self.audiences: dict[str, Audience] = {}
        self.campaigns: dict[str, Campaign] = {}
        self._homes: dict[str, tuple[Audience, str | None]] = {}
        """Category → its audience and interest (None: the audience as a whole)."""
        self._next_web_id = 1000
        *grouped, last = self.categories
        if not grouped:
            grouped, last = [last], ""
        shop = self.make_audience("Customers", grouped)
        for key, name in shop.interests.items():
            self._homes[name] = (shop, key)
        second = self.make_audience(last or "Partners", [])
        if last:
            self._homes[last] = (second, None)

    def make_audience(self, name: str, interests: Sequence[str]) -> Audience:
        """Another list in the account; interests are in one group."""
        audience = Audience(
            self._key(), name, self._key(), {self._key(): name for name in interests}, _FOUNDED
        )
        self.audiences[audience.id] = audience
        return audience

    # --- for the configuration ----------------------------------------------------------------
    def category_map(self) -> Mapping[str, Sequence[str]]:
        """Each category is an interest (`list/interest`) or a whole audience (`list`)."""
        return {
            category: [f"{audience.id}/{interest}" if interest else audience.id]
            for category, (audience, interest) in self._homes.items()
        }

    def routes(self) -> list[Route]:
        """See `optout.sandbox.mailchimp.routes`."""
        return MailchimpRoutes(self).routes()

    # --- acts -----------------------------------------------------------------------------------
    def add(self, person: Person, states: Mapping[str, State], at: datetime) -> None:
        """An import: members of each audience that holds a category of which something is known.

        An interest cannot say "never asked": it is false as it is after an opt-out. Somebody who
        is there already only gets the interests: an import subscribes no one again.
        """
        for audience in self.audiences.values():
            told = {c: s for c, s in states.items() if self._homes[c][0] is audience}
            known = audience.interests or set(told.values()) - {State.NOT_SET}
            if not known or (not told and states):
                continue
            member = audience.members.get(subscriber_hash(person.address))
            if member is None:
                is_out = bool(told) and set(told.values()) == {State.OPTED_OUT}
                status = "unsubscribed" if is_out else "subscribed"
                member = self._make(audience, person.address, status, at, IMPORT_SOURCE)
                member.first_name, member.last_name = person.first_name, person.last_name
                if is_out:
                    member.reason = BY_ADMIN
            for category, state in told.items():
                interest = self._homes[category][1]
                if interest:
                    member.interests[interest] = state is State.OPTED_IN
            audience.touch(member, at)

    def opt_out(self, address: str, category: str | None, act: Act) -> None:
        """An interest switched off, or the member unsubscribed (category None: in every audience;
        a system that knows nobody of this address writes an unsubscribed member)."""
        if category is not None:
            audience, interest = self._homes[category]
            member = audience.members.get(subscriber_hash(address))
            if interest is None:
                self._unsubscribe(audience, member or self._unknown(audience, address, act), act)
            elif member is not None:
                member.interests[interest] = False
                audience.touch(member, act.at)
            return
        places = self._places(address)
        if not places:
            first = next(iter(self.audiences.values()))
            places = [(first, self._unknown(first, address, act))]
        for audience, member in places:
            self._unsubscribe(audience, member, act)

    def opt_in(self, address: str, category: str | None, act: Act) -> None:
        """An interest switched on, or the member subscribed (category None: everywhere, with all
        interests). An interest never subscribes a member who unsubscribed; a system cannot
        subscribe again whom the vendor holds in compliance, a person can."""
        for name in self.categories if category is None else [category]:
            audience, interest = self._homes[name]
            member = audience.members.get(subscriber_hash(address))
            if member is None:
                member = self._make(audience, address, "subscribed", act.at, API_SOURCE)
                self._subscribe(audience, member, act)
            elif member.status != "subscribed" and (category is None or interest is None):
                self._subscribe(audience, member, act)
            elif category is None and act.source in _BY_PERSON:
                self._confirm(member, act)
            if category is None and member.status != "subscribed":
                continue
            if interest is not None:
                member.interests[interest] = True
            audience.touch(member, act.at)

    def change_address(self, old: str, new: str, at: datetime) -> None:
        """The member gets another hash; reports keep the old address. Refused (as by the vendor)
        where the new address is a member of the audience."""
        for audience, member in self._places(old):
            if subscriber_hash(new) in audience.members:
                continue
            del audience.members[member.id]
            member.address = new
            audience.members[member.id] = member
            audience.touch(member, at)

    def delete(self, address: str, at: datetime) -> None:
        """Archived: the record stays, only asking for `archived` shows it."""
        for audience, member in self._places(address):
            member.status = "archived"
            audience.touch(member, at)

    # --- mail -------------------------------------------------------------------------------------
    def send(self, mailing: Mailing, addresses: Sequence[str]) -> None:
        """A campaign to the category's segment. Transactional mail is another product
        (Transactional, once Mandrill), which the Marketing API does not show."""
        if mailing.category is None:
            return
        audience, interest = self._homes[mailing.category]
        body = [f"<h1>{mailing.name}</h1>", "<p>News from the shop.</p>"]
        body += [f"<p>{ADDRESS_TAG}</p>"] if mailing.has_postal_address else []
        body += [f"<p>{UNSUB_TAG}</p>"] if mailing.has_unsubscribe else []
        campaign = Campaign(
            mailing.id, self._number(), mailing.name, audience, interest,
            seconds(mailing.sent_at), mailing.from_name, mailing.reply_to,
            f"<html><body>{''.join(body)}</body></html>",
        )  # fmt: skip
        self.campaigns[mailing.id] = campaign
        for address in addresses:
            campaign.recipients[address] = "sent"
            member = audience.members.get(subscriber_hash(address))
            if member is not None:
                self._note(member, "sent", mailing.sent_at, campaign)

    def click(self, address: str, mailing_id: str, at: datetime) -> None:
        """A click is no edit: `last_changed` stays."""
        campaign = self.campaigns.get(mailing_id)
        if campaign is None:
            return
        url = "https://shop.example.org/news"
        entry = {"action": "click", "timestamp": stamp(seconds(at)), "url": url, "ip": SERVER_IP}
        campaign.clicks.setdefault(address, []).append(entry)
        member = campaign.audience.members.get(subscriber_hash(address))
        if member is not None:
            self._note(member, "click", at, campaign, link_clicked=url)

    def bounce(self, address: str, mailing_id: str | None, at: datetime) -> None:
        """A hard bounce cleans a subscribed member of the campaign's audience (None: of all)."""
        campaign = self.campaigns.get(mailing_id) if mailing_id else None
        if campaign is not None and address in campaign.recipients:
            campaign.recipients[address] = "hard"
        if mailing_id and campaign is None:
            return
        for audience, member in self._places(address):
            if campaign is None or campaign.audience is audience:
                self._clean(audience, member, at)
                self._note(member, "bounce", at, campaign, bounce_type="hard")

    def complain(self, address: str, mailing_id: str, at: datetime) -> None:
        """A complaint cleans the member (webhooks give `cleaned` the reason `abuse`) and is
        written into the campaign's and the list's abuse reports."""
        campaign = self.campaigns.get(mailing_id)
        if campaign is None:
            return
        about = campaign.about(address) | {"merge_fields": {}, "vip": False}
        report = about | {"id": self._number(), "date": stamp(seconds(at))}
        campaign.abuse.append(report)
        audience = campaign.audience
        audience.abuse.append({k: v for k, v in report.items() if k != "list_is_active"})
        member = audience.members.get(subscriber_hash(address))
        if member is not None:
            self._clean(audience, member, at)

    def silently_mailable(self, address: str, category: str | None, at: datetime) -> None:
        """Archived and unarchived as subscribed by a system: nothing tells that it was no act of
        the person but the source."""
        names = self.categories if category is None else [category]
        for name in names:
            audience, interest = self._homes[name]
            member = audience.members.get(subscriber_hash(address))
            if member is None:
                continue
            if member.status != "subscribed":
                self.resubscribe(member, at)
            if interest is not None:
                member.interests[interest] = True
            audience.touch(member, at)

    def holds(self, address: str) -> bool:
        """Whether any audience has the address, archived or not."""
        return bool(self._places(address))

    # --- shared with the routes -----------------------------------------------------------------
    def resubscribe(self, member: Member, at: datetime) -> None:
        """Subscribed by a system: the stamp of the opt-in and the IP are the system's."""
        member.status, member.reason, member.in_compliance = "subscribed", "", False
        member.opt, member.ip_opt, member.source = seconds(at), SERVER_IP, API_SOURCE
        member.unsubscribed_at = None

    def unsubscribe_by_admin(self, member: Member, at: datetime) -> None:
        """Unsubscribed by a system or an agent: the vendor does not hold this in compliance."""
        member.status, member.reason = "unsubscribed", BY_ADMIN
        member.unsubscribed_at = seconds(at)
        self._note(member, "unsub", at, None, is_admin_unsubscribed=True,
                   unsubscribe_reason=BY_ADMIN)  # fmt: skip

    def make_member(self, audience: Audience, address: str, status: str, at: datetime) -> Member:
        """A member written through the API."""
        return self._make(audience, address, status, at, API_SOURCE)

    # --- inner works ------------------------------------------------------------------------------
    def _key(self) -> str:
        return f"{self.rng.getrandbits(40):010x}"

    def _number(self) -> int:
        self._next_web_id += 1
        return self._next_web_id

    def _places(self, address: str) -> list[tuple[Audience, Member]]:
        return list(self._find(subscriber_hash(address)))

    def _find(self, key: str) -> Iterator[tuple[Audience, Member]]:
        for audience in self.audiences.values():
            if key in audience.members:
                yield audience, audience.members[key]

    def _make(
        self, audience: Audience, address: str, status: str, at: datetime, source: str
    ) -> Member:
        member = Member(
            address, self._number(), f"{self.rng.getrandbits(128):032x}", audience.id, status,
            dict.fromkeys(audience.interests, False), seconds(at), source,
        )  # fmt: skip
        if status == "subscribed":
            member.opt, member.ip_opt = seconds(at), SERVER_IP
        audience.members[member.id] = member
        audience.version += 1
        return member

    def _unknown(self, audience: Audience, address: str, act: Act) -> Member:
        return self._make(audience, address, "transactional", act.at, API_SOURCE)

    def _unsubscribe(self, audience: Audience, member: Member, act: Act) -> None:
        campaign = self.campaigns.get(act.campaign_id) if act.campaign_id else None
        if campaign is not None and campaign.audience is not audience:
            campaign = None
        is_new = member.status not in ("unsubscribed", "cleaned")
        if act.source not in _BY_PERSON or act.source is Source.SUPPORT_REQUEST:
            if is_new:
                self.unsubscribe_by_admin(member, act.at)
        else:
            reason = act.reason or "None given"
            if is_new:
                member.status, member.reason = "unsubscribed", reason
                member.unsubscribed_at = seconds(act.at)
                self._note(member, "unsub", act.at, campaign, is_admin_unsubscribed=False,
                           unsubscribe_reason=reason)  # fmt: skip
                if campaign is not None:
                    when = {"timestamp": stamp(seconds(act.at)), "reason": reason}
                    row = campaign.about(member.address) | {"merge_fields": {}, "vip": False}
                    campaign.unsubscribed.append(row | when)
            member.in_compliance = True
        audience.touch(member, act.at)

    def _subscribe(self, audience: Audience, member: Member, act: Act) -> None:
        if act.source in _BY_PERSON:
            self._confirm(member, act)
        elif not member.in_compliance:
            self.resubscribe(member, act.at)
        audience.touch(member, act.at)

    def _confirm(self, member: Member, act: Act) -> None:
        """Double opt-in: the person followed the link of the confirmation mail."""
        member.status, member.reason, member.in_compliance = "subscribed", "", False
        member.opt, member.ip_opt = seconds(act.at), act.ip or ""
        member.signup, member.ip_signup = member.opt, member.ip_opt
        member.source, member.unsubscribed_at = FORM_SOURCE, None

    def _clean(self, audience: Audience, member: Member, at: datetime) -> None:
        if member.status == "subscribed":
            member.status, member.in_compliance = "cleaned", True
            audience.touch(member, at)

    def _note(
        self, member: Member, kind: str, at: datetime, campaign: Campaign | None, **more: Any
    ) -> None:
        """One entry of the activity feed."""
        entry = {"activity_type": kind, "created_at_timestamp": stamp(seconds(at)), **more}
        if campaign is not None:
            entry |= {"campaign_id": campaign.id, "campaign_title": campaign.title}
        member.feed.append(entry)
