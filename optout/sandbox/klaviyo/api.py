"""The front door of the Klaviyo twin: paths, scopes, dated revisions, media type.

What the vendor refuses is refused: a missing `revision`, another `Accept`, a key without the
scope. Paths and scopes are those of the specification of revision 2026-07-15.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from optout.sandbox.klaviyo import query as kq
from optout.sandbox.klaviyo.mail import REVISION, Mail
from optout.sandbox.klaviyo.people import People

if TYPE_CHECKING:
    from optout.sandbox.klaviyo.twin import KlaviyoTwin

REVISIONS = (REVISION, "2026-10-15")
"""The newer one is what the official client sends; the same for all but campaigns."""

Serve = Callable[[Request], kq.Item]


def routes(twin: KlaviyoTwin) -> list[Route]:
    """Every endpoint of the twin with the scope that it needs."""
    people, mail = People(twin), Mail(twin)
    table: Sequence[tuple[str, str, str, Serve]] = (
        ("GET", "/api/accounts", "accounts:read", people.accounts),
        ("GET", "/api/lists", "lists:read", people.lists),
        ("GET", "/api/lists/{id}", "lists:read", people.list_one),
        ("GET", "/api/lists/{id}/profiles", "lists:read profiles:read", people.members),
        ("GET", "/api/profiles", "profiles:read", people.profiles),
        ("GET", "/api/metrics", "metrics:read", mail.metrics),
        ("GET", "/api/events", "events:read", mail.events),
        ("GET", "/api/campaigns", "campaigns:read", mail.campaigns),
        ("GET", "/api/campaign-messages/{id}", "campaigns:read", mail.message),
        ("GET", "/api/flow-messages/{id}", "flows:read", mail.flow_message),
        ("POST", "/api/profile-subscription-bulk-create-jobs", "subscriptions:write",
         people.subscribe_job),
        ("POST", "/api/profile-subscription-bulk-delete-jobs", "subscriptions:write",
         people.unsubscribe_job),
    )  # fmt: skip
    return [
        Route(path, _door(twin, method, scopes, serve), methods=[method])
        for method, path, scopes, serve in table
    ]


def _door(
    twin: KlaviyoTwin, method: str, scopes: str, serve: Serve
) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        request.state.body = await request.body()
        try:
            _admit(twin, request, scopes.split())
            body = serve(request)
        except kq.Refused as refused:
            return refused.response()
        return Response(status_code=202) if method == "POST" else kq.answer(body)

    return handle


def _admit(twin: KlaviyoTwin, request: Request, scopes: Sequence[str]) -> None:
    given = request.headers.get("authorization")
    if given is None:
        raise kq.Refused(401, "not_authenticated", "Authentication credentials were not provided.")
    if given != f"Klaviyo-API-Key {twin.token}":
        raise kq.Refused(401, "authentication_failed", "Incorrect authentication credentials.")
    accept = request.headers.get("accept", "*/*")
    if kq.MEDIA_TYPE not in accept and "*/*" not in accept:
        raise kq.Refused(406, "not_acceptable", "Could not satisfy the request Accept header.")
    if request.headers.get("revision") not in REVISIONS:
        raise kq.invalid("A valid revision header must be given.", "revision")
    missing = [scope for scope in scopes if scope not in twin.scopes]
    if missing:
        raise kq.Refused(403, "permission_denied", f"Missing scopes: {', '.join(missing)}.")
