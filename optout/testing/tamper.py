"""A network whose JSON answers are changed on their way: canaries in every field, broken shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random
from typing import Any

import orjson
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from optout.testing.contract import answer

Change = Callable[[Any], Any]
"""Takes a parsed answer, gives the one to be served."""
_FRAMING = ("content-encoding", "content-length", "transfer-encoding")
STRUCTURE = frozenset({
    "next", "prev", "self", "links", "href", "url", "urls", "paging", "after", "offset", "hasMore",
    "has-more", "position", "top", "meta", "_metadata", "total_items", "total", "queues", "data",
    "items", "results", "included", "relationships", "ack_key", "count", "type", "list_id",
})  # fmt: skip
"""Keys by which answers hang together; the contract suite breaks them."""


class TamperingAdapter(HTTPAdapter):
    """The real network; each answer that is JSON goes through `change`."""

    def __init__(self, change: Change) -> None:
        super().__init__(pool_connections=4, pool_maxsize=32)
        self._change = change

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        """Ask, and change what comes."""
        return tampered(super().send(request, *args, **options), self._change)


def tampered(response: Response, change: Change) -> Response:
    """The answer as it is told after the change; what is no JSON stays as it is."""
    body = response.raw.read(decode_content=True)
    headers = CaseInsensitiveDict(response.headers)
    for name in _FRAMING:
        headers.pop(name, None)
    with suppress(orjson.JSONDecodeError):
        body = orjson.dumps(change(orjson.loads(body)))
    found = answer(response.status_code, headers, body)
    found.url = response.url
    return found


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in an answer, outermost first."""
    if isinstance(value, dict):
        yield value
        for each in list(value.values()):
            yield from objects(each)
    elif isinstance(value, list):
        for each in value:
            yield from objects(each)


ODD: tuple[Any, ...] = (
    None, "", " ", 0, -1, 2**53, 1e308, True, [], {}, [None], {"a": {}}, "\x00", "\u202e@\ufeff",
    "1e400", "2026-13-45T99:99:99Z", "💥" * 50, "NaN", "Ünïcödé@exämple.com", ["a", 1, None],
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "[{", 4_294_967_296, -0.0,
)  # fmt: skip
"""Values that no vendor documents."""


class Breaker:
    """Breaks about one object in `every` in one place: drops a key, or puts something odd there."""

    def __init__(self, rng: Random, every: int = 12) -> None:
        self._rng = rng
        self._every = every
        self.broken: list[str] = []
        """What was done, for messages."""

    def __call__(self, value: Any) -> Any:
        """The answer with its broken objects."""
        for each in objects(value):
            names = [name for name in each if name not in STRUCTURE]
            if names and not self._rng.randrange(self._every):
                self._break(each, self._rng.choice(sorted(names)))
        return value

    def _break(self, each: dict[str, Any], name: str) -> None:
        if not self._rng.randrange(3):
            del each[name]
            self.broken.append(f"{name} dropped")
        else:
            # True where False was is no odd shape but another word.
            is_word = isinstance(each[name], bool)
            each[name] = self._rng.choice([o for o in ODD if not (is_word and o is True)])
            self.broken.append(f"{name} = {each[name]!r:.40}")
