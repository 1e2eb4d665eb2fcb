"""The lists of the HubSpot twin: contacts and their search, properties, e-mails, the v1 feeds.

The v1 feeds come newest first, in windows that include both ends, with an offset token that is
opaque. Search reaches 10,000 records and may lag behind.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from optout.sandbox.hubspot.asked import Refused, body_of, invalid, number_of
from optout.sandbox.hubspot.portal import APP_ID, APP_NAME, Contact, Email, Feed, Portal, millis

if TYPE_CHECKING:
    from optout.sandbox.hubspot.twin import HubSpotTwin

Handler = Callable[[Request], Awaitable[Response]]

SEARCH_CAP = 10_000
_DEFAULT = ("createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname")
_DATES = frozenset({"createdate", "lastmodifieddate"})
_EVENT_TYPES = frozenset({"SENT", "DELIVERED", "BOUNCE", "DROPPED", "CLICK", "OPEN", "SPAMREPORT",
                          "STATUSCHANGE", "DEFERRED", "PROCESSED", "UNBOUNCE"})  # fmt: skip


class HubSpotLists:
    """Handlers over one portal."""

    def __init__(self, twin: HubSpotTwin, portal: Portal) -> None:
        self._twin = twin
        self._portal = portal
        self.search_cap = SEARCH_CAP
        self.index_lag = timedelta(0)
        """Search does not yet know what changed within this time of the sandbox clock."""

    def table(self) -> list[tuple[str, str, str, Handler]]:
        """Method, path, scope and handler."""
        contacts = "/crm/v3/objects/contacts"
        read = "crm.objects.contacts.read"
        return [
            ("GET", contacts, read, self._contacts),
            ("POST", f"{contacts}/search", read, self._search),
            ("GET", f"{contacts}/{{id}}", read, self._contact),
            ("GET", "/crm/v3/properties/contacts", read, self._properties),
            ("GET", "/marketing/v3/emails", "content", self._emails),
            ("GET", "/marketing/v3/emails/{id}", "content", self._email),
            ("GET", "/email/public/v1/subscriptions/timeline", "content", self._timeline),
            ("GET", "/email/public/v1/events", "content", self._events),
            ("GET", "/email/public/v1/campaigns/{id}", "content", self._campaign),
        ]

    # --- contacts -----------------------------------------------------------------------------
    @property
    def property_names(self) -> list[str]:
        """Every property that a contact of this portal can have."""
        own = ["hs_additional_emails", "hs_email_bounce", "hs_email_hard_bounce_reason_enum",
               "hs_email_optout", "hs_marketable_status"]  # fmt: skip
        return [*_DEFAULT, *own, *(f"hs_email_optout_{kind}" for kind in self._portal.types)]

    def _shown(self, contact: Contact, request: Request) -> dict[str, Any]:
        known = set(self.property_names)
        # An unknown property is left out without a word.
        names = [n for n in (*_DEFAULT, *_listed(request, "properties")) if n in known]
        history = [n for n in _listed(request, "propertiesWithHistory") if n in known]
        return contact.shown(dict.fromkeys(names), history)

    async def _contacts(self, request: Request) -> Response:
        limit = number_of(request, "limit", 10, least=1, most=100)
        if _listed(request, "propertiesWithHistory") and limit > 50:
            raise invalid("limit must be at most 50 with propertiesWithHistory")
        after = number_of(request, "after", 0, least=0, most=1 << 60)
        archived = request.query_params.get("archived") == "true"
        found = [
            contact
            for contact in self._portal.contacts.values()
            if (contact.archived_at is not None) == archived and contact.id > after
        ]
        page = found[:limit]
        body: dict[str, Any] = {"results": [self._shown(contact, request) for contact in page]}
        if len(found) > limit:
            body["paging"] = {"next": {"after": str(page[-1].id), "link": str(request.url)}}
        return JSONResponse(body)

    async def _contact(self, request: Request) -> Response:
        text = str(request.path_params["id"])
        if request.query_params.get("idProperty") == "email":
            contact = self._portal.contact(text)
        else:
            contact = self._portal.contacts.get(int(text)) if text.isdigit() else None
        archived = request.query_params.get("archived") == "true"
        if contact is None or (contact.archived_at is not None) != archived:
            raise Refused(404, "OBJECT_NOT_FOUND", "resource not found")
        return JSONResponse(self._shown(contact, request))

    async def _search(self, request: Request) -> Response:
        data = await body_of(request)
        limit, after = data.get("limit", 10), int(data.get("after") or 0)
        if not isinstance(limit, int) or not 1 <= limit <= 200:
            raise invalid("limit must be between 1 and 200")
        if after + limit > self.search_cap:
            raise invalid(f"after and limit reach beyond the {self.search_cap} that can be paged")
        found = [c for c in self._portal.contacts.values() if self._is_found(c, data)]
        for sort in reversed(data.get("sorts") or []):
            name, down = _sort(sort)
            found.sort(key=lambda c, name=name: _comparable(name, c.value(name)), reverse=down)  # type: ignore[misc]
        names = dict.fromkeys([*_DEFAULT, *(data.get("properties") or [])])
        page = [c.shown(names) for c in found[after : after + limit]]
        body: dict[str, Any] = {"total": len(found), "results": page}
        if len(found) > after + limit:
            body["paging"] = {"next": {"after": str(after + limit)}}
        return JSONResponse(body)

    def _is_found(self, contact: Contact, data: dict[str, Any]) -> bool:
        """Whether the index has the contact and its filters let it through: the groups are
        alternatives, the filters of a group hold together."""
        lagging = self._twin.now is not None and contact.updated > self._twin.now - self.index_lag
        if contact.archived_at is not None or (self.index_lag and lagging):
            return False
        groups = data.get("filterGroups") or []
        return not groups or any(
            all(_holds(contact, each) for each in group.get("filters", [])) for group in groups
        )

    async def _properties(self, request: Request) -> Response:
        shown: list[dict[str, Any]] = [
            {"name": name, "label": name, "type": "datetime" if name in _DATES else "string",
             "fieldType": "text", "groupName": "contactinformation", "description": "",
             "options": []}
            for name in self.property_names
        ]  # fmt: skip
        return JSONResponse({"results": shown})

    # --- e-mails and campaigns ----------------------------------------------------------------
    async def _emails(self, request: Request) -> Response:
        limit = number_of(request, "limit", 10, least=1, most=100)
        after = number_of(request, "after", 0, least=0, most=1 << 60)
        archived = request.query_params.get("archived") == "true"
        every = [e for e in self._portal.emails.values() if bool(e.shown["archived"]) == archived]
        found = [email for email in every if email.id > after]
        body: dict[str, Any] = {
            "total": len(every),
            "results": [_shown_email(email, request) for email in found[:limit]],
        }
        if len(found) > limit:
            body["paging"] = {"next": {"after": str(found[limit - 1].id)}}
        return JSONResponse(body)

    async def _email(self, request: Request) -> Response:
        text = str(request.path_params["id"])
        email = self._portal.emails.get(int(text)) if text.isdigit() else None
        archived = request.query_params.get("archived") == "true"
        if email is None or bool(email.shown["archived"]) != archived:
            raise Refused(404, "OBJECT_NOT_FOUND", "resource not found")
        return JSONResponse(_shown_email(email, request))

    async def _campaign(self, request: Request) -> Response:
        text = str(request.path_params["id"])
        for email in self._portal.emails.values():
            if text in email.shown["allEmailCampaignIds"]:
                return JSONResponse({
                    "id": int(text), "appId": APP_ID, "appName": APP_NAME, "contentId": email.id,
                    "name": email.shown["name"], "subject": email.shown["subject"],
                    "type": "BATCH_EMAIL", "counters": email.counters,
                })  # fmt: skip
        raise Refused(404, "OBJECT_NOT_FOUND", "resource not found")

    # --- the v1 feeds -------------------------------------------------------------------------
    async def _timeline(self, request: Request) -> Response:
        wanted = request.query_params.get("changeType")

        def is_wanted(item: dict[str, Any]) -> bool:
            return any(change["changeType"] == wanted for change in item["changes"])

        limit = number_of(request, "limit", 10, least=1, most=1000)
        return self._feed(
            request, self._portal.timeline, "timeline", limit, is_wanted if wanted else None
        )

    async def _events(self, request: Request) -> Response:
        kind = request.query_params.get("eventType")
        whose = request.query_params.get("recipient")
        campaign = request.query_params.get("campaignId")
        if kind is not None and kind not in _EVENT_TYPES:
            raise invalid("eventType is not known")

        def is_wanted(event: dict[str, Any]) -> bool:
            return (
                (kind is None or event["type"] == kind)
                and (whose is None or event["recipient"] == whose.lower())
                and (campaign is None or str(event.get("emailCampaignId")) == campaign)
            )

        limit = number_of(request, "limit", 10, least=1, most=1000)
        return self._feed(request, self._portal.events, "events", limit, is_wanted)

    def _feed(
        self, request: Request, feed: Feed, name: str, limit: int, is_wanted: Any
    ) -> Response:
        start = number_of(request, "startTimestamp", 0, least=0, most=1 << 60)
        end = number_of(request, "endTimestamp", 1 << 60, least=0, most=1 << 60)
        before = _position(request.query_params.get("offset"))
        records, last = feed.page(start, end, before, limit, is_wanted)
        token = _token(last) if last else ""
        return JSONResponse({"hasMore": last is not None, "offset": token, name: records})


def _listed(request: Request, name: str) -> list[str]:
    """A list parameter, in either of the two forms that clients send."""
    return [each for text in request.query_params.getlist(name) for each in text.split(",") if each]


def _shown_email(email: Email, request: Request) -> dict[str, Any]:
    shown = dict(email.shown)
    if request.query_params.get("includeStats") == "true":
        shown["stats"] = {"counters": dict(email.counters), "ratios": {}}
    wanted = _listed(request, "includedProperties")
    return {n: v for n, v in shown.items() if not wanted or n == "id" or n in wanted}


def _token(position: tuple[int, int]) -> str:
    return base64.urlsafe_b64encode(f"{position[0]}.{position[1]}".encode()).decode()


def _position(token: str | None) -> tuple[int, int] | None:
    if not token:
        return None
    try:
        at, _, place = base64.urlsafe_b64decode(token).decode().partition(".")
        return int(at), int(place)
    except (ValueError, binascii.Error):
        raise invalid("The offset is not valid") from None


def _sort(sort: Any) -> tuple[str, bool]:
    """A sort is an object, or a name with a minus for descending."""
    if isinstance(sort, dict):
        return str(sort["propertyName"]), sort.get("direction") == "DESCENDING"
    return str(sort).lstrip("-"), str(sort).startswith("-")


def _comparable(name: str, value: str | None) -> Any:
    """Dates compare as milliseconds, whichever form they come in."""
    if name not in _DATES:
        return (value or "").lower()
    if not value:
        return 0
    return int(value) if value.isdigit() else millis(datetime.fromisoformat(value))


def _holds(contact: Contact, test: dict[str, Any]) -> bool:
    name, operator = str(test.get("propertyName")), test.get("operator")
    value = contact.value(name)
    if operator == "HAS_PROPERTY":
        return value is not None
    if operator == "NOT_HAS_PROPERTY":
        return value is None
    here, there = _comparable(name, value), _comparable(name, str(test.get("value", "")))
    if operator == "BETWEEN":
        return bool(there <= here <= _comparable(name, str(test.get("highValue", ""))))
    if operator == "IN":
        return here in [_comparable(name, str(each)) for each in test.get("values", [])]
    tests = {
        "EQ": here == there, "NEQ": here != there, "LT": here < there, "LTE": here <= there,
        "GT": here > there, "GTE": here >= there,
    }  # fmt: skip
    if operator not in tests:
        raise invalid("operator is not known")
    return bool(tests[operator])
