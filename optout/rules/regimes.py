"""Regimes as data: laws and mailbox providers' rules, read from `regimes.toml` beside this file.

A rule is a record with its source and the day on which it was checked, never a branch in code. What
optout.toml adds may only make things stricter: `Regimes.tightened` refuses the rest.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo


class Unit(StrEnum):
    """What an amount counts."""

    BUSINESS_DAYS = "business_days"
    HOURS = "hours"
    DAYS = "days"
    """Elapsed: 24 hours each."""
    MONTHS = "months"
    YEARS = "years"
    PERCENT = "percent"


class Counting(StrEnum):
    """What the strict reading takes for day 1."""

    DAY_AFTER = "day_after"
    REQUEST_DAY = "request_day"
    ELAPSED = "elapsed"
    CORRESPONDING_DATE = "corresponding_date"


class Reading(StrEnum):
    """Which of the two deadlines a rule sets."""

    STRICT = "strict"
    LEGAL = "legal"
    BOTH = "both"


ELAPSED_UNITS = frozenset({Unit.HOURS, Unit.DAYS})
LOCAL = "local"
"""The calendar of the person's own country."""
_DAYS_OF: Mapping[Unit, float] = {
    Unit.HOURS: 1 / 24, Unit.DAYS: 1, Unit.BUSINESS_DAYS: 1, Unit.MONTHS: 28, Unit.YEARS: 365,
}  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """One time limit (or rate), with where it stands written."""

    regime: str
    rule_id: str
    kind: str
    """opt_out | request | mechanism | complaint."""
    start_event: str
    """occurred_at | received_at | sent_at."""
    unit: Unit
    amount: Any
    """Whole, but for rates."""
    counting: Counting
    severity: str
    source: str
    checked_on: date
    reading: Reading = Reading.BOTH
    calendar: str = "none"
    sources: tuple[str, ...] = ()
    """Only for opt-outs that came this way; empty: all."""
    mark: str = "general"

    @property
    def key(self) -> str:
        """`regime.rule_id`: unique."""
        return f"{self.regime}.{self.rule_id}"

    @property
    def is_elapsed(self) -> bool:
        """Counted in hours from an instant, not in dates."""
        return self.unit in ELAPSED_UNITS

    @property
    def hours(self) -> int:
        """The amount of an elapsed rule."""
        return int(self.amount) * (24 if self.unit is Unit.DAYS else 1)

    def calendar_of(self, country: str | None) -> str | None:
        """Whose holidays the legal reading credits for a person of a country; None: none."""
        if self.calendar == LOCAL:
            return country
        return None if self.calendar == "none" else self.calendar


@dataclass(frozen=True)
class ConsentRule:
    """What one basis of consent is worth in one regime."""

    regime: str
    basis: str
    source: str
    checked_on: date
    unit: Unit | None = None
    """None: it does not expire."""
    amount: int = 0
    is_open_ended: bool = False
    """The date is an end; none, with a document, means still in force."""
    methods: tuple[str, ...] = ()
    """The method that the record must state; empty: any."""


@dataclass(frozen=True)
class Regime:
    """A law in some countries, or a provider of some mailboxes."""

    id: str
    name: str
    countries: frozenset[str] = frozenset()
    mailboxes: frozenset[str] = frozenset()
    """Domains of addresses."""
    consent: str = "opt_out"
    """opt_in: mail needs a consent that can be shown."""


