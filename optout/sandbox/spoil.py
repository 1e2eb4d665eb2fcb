"""How a vendor's JSON is made wrong: small rewritings that need not know the endpoint."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import orjson
from starlette.requests import Request

CONSENT_FIELD = {
    "zendesk_sell": "email_opt_out_global",
    "mailchimp": "status",
    "sendgrid": "email",
    "klaviyo": "consent",
    "hubspot": "status",
}
"""The field of each vendor on which everything hangs, for the faults that name none."""
ENUM_FIELD = {**CONSENT_FIELD, "zendesk_sell": "email_pref_promotional", "sendgrid": "event"}
"""The same for unknown words: where it is a flag or an address, another field has words."""

_ROWS = ("items", "members", "data", "results", "timeline", "events", "unsubscribes", "messages",
         "sent_to", "emails", "queues", "campaigns", "result")  # fmt: skip
_TOTALS = frozenset({
    "total_items", "total", "total_count", "member_count", "profile_count", "contact_count",
    "unsubscribes",
})  # fmt: skip
_POSITIONS = frozenset({"offset", "after", "page", "page[cursor]", "position", "cursor"})
_ISO = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_EPOCH_KEYS = frozenset({"created", "timestamp", "last_event_time", "updated"})


def goes_on(request: Request) -> bool:
    """Whether a request continues from a position that an earlier answer gave."""
    query = request.query_params
    return any(query.get(name, "0") not in ("0", "1", "tail", "") for name in _POSITIONS)


def error_body(vendor: str, status: int) -> dict[str, Any]:
    """The vendor's form of an error."""
    if vendor == "zendesk_sell":
        code = {401: "unauthorized", 410: "gone", 503: "temporarily_unavailable"}
        error = {"code": code.get(status, "server_error"), "message": "An error occurred."}
        return {"errors": [{"error": error, "meta": {"type": "error"}}],
                "meta": {"type": "errors", "http_status": str(status)}}  # fmt: skip
    if vendor == "mailchimp":
        return {"type": "about:blank", "title": "Error", "status": status,
                "detail": "An error occurred.", "instance": "sandbox"}  # fmt: skip
    if vendor == "klaviyo":
        return {"errors": [{"id": "sandbox", "status": str(status), "code": "error",
                            "title": "Error", "detail": "An error occurred."}]}  # fmt: skip
    if vendor == "hubspot":
        return {"status": "error", "category": "SANDBOX", "correlationId": "sandbox",
                "message": "An error occurred."}  # fmt: skip
    return {"errors": [{"message": "An error occurred.", "field": None, "help": None}]}


def _rows(data: Any) -> list[Any] | None:
    """The list of records in an answer, wherever the vendor puts it."""
    if isinstance(data, list):
        return data
    if isinstance(data, dict):
        for name in _ROWS:
            if isinstance(data.get(name), list):
                rows: list[Any] = data[name]
                return rows
    return None


def has_rows(body: bytes) -> bool:
    """Whether an answer is anything but an empty page."""
    try:
        return _rows(orjson.loads(body)) != []
    except orjson.JSONDecodeError:
        return True


def drop_rows(data: Any) -> bool:
    """Leave nothing of the page but its frame."""
    rows = _rows(data)
    if not rows:
        return False
    rows.clear()
    return True


def double_rows(data: Any) -> bool:
    """Give every row of the page twice."""
    rows = _rows(data)
    if not rows:
        return False
    rows.extend(list(rows))
    return True


def repeat_cursor(data: Any, request: Request) -> bool:
    """Let the next link or cursor lead to this very page."""
    if not isinstance(data, dict):
        return False
    here = str(request.url)
    meta = data.get("meta")
    links = [data.get("links"), meta.get("links") if isinstance(meta, dict) else None]
    hit = False
    for link in links:
        for name in ("next", "next_page"):
            if isinstance(link, dict) and link.get(name):
                link[name] = here
                hit = True
    if isinstance(meta, dict) and "position" in meta and "position" in request.query_params:
        meta.update(position=request.query_params["position"], top=False)
        hit = True
    paging = data.get("paging")
    after = request.query_params.get("after")
    if isinstance(paging, dict) and paging.get("next") and after:
        paging["next"]["after"] = after
        hit = True
    return hit


def _walk(data: Any) -> Iterator[dict[str, Any]]:
    """Every object in an answer, outermost first."""
    if isinstance(data, dict):
        yield data
        for value in list(data.values()):
            yield from _walk(value)
    elif isinstance(data, list):
        for value in data:
            yield from _walk(value)


def _change(data: Any, field: str, rows: int, change: Callable[[dict[str, Any]], None]) -> bool:
    """Changes the first objects that have the field, those in the page's rows before its frame."""
    done: set[int] = set()
    left = rows
    page = _rows(data)
    for place in [*_walk(page), *_walk(data)]:
        if left > 0 and field in place and id(place) not in done:
            change(place)
            done.add(id(place))
            left -= 1
    return left < rows


def set_field(data: Any, field: str, value: Any, rows: int) -> bool:
    """Put a value into the first `rows` objects that have the field."""
    return _change(data, field, rows, lambda place: place.update({field: value}))


def drop_field(data: Any, field: str, rows: int) -> bool:
    """Take the field away from the first `rows` objects that have it."""

    def drop(place: dict[str, Any]) -> None:
        del place[field]

    return _change(data, field, rows, drop)


def raise_totals(data: Any, by: int) -> bool:
    """Make every total of the vendor's own too high."""
    hit = False
    for place in _walk(data):
        for name in _TOTALS & place.keys():
            if isinstance(place[name], int):
                place[name] += by
                hit = True
    return hit


def shift_stamps(data: Any, seconds: float) -> bool:
    """Move every stamp, in ISO or epoch seconds or milliseconds."""
    hit = False
    for place in _walk(data):
        for name, value in place.items():
            moved = _moved(name, value, seconds)
            if moved is not None:
                place[name] = moved
                hit = True
    return hit


def _moved(name: str, value: Any, seconds: float) -> Any:
    if isinstance(value, str) and _ISO.match(value):
        try:
            at = datetime.fromisoformat(value.replace("Z", "+00:00")) + timedelta(seconds=seconds)
        except ValueError:
            return None
        text = at.isoformat()
        return text.replace("+00:00", "Z") if value.endswith("Z") else text
    if name in _EPOCH_KEYS and isinstance(value, int) and not isinstance(value, bool):
        return value + int(seconds * (1000 if value > 10**11 else 1))
    return None


def skewed_date(now: datetime, seconds: float) -> str:
    """The `Date` header of a clock that is wrong."""
    return format_datetime((now + timedelta(seconds=seconds)).astimezone(UTC), usegmt=True)
