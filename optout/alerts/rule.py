"""What an alert is about: its key, the condition that a rule found, and what a rule is.

A rule is a function of one night's published facts. It says what is wrong now (`Condition`), and of
which keys it could judge at all: what it could not judge is *unknown*, which neither opens an alert
nor closes one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from enum import IntEnum, StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optout.alerts.facts import Facts

ANY = ""
"""A part of a key that does not apply."""
NOBODY = "unknown"
"""Stands for a system that cannot be told."""


class Severity(StrEnum):
    """What an alert asks for: a person now, a person this week, nobody in particular."""

    DIGEST = "digest"
    TICKET = "ticket"
    PAGE = "page"

    @property
    def rank(self) -> int:
        """Greater is more urgent."""
        return list(Severity).index(self)


class Direction(StrEnum):
    """Which way people are wronged."""

    MAILABLE = "mailable although opted out"
    LOST = "the opt-out is missing here and may be undone elsewhere"
    BLOCKED = "blocked although entitled to mail"
    EVIDENCE = "the evidence is incomplete"
    UNSEEN = "what happened to people cannot be seen"
    TREND = "people's behaviour changed"


class Telling(IntEnum):
    """What an alert says beside others of one presumed cause: the greater leads among equals."""

    SUMMARY = 0
    """A figure in which the others show."""
    PEOPLE = 1
    """Who is wronged, and how."""
    CAUSE = 2
    """What did it."""


class Family(StrEnum):
    """Rules that one sensor judges together."""

    DRIFT = "drift"
    SPIKE = "spike"
    CONSENT = "consent"
    DEADLINE = "deadline"
    EXTRACTION = "extraction"
    RUN = "run"
    DELIVERY = "delivery"


@dataclass(frozen=True)
class AlertKey:
    """One problem. Neither a date nor a count: the same problem has the same key every night.

    `source` and `target` are names of systems (or `ANY`); everything else that tells problems of
    one rule apart stands in `scope`.
    """

    rule: str
    source: str = ANY
    target: str = ANY
    scope: str = "all"
    environment: str = "production"

    @property
    def dedup_key(self) -> str:
        """What every channel knows the problem by; 47 characters, no personal data."""
        parts = (self.rule, self.source, self.target, self.scope, self.environment)
        return "optout:" + sha256("|".join(parts).encode()).hexdigest()[:40]

    @property
    def systems(self) -> frozenset[str]:
        """The systems that the problem lies between."""
        return frozenset({self.source, self.target}) - {ANY, NOBODY}


@dataclass(frozen=True)
class Condition:
    """What one rule found wrong tonight. Counts, names of systems and dates; never a person."""

    key: AlertKey
    severity: Severity
    headline: str
    """One line: what is wrong, for how many."""
    count: int
    """What grows when it gets worse: people, or streams, or nights."""
    people: int | None = None
    previous: int | None = None
    """The same count last night; None: not known."""
    direction: Direction | None = None
    systems: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    since: date | None = None
    """The first night that showed it, where the facts tell."""
    deadline: date | None = None
    """The nearest strict deadline."""
    band: int = 0
    """How near the deadline is, in steps; a greater one notifies again."""
    events: frozenset[str] = frozenset()
    """Opaque digests of single happenings of which every new one notifies."""
    group: str = ""
    """Alerts of one presumed cause: told together, the most urgent one first."""
    telling: Telling = Telling.PEOPLE
    suspected: str = ""
    """The first suspected cause, as a sentence."""
    next_step: str = ""
    is_judged: bool = True
    """False: seen, but the data was incomplete; neither opens nor closes."""
    details: Mapping[str, str | int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain values, for the state file."""
        return asdict(self) | {"events": sorted(self.events)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Condition:
        """The reverse of `as_json`; fields of another version of the program are left out."""
        names = {f.name for f in fields(cls)}
        known = {name: value for name, value in data.items() if name in names}
        for name in ("since", "deadline"):
            known[name] = date.fromisoformat(known[name]) if known.get(name) else None
        known["key"] = AlertKey(**known["key"])
        known["severity"] = Severity(known["severity"])
        known["telling"] = Telling(known.get("telling", Telling.PEOPLE))
        known["direction"] = Direction(known["direction"]) if known.get("direction") else None
        known["events"] = frozenset(known.get("events", ()))
        for name in ("systems", "categories"):
            known[name] = tuple(known.get(name, ()))
        return cls(**known)


@dataclass(frozen=True)
class Judgement:
    """What a rule says of a night: what is wrong, and of which keys it can say that nothing is."""

    conditions: Sequence[Condition] = ()
    judged: Callable[[AlertKey], bool] = lambda key: False


@dataclass(frozen=True)
class Rule:
    """One rule: its name is the name of its runbook."""

    name: str
    family: Family
    promise: str
    """The rule in words, as the alert quotes it."""
    judge: Callable[[Facts], Judgement]
    never_muted: bool = False
    """No silence, no grouping and no failed extraction keeps it quiet."""


def event_digest(*parts: object) -> str:
    """A stable digest of one happening, which tells nothing about it."""
    return sha256("|".join(str(part) for part in parts).encode()).hexdigest()[:24]
