"""What is true of the world on one night: the shapes that the oracle fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from optout.model import Actual, DriftClass
from optout.sandbox.acts import Governance
from optout.sandbox.truth.tally import LateSend, Processing
from optout.sandbox.truth.trail import Gap
from optout.sandbox.world.nights import Night


class DriftRow(NamedTuple):
    """One cell that is not what is expected; `address` is normalised."""

    drift_class: DriftClass
    system: str
    category: str
    address: str


def rows(
    drift_class: str, system: str, category: str | None, address: str, categories: Sequence[str]
) -> frozenset[DriftRow]:
    """A finding of the product as the truth's rows: one without a category is of all of them."""
    chosen = categories if category is None else (category,)
    return frozenset(DriftRow(DriftClass(drift_class), system, c, address) for c in chosen)


class Recall(NamedTuple):
    """Among the people expected out of a category: what one system would do."""

    opted_out: int
    mailable: int
    neither: int
    absent: int

    @property
    def value(self) -> float | None:
        """Opted out of those that the system decides on; None where there are none."""
        total = self.opted_out + self.mailable
        return self.opted_out / total if total else None


@dataclass(frozen=True)
class Truth:
    """What a perfect reader of all nights up to this one would find."""

    night: Night
    drift: frozenset[DriftRow]
    reasons: Mapping[DriftRow, str]
    """Why, where the class alone does not say it: `time_unknown`, `unknown_value`."""
    expected_out: Mapping[str, frozenset[str]]
    """Category → addresses that no system may mail."""
    recall: Mapping[tuple[str, str], Recall]
    """(ESP, category) → the headline figure."""
    cells: Mapping[tuple[str, str, str], Actual]
    """(ESP, category, address) → what the ESP would do, for everybody known anywhere."""
    gaps: tuple[Gap, ...]
    """All faults of the hub's trail up to this night."""
    hub_changes: tuple[int, int]
    """Changes that the hub's trail should tell, and those that it tells completely."""
    late_sends: tuple[LateSend, ...]
    """All sends after an opt-out up to this night."""
    processing: tuple[Processing, ...]
    """Opt-outs that people made, up to this night; as it is at the last replayed night."""
    consent: Mapping[str, tuple[tuple[Governance, str | None], ...]]
    """Address → consent fields and raw country of each contact and lead."""

    def of(self, drift_class: DriftClass) -> frozenset[DriftRow]:
        """The rows of one class."""
        return frozenset(row for row in self.drift if row.drift_class is drift_class)
