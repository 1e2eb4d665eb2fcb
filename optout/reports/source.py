"""Reads the published copy for reports: what is not in it was not measured, and is called so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from importlib.resources import files
from typing import Any
from uuid import UUID

import duckdb
from duckdb import DuckDBPyConnection

from optout.errors import UsageError
from optout.project import Project
from optout.reports.document import Column, Head, Row, Table
from optout.reports.periods import Period
from optout.settings import Settings

_TABLE = re.compile(r"\b(?:FROM|JOIN)\s+((?:core|audit|mart)\.\w+)")
_PARAMETER = re.compile(r"\$([a-z_]+)\b")
_COMMENT = re.compile(r"--[^\n]*")


class NotMeasured(Exception):
    """The published copy does not hold this table."""


@dataclass(frozen=True)
class Source:
    """The published copy as one report sees it."""

    con: DuckDBPyConnection
    settings: Settings
    period: Period
    now: datetime

    @cached_property
    def nights(self) -> list[Row]:
        """Nights within the period that were begun: `night`, `kind`, `is_finished`,
        `is_complete`."""
        return self.rows("report_nights")

    @cached_property
    def night(self) -> date | None:
        """The last finished night of the period."""
        done = [row["night"] for row in self.nights if row["is_finished"]]
        return date.fromisoformat(max(done)) if done else None

    @cached_property
    def as_of(self) -> str:
        """For tables of which only the present state is kept: of which night it is."""
        row = self.con.execute(
            "SELECT max(night) FROM core.night WHERE finished_at IS NOT NULL"
        ).fetchone()
        latest = row[0] if row else None
        return f"As of the night {latest}." if latest else ""

    @cached_property
    def _tables(self) -> frozenset[str]:
        found = self.con.execute(
            "SELECT table_schema || '.' || table_name FROM information_schema.tables"
        ).fetchall()
        return frozenset(name for (name,) in found)

    def rows(self, name: str, **values: Any) -> list[Row]:
        """The rows of `sql/<name>.sql`; `$night`, `$since`, `$until`, `$hub` stand for the
        report's. Raises NotMeasured."""
        text = files("optout.reports").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
        sql = _COMMENT.sub("", text)
        for table in _TABLE.findall(sql):
            if table not in self._tables:
                raise NotMeasured(table)
        known = {
            "since": self.period.since,
            "until": self.period.until,
            "hub": self.settings.hub.name,
            **values,
        }
        if "$night" in sql and "night" not in known:
            known["night"] = self.night
        cursor = self.con.execute(sql, {key: known[key] for key in set(_PARAMETER.findall(sql))})
        names = [column[0] for column in cursor.description or ()]
        return [
            {n: _plain(v) for n, v in zip(names, row, strict=True)} for row in cursor.fetchall()
        ]

    def table(
        self, id: str, title: str, columns: tuple[Column, ...], query: str,
        *, lead: str = "", empty: str = "Nothing.", **values: Any,
    ) -> Table:  # fmt: skip
        """A table of a query; where the copy holds nothing to answer it from, it says so."""
        if self.night is None:
            return Table(id, title, columns, lead=lead, not_measured="no night in the period ended")
        try:
            rows = tuple(self.rows(query, **values))
        except NotMeasured as missing:
            return Table(id, title, columns, lead=lead, not_measured=f"{missing} is not published")
        return Table(id, title, columns, rows, lead=lead, empty=empty)

    def head(self) -> Head | None:
        """The head of the chain, as published; None where nothing was recorded yet."""
        try:
            found = self.rows("report_head")
        except NotMeasured:
            return None
        if not found or found[0]["link"] is None:
            return None
        row = found[0]
        return Head(str(row["night"]), int(row["links"]), str(row["link"]))


@contextmanager
def open_published(project: Project) -> Iterator[DuckDBPyConnection]:
    """The published copy; raises UsageError where there is none yet."""
    if not project.published.exists():
        raise UsageError("no night was published yet", mend="Run `optout run` first")
    con = duckdb.connect(str(project.published), read_only=True)
    try:
        con.execute("SET TimeZone = 'UTC'")
        yield con
    finally:
        con.close()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds") + "Z"
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value
