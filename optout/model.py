"""The words of the product: states, sources, drift classes and the masks that carry them.

Shapes only; what follows from them is in `optout.rules`. The words are those of
`docs/naming.md`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

TRANSACTIONAL = "transactional"
"""The kind of mail that no opt-out blocks; never a category of a cell."""

MAX_CATEGORIES = 12
"""Preferences are held as bits of signed integers, which every SQL engine has; five masks of one
person fit into one 64-bit word."""


class State(StrEnum):
    """What a preference says of one category."""

    OPTED_IN = "opted_in"
    OPTED_OUT = "opted_out"
    NOT_SET = "not_set"


class Actual(StrEnum):
    """What a system would do for one cell, read by `docs/metrics.md#reading-a-cell`."""

    MAILABLE = "mailable"
    OPTED_OUT = "opted_out"
    NEITHER = "neither"
    ABSENT = "absent"


class TimeKind(StrEnum):
    """How a time is known: the vendor's own stamp, or an interval that we can only bound."""

    SOURCE = "source"
    ESTIMATED = "estimated"


class Source(StrEnum):
    """The way in which a preference was changed; vendors' own words are mapped to these."""

    EMAIL_LINK = "email_link"
    PREFERENCE_CENTER = "preference_center"
    SUPPORT_REQUEST = "support_request"
    FORM = "form"
    API = "api"
    MANUAL = "manual"
    IMPORT = "import"
    SYNC = "sync"
    VENDOR = "vendor"
    UNKNOWN = "unknown"


PERSONAL_SOURCES = frozenset({Source.EMAIL_LINK, Source.PREFERENCE_CENTER, Source.SUPPORT_REQUEST})
"""Acts of the person: only an opt-in through one of these can lift an opt-out (rule 3)."""


class DriftClass(StrEnum):
    """How a cell differs from what is expected; in the order in which the first that fits wins."""

    NOT_COMPARABLE = "not_comparable"
    UNHONOURED_OPT_OUT = "unhonoured_opt_out"
    ORPHAN_MAILABLE = "orphan_mailable"
    LOST_OPT_OUT = "lost_opt_out"
    OVER_SUPPRESSED = "over_suppressed"
    MISSING_HERE = "missing_here"
    CONFLICTING_DUPLICATES = "conflicting_duplicates"


class MetricStatus(StrEnum):
    """A promise is met only if the data to judge it was complete."""

    MET = "met"
    MISSED = "missed"
    UNKNOWN = "unknown"
    SHOWN = "shown"
    """A figure without a promise."""


@dataclass(frozen=True)
class Categories:
    """The company's kinds of mail in their configured order; category i is bit i of every mask."""

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.names) <= MAX_CATEGORIES or len(set(self.names)) != len(self.names):
            raise ValueError(f"between 1 and {MAX_CATEGORIES} different categories")

    @property
    def all(self) -> int:
        """The mask of every category: what a global opt-out covers."""
        return (1 << len(self.names)) - 1

    def bit(self, name: str) -> int:
        """The mask of one category; KeyError if it is not one of the company's."""
        try:
            return 1 << self.names.index(name)
        except ValueError:
            raise KeyError(name) from None

    def mask(self, names: Iterable[str]) -> int:
        """The mask of several categories."""
        result = 0
        for name in names:
            result |= self.bit(name)
        return result

    def by_store(self, mapped: Mapping[str, Iterable[str]]) -> dict[str, int]:
        """Of a mapping of categories to the stores that hold them: store → mask."""
        masks: dict[str, int] = {}
        for name, stores in mapped.items():
            for store in stores:
                masks[store] = masks.get(store, 0) | self.bit(name)
        return masks

    def of(self, mask: int) -> Sequence[str]:
        """The names in a mask, in configured order."""
        return [name for i, name in enumerate(self.names) if mask >> i & 1]
