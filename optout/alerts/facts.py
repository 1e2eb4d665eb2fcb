"""One night's published facts, as rules ask for them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import Any

from duckdb import DuckDBPyConnection

from optout.alerts.rule import ANY, NOBODY, AlertKey, Judgement
from optout.alerts.settings import ThresholdTable
from optout.rules.detection import DetectionRules
from optout.warehouse.coverage import Coverage, coverage
from optout.warehouse.script import query

Row = dict[str, Any]
Metric = tuple[str | None, str | None]
"""System and category; None: over all."""


@dataclass(frozen=True)
class Figure:
    """One metric of one scope and night."""

    night: date
    value: float | None
    numerator: float | None
    denominator: float | None
    status: str
    low: float | None
    high: float | None
    target: str | None
    note: str | None

    @property
    def is_known(self) -> bool:
        """Whether it was measured on complete data."""
        return self.value is not None


@dataclass(frozen=True)
class Facts:
    """What rules may read: the published copy as of its newest night, and the clock."""

    con: DuckDBPyConnection
    night: date
    now: datetime
    today: date
    """The day of `now` in the configured zone."""
    hub: str
    systems: tuple[str, ...]
    """The hub and the ESPs."""
    expected: Mapping[str, Collection[str]]
    """The streams that each system has, where known."""
    environment: str
    limits: ThresholdTable
    detection: DetectionRules
    _asked: dict[tuple[Any, ...], list[Row]] = field(default_factory=dict, repr=False)

    @cached_property
    def covered(self) -> Coverage:
        """How completely the night was read."""
        return coverage(self.con, self.night, self.systems, self.expected)

    @property
    def esps(self) -> tuple[str, ...]:
        """All systems but the hub."""
        return tuple(name for name in self.systems if name != self.hub)

    def is_known(self, *systems: str) -> bool:
        """Whether the night says anything of these systems: a real night, read completely."""
        if self.covered.is_backfill or not self.covered.is_latest:
            return False
        return all(self.covered.is_complete(name) for name in systems)

    def mail_known(self, *systems: str) -> bool:
        """Whether nothing is lacking of these systems: their mail was read to its end, too."""
        if self.covered.is_backfill:
            return False
        return all(not self.covered.lacking.get(name, {"state"}) for name in systems)

    @property
    def all_known(self) -> bool:
        """Every system was read completely."""
        return self.is_known(*self.systems)

    def key(self, rule: str, source: str = ANY, target: str = ANY, scope: str = "all") -> AlertKey:
        """A key in this installation's environment."""
        return AlertKey(rule, source, target, scope, self.environment)

    def judges(self, *always: str) -> Callable[[AlertKey], bool]:
        """Judged where the systems of the key, and those named, were read completely. Where one
        end of a key cannot be told, only a complete night can say that it is over."""

        def judged(key: AlertKey) -> bool:
            if NOBODY in (key.source, key.target):
                return self.all_known
            return self.is_known(*(key.systems | set(always)))

        return judged

    @cached_property
    def nights_before(self) -> int:
        """How many nights were run before this one: there is no trend on the first."""
        row = self.con.execute(
            "SELECT count(*) FROM core.night WHERE night < $night AND kind = 'run'",
            {"night": self.night},
        ).fetchone()
        return int(row[0]) if row else 0

    @cached_property
    def _tables(self) -> frozenset[str]:
        rows = self.con.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables()"
            " UNION ALL SELECT schema_name || '.' || view_name FROM duckdb_views()"
        ).fetchall()
        return frozenset(row[0] for row in rows)

    def has(self, *tables: str) -> bool:
        """Whether the copy has these tables: one that an older version published may not."""
        return self._tables.issuperset(tables)

    def rows(self, name: str, **values: Any) -> list[Row]:
        """The rows of `sql/alert_<name>.sql`; `$night` is bound to this night, `$systems` to those
        that are configured."""
        asked = (name, *sorted(values.items()))
        if asked not in self._asked:
            bound = {"night": self.night, "systems": list(self.systems), **values}
            found = query(self.con, f"alert_{name}", **bound)
            columns = [column[0] for column in self.con.description or ()]
            self._asked[asked] = [dict(zip(columns, row, strict=True)) for row in found]
        return [dict(row) for row in self._asked[asked]]

    def metric(self, name: str, *, nights: int = 1) -> Mapping[Metric, list[Figure]]:
        """A metric's figures by scope: those of this night first, then back in time."""
        found: dict[Metric, list[Figure]] = {}
        for row in self.rows("metric", metric=name, nights=nights):
            scope = (row.pop("system"), row.pop("category"))
            found.setdefault(scope, []).append(Figure(**row))
        return found

    def tonight(self, name: str) -> Mapping[Metric, Figure]:
        """A metric's figures of this night."""
        return {
            scope: figures[0]
            for scope, figures in self.metric(name).items()
            if figures[0].night == self.night
        }


def nothing_known() -> Judgement:
    """The facts that a rule needs are not published: it opens nothing and closes nothing."""
    return Judgement()
