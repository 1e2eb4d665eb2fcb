"""How Mailchimp's lists are asked for: partial responses, pages, filters, and its errors."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse

from optout.sandbox.mailchimp.state import STATUSES, Audience, Member, seconds

ERRORS = "https://mailchimp.com/developer/marketing/docs/errors/"
MAX_COUNT = 1000
DEFAULT_COUNT = 10
_SORTS = ("timestamp_opt", "timestamp_signup", "last_changed")


class ProblemError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, title: str, detail: str, field: str | None = None) -> None:
        super().__init__(title)
        self.status, self.title, self.detail, self.field = status, title, detail, field

    def response(self) -> JSONResponse:
        """`application/problem+json`, with the fields at fault where there are some."""
        body: dict[str, Any] = {
            "type": ERRORS,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": "00000000-0000-0000-0000-000000000000",
        }
        if self.field is not None:
            body["errors"] = [{"field": self.field, "message": self.detail}]
        media = "application/problem+json; charset=utf-8"
        return JSONResponse(body, self.status, media_type=media)


def not_found() -> ProblemError:
    """Nothing by this id."""
    return ProblemError(404, "Resource Not Found", "The requested resource could not be found.")


def invalid(field: str, message: str) -> ProblemError:
    """A parameter or field of the body that the vendor does not take."""
    return ProblemError(400, "Invalid Resource", message, field)


def authorise(request: Request, key: str) -> None:
    """HTTP Basic with any user and the key, or the key as a bearer token."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            given = ""
    elif scheme.lower() != "bearer":
        raise ProblemError(401, "API Key Missing", "Your request did not include an API key.")
    if given != key:
        detail = "Your API key may be invalid, or you've attempted to access the wrong datacenter."
        raise ProblemError(401, "API Key Invalid", detail)


# --- partial responses --------------------------------------------------------------------------
Tree = dict[str, Any]


def _tree(paths: str) -> Tree:
    """`a.b,a.c,d` as nested dicts; an empty dict is a whole branch."""
    root: Tree = {}
    for path in filter(None, (part.strip() for part in paths.split(","))):
        node = root
        for name in path.split("."):
            node = node.setdefault(name, {})
    return root


def _keep(data: Any, tree: Tree) -> Any:
    if not tree:
        return data
    if isinstance(data, list):
        return [_keep(each, tree) for each in data]
    if isinstance(data, dict):
        return {name: _keep(data[name], branch) for name, branch in tree.items() if name in data}
    return data


def _drop(data: Any, tree: Tree) -> Any:
    if isinstance(data, list):
        return [_drop(each, tree) for each in data]
    if isinstance(data, dict):
        return {
            name: _drop(value, tree[name]) if tree.get(name) else value
            for name, value in data.items()
            if tree.get(name, True)
        }
    return data


def partial(data: dict[str, Any], query: QueryParams) -> dict[str, Any]:
    """The answer reduced to `fields`, without `exclude_fields`."""
    kept: dict[str, Any] = _keep(data, _tree(query.get("fields", "")))
    dropped: dict[str, Any] = _drop(kept, _tree(query.get("exclude_fields", "")))
    return dropped


# --- pages and filters --------------------------------------------------------------------------
def page_bounds(query: QueryParams) -> tuple[int, int]:
    """`offset` and `count` (default 10, at most 1000)."""
    count = _number(query, "count", DEFAULT_COUNT)
    if count > MAX_COUNT:
        raise invalid("count", "This value should be 1000 or less.")
    return _number(query, "offset", 0), count


def _number(query: QueryParams, name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not text.isdigit():
        raise invalid(name, "This value should be a positive integer.")
    return int(text)


def moment(query: QueryParams, name: str) -> datetime | None:
    """A time of the query, to the second; None where it is not asked."""
    text = query.get(name)
    if not text:
        return None
    try:
        parsed = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None:
        raise invalid(name, "This value is not a valid ISO 8601 date and time.")
    return seconds(parsed)


def choice(query: QueryParams, name: str, allowed: tuple[str, ...]) -> str | None:
    """One of the documented words."""
    value = query.get(name)
    if value is not None and value not in allowed:
        raise invalid(name, "The value you selected is not a valid choice.")
    return value


def members(audience: Audience, query: QueryParams) -> list[Member]:
    """The members that a listing means: filtered and sorted, not yet cut into pages.

    Without `status` the archived ones are left out. Bounds in time are exclusive at both ends, the
    stricter reading of the documented "after" and "before".
    """
    status = choice(query, "status", STATUSES)
    since, before = moment(query, "since_last_changed"), moment(query, "before_last_changed")
    opted, unsubscribed = moment(query, "since_timestamp_opt"), moment(query, "unsubscribed_since")
    sort = choice(query, "sort_field", _SORTS)
    direction = choice(query, "sort_dir", ("ASC", "DESC"))
    if unsubscribed and status != "unsubscribed":
        raise invalid("status", "Status must be unsubscribed when using unsubscribed_since.")
    if query.get("since_last_campaign") is not None and status is None:
        raise invalid("status", "Status is required when using since_last_campaign filter.")

    def fits(member: Member) -> bool:
        return (
            (member.status == status if status else member.status != "archived")
            and (since is None or member.last_changed > since)
            and (before is None or member.last_changed < before)
            and (opted is None or (member.opt is not None and member.opt > opted))
            and (
                unsubscribed is None
                or (member.unsubscribed_at is not None and member.unsubscribed_at > unsubscribed)
            )
        )

    def place(member: Member) -> tuple[float, int]:
        told = {"timestamp_opt": member.opt, "timestamp_signup": member.signup}
        when = told.get(sort, member.last_changed) if sort else None
        sign = -1 if direction == "DESC" else 1
        return (sign * when.timestamp() if when else 0.0, member.web_id)

    key = (status, since, before, opted, unsubscribed, sort, direction)
    return audience.listing(key, lambda all_: sorted(filter(fits, all_), key=place))


def sent_between(rows: list[Any], query: QueryParams) -> list[Any]:
    """Campaigns by `since_send_time` and `before_send_time`, the latest first."""
    since, before = moment(query, "since_send_time"), moment(query, "before_send_time")
    fitting = [
        row
        for row in rows
        if (since is None or row.sent_at > since) and (before is None or row.sent_at < before)
    ]
    is_ascending = choice(query, "sort_dir", ("ASC", "DESC")) == "ASC"
    return sorted(fitting, key=lambda row: row.sent_at, reverse=not is_ascending)


def interests_of(body: Mapping[str, Any], audience: Audience) -> dict[str, bool]:
    """The interests that a write names; an id of another list is refused."""
    given = body.get("interests", {})
    if not isinstance(given, dict) or not all(isinstance(v, bool) for v in given.values()):
        raise invalid("interests", "Schema describes object of booleans.")
    if set(given) - set(audience.interests):
        raise invalid("interests", "One of the interest ids does not exist.")
    return given
