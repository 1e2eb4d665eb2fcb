"""What a report consists of, apart from how it is written: typed, and the same for every format.

Values are plain (text, numbers, dates and times as ISO text), so that a report read back from its
JSON is the report that was written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """One column of a table; `kind` says how its values are shown."""

    name: str
    title: str
    kind: str = "text"
    """text | word | target | count | change | share | hours | date | time | status | key | value
    (in what the row's metric is counted)."""


@dataclass(frozen=True)
class Table:
    """Rows with their columns; `not_measured` says why there are none that could be."""

    id: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...] = ()
    lead: str = ""
    empty: str = "Nothing."
    not_measured: str | None = None
    erased: int = 0
    """Rows that were removed because the person was erased."""


@dataclass(frozen=True)
class Section:
    """A heading with paragraphs and tables."""

    id: str
    title: str
    lead: str = ""
    paragraphs: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Head:
    """The end of the chain of recorded changes as published with the night."""

    night: str
    links: int
    link: str
    """Hexadecimal."""


@dataclass(frozen=True)
class Report:
    """One report of one period."""

    kind: str
    title: str
    period: str
    """2026-09-04, 2026-W36, 2026-09 or 2026-Q3."""
    since: str
    until: str
    """The last day of the period."""
    night: str | None
    """The last finished night within the period; None: there was none."""
    made_at: str
    is_over: bool
    """The period was over when the report was made."""
    verdict: str
    """met | missed | unknown."""
    summary: str
    """One sentence."""
    gaps: tuple[str, ...] = ()
    """What was not complete or not comparable, each a sentence."""
    head: Head | None = None
    sections: tuple[Section, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of program, rules and schema."""

    def tables(self) -> Iterator[Table]:
        """Every table, in order."""
        for section in self.sections:
            yield from section.tables

    def with_tables(self, tables: Mapping[str, Table]) -> Report:
        """The report with some tables exchanged, by id."""
        sections = tuple(
            replace(s, tables=tuple(tables.get(t.id, t) for t in s.tables)) for s in self.sections
        )
        return replace(self, sections=sections)


def as_plain(report: Report) -> dict[str, Any]:
    """The report as JSON takes it."""
    return asdict(report)


def from_plain(told: Mapping[str, Any]) -> Report:
    """The report of `as_plain`; raises KeyError or TypeError for anything else."""
    head = told["head"]
    return Report(
        **{
            **told,
            "gaps": tuple(told["gaps"]),
            "head": None if head is None else Head(**head),
            "sections": tuple(_section(s) for s in told["sections"]),
        }
    )


def _section(told: Mapping[str, Any]) -> Section:
    return Section(
        **{
            **told,
            "paragraphs": tuple(told["paragraphs"]),
            "tables": tuple(_table(t) for t in told["tables"]),
        }
    )


def _table(told: Mapping[str, Any]) -> Table:
    columns = tuple(Column(**c) for c in told["columns"])
    return Table(**{**told, "columns": columns, "rows": tuple(told["rows"])})


def columns(*told: str | Sequence[str]) -> tuple[Column, ...]:
    """Columns from `name` or `(name, title, kind)`; a missing title is the name in words."""
    made = []
    for each in told:
        name, *rest = (each,) if isinstance(each, str) else tuple(each)
        words = name.replace("_", " ")
        title = rest[0] if rest else words[:1].upper() + words[1:]
        made.append(Column(name, title, rest[1] if len(rest) > 1 else "text"))
    return tuple(made)
