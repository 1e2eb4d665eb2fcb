"""All messages of a time, from a log that shows at most `CAP` of them and has no cursor.

A window that comes back full is halved. A second that is full is parted by what else the log can
be asked for, then by fractions of it: that fractions are heeded is not documented, so what they
show is believed only where it contains all that the whole second showed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from optout.errors import RequestRefused

CAP = 1000
SECOND = 1000
"""Windows are in milliseconds, the unit of the smallest."""
Window = tuple[int, int]
"""Unix milliseconds, the second one outside."""
Found = list[dict[str, Any]]


class Searched(Protocol):
    """A log of messages."""

    splits: tuple[str, ...]
    """Conditions that part a second's messages further: each message meets one of them."""
    id_field: str
    """Where a summary tells the message's id."""

    def search(self, window: Window, condition: str = "") -> Found:
        """The newest messages of a window, at most `CAP`."""


def windows(log: Searched, whole: Window) -> Iterator[tuple[Window, Found, bool]]:
    """Windows of whole seconds from left to right, each with all its messages (or the word that
    they are not all)."""
    waiting = [whole] if whole[0] < whole[1] else []
    while waiting:
        window = waiting.pop()
        found = log.search(window)
        if len(found) < CAP:
            yield window, found, True
        elif window[1] - window[0] > SECOND:
            waiting += reversed(_halves(window, SECOND))
        else:
            yield window, *_second(log, window, found)


def _halves(window: Window, unit: int) -> tuple[Window, Window]:
    start, end = window
    middle = start + (end - start) // 2 // unit * unit
    return (start, middle), (middle, end)


def _second(log: Searched, window: Window, shown: Found) -> tuple[Found, bool]:
    """A second's messages, and whether these are all."""
    parts = [log.search(window, condition) for condition in log.splits]
    if _is_all(log, parts, shown):
        return _together(log, parts), True
    seen = _together(log, [shown, *parts])
    try:
        pieces = list(_fractions(log, window))
    except RequestRefused:
        return seen, False
    return _together(log, [seen, *pieces]), _is_all(log, pieces, seen)


def _is_all(log: Searched, parts: Sequence[Found], seen: Found) -> bool:
    """Whether no part is full and together they hold whatever was seen otherwise: a condition that
    is not heeded, or that leaves some out, would hide sends."""
    ids = {each[log.id_field] for part in parts for each in part}
    return all(len(part) < CAP for part in parts) and ids >= {each[log.id_field] for each in seen}


def _fractions(log: Searched, second: Window) -> Iterator[Found]:
    """The messages of parts of a second, none of them longer than it has to be."""
    waiting = list(_halves(second, 1))
    while waiting:
        window = waiting.pop()
        found = log.search(window)
        if len(found) >= CAP and window[1] - window[0] > 1:
            waiting += _halves(window, 1)
        else:
            yield found


def _together(log: Searched, parts: Sequence[Found]) -> Found:
    """Each message once."""
    return list({each[log.id_field]: each for part in parts for each in part}.values())