@dataclass(frozen=True)
class Regimes:
    """Everything that is configured."""

    regimes: tuple[Regime, ...]
    rules: tuple[Rule, ...]
    consents: tuple[ConsentRule, ...]
    zones: Mapping[str, str] = field(default_factory=dict)
    """Country → IANA zone of its dates."""
    countries: Mapping[str, str] = field(default_factory=dict)
    """Other ways of writing a country → ISO code."""
    unknown_consent: str = "casl"

    def of_country(self, country: str | None) -> tuple[Regime, ...]:
        """The laws of a country; empty where none is configured or the country is unknown."""
        return tuple(r for r in self.regimes if country in r.countries)

    def limits(self, country: str | None) -> tuple[Rule, ...]:
        """The rules on honouring an opt-out for a person there; where no law is configured those
        of every law, of which the earliest counts."""
        laws = {r.id for r in self.of_country(country)} or {r.id for r in self.laws}
        return tuple(r for r in self.rules if r.kind == "opt_out" and r.regime in laws)

    @property
    def laws(self) -> tuple[Regime, ...]:
        """The regimes that are not a mailbox provider's."""
        return tuple(r for r in self.regimes if not r.mailboxes)

    def mailbox_limits(self) -> tuple[tuple[Rule, Collection[str]], ...]:
        """The providers' rules on honouring an opt-out, with their domains."""
        domains = {r.id: r.mailboxes for r in self.regimes if r.mailboxes}
        return tuple(
            (rule, domains[rule.regime])
            for rule in self.rules
            if rule.kind == "opt_out" and rule.regime in domains
        )

    def consent_regimes(self, country: str | None) -> tuple[str, ...]:
        """The regimes under which a person there must have consented; empty: mail needs none."""
        laws = self.of_country(country)
        if not laws:
            return (self.unknown_consent,)
        return tuple(r.id for r in laws if r.consent == "opt_in")

    def consent_rules(self, regime: str) -> tuple[ConsentRule, ...]:
        """What each basis is worth in a regime."""
        return tuple(c for c in self.consents if c.regime == regime)

    def zone(self, country: str | None, default: ZoneInfo) -> ZoneInfo:
        """Where the dates of a person's deadlines are read."""
        name = self.zones.get(country or "")
        return ZoneInfo(name) if name else default

    def tightened(self, rules: Iterable[Rule]) -> Regimes:
        """With more rules; one of the same key replaces ours and must be at least as strict.
        Raises ValueError for a looser rule or an unknown regime."""
        known = {rule.key: rule for rule in self.rules}
        ids = {r.id for r in self.regimes}
        for rule in rules:
            if rule.regime not in ids:
                raise ValueError(f"{rule.key}: there is no regime '{rule.regime}'")
            old = known.get(rule.key)
            if old is not None and not _is_as_strict(rule, old):
                raise ValueError(
                    f"{rule.key}: {rule.amount} {rule.unit} is looser than {old.amount} {old.unit}"
                )
            known[rule.key] = rule
        return replace(self, rules=tuple(known.values()))


def _is_as_strict(new: Rule, old: Rule) -> bool:
    """Whether a deadline can only come earlier by it."""
    if new.kind != old.kind or {new.reading, old.reading} == {Reading.STRICT, Reading.LEGAL}:
        return False
    if new.sources and set(new.sources) != set(old.sources):
        return False
    if new.unit is old.unit:
        is_sooner = new.amount < old.amount
        same_days = new.calendar in (old.calendar, "none") and new.counting is old.counting
        return bool(is_sooner or (new.amount == old.amount and same_days))
    if new.unit not in ELAPSED_UNITS:
        return False
    return bool(new.amount * _DAYS_OF[new.unit] <= old.amount * _DAYS_OF.get(old.unit, 0))


@cache
def builtin_regimes() -> Regimes:
    """The regimes that this package ships."""
    text = files("optout.rules").joinpath("regimes.toml").read_text(encoding="utf-8")
    return parse_regimes(tomllib.loads(text))


def parse_regimes(table: Mapping[str, Any]) -> Regimes:
    """A parsed regimes.toml; KeyError, TypeError or ValueError where it is wrong."""
    return Regimes(
        regimes=tuple(_regime(row) for row in table["regime"]),
        rules=tuple(parse_rule(row) for row in table["rule"]),
        consents=tuple(_consent(row) for row in table["consent"]),
        zones=dict(table["zones"]),
        countries=dict(table["countries"]),
        unknown_consent=table["unknown"]["consent"],
    )


def parse_rule(row: Mapping[str, Any]) -> Rule:
    """One `[[rule]]`."""
    known = dict(row)
    known["unit"] = Unit(row["unit"])
    known["counting"] = Counting(row["counting"])
    known["reading"] = Reading(row.get("reading", Reading.BOTH))
    known["sources"] = tuple(row.get("sources", ()))
    return Rule(**known)


def _regime(row: Mapping[str, Any]) -> Regime:
    known = dict(row)
    known["countries"] = frozenset(row.get("countries", ()))
    known["mailboxes"] = frozenset(row.get("mailboxes", ()))
    return Regime(**known)


def _consent(row: Mapping[str, Any]) -> ConsentRule:
    known = dict(row)
    known["is_open_ended"] = known.pop("open_ended", False)
    known["unit"] = Unit(row["unit"]) if "unit" in row else None
    known["methods"] = tuple(row.get("methods", ()))
    return ConsentRule(**known)
