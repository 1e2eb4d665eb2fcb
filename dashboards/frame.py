"""A small table of rows, as read from the published copy: what figures and pages take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

Record = Mapping[str, Any]

_SHOWN_ROWS = 20


@dataclass(frozen=True)
class Frame:
    """Columns and rows, immutable; a notebook shows it as a table."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...] = ()

    @classmethod
    def of(cls, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Frame:
        """A frame of any iterables."""
        return cls(tuple(columns), tuple(tuple(row) for row in rows))

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in self.rows:
            yield dict(zip(self.columns, row, strict=True))

    def column(self, name: str) -> list[Any]:
        """The values of one column, in order; KeyError where there is none."""
        try:
            place = self.columns.index(name)
        except ValueError:
            raise KeyError(name) from None
        return [row[place] for row in self.rows]

    def distinct(self, name: str) -> list[Any]:
        """The values of one column, each once, in the order of their first appearance."""
        return list(dict.fromkeys(self.column(name)))

    def where(self, test: Callable[[Record], bool] | None = None, /, **equal: Any) -> Frame:
        """The rows whose named columns have these values and that pass the test."""
        kept = [
            row
            for row, record in zip(self.rows, self, strict=True)
            if all(record[name] == value for name, value in equal.items())
            and (test is None or test(record))
        ]
        return Frame(self.columns, tuple(kept))

    def head(self, count: int) -> Frame:
        """The first rows."""
        return Frame(self.columns, self.rows[:count])

    def select(self, *names: str) -> Frame:
        """Only these columns, in this order."""
        return Frame.of(names, zip(*(self.column(name) for name in names), strict=True))

    def first(self) -> dict[str, Any] | None:
        """The first row, or None."""
        return next(iter(self), None)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(name)}</th>" for name in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape('' if v is None else str(v))}</td>" for v in row)
            for row in self.rows[:_SHOWN_ROWS]
        )
        more = len(self) - _SHOWN_ROWS
        note = f"<p>and {more:,} rows more</p>" if more > 0 else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"
