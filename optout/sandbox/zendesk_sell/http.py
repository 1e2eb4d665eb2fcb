"""What every answer of Sell's has in common: envelopes of errors, unwrapping, parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

DEVICE_HEADER = "X-Basecrm-Device-UUID"

Handler = Callable[..., Any]
"""Takes the request, and the unwrapped body where there is one."""

_REASON = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    410: "Gone",
    422: "Unprocessable Entity",
}


class Refusal(Exception):
    """An error answer; carries its envelope."""

    def __init__(
        self, status: int, code: str, message: str, *, resource: str = "", pointer: str = ""
    ) -> None:
        super().__init__(code)
        error: dict[str, Any] = {"code": code, "message": message, "details": message}
        if resource:
            error.update(resource=resource, field=pointer)
        self.status = status
        self.error = error

    def response(self, logref: str) -> Response:
        """The array of errors, each wrapped once more."""
        links = {"more_info": "https://developers.getbase.com/docs/rest/articles/errors"}
        body = {
            "errors": [{"error": self.error, "meta": {"type": "error", "links": links}}],
            "meta": {
                "type": "errors",
                "http_status": f"{self.status} {_REASON.get(self.status, 'Error')}",
                "logref": logref,
            },
        }
        return JSONResponse(body, self.status, {"X-Request-Id": logref})


async def unwrapped(request: Request) -> Mapping[str, Any]:
    """The unwrapped body; an absent one is empty (the official client posts none to start)."""
    if not await request.body():
        return {}
    try:
        envelope = await request.json()
        data = envelope["data"]
    except (ValueError, KeyError, TypeError):
        raise Refusal(400, "invalid_payload", "The body must be wrapped in data.") from None
    if not isinstance(data, Mapping):
        raise Refusal(400, "invalid_payload", "data must be an object.")
    return data


def device(request: Request) -> str:
    """The consumer's UUID, on all calls of Sync."""
    found = request.headers.get(DEVICE_HEADER, "").strip()
    if not found:
        raise Refusal(400, "invalid_header", f"{DEVICE_HEADER} is required.")
    return found


def whole(text: str, name: str, low: int, high: int) -> int:
    """A number in a query parameter."""
    if not text.isdigit() or not low <= int(text) <= high:
        raise Refusal(400, "invalid_param", f"{name} must be between {low} and {high}.")
    return int(text)


def here(request: Request, page: int | None = None, size: int | None = None) -> str:
    """This request's URL, or the same list at another page."""
    if page is None:
        return str(request.url)
    return str(request.url.include_query_params(page=page, per_page=size))
