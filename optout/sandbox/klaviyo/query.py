"""The query language of Klaviyo's API as the twin understands it: filters, cursors, field sets.

Strict on purpose: what the vendor refuses is refused here, with a JSON:API error. Fields,
operators and page sizes are those of the vendor's specification of revision 2026-07-15.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPE = "application/vnd.api+json"

PAGED = frozenset({"page[cursor]", "page[size]", "filter", "sort", "include"})
"""The parameters that every list may have."""

_CALL = re.compile(r"\s*([a-z-]+)\(")
_FIELD = re.compile(r"\s*([A-Za-z_.]+)\s*")
_BARE = re.compile(r"[^,()\[\]\"']+")
_QUOTED = re.compile(r"\"([^\"]*)\"|'([^']*)'")

Item = dict[str, Any]
"""A JSON object of an answer."""

T = TypeVar("T")

Operators = Mapping[str, Callable[[Any, Any], bool]]

_COMPARE: Operators = {
    "equals": lambda have, want: bool(have == want),
    "any": lambda have, want: have in want,
    "contains": lambda have, want: want in (have or ""),
    "greater-than": lambda have, want: have is not None and have > want,
    "greater-or-equal": lambda have, want: have is not None and have >= want,
    "less-than": lambda have, want: have is not None and have < want,
    "less-or-equal": lambda have, want: have is not None and have <= want,
}


class Refused(Exception):
    """An answer other than the one asked for, in the vendor's form of errors."""

    def __init__(
        self, status: int, code: str, detail: str, *, parameter: str | None = None
    ) -> None:
        super().__init__(detail)
        error: dict[str, Any] = {
            "id": f"sandbox-{status}-{code}",
            "status": status,
            "code": code,
            "title": "Invalid input." if status == 400 else detail,
            "detail": detail,
            "source": {"parameter": parameter} if parameter else {"pointer": "/data"},
        }
        self.status = status
        self.body = {"errors": [error]}

    def response(self) -> Response:
        """The error as it goes over the wire."""
        return answer(self.body, self.status)


def answer(body: Any, status: int = 200) -> Response:
    """JSON:API text with the vendor's media type."""
    return Response(json.dumps(body), status, media_type=MEDIA_TYPE)


def invalid(detail: str, parameter: str) -> Refused:
    """400 for a parameter."""
    return Refused(400, "invalid", detail, parameter=parameter)


@dataclass(frozen=True)
class Condition:
    """One call of a filter: `greater-than(updated,2026-01-01T00:00:00Z)`."""

    operator: str
    field: str
    value: Any

    def holds(self, values: Iterable[Any]) -> bool:
        """Whether any of a record's values of this field meets the condition."""
        compare = _COMPARE[self.operator]
        return any(compare(value, self.value) for value in values)


def parse_filter(text: str, allowed: Mapping[str, tuple[str, ...]]) -> list[Condition]:
    """The conditions of a filter, all of which must hold (`and(...)` or a plain sequence).

    `allowed` is field → operators; anything else is refused, as is what cannot be parsed.
    """
    conditions, end = _sequence(text, 0, allowed)
    if end != len(text):
        raise invalid("Invalid filter provided.", "filter")
    return conditions


def _sequence(
    text: str, at: int, allowed: Mapping[str, tuple[str, ...]]
) -> tuple[list[Condition], int]:
    found: list[Condition] = []
    while True:
        match = _CALL.match(text, at)
        if match is None:
            raise invalid("Invalid filter provided.", "filter")
        if match[1] == "and":
            inner, at = _sequence(text, match.end(), allowed)
            found += inner
        else:
            condition, at = _condition(match[1], text, match.end())
            if condition.operator not in allowed.get(condition.field, ()):
                raise invalid(f"'{condition.field}' cannot be filtered like this.", "filter")
            found.append(condition)
        if text[at : at + 1] != ")":
            raise invalid("Invalid filter provided.", "filter")
        at += 1
        if text[at : at + 1] != ",":
            return found, at
        at += 1


def _condition(operator: str, text: str, at: int) -> tuple[Condition, int]:
    field = _FIELD.match(text, at)
    if operator not in _COMPARE or field is None or text[field.end() : field.end() + 1] != ",":
        raise invalid("Invalid filter provided.", "filter")
    value, end = _value(text, field.end() + 1)
    return Condition(operator, field[1], value), end


def _value(text: str, at: int) -> tuple[Any, int]:
    if text[at : at + 1] == "[":
        values = []
        at += 1
        while text[at : at + 1] not in ("]", ""):
            value, at = _value(text, at)
            values.append(value)
            at += text[at : at + 1] == ","
        return values, at + 1
    quoted = _QUOTED.match(text, at)
    if quoted:
        return typed(quoted[1] if quoted[1] is not None else quoted[2]), quoted.end()
    bare = _BARE.match(text, at)
    if bare is None:
        raise invalid("Invalid filter provided.", "filter")
    return typed(bare[0].strip()), bare.end()


