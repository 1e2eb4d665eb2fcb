"""Reads the published copy: frames for figures and pages, CSV files beside them.

Every query is a file in `dashboards/sql`; its tables are checked against the copy first, so that a
part that this copy does not hold is *not measured*, never empty.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
from duckdb import DuckDBPyConnection

from dashboards import words
from dashboards.frame import Frame
from optout.errors import UsageError
from optout.project import Project
from optout.settings import DEFAULT_FILE, load_settings

PATH_VARIABLE = "OPTOUT_PUBLISHED"
_TABLE = re.compile(r"\b(?:FROM|JOIN)\s+((?:core|audit|mart)\.\w+)")
_PARAMETER = re.compile(r"\$([a-z_]+)\b")

_FOREIGN = frozenset({"why_not", "note", "campaign", "detail", "revision", "previous"})
"""Columns with words that are not ours."""
_CODES = frozenset({"store", "campaign_id", "channel"})
"""Columns with a vendor's names of things; an address in one is not expected, and masked."""

_REACH = 90
"""Nights that `$first` reaches back, unless a query is given another."""

Scope = tuple[str, str | None, str | None]
"""Metric, system, category; None: over all."""


class NotMeasured(Exception):
    """Nobody measured it: the copy has no such table or figure. Says so as a clause."""

    @classmethod
    def table(cls, name: str) -> NotMeasured:
        """A table that the copy lacks."""
        return cls(f"this copy has no table {name}")

    @classmethod
    def metric(cls, name: str) -> NotMeasured:
        """A figure that mart lacks."""
        return cls(f"this copy has no figure {name}")


@dataclass(frozen=True)
class Context:
    """What pages need of the configuration."""

    zone: ZoneInfo
    hub: str
    systems: tuple[str, ...]
    """ESPs in configured order."""
    categories: tuple[str, ...]
    runs_url: str = ""
    """The orchestrator's address of a run, before its id; empty where none is configured."""
    runbook_url: str = ""
    """The folder of the runbooks, where a browser can open it."""

    @classmethod
    def of(cls, project: Project) -> Context:
        """From optout.toml."""
        s = project.settings
        dagster, books = (s.alerts.dagster_url or ""), s.alerts.runbook_url
        return cls(
            s.zone,
            s.hub.name,
            tuple(esp.name for esp in s.esp),
            s.categories,
            f"{dagster.rstrip('/')}/runs/" if dagster else "",
            books.rstrip("/") if books.startswith(("http://", "https://")) else "",
        )

    @classmethod
    def guess(cls, con: DuckDBPyConnection) -> Context:
        """From the copy alone, in UTC: for a copy that was handed on without its configuration."""
        pairs = con.execute(
            "SELECT DISTINCT system, category FROM mart.metric_daily"
            " WHERE metric = 'opt_out_recall' AND system IS NOT NULL AND category IS NOT NULL"
            " ORDER BY ALL"
        ).fetchall()
        systems = tuple(dict.fromkeys(system for system, _ in pairs))
        read = con.execute("SELECT DISTINCT system FROM core.source_read ORDER BY 1").fetchall()
        hub = next((name for (name,) in read if name not in systems), "hub")
        return cls(ZoneInfo("UTC"), hub, systems, tuple(sorted({c for _, c in pairs})))


