"""How the HubSpot twin reads what it is asked, and how it says no."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request


class Refused(Exception):
    """The vendor says no: status, category, message, and details if any."""

    def __init__(self, status: int, category: str, message: str, *details: dict[str, Any]) -> None:
        super().__init__(message)
        self.status = status
        self.category = category
        self.details = list(details)


def invalid(message: str) -> Refused:
    """400, as HubSpot words a request that it does not understand."""
    return Refused(400, "VALIDATION_ERROR", message)


def number_of(request: Request, name: str, default: int, *, least: int, most: int) -> int:
    """A whole number from the query, within the vendor's bounds."""
    text = request.query_params.get(name, str(default))
    if not text.lstrip("-").isdigit() or not least <= int(text) <= most:
        raise invalid(f"Invalid value for {name}: must be between {least} and {most}")
    return int(text)


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object of the request."""
    try:
        data = json.loads(await request.body())
    except ValueError:
        raise invalid("Invalid input JSON") from None
    if not isinstance(data, dict):
        raise invalid("Invalid input JSON")
    return data
