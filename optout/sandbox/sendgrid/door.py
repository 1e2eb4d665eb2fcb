"""What stands before each of the twin's handlers: the key, its scopes, the account asked for."""

from __future__ import annotations

import hmac
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from optout.sandbox.sendgrid.state import Account

if TYPE_CHECKING:
    from optout.sandbox.sendgrid.twin import SendGridTwin

Handler = Callable[[Account, Request], Any]
"""Answers for an account: a Response, or an awaitable of one."""
Row = tuple[str, str, str | None, Handler]
"""Method, path, the scope that a key needs (None: any key), handler."""


class Refusal(Exception):
    """An answer in the vendor's form of an error."""

    def __init__(self, status: int, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.field = field

    def response(self) -> Response:
        """The error as JSON."""
        error = {"message": self.message, "field": self.field, "help": None}
        return JSONResponse({"errors": [error]}, self.status)


def door(twin: SendGridTwin, method: str, path: str, scope: str | None, handler: Handler) -> Route:
    """The route of one handler, behind the key, its scopes and `on-behalf-of`."""

    async def answer(request: Request) -> Response:
        try:
            found = handler(_account(twin, request, scope), request)
            response: Response = await found if inspect.isawaitable(found) else found
        except Refusal as refusal:
            return refusal.response()
        return response

    return Route(path, answer, methods=[method])


def _account(twin: SendGridTwin, request: Request, scope: str | None) -> Account:
    """The account that the request speaks for."""
    given = request.headers.get("authorization", "")
    if not given:
        raise Refusal(401, "authorization required")
    if not hmac.compare_digest(given, f"Bearer {twin.token}"):
        raise Refusal(401, "The provided authorization grant is invalid, expired, or revoked")
    if scope is not None and scope not in twin.scopes:
        raise Refusal(403, "access forbidden")
    behalf = request.headers.get("on-behalf-of")
    if behalf is None:
        return twin.main
    account = twin.subusers.get(behalf)
    if account is None or account.disabled:
        raise Refusal(403, "access forbidden")
    return account


def number(request: Request, name: str, default: int) -> int:
    """A query parameter that must be a whole number."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isdigit():
        raise Refusal(400, f"{name} must be a number", name)
    return int(text)


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object that was sent."""
    try:
        body = await request.json()
    except ValueError:
        raise Refusal(400, "the body is not valid JSON") from None
    if not isinstance(body, dict):
        raise Refusal(400, "the body must be an object")
    return body
