"""Reading what was sent, and the choices made through it, from whichever log the account has.

Email Logs (POST /v3/logs) are asked first: they tell the group, the machine's address and an id of
each event. Email Activity (GET /v3/messages, sold apart, empty for EU subusers) comes second. Both
answer at most 1,000 messages and have no cursor (`optout.vendors.sendgrid.windows`); a time that
cannot be told apart further makes the night incomplete, and says so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from optout.errors import BrokenAnswer, NotFound, PermissionMissing, UnexpectedAnswer
from optout.http.client import HttpClient
from optout.http.parallel import ordered_map
from optout.http.urls import quote_segment
from optout.model import TRANSACTIONAL
from optout.vendors.sendgrid.message_rows import Event, Message, rows_of_message
from optout.vendors.sendgrid.rows import Account, Book, epoch, moment
from optout.vendors.sendgrid.steps import Result, Sink
from optout.vendors.sendgrid.windows import CAP, SECOND, Window, windows

WORKERS = 4
_ROUNDING = timedelta(seconds=1)
_LOGS, _LOG = "/v3/logs", "/v3/logs/{id}"
_MESSAGES, _MESSAGE = "/v3/messages", "/v3/messages/{id}"


class MessageLog(ABC):
    """One of the two logs, asked for one account."""

    feed: str
    request: str
    splits: tuple[str, ...]
    id_field: str
    time_field: str
    """What windows are about."""

    def __init__(self, http: HttpClient, book: Book, account: Account) -> None:
        self.http = http
        self.book = book
        self.account = account

    def search(self, window: Window, condition: str = "") -> list[dict[str, Any]]:
        """The newest messages of a window, at most `CAP`. Raises BrokenAnswer where one is of
        another time: an answer to another question would hide what was asked for."""
        found = self._search(window, condition)
        first, last = (datetime.fromtimestamp(each / SECOND, UTC) for each in window)
        for each in found:
            at = moment(each.get(self.time_field))
            if at is not None and not first - _ROUNDING <= at <= last + _ROUNDING:
                raise self._broken("a message of another time than asked")
        return found

    @abstractmethod
    def _search(self, window: Window, condition: str) -> list[dict[str, Any]]:
        """What the vendor answers."""

    @abstractmethod
    def message(self, summary: Mapping[str, Any]) -> Message:
        """A message with its events; NotFound if the log has forgotten it."""

    @abstractmethod
    def brief(self, summary: Mapping[str, Any]) -> Message:
        """What the search alone tells."""

    def _list(self, data: Any) -> list[dict[str, Any]]:
        found = data.get("messages") if isinstance(data, dict) else None
        if isinstance(found, list) and all(isinstance(each, dict) for each in found):
            return found
        # Both logs always tell a list: anything else is an error that came as a success.
        raise self._broken("no list of messages")

    def _broken(self, why: str) -> BrokenAnswer:
        return BrokenAnswer(why, system=self.http.system, request=self.request)


class EmailLogs(MessageLog):
    """The Email Logs API: messages by the time at which they were made."""

    feed = "log"
    request = f"POST {_LOGS}"
    id_field = "sg_message_id"
    time_field = "sg_message_id_created_at"
    splits = tuple(
        f"status IN ('{word}')"
        for word in ("processed", "delivered", "deferred", "dropped", "bounced", "blocked")
    )

    def _search(self, window: Window, condition: str) -> list[dict[str, Any]]:
        """Messages that were made in the window. Subusers are named by number here, not by the
        header."""
        start, end = (_stamp(each) for each in window)
        query = f"{self.time_field} >= {start} AND {self.time_field} < {end}"
        body: dict[str, Any] = {"query": _and(query, condition), "limit": CAP}
        if self.account.number:
            body["subusers"] = [self.account.number]
        return self._list(self.http.post(_LOGS, body).data)

    def message(self, summary: Mapping[str, Any]) -> Message:
        """The message with its events (at most the hundred newest)."""
        path = f"{_LOGS}/{quote_segment(summary['sg_message_id'])}"
        params = {"subuser": self.account.number or None}
        data = self.http.get(path, params, template=_LOG).data
        events = data.get("events") or []
        group, custom = data.get("asm_group_id"), data.get("custom_args") or {}
        labels = data.get("category") or []
        campaign = custom.get("singlesend_id") or data.get("marketing_campaign_id")
        return Message(
            str(data["sg_message_id"]), data.get("to_email"), str(data.get("status")),
            moment(summary.get("sg_message_id_created_at")), self.feed,
            categories=self.book.mail(group, labels),
            group=None if group is None else str(group),
            is_transactional=TRANSACTIONAL in labels,
            campaign=None if campaign is None else str(campaign),
            bypass=any(_bypasses(event) for event in events),
            events=tuple(_log_event(event) for event in events),
        )  # fmt: skip

    def brief(self, summary: Mapping[str, Any]) -> Message:
        """Status and time."""
        return Message(
            str(summary["sg_message_id"]), summary.get("to_email"), str(summary.get("status")),
            moment(summary.get("sg_message_id_created_at")), self.feed,
        )  # fmt: skip


class EmailActivity(MessageLog):
    """The Email Activity API: messages by the time of their last event."""

    feed = "activity"
    request = f"GET {_MESSAGES}"
    id_field = "msg_id"
    time_field = "last_event_time"
    splits = tuple(f'status="{word}"' for word in ("processed", "delivered", "not_delivered"))

    def _search(self, window: Window, condition: str) -> list[dict[str, Any]]:
        """Messages to which something happened in the window. Both ends of the vendor's BETWEEN
        belong to it: neighbours share a second, and no fraction falls between them."""
        start, end = (_stamp(each) for each in window)
        query = _and(f"{self.time_field} BETWEEN {start} AND {end}", condition)
        params = {"query": query, "limit": CAP}
        return self._list(self.http.get(_MESSAGES, params, headers=self.account.headers).data)

    def message(self, summary: Mapping[str, Any]) -> Message:
        """The message with its events, which have no ids of their own here."""
        path = f"{_MESSAGES}/{quote_segment(summary['msg_id'])}"
        data = self.http.get(path, template=_MESSAGE, headers=self.account.headers).data
        group, labels = data.get("asm_group_id"), data.get("categories") or []
        alike: Counter[tuple[str, str]] = Counter()
        return Message(
            str(data["msg_id"]), data.get("to_email"), str(data.get("status")), None, self.feed,
            categories=self.book.mail(group, labels),
            group=None if group is None else str(group),
            is_transactional=TRANSACTIONAL in labels,
            events=tuple(
                _activity_event(str(data["msg_id"]), event, alike)
                for event in data.get("events") or []
            ),
        )  # fmt: skip

    def brief(self, summary: Mapping[str, Any]) -> Message:
        """Status and time."""
        return Message(
            str(summary["msg_id"]), summary.get("to_email"), str(summary.get("status")),
            moment(summary.get("last_event_time")), self.feed,
        )  # fmt: skip


@dataclass(frozen=True)
class Span:
    """What is to be read."""

    start: datetime
    end: datetime

    def window(self) -> Window:
        """In whole seconds, none cut off."""
        start, end = (int(at.timestamp()) for at in (self.start, self.end))
        return start * SECOND, (end + 1) * SECOND


def find_log(http: HttpClient, book: Book, account: Account, span: Span) -> MessageLog:
    """The log that the account has; raises PermissionMissing or NotFound if it has neither.

    Asked as the reading of the span begins: an answer that is served twice is then the right one
    (or, where a killed read goes on, one whose times tell that it is not).
    """
    logs = EmailLogs(http, book, account)
    try:
        logs.search(span.window())
    except (PermissionMissing, NotFound):
        activity = EmailActivity(http, book, account)
        activity.search(span.window())
        return activity
    return logs


def read_messages(log: MessageLog, span: Span, sink: Sink) -> Result:
    """All messages of the span with their events; the cursor is the moment up to which all are
    read."""
    start, end = span.window()
    cursor = sink.cursor or {"from": start, "end": end, "read": 0}
    result = Result(read=cursor["read"])
    forgotten = 0
    for window, messages, is_whole in windows(log, (cursor["from"], cursor["end"])):
        if not is_whole:
            result.why.append(f"{log.account.title}: more than {CAP} messages within one second")
        for message, is_known in ordered_map(_fetch(log), messages, WORKERS):
            forgotten += not is_known
            for row in rows_of_message(log.book, log.account, message):
                sink.add(row)
        result.read += len(messages)
        sink.page_done({"from": window[1], "end": cursor["end"], "read": result.read})
    if forgotten:
        result.notes.append(f"{forgotten} messages are shown without their events")
    return result


def _fetch(log: MessageLog) -> Callable[[Mapping[str, Any]], tuple[Message, bool]]:
    def fetch(summary: Mapping[str, Any]) -> tuple[Message, bool]:
        try:
            return log.message(summary), True
        except NotFound:
            return log.brief(summary), False

    return fetch


def _and(query: str, condition: str) -> str:
    return f"{query} AND {condition}" if condition else query


def _stamp(moment_ms: int) -> str:
    """The documented form; with a fraction only where a single second has to be parted."""
    seconds, fraction = divmod(moment_ms, SECOND)
    at = datetime.fromtimestamp(seconds, UTC)
    return f'TIMESTAMP "{at:%Y-%m-%dT%H:%M:%S}{f".{fraction:03}" if fraction else ""}Z"'


def _bypasses(event: Mapping[str, Any]) -> bool:
    """Whether the payload of the send told SendGrid to ignore suppressions."""
    details = event.get("v3_payload_details")
    return isinstance(details, dict) and any(
        name.startswith("bypass") and value for name, value in details.items()
    )


def _log_event(event: Mapping[str, Any]) -> Event:
    at = epoch(event.get("timestamp"))
    if at is None or not isinstance(event.get("sg_event_id"), str):
        raise UnexpectedAnswer("an event without time or id", request=f"GET {_LOG}")
    group = event.get("asm_group_id")
    return Event(
        str(event.get("event")), at, event["sg_event_id"],
        group=None if group is None else str(group), ip=event.get("ip"),
        user_agent=event.get("useragent"), is_hard=event.get("type") == "bounce",
    )  # fmt: skip


_ACTIVITY_NAMES = {
    "bounced": "bounce", "opened": "open", "clicked": "click", "spam_report": "spamreport",
}  # fmt: skip


def _activity_event(
    message: str, event: Mapping[str, Any], alike: Counter[tuple[str, str]]
) -> Event:
    """In the words of the Email Logs; numbered among those that say the same."""
    name, told = str(event.get("event_name")), str(event.get("processed"))
    at = moment(told)
    if at is None:
        raise UnexpectedAnswer("an event without a time", request=f"GET {_MESSAGE}")
    alike[name, told] += 1
    return Event(
        _ACTIVITY_NAMES.get(name, name), at, f"{message}:{name}:{told}:{alike[name, told]}",
        user_agent=event.get("http_user_agent") or None,
        is_hard=event.get("bounce_type") == "hard",
    )  # fmt: skip
