"""What a consent is worth on a day; `sql/consent_*.sql` computes the same for everyone at once.

A basis is an event with a document (an order, a contract, an inquiry); what it is worth is data
(`optout.rules.regimes`). Inactivity neither makes nor ends consent. Withdrawals are opt-outs and
live elsewhere; a status here says what the mail could rest on if there were none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from optout.rules.clocks import add_calendar_months, add_years
from optout.rules.regimes import ConsentRule, Unit

ALERT_DAYS = (60, 30, 7)
"""How many days before the last safe one it is time to ask, while mail is still allowed."""


class ConsentStatus(StrEnum):
    """What a marketing mail to a person could rest on."""

    OK = "ok"
    WITHIN_60 = "within_60"
    WITHIN_30 = "within_30"
    WITHIN_7 = "within_7"
    EXPIRED = "expired"
    NOT_PROVEN = "not_proven"


SAFE = frozenset(set(ConsentStatus) - {ConsentStatus.EXPIRED, ConsentStatus.NOT_PROVEN})
"""Statuses that allow mail today."""


@dataclass(frozen=True)
class ConsentRecord:
    """The consent fields of one contact or lead of the hub."""

    basis: str | None
    basis_date: date | None
    """The day of the event; the end where the basis is open-ended (contract, membership)."""
    basis_ref: str | None
    """The document."""
    method: str | None = None


@dataclass(frozen=True)
class Consent:
    """The best of a person's records on a day."""

    status: ConsentStatus
    basis: str | None
    expires_on: date | None
    """None: not by time."""

    @property
    def last_safe_day(self) -> date | None:
        """The last day on which mail is allowed: the time runs out *before* the day of expiry."""
        return None if self.expires_on is None else self.expires_on - timedelta(days=1)

    def days_left(self, today: date) -> int | None:
        """Days until the last safe one; negative when it has passed."""
        last = self.last_safe_day
        return None if last is None else (last - today).days


def evaluate(
    records: Iterable[ConsentRecord], rules: Iterable[ConsentRule], today: date
) -> Consent:
    """The best basis of all records of a person: one that never expires, else the one that lasts
    longest, else not proven."""
    by_basis = {rule.basis: rule for rule in rules}
    records = list(records)
    found = [c for r in records if (c := _worth(r, by_basis, today)) is not None]
    best = max(found, key=_rank, default=None)
    if best is None:
        return Consent(ConsentStatus.NOT_PROVEN, _named(records), None)
    basis, expires = best
    return Consent(status_of(expires, today), basis, expires)


def status_of(expires: date | None, today: date) -> ConsentStatus:
    """The status of a proven basis by the days that are left."""
    if expires is None:
        return ConsentStatus.OK
    left = (expires - today).days - 1
    if left < 0:
        return ConsentStatus.EXPIRED
    sooner = [limit for limit in ALERT_DAYS if left <= limit]
    return ConsentStatus(f"within_{min(sooner)}") if sooner else ConsentStatus.OK


def _worth(
    record: ConsentRecord, rules: dict[str, ConsentRule], today: date
) -> tuple[str, date | None] | None:
    """(basis, expiry) of one record; None: it proves nothing."""
    basis = _word(record.basis)
    rule = rules.get(basis or "")
    if rule is None or not _word(record.basis_ref):
        return None
    if rule.methods and _word(record.method) not in rule.methods:
        return None
    if record.basis_date is None:
        return (rule.basis, None) if rule.is_open_ended else None
    if record.basis_date > today and not rule.is_open_ended:
        return None  # a document of a day to come shows nothing
    return rule.basis, _expiry(rule, record.basis_date)


def _expiry(rule: ConsentRule, start: date) -> date | None:
    if rule.unit is Unit.YEARS:
        return add_years(start, rule.amount)
    if rule.unit is Unit.MONTHS:
        return add_calendar_months(start, rule.amount)
    return None


def _rank(found: tuple[str, date | None]) -> tuple[date, str]:
    basis, expires = found
    return expires or date.max, basis


def _named(records: Iterable[ConsentRecord]) -> str | None:
    """The basis that a person without a proven one is said to have."""
    return max((word for r in records if (word := _word(r.basis))), default=None)


def _word(text: str | None) -> str | None:
    return (text or "").strip().lower() or None
