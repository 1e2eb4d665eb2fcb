"""Writes of one Mailchimp member, with the vendor's rules for subscribing somebody again.

A member is found by hash, by address or by `contact_id`, as at the vendor; permanent deletion
takes the hash only. Nothing here is ever called by optout: the sandbox has it because the systems
that break an opt-out do.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from optout.sandbox.mailchimp.query import ProblemError, interests_of, invalid, not_found
from optout.sandbox.mailchimp.state import Audience, Campaign, Member, subscriber_hash

SETTABLE = ("subscribed", "unsubscribed", "cleaned", "pending")
Json = dict[str, Any]
Write = Callable[[Request, Json], Response]


class Account(Protocol):
    """What the routes need of the twin."""

    token: str
    now: datetime | None
    audiences: dict[str, Audience]
    campaigns: dict[str, Campaign]

    def resubscribe(self, member: Member, at: datetime) -> None:
        """Subscribed by a system."""

    def unsubscribe_by_admin(self, member: Member, at: datetime) -> None:
        """Unsubscribed by a system or an agent."""

    def make_member(self, audience: Audience, address: str, status: str, at: datetime) -> Member:
        """A new member."""


def find_member(audience: Audience, key: str) -> Member | None:
    """By hash, address or contact id."""
    member = audience.members.get(key) or audience.members.get(subscriber_hash(key))
    if member is None:
        return next((m for m in audience.members.values() if m.contact_id == key), None)
    return member


def audience_of(account: Account, request: Request) -> Audience:
    """The list that the path names."""
    audience = account.audiences.get(request.path_params["list_id"])
    if audience is None:
        raise not_found()
    return audience


def member_of(account: Account, request: Request) -> Member:
    """The member that the path names."""
    member = find_member(audience_of(account, request), request.path_params["subscriber_hash"])
    if member is None:
        raise not_found()
    return member


def json_object(raw: bytes) -> Json:
    """The body of a write; `null`, which the vendor's own client sends with a DELETE, is empty."""
    problem = ProblemError(400, "JSON Parse Error", "We encountered an unspecified JSON error.")
    try:
        body = orjson.loads(raw or b"{}")
    except orjson.JSONDecodeError:
        raise problem from None
    if not isinstance(body, dict | None):
        raise problem
    return body or {}


class MailchimpWrites:
    """The handlers that change a member."""

    def __init__(self, account: Account) -> None:
        self.account = account

    def _now(self) -> datetime:
        return self.account.now or datetime.now(UTC)

    def post(self, request: Request, body: Json) -> Response:
        """Add; an existing member is refused."""
        audience = audience_of(self.account, request)
        address = str(body.get("email_address", ""))
        if find_member(audience, subscriber_hash(address)) is not None:
            detail = (
                f"{address} is already a list member. Use PUT to insert or update list members."
            )
            raise ProblemError(400, "Member Exists", detail)
        return self._create(audience, address, body.get("status"), body)

    def put(self, request: Request, body: Json) -> Response:
        """Add or edit: `status_if_new` counts for new ones only."""
        audience = audience_of(self.account, request)
        key = request.path_params["subscriber_hash"]
        member = find_member(audience, key)
        if member is not None:
            return self._edit(audience, member, body, (*SETTABLE, "transactional"))
        address = str(body.get("email_address", ""))
        if key not in (subscriber_hash(address), address):
            raise invalid("email_address", "The address does not belong to the hash.")
        return self._create(audience, address, body.get("status_if_new"), body)

    def patch(self, request: Request, body: Json) -> Response:
        """Edit."""
        return self._edit(
            audience_of(self.account, request), member_of(self.account, request), body, SETTABLE
        )

    def archive(self, request: Request, body: Json) -> Response:
        """DELETE archives: the member stays, its status before is forgotten."""
        member = member_of(self.account, request)
        if member.status == "archived":
            raise ProblemError(405, "Method Not Allowed", "This list member cannot be removed.")
        member.status = "archived"
        audience_of(self.account, request).touch(member, self._now())
        return Response(status_code=204)

    def forget(self, request: Request, body: Json) -> Response:
        """Delete for good: the address cannot be added again."""
        audience = audience_of(self.account, request)
        key = request.path_params["subscriber_hash"]
        if key not in audience.members:
            raise not_found()
        del audience.members[key]
        audience.forgotten.add(key)
        audience.version += 1
        return Response(status_code=204)

    def _create(self, audience: Audience, address: str, status: Any, body: Json) -> Response:
        if "@" not in address:
            raise invalid("email_address", "This value is not a valid email address.")
        if subscriber_hash(address) in audience.forgotten:
            detail = f"{address} was permanently deleted and cannot be re-imported."
            raise ProblemError(400, "Forgotten Email Not Subscribed", detail)
        if status not in (*SETTABLE, "transactional"):
            raise invalid("status", "The value you selected is not a valid choice.")
        interests = interests_of(body, audience)
        member = self.account.make_member(audience, address, str(status), self._now())
        member.interests.update(interests)
        return JSONResponse(member.json())

    def _edit(
        self, audience: Audience, member: Member, body: Json, settable: tuple[str, ...]
    ) -> Response:
        """Fields that are not named stay; an archived member takes any status."""
        status = body.get("status", member.status)
        if "status" in body and status not in settable:
            raise invalid("status", "The value you selected is not a valid choice.")
        interests = interests_of(body, audience)
        if status == "subscribed" and member.in_compliance and member.status != "archived":
            detail = (
                f"{member.address} is in a compliance state due to unsubscribe, bounce, or "
                "compliance review and cannot be subscribed."
            )
            raise ProblemError(400, "Member In Compliance State", detail)
        if status != member.status:
            self._set_status(member, status)
        member.interests.update(interests)
        address = body.get("email_address", member.address)
        if subscriber_hash(address) != member.id:
            if subscriber_hash(address) in audience.members:
                raise ProblemError(400, "Member Exists", f"{address} is already a list member.")
            del audience.members[member.id]
            audience.members[subscriber_hash(address)] = member
        member.address = address
        audience.touch(member, self._now())
        return JSONResponse(member.json())

    def _set_status(self, member: Member, status: str) -> None:
        if status == "subscribed":
            self.account.resubscribe(member, self._now())
        elif status == "unsubscribed":
            self.account.unsubscribe_by_admin(member, self._now())
        else:
            member.status = status
