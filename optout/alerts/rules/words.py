"""Phrases that several rules need."""

from __future__ import annotations

from collections.abc import Iterable


def people(count: int) -> str:
    """`1 person`, `1,200 people`."""
    return "1 person" if count == 1 else f"{count:,} people"


def plural(count: int, one: str, many: str = "") -> str:
    """`1 night`, `2 nights`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(words: Iterable[str], limit: int = 5) -> str:
    """Up to `limit` words, and how many more there are."""
    known = [word for word in words if word]
    more = len(known) - limit
    text = ", ".join(known[:limit])
    return f"{text} and {more} more" if more > 0 else text


def into(system: str) -> str:
    """The group of everything that a broken flow into a system causes."""
    return f"into:{system}"


def source(system: str) -> str:
    """The group of everything that a source which cannot be read causes."""
    return f"source:{system}"