class Published:
    """One night as the published copy shows it. Not thread-safe; `open_published` closes it."""

    def __init__(
        self, con: DuckDBPyConnection, context: Context, night: date | None = None
    ) -> None:
        """Raises UsageError where no such night is finished in the copy."""
        row = con.execute(
            """
            SELECT night, cutoff_at, kind, finished_at, run_id FROM core.night
            WHERE finished_at IS NOT NULL AND ($night IS NULL OR night = $night)
            ORDER BY night DESC LIMIT 1
            """,
            {"night": night},
        ).fetchone()
        if row is None:
            which = f"the night {night} is" if night else "no night is"
            raise UsageError(f"{which} in the published copy", mend="Run `optout run` first")
        self.con = con
        self.context = context
        self.night: date = row[0]
        self.cutoff: datetime = row[1]
        self.kind: str = row[2]
        self.finished: datetime = row[3]
        self.run_id: str | None = row[4]

    @cached_property
    def is_latest(self) -> bool:
        """Whether the copy knows of no later night: only then is its state that of the night."""
        row = self.con.execute(
            "SELECT max(night) FROM core.night WHERE finished_at IS NOT NULL"
        ).fetchone()
        return row is not None and row[0] == self.night

    @cached_property
    def tables(self) -> frozenset[str]:
        """`schema.table` of everything in the copy."""
        rows = self.con.execute(
            "SELECT table_schema || '.' || table_name FROM information_schema.tables"
        ).fetchall()
        return frozenset(name for (name,) in rows)

    def frame(self, name: str, *, limit: int | None = None, **values: Any) -> Frame:
        """The rows of `sql/<name>.sql`, which may use `$night`, `$cutoff`, `$first` (90 nights
        before) and any of `values`. Raises NotMeasured."""
        cut = "" if limit is None else f" LIMIT {limit:d}"
        cursor = self._run(_statement(name) + cut, values)
        columns = [column[0] for column in cursor.description or ()]
        return Frame.of(columns, cursor.fetchall())

    def export(self, name: str, path: Path, **values: Any) -> int:
        """Write all rows of a query as CSV; returns their number. NotMeasured.

        Columns that hold a vendor's or a person's words are redacted and cannot be taken for
        formulas; rows of keys and words of our own go straight from DuckDB to the file.
        """
        columns = self.frame(name, limit=0, **values).columns
        if _FOREIGN.isdisjoint(columns):
            quoted = str(path).replace("'", "''")
            copy = f"COPY ({_masked(_statement(name), columns)}) TO '{quoted}' (HEADER)"
            row = self._run(copy, values).fetchone()
            count = int(row[0]) if row else 0
        else:
            count = self._write(path, self.frame(name, **values))
        path.chmod(0o600)
        return count

    @staticmethod
    def _write(path: Path, frame: Frame) -> int:
        foreign = [name in _FOREIGN | _CODES for name in frame.columns]
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(frame.columns)
            for row in frame.rows:
                writer.writerow(
                    _harmless(value) if is_foreign else value
                    for value, is_foreign in zip(row, foreign, strict=True)
                )
        return len(frame)

    def count(self, name: str, **values: Any) -> int:
        """How many rows a query gives. NotMeasured."""
        sql = f"SELECT count(*) FROM ({_statement(name)}) AS q"  # noqa: S608
        row = self._run(sql, values).fetchone()
        return int(row[0]) if row else 0

    def _run(self, sql: str, values: Mapping[str, Any]) -> DuckDBPyConnection:
        for table in _TABLE.findall(sql):
            if table not in self.tables:
                raise NotMeasured.table(table)
        first = self.calendar(_REACH)[0]
        known = {"night": self.night, "cutoff": self.cutoff, "first": first, **values}
        return self.con.execute(sql, {key: known[key] for key in set(_PARAMETER.findall(sql))})

    @cached_property
    def metrics(self) -> Mapping[Scope, dict[str, Any]]:
        """Every figure of the night."""
        rows = self.frame("metrics")
        return {(r["metric"], r["system"], r["category"]): r for r in rows}

    def metric(
        self, name: str, system: str | None = None, category: str | None = None
    ) -> dict[str, Any] | None:
        """One figure of the night; None where nobody measured it."""
        return self.metrics.get((name, system, category))

    def of_metric(self, *names: str) -> list[dict[str, Any]]:
        """All figures of these metrics, whatever their scope."""
        return [row for (metric, _, _), row in self.metrics.items() if metric in names]

    @cached_property
    def chain_head(self) -> str:
        """The head of the chain over all changes, in hexadecimal; empty where the copy has none."""
        try:
            row = self.frame("chain_head").first()
        except NotMeasured:
            return ""
        return "" if row is None else str(row["link"])

    def calendar(self, length: int) -> list[date]:
        """The last nights, oldest first, whether or not they were run."""
        return [self.night - timedelta(days=n) for n in range(length - 1, -1, -1)]

    @cached_property
    def first_night(self) -> date:
        """The first night that was ever run: before it there is nothing to know."""
        row = self.con.execute("SELECT min(night) FROM core.night").fetchone()
        return row[0] if row and row[0] else self.night

    @cached_property
    def _overall(self) -> Mapping[str, Mapping[date, dict[str, Any]]]:
        found: dict[str, dict[date, dict[str, Any]]] = {}
        for row in self.frame("metric_overall", first=self.calendar(_REACH)[0]):
            found.setdefault(row["metric"], {})[row["night"]] = row
        return found

    def trend(self, metric: str, length: int = 30) -> Frame:
        """A metric over all systems, a row a night. A night that was not run is unknown; one before
        the first that ever was has the status `before`."""
        known = self._overall.get(metric, {})
        columns = ("night", "value", "status", "numerator", "denominator", "note")
        missing = {"value": None, "status": "unknown", "numerator": None, "denominator": None,
                   "note": "not measured that night"}  # fmt: skip
        rows = []
        for night in self.calendar(length):
            row = known.get(night, missing) | {"night": night}
            if night < self.first_night:
                row["status"] = "before"
            rows.append([row[name] for name in columns])
        return Frame.of(columns, rows)


@contextmanager
def open_published(
    path: Path | None = None, context: Context | None = None, *, night: date | None = None
) -> Iterator[Published]:
    """The copy at `path`; without one, that of OPTOUT_PUBLISHED, else that of ./optout.toml.

    Raises UsageError where there is none, and where the night is not in it.
    """
    if path is None:
        path, context = _found(os.environ, context)
    if not path.exists():
        raise UsageError("no night was published yet", mend="Run `optout run` first")
    con = duckdb.connect(str(path), read_only=True)
    try:
        con.execute("SET TimeZone = 'UTC'")
        yield Published(con, context or Context.guess(con), night)
    finally:
        con.close()


def _found(environ: Mapping[str, str], context: Context | None) -> tuple[Path, Context | None]:
    if environ.get(PATH_VARIABLE):
        return Path(environ[PATH_VARIABLE]), context
    settings = load_settings(DEFAULT_FILE)
    esps = tuple(esp.name for esp in settings.esp)
    told = Context(settings.zone, settings.hub.name, esps, settings.categories)
    return settings.data_dir / "published" / "optout.duckdb", context or told


@cache
def _statement(name: str) -> str:
    text = files("dashboards").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
    return re.sub(r"--[^\n]*", "", text).strip().rstrip(";")


def _masked(sql: str, columns: Collection[str]) -> str:
    """The query with the words around an @ taken out of its codes."""
    codes = [name for name in columns if name in _CODES]
    if not codes:
        return sql
    masks = ", ".join(rf"regexp_replace({c}, '\S*@\S*', '[address]', 'g') AS {c}" for c in codes)
    return f"SELECT * REPLACE ({masks}) FROM ({sql})"  # noqa: S608


def _harmless(value: Any) -> Any:
    """A text that a spreadsheet shows and does not run."""
    if not isinstance(value, str):
        return value
    text = words.plain(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