def typed(text: str) -> Any:
    """A filter's value: a moment where it looks like one, else the text, true or false."""
    if text in ("true", "false"):
        return text == "true"
    if re.match(r"\d{4}-\d\d-\d\d", text):
        try:
            moment = datetime.fromisoformat(text.replace("Z", "+00:00").replace(" ", "+"))
        except ValueError:
            raise invalid("Invalid datetime in filter.", "filter") from None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return text


def check_parameters(request: Request, known: frozenset[str]) -> None:
    """Refuse a parameter that the endpoint does not document."""
    for name in request.query_params:
        if name not in known and not name.startswith("fields["):
            raise invalid(f"'{name}' is not a valid query parameter.", name)


def page_size(request: Request, default: int, maximum: int) -> int:
    """`page[size]` within the endpoint's range."""
    text = request.query_params.get("page[size]", str(default))
    if not text.isdigit() or not 1 <= int(text) <= maximum:
        raise invalid(f"Page size must be an integer between 1 and {maximum}.", "page[size]")
    return int(text)


def words(request: Request, parameter: str, allowed: Sequence[str] = ()) -> tuple[str, ...]:
    """A comma-separated parameter; words that the endpoint does not know are refused."""
    text = request.query_params.get(parameter, "")
    found = tuple(word.strip() for word in text.split(",") if word.strip())
    if allowed and set(found) - set(allowed):
        raise invalid(f"'{text}' is not a valid value.", parameter)
    return found


def encode_cursor(generation: int, key: Sequence[Any]) -> str:
    """An opaque position behind a record; worthless once the generation has passed."""
    return base64.urlsafe_b64encode(json.dumps([generation, *key]).encode()).decode().rstrip("=")


def decode_cursor(text: str, generation: int) -> list[Any]:
    """The key of the record behind which a page begins; refuses a foreign or expired cursor."""
    try:
        raw = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error):
        raise invalid("Invalid page cursor provided.", "page[cursor]") from None
    if not isinstance(raw, list) or raw[0] != generation:
        raise invalid("Invalid page cursor provided.", "page[cursor]")
    return raw[1:]


def sparse(attributes: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The attributes that `fields[...]` asks for; all where it asks for none."""
    if not names:
        return attributes
    tops = {name.partition(".")[0] for name in names}
    return {name: value for name, value in attributes.items() if name in tops}


def conditions(request: Request, allowed: Mapping[str, tuple[str, ...]]) -> list[Condition]:
    """The conditions of the request's filter; none without one."""
    text = request.query_params.get("filter")
    return parse_filter(text, allowed) if text else []


def sorting(request: Request, allowed: Sequence[str], default: str) -> tuple[str, bool]:
    """The field to put in order by, and whether backwards."""
    text = request.query_params.get("sort", default)
    name = text.removeprefix("-")
    if name not in allowed:
        raise invalid(f"'{text}' is not a valid sort.", "sort")
    return name, text.startswith("-")


def page_of(
    request: Request,
    found: Sequence[T],
    size: int,
    generation: int,
    key: Callable[[T], list[Any]],
    *,
    reverse: bool = False,
) -> tuple[Sequence[T], Item]:
    """The page behind the cursor, with its links. `found` must be in the order of `key`."""
    start = 0
    cursor = request.query_params.get("page[cursor]")
    if cursor:
        behind = decode_cursor(cursor, generation)
        if reverse:
            start = len(found) - bisect_left(found[::-1], behind, key=key)
        else:
            start = bisect_right(found, behind, key=key)
    page = found[start : start + size]
    links = {"self": str(request.url)}
    if start + size < len(found):
        after = encode_cursor(generation, key(page[-1]))
        query = [(k, v) for k, v in request.query_params.multi_items() if k != "page[cursor]"]
        query.append(("page[cursor]", after))
        links["next"] = f"{str(request.url).partition('?')[0]}?{urlencode(query)}"
    return page, links


def resource(
    request: Request, kind: str, item_id: str, attributes: Item, **relationships: Any
) -> Item:
    """One resource object, with the attributes that `fields[...]` asks for."""
    base = str(request.url).partition("/api/")[0]
    return {
        "type": kind,
        "id": item_id,
        "attributes": sparse(attributes, words(request, f"fields[{kind}]")),
        "relationships": relationships,
        "links": {"self": f"{base}/api/{kind}s/{item_id}/"},
    }


def to_one(kind: str, item_id: str) -> Item:
    """A relationship to one resource."""
    return {"data": {"type": kind, "id": item_id}}


def to_many(kind: str, *ids: str) -> Item:
    """A relationship to several resources."""
    return {"data": [{"type": kind, "id": each} for each in ids]}
