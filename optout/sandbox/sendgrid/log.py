"""The twin's two logs of messages: Email Logs (POST /v3/logs) and Email Activity (/v3/messages).

Both show at most 1,000 messages to a query and have no cursor: whoever asks for a window that
holds more is given the newest and never told. Neither is in every account. For EU subusers Email
Activity answers with nothing at all, which looks like an account that sent nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from optout.sandbox.sendgrid.door import Refusal, Row, body_of, number
from optout.sandbox.sendgrid.state import Account, Message, iso

if TYPE_CHECKING:
    from optout.sandbox.sendgrid.twin import SendGridTwin

MAX_MESSAGES = 1000
Test = Callable[[Message], bool]

_TIME = r'TIMESTAMP "([^"]+)"'
_CREATED = re.compile(rf"sg_message_id_created_at\s*(>=|<=|>|<)\s*{_TIME}")
_STATUS_IN = re.compile(r"status IN \(([^)]*)\)")
_EQUALS = re.compile(r'(to_email|subject|sg_message_id|msg_id|status|asm_group_id)\s*=\s*"([^"]*)"')
_BETWEEN = re.compile(rf"last_event_time BETWEEN {_TIME} AND {_TIME}")
_ACTIVITY_NAMES = {
    "bounce": "bounced", "open": "opened", "click": "clicked", "spamreport": "spam_report",
    "cancel_drop": "dropped",
}  # fmt: skip


def table(twin: SendGridTwin) -> list[Row]:
    """Paths of both logs."""
    api = _Logs(twin)
    return [
        ("POST", "/v3/logs", "messages.read", api.search_logs),
        ("GET", "/v3/logs/{id}", "messages.read", api.log),
        ("GET", "/v3/messages", "messages.read", api.search_activity),
        ("GET", "/v3/messages/{id}", "messages.read", api.activity),
    ]


class _Logs:
    """Handlers; each is given the account that the request speaks for."""

    def __init__(self, twin: SendGridTwin) -> None:
        self.twin = twin

    def _of(self, account: Account, subusers: list[str]) -> Account:
        """Email Logs name a subuser by number, in the request instead of the header."""
        if not self.twin.logs_on:
            raise Refusal(404, "not found")
        if len(subusers) > 1:
            raise Refusal(400, "subusers: one at a time", "subusers")
        for each in subusers:
            named = [a for a in self.twin.subusers.values() if str(a.id) == each]
            if not named:
                raise Refusal(403, "access forbidden")
            return named[0]
        return account

    async def search_logs(self, account: Account, request: Request) -> Response:
        body = await body_of(request)
        chosen = self._of(account, [str(each) for each in body.get("subusers", [])])
        limit = body.get("limit", 10)
        tests = _tests(str(body.get("query", "")), (_created, _status_in, _equals))
        found = _newest(chosen, tests, limit, lambda m: m.created.timestamp())
        return JSONResponse({"messages": [message.summary() for message in found]})

    def log(self, account: Account, request: Request) -> Response:
        subuser = request.query_params.get("subuser")
        chosen = self._of(account, [subuser] if subuser else [])
        return JSONResponse(_message(chosen, request).details())

    def search_activity(self, account: Account, request: Request) -> Response:
        self._sold(account)
        limit = number(request, "limit", 10)
        tests = _tests(request.query_params.get("query", ""), (_between, _equals))
        found = _newest(account, tests, limit, lambda m: float(m.last_event))
        if account.region == "eu":
            found = []
        return JSONResponse({"messages": [_activity_summary(message) for message in found]})

    def activity(self, account: Account, request: Request) -> Response:
        self._sold(account)
        return JSONResponse(_activity_details(_message(account, request)))

    def _sold(self, account: Account) -> None:
        if not self.twin.activity_on:
            raise Refusal(403, "access forbidden")


def _message(account: Account, request: Request) -> Message:
    found = account.messages.get(request.path_params["id"])
    if found is None:
        raise Refusal(404, "message not found")
    return found


def _newest(
    account: Account, tests: list[Test], limit: Any, age: Callable[[Message], float]
) -> list[Message]:
    if not isinstance(limit, int) or not 1 <= limit <= MAX_MESSAGES:
        raise Refusal(400, f"limit must be between 1 and {MAX_MESSAGES}", "limit")
    found = [m for m in account.messages.values() if all(test(m) for test in tests)]
    return sorted(found, key=age, reverse=True)[:limit]


# --- the query language: conditions joined by AND -------------------------------------------------
def _tests(query: str, kinds: tuple[Callable[[str], tuple[Test, int] | None], ...]) -> list[Test]:
    tests: list[Test] = []
    rest = query.strip()
    while rest:
        read = next((found for kind in kinds if (found := kind(rest))), None)
        if read is None:
            raise Refusal(400, "invalid syntax in the query", "query")
        tests.append(read[0])
        rest = rest[read[1] :].strip()
        if rest and not rest.startswith("AND "):
            raise Refusal(400, "invalid syntax in the query", "query")
        rest = rest.removeprefix("AND ").strip()
    return tests


def _created(text: str) -> tuple[Test, int] | None:
    found = _CREATED.match(text)
    if not found:
        return None
    sign, bound = found[1], _at(found[2])
    compare: dict[str, Test] = {
        ">": lambda m: m.created > bound,
        ">=": lambda m: m.created >= bound,
        "<": lambda m: m.created < bound,
        "<=": lambda m: m.created <= bound,
    }
    return compare[sign], found.end()


def _status_in(text: str) -> tuple[Test, int] | None:
    found = _STATUS_IN.match(text)
    if not found:
        return None
    values = set(re.findall(r"'([^']*)'", found[1]))
    return (lambda m: m.status in values), found.end()


def _equals(text: str) -> tuple[Test, int] | None:
    found = _EQUALS.match(text)
    if not found:
        return None
    name, value = found[1], found[2]
    has: dict[str, Test] = {
        "to_email": lambda m: m.to_email == value,
        "subject": lambda m: m.subject == value,
        "sg_message_id": lambda m: m.id == value,
        "msg_id": lambda m: m.id == value,
        "status": lambda m: _activity_status(m) == value,
        "asm_group_id": lambda m: str(m.group_id) == value,
    }
    return has[name], found.end()


def _between(text: str) -> tuple[Test, int] | None:
    found = _BETWEEN.match(text)
    if not found:
        return None
    first, last = _at(found[1]).timestamp(), _at(found[2]).timestamp()
    return (lambda m: first <= m.last_event <= last), found.end()


def _at(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Refusal(400, "invalid timestamp in the query", "query") from None


# --- Email Activity's own shapes -----------------------------------------------------------------
def _activity_status(message: Message) -> str:
    if message.status in ("processed", "delivered"):
        return message.status
    return "not_delivered"


def _activity_summary(message: Message) -> dict[str, Any]:
    return {
        "from_email": message.from_email,
        "msg_id": message.id,
        "subject": message.subject,
        "to_email": message.to_email,
        "status": _activity_status(message),
        "opens_count": sum(event["event"] == "open" for event in message.events),
        "clicks_count": sum(event["event"] == "click" for event in message.events),
        "last_event_time": iso(datetime.fromtimestamp(message.last_event, UTC)),
    }


def _activity_details(message: Message) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "from_email": message.from_email, "msg_id": message.id, "subject": message.subject,
        "to_email": message.to_email, "status": _activity_status(message), "template_id": "",
        "teammate": "", "api_key_id": "sandboxkey", "categories": list(message.labels),
        "unique_args": "", "originating_ip": "192.0.2.10", "outbound_ip": "192.0.2.10",
        "outbound_ip_type": "dedicated", "events": [
            _activity_event(event) for event in message.events if event["event"] != "received"
        ],
    }  # fmt: skip
    if message.group_id is not None:
        shown["asm_group_id"] = message.group_id
    return shown


def _activity_event(event: dict[str, Any]) -> dict[str, Any]:
    name = str(event["event"])
    shown = {
        "event_name": _ACTIVITY_NAMES.get(name, name),
        "processed": iso(datetime.fromtimestamp(int(event["timestamp"]), UTC)),
        # The specification demands one of the two of every event, whatever it is.
        "bounce_type": "hard" if event.get("type") == "bounce" else "soft",
        "http_user_agent": event.get("useragent", ""),
        "mx_server": "",
    }
    return shown | ({"reason": event["reason"]} if "reason" in event else {})
