"""The HTTP face of the HubSpot twin: preferences (v3, v4), e-mails, the account and its door.

CRM and v1 endpoints are in `optout.sandbox.hubspot.lists`. Every answer that is an error has
HubSpot's form: `status`, `category`, `message`, `correlationId`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from optout.sandbox.hubspot.asked import Refused, body_of, invalid
from optout.sandbox.hubspot.lists import HubSpotLists
from optout.sandbox.hubspot.portal import BEGINNING, PORTAL_ID, Portal, iso

if TYPE_CHECKING:
    from optout.sandbox.hubspot.twin import HubSpotTwin

Handler = Callable[[Request], Awaitable[Response]]

BATCH_CAP = 100
_WORDS = ("SUBSCRIBED", "UNSUBSCRIBED", "NOT_SPECIFIED")
_V4 = "/communication-preferences/v4"
_V3 = "/communication-preferences/v3"


class HubSpotRoutes:
    """Handlers over one portal; strict about scopes, channels and bounds."""

    def __init__(self, twin: HubSpotTwin, portal: Portal) -> None:
        self._twin = twin
        self._portal = portal
        self.lists = HubSpotLists(twin, portal)
        self.missing_scopes: set[str] = set()
        """Scopes that the token lacks."""
        self.unanswered: dict[str, int] = {}
        """Address → how many batch reads leave it out, with a 207."""
        self._calls = 0

    def routes(self) -> list[Route]:
        """Every path that this twin answers, with the scope that it asks for."""
        read = "communication_preferences.read"
        batch = "communication_preferences.statuses.batch.read"
        write = "communication_preferences.read_write"
        one = f"{_V4}/statuses/{{email}}"
        table: list[tuple[str, str, str, Handler]] = [
            ("GET", f"{_V4}/definitions", read, self._definitions_v4),
            ("GET", f"{_V3}/definitions", read, self._definitions_v3),
            ("POST", f"{_V4}/statuses/batch/read", batch, self._batch_read),
            ("POST", f"{_V4}/statuses/batch/unsubscribe-all/read", batch, self._batch_wide),
            ("GET", one, read, self._status),
            ("POST", one, write, self._set_status),
            ("GET", f"{one}/unsubscribe-all", read, self._wide),
            ("POST", f"{one}/unsubscribe-all", write, self._set_wide),
            ("GET", f"{_V3}/status/email/{{email}}", read, self._status_v3),
            ("POST", f"{_V3}/subscribe", write, self._subscribe_v3),
            ("POST", f"{_V3}/unsubscribe", write, self._unsubscribe_v3),
            ("GET", "/account-info/v3/details", "", self._account),
            *self.lists.table(),
        ]
        return [
            Route(path, self._guard(handler, scope), methods=[method])
            for method, path, scope, handler in table
        ]

    # --- the door -----------------------------------------------------------------------------
    def _guard(self, handler: Handler, scope: str) -> Handler:
        """Check the token and the scope, and give refusals HubSpot's form."""

        async def guarded(request: Request) -> Response:
            try:
                self._admit(request, scope)
                return await handler(request)
            except Refused as error:
                return self._refusal(error)

        return guarded

    def _admit(self, request: Request, scope: str) -> None:
        if request.headers.get("authorization") != f"Bearer {self._twin.token}":
            text = "Authentication credentials not found. This API supports OAuth 2.0."
            raise Refused(401, "INVALID_AUTHENTICATION", text)
        if scope in self.missing_scopes:
            text = "This app hasn't been granted all required scopes to make this call."
            detail = {
                "message": "One or more of the following scopes are required.",
                "context": {"requiredGranularScopes": [scope]},
            }
            raise Refused(403, "MISSING_SCOPES", text, detail)

    def _refusal(self, error: Refused) -> Response:
        self._calls += 1
        body: dict[str, Any] = {
            "status": "error", "category": error.category, "message": str(error),
            "correlationId": str(UUID(int=self._calls, version=4)),
        }  # fmt: skip
        if error.details:
            body["errors"] = error.details
        return JSONResponse(body, error.status)

    # --- preferences, v4 ----------------------------------------------------------------------
    async def _definitions_v4(self, request: Request) -> Response:
        unit = _unit(request)
        kinds = [k.shown() for k in self._portal.types.values() if unit in (None, k.unit)]
        return self._action(kinds)

    async def _status(self, request: Request) -> Response:
        _channel(request)
        return self._action(self._portal.shown_statuses(_email(request), _unit(request)))

    async def _wide(self, request: Request) -> Response:
        _channel(request)
        return self._action(self._portal.shown_wide(_email(request), _unit(request)))

    async def _set_status(self, request: Request) -> Response:
        data = await body_of(request)
        if data.get("channel") != "EMAIL":
            raise invalid("channel is required and must be EMAIL")
        word = data.get("statusState")
        if word not in _WORDS:
            raise invalid("statusState must be one of SUBSCRIBED, UNSUBSCRIBED, NOT_SPECIFIED")
        kind = self._kind(data.get("subscriptionId"))
        address = _email(request)
        before = self._portal.shown_status(address, self._portal.types[kind])["status"]
        reason = "NO_STATUS_CHANGE"
        if before != word:
            again = before == "UNSUBSCRIBED" and word == "SUBSCRIBED"
            reason = "RESUBSCRIBE_OCCURRED" if again else "REQUESTED_CHANGE_OCCURRED"
            self._twin.write(address, kind, str(word), self._now(), "Public API")
        shown = self._portal.shown_status(address, self._portal.types[kind])
        return self._action([shown | {"setStatusSuccessReason": reason}])

    async def _set_wide(self, request: Request) -> Response:
        _channel(request)
        address = _email(request)
        self._twin.write(address, None, "UNSUBSCRIBED", self._now(), "Public API")
        verbose = request.query_params.get("verbose") == "true"
        shown = self._portal.shown_statuses(address, _unit(request)) if verbose else []
        return self._action(shown)

    async def _batch_read(self, request: Request) -> Response:
        unit = _unit(request)

        def answer(address: str) -> dict[str, Any]:
            statuses = self._portal.shown_statuses(address, unit)
            return {"subscriberIdString": address.lower(), "statuses": statuses}

        return await self._batch(request, answer)

    async def _batch_wide(self, request: Request) -> Response:
        unit = _unit(request)

        def answer(address: str) -> dict[str, Any]:
            statuses = self._portal.shown_wide(address, unit)
            return {"subscriberIdString": address.lower(), "wideStatuses": statuses}

        return await self._batch(request, answer)

    async def _batch(self, request: Request, answer: Callable[[str], dict[str, Any]]) -> Response:
        """One result an address; 207 with `errors` where some have none."""
        _channel(request)
        inputs = (await body_of(request)).get("inputs")
        if not isinstance(inputs, list) or not all(isinstance(each, str) for each in inputs):
            raise invalid("inputs must be a list of strings")
        if not 1 <= len(inputs) <= BATCH_CAP:
            raise invalid(f"inputs must hold between 1 and {BATCH_CAP} entries")
        bad = [each for each in inputs if "@" not in each]
        if bad:
            raise invalid(f"{len(bad)} inputs are no e-mail addresses")
        results, left_out = [], 0
        for address in inputs:
            if self.unanswered.get(address.lower(), 0) > 0:
                self.unanswered[address.lower()] -= 1
                left_out += 1
            else:
                results.append(answer(address))
        if not left_out:
            return self._action(results)
        error = {"status": "error", "category": "INTERNAL_ERROR", "message": "try again",
                 "context": {}, "links": {}, "errors": []}  # fmt: skip
        return self._action(results, 207, numErrors=left_out, errors=[error] * left_out)

    # --- preferences, v3: no stamp, and 'never said' looks like 'no' --------------------------
    async def _definitions_v3(self, request: Request) -> Response:
        kinds = [each.shown() for each in self._portal.types.values()]
        return JSONResponse({"subscriptionDefinitions": kinds})

    async def _status_v3(self, request: Request) -> Response:
        return JSONResponse(self._shown_v3(_email(request)))

    def _shown_v3(self, address: str) -> dict[str, Any]:
        wide = self._portal.wide.get(address.lower())
        is_out = wide is not None and wide.word == "UNSUBSCRIBED"
        statuses = []
        for kind in self._portal.types.values():
            word = self._portal.shown_status(address, kind)["status"]
            is_in = word == "SUBSCRIBED" and not is_out
            statuses.append({
                "id": str(kind.id), "name": kind.name, "description": f"Mail about {kind.name}",
                "status": "SUBSCRIBED" if is_in else "NOT_SUBSCRIBED",
                "sourceOfStatus": "PORTAL_WIDE_STATUS" if is_out else "SUBSCRIPTION_STATUS",
            })  # fmt: skip
        return {"recipient": address.lower(), "subscriptionStatuses": statuses}

    async def _subscribe_v3(self, request: Request) -> Response:
        address, kind = await self._asked_v3(request)
        word = self._portal.shown_status(address, self._portal.types[kind])["status"]
        if word == "UNSUBSCRIBED":
            raise invalid("The contact has unsubscribed and cannot be resubscribed")
        self._twin.write(address, kind, "SUBSCRIBED", self._now(), "Public API")
        return self._one_v3(address, kind)

    async def _unsubscribe_v3(self, request: Request) -> Response:
        address, kind = await self._asked_v3(request)
        self._twin.write(address, kind, "UNSUBSCRIBED", self._now(), "Public API")
        return self._one_v3(address, kind)

    async def _asked_v3(self, request: Request) -> tuple[str, int]:
        data = await body_of(request)
        address = data.get("emailAddress")
        if not isinstance(address, str) or "@" not in address:
            raise invalid("emailAddress is required")
        return address, self._kind(data.get("subscriptionId"))

    def _one_v3(self, address: str, kind: int) -> Response:
        statuses = self._shown_v3(address)["subscriptionStatuses"]
        return JSONResponse(next(each for each in statuses if each["id"] == str(kind)))

    # --- the account --------------------------------------------------------------------------
    async def _account(self, request: Request) -> Response:
        return JSONResponse({
            "portalId": PORTAL_ID, "accountType": "STANDARD", "timeZone": "Europe/Berlin",
            "companyCurrency": "EUR", "additionalCurrencies": [], "utcOffset": "+01:00",
            "utcOffsetMilliseconds": 3_600_000, "uiDomain": "app.hubspot.com",
            "dataHostingLocation": "eu1",
        })  # fmt: skip

    # --- inner works --------------------------------------------------------------------------
    def _now(self) -> datetime:
        return self._twin.now or datetime.now(UTC)

    def _kind(self, text: Any) -> int:
        if not str(text).isdigit() or int(text) not in self._portal.types:
            raise invalid("The subscription type does not exist")
        return int(text)

    def _action(self, results: list[dict[str, Any]], status: int = 200, **more: Any) -> Response:
        """The frame that v4 puts around everything."""
        stamp = iso(self._twin.now or BEGINNING)
        frame = {"status": "COMPLETE", "startedAt": stamp, "completedAt": stamp}
        return JSONResponse({**frame, "results": results, **more}, status)


def _email(request: Request) -> str:
    address = str(request.path_params["email"])
    if "@" not in address:
        raise invalid("subscriberIdString must be an e-mail address")
    return address


def _channel(request: Request) -> None:
    if request.query_params.get("channel") != "EMAIL":
        raise invalid("channel is required and must be EMAIL")


def _unit(request: Request) -> int | None:
    text = request.query_params.get("businessUnitId")
    if text is None:
        return None
    if not text.isdigit():
        raise invalid("businessUnitId must be a number")
    return int(text)
