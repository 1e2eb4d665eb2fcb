"""What several tests of the vendors' twins begin with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

from optout.model import State
from optout.sandbox.acts import Person, Twin

TwinT = TypeVar("TwinT", bound=Twin)


def peopled(twin: TwinT, count: int, states: Mapping[str, State], at: datetime) -> TwinT:
    """The twin, whose present is `at`, with p1@example.org and so on in these states."""
    twin.now = at
    for number in range(1, count + 1):
        twin.add(Person(number, f"p{number}@example.org", "Pat", "Doe"), states, at)
    return twin
