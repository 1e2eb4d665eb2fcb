"""Numbers, times and terms as people read them. Nothing here rounds a missed promise into a kept
one: a share that is not whole is never shown as 100 %."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from optout.http.redact import Redactor

NO_VALUE = "–"
_SPACE = "\N{NO-BREAK SPACE}"
_MINUS = "\N{MINUS SIGN}"
_REDACT = Redactor()

STATUS = {"met": "met", "missed": "missed", "unknown": "unknown", "shown": "shown"}
READ = {"met": "complete", "missed": "incomplete", "shown": "not had", "unknown": "unknown"}
"""The same statuses where they are about a read."""
MARK = {"met": "✓", "missed": "✗", "unknown": "?", "shown": ""}
"""A status is told by word and sign, not by colour alone."""

CLASS = {
    "unhonoured_opt_out": "Unhonoured opt-out",
    "lost_opt_out": "Lost opt-out",
    "orphan_mailable": "Orphan, mailable",
    "over_suppressed": "Over-suppressed",
    "not_comparable": "Not comparable",
    "missing_here": "Missing here",
    "conflicting_duplicates": "Conflicting duplicates",
}
CLASS_MEANS = {
    "unhonoured_opt_out": "opted out, and this system would mail",
    "lost_opt_out": "opted out here, and the hub does not show it",
    "orphan_mailable": "mailable here, unknown to the hub",
    "over_suppressed": "blocked by an opt-out that the person has lifted",
    "not_comparable": "could not be judged tonight",
    "missing_here": "known to the hub, no record here",
    "conflicting_duplicates": "records of one person contradict each other",
}


_TERMS = CLASS | {
    "ok": "Proven",
    "within_60": "Ends within 60 days",
    "within_30": "Ends within 30 days",
    "within_7": "Ends within 7 days",
    "can_spam": "CAN-SPAM",
    "casl": "CASL",
    "gdpr": "GDPR",
    "uk_pecr": "UK PECR",
    "au_spam": "Spam Act (Australia)",
    "google_bulk": "Google, bulk senders",
    "yahoo_bulk": "Yahoo, bulk senders",
    "api": "API",
    "ip": "IP address",
    "*": "Everything",
}


def plain(text: str | None) -> str:
    """Words that a vendor or a person wrote: nothing in them that looks like an address stays."""
    return _REDACT(text) if text else ""


def title(name: str | None) -> str:
    """A machine's word as a person's: `email_link` → `Email link`."""
    if not name:
        return "All"
    if name in _TERMS:
        return _TERMS[name]
    words = name.replace("_", " ").strip()
    for apart, joined in (("opt out", "opt-out"), ("over supp", "over-supp")):
        words = words.replace(apart, joined)
    return words[:1].upper() + words[1:]


def count(value: float | None) -> str:
    """A whole number in groups of three: 12,345, and −3 with its proper sign."""
    return NO_VALUE if value is None else f"{value:,.0f}".replace("-", _MINUS)


@dataclass(frozen=True)
class Counted:
    """A number that brings its noun in a format: `{n:send|sends}` gives `1 send`, `3 sends`."""

    number: float

    def __format__(self, nouns: str) -> str:
        """The number, with the noun in the right form if any is given."""
        one, _, many = nouns.partition("|")
        noun = one if self.number == 1 else many
        return f"{count(self.number)} {noun}" if nouns else count(self.number)


def percent(value: float | None, target: float | None = None) -> str:
    """A share as a percentage, on the true side of 0, 100 % and the target.

    The space before the sign does not break.
    """
    if value is None:
        return NO_VALUE
    exact = Decimal(repr(value)) * 100
    borders = [Decimal(0), Decimal(100)]
    borders += [] if target is None else [Decimal(repr(target)) * 100]
    for digits in (2, 3, 4):
        shown = round(exact, digits)
        if all((shown < b) == (exact < b) and (shown > b) == (exact > b) for b in borders):
            text = f"{shown:.{digits}f}"
            return f"{text.rstrip('0').rstrip('.') if exact in borders else text}{_SPACE}%"
    edge = ">{0}99.9999{0}%" if value > 0.5 else "<{0}0.0001{0}%"
    return edge.format(_SPACE)


def hours(value: float | None) -> str:
    """Hours as people say them: 45 min, 7.5 h, 3.2 days."""
    if value is None:
        return NO_VALUE
    if value < 1:
        return f"{value * 60:.0f} min"
    return f"{value:.1f} h" if value < 72 else f"{value / 24:.1f} days"


def seconds(value: float | None) -> str:
    """Seconds as people say them."""
    if value is None:
        return NO_VALUE
    if value < 120:
        return f"{value:.1f} s" if 0 < value < 10 else f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def nights(value: int | None) -> str:
    """An age."""
    if value is None:
        return NO_VALUE
    return f"{value:,} night" if value == 1 else f"{value:,} nights"


def day(value: date | None) -> str:
    """A date that does not break: 5 Sep 2026."""
    return NO_VALUE if value is None else f"{value.day} {value:%b %Y}".replace(" ", _SPACE)


def target(text: str | None) -> str:
    """A target with its proper signs."""
    return (text or "").replace(">=", "≥").replace("<=", "≤").replace(" ", _SPACE)


def moment(value: datetime | None, zone: ZoneInfo) -> str:
    """A stored (naive UTC) time in the configured zone: 5 Sep 2026, 04:05 CEST."""
    if value is None:
        return NO_VALUE
    local = value.replace(tzinfo=UTC).astimezone(zone)
    return f"{local.day} {local:%b %Y, %H:%M %Z}"


def utc(value: datetime) -> str:
    """The same in UTC, to the second."""
    return f"{value:%Y-%m-%d %H:%M:%S} UTC"


def plural(number: int, one: str, many: str | None = None) -> str:
    """`1 night`, `3 nights`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def listed(names: list[Any]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    words = [str(name) for name in names]
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
