"""The work tables of one night on Spark, and the statements that fill them.

A table is a list of Parquet folders behind a temporary view; each statement that changes it writes
a new folder, so that nothing is read while it is written and nothing is computed twice. The schemas
`core` and `audit` become prefixes, because temporary views have no schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from optout.engine import forms
from optout.engine.session import Cursor
from optout.errors import InternalError

_SCHEMA = re.compile(r"\b(core|audit)\.([a-z_]+)\b")
_PARAMETER = re.compile(r"\$([a-z_0-9]+)\b")
_TYPE = re.compile(r"\bAS (VARCHAR|UUID|TIMESTAMP)\b")
_TYPES = {
    "VARCHAR": "STRING",
    "UUID": "STRING",
    "TIMESTAMP": "TIMESTAMP_NTZ",
    "INTEGER": "INT",
    "BIGINT": "BIGINT",
    "BOOLEAN": "BOOLEAN",
    "DATE": "DATE",
    "DOUBLE": "DOUBLE",
}
"""DuckDB's type → Spark's."""


@dataclass(frozen=True)
class _Table:
    types: Mapping[str, str]
    """Column → Spark's type."""
    folders: tuple[Path, ...]


class _Answer:
    """Rows that have been fetched; see `Cursor`."""

    def __init__(self, rows: Sequence[tuple[Any, ...]] = ()) -> None:
        self._rows: Iterator[tuple[Any, ...]] = iter(rows)

    def fetchone(self) -> tuple[Any, ...] | None:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return list(self._rows)


class SparkWork:
    """A `Session` on Spark. `spark` is a session of its own, `folder` is reached by all workers."""

    def __init__(self, spark: Any, folder: Path) -> None:
        self._spark = spark
        self._folder = folder
        self._tables: dict[str, _Table] = {}
        self._written = 0

    def configure(self, options: Mapping[str, str]) -> None:
        """Settings of this session alone."""
        for name, value in options.items():
            self._spark.conf.set(name, value)

    def place(self, name: str) -> Path:
        """Where `receive` looks for a table that is handed over."""
        return self._folder / f"{_flat(name)}-0"

    def receive(self, name: str, types: Mapping[str, str]) -> None:
        """Show the table that lies at its `place`; `types` are DuckDB's."""
        own = {column: _TYPES[kind] for column, kind in types.items()}
        self._show(name, _Table(own, (self.place(name),)))

    def files(self, name: str) -> list[str]:
        """The files of a table."""
        folders = self._tables[name].folders
        return [str(file) for folder in folders for file in sorted(folder.glob("*.parquet"))]

    def count(self, name: str) -> int:
        """Rows of a table, as the workers see it."""
        return int(self._spark.table(_flat(name)).count())

    def execute(self, query: str, parameters: object = None, /) -> Cursor:
        """See `Session.execute`."""
        values = dict(parameters) if isinstance(parameters, Mapping) else {}
        form = forms.parse(query)
        if isinstance(form, forms.Query):
            return _Answer([tuple(row) for row in self._sql(form.select, values).collect()])
        self._carry_out(form, values)
        return _Answer()

    def executemany(self, query: str, parameters: object = None, /) -> Cursor:
        """See `Session.executemany`; of few rows."""
        form, rows = forms.parse(query), [tuple(row) for row in _sequence(parameters)]
        if not isinstance(form, forms.Insert):
            raise InternalError("rows can only be inserted")
        names = [[f"$v_{r}_{c}" for c in range(len(row))] for r, row in enumerate(rows)]
        values = {
            name[1:]: value
            for marks, row in zip(names, rows, strict=True)
            for name, value in zip(marks, row, strict=True)
        }
        told = ", ".join(f"({', '.join(marks)})" for marks in names)
        self._insert(form, self._sql(f"SELECT * FROM VALUES {told}", values))  # noqa: S608
        return _Answer()

    def _carry_out(self, form: forms.Form, values: Mapping[str, Any]) -> None:
        match form:
            case forms.Create(name, select, True):
                self._sql(f"CREATE OR REPLACE TEMP VIEW {_flat(name)} AS {select}", values)
            case forms.Create(name, select, False):
                self._put(name, self._sql(select, values))
            case forms.Declare(name, columns):
                pairs = [column.split() for column in columns.split(",")]
                self._show(name, _Table({c: _TYPES[kind] for c, kind in pairs}, ()))
            case forms.Insert(_, _, select):
                self._insert(form, self._sql(select, values))
            case forms.Delete():
                self._delete(form, values)
            case forms.Update():
                self._update(form, values)
            case forms.Drop(name):
                self._tables.pop(name, None)
                self._spark.catalog.dropTempView(_flat(name))

    def _delete(self, form: forms.Delete, values: Mapping[str, Any]) -> None:
        if not form.where:
            self._show(form.name, _Table(self._tables[form.name].types, ()))
            return
        kept = f"SELECT * FROM {form.name} AS {form.alias} WHERE {_not(form.where)}"  # noqa: S608
        self._put(form.name, self._sql(kept, values))

    def _update(self, form: forms.Update, values: Mapping[str, Any]) -> None:
        """The changed rows beside those that stay; each row of the table is one of the two."""
        types, new = self._tables[form.name].types, dict(form.values)
        columns = ", ".join(
            f"CAST({new.get(name, f'{form.alias}.{name}')} AS {kind}) AS {name}"
            for name, kind in types.items()
        )
        table = f"{form.name} AS {form.alias}"
        if form.source:
            hit = f"SELECT {columns} FROM {table} JOIN {form.source} ON {form.where}"  # noqa: S608
            miss = f"NOT EXISTS (SELECT 1 FROM {form.source} WHERE {form.where})"  # noqa: S608
        else:
            hit = f"SELECT {columns} FROM {table} WHERE {form.where}"  # noqa: S608
            miss = _not(form.where)
        before = self.count(form.name)
        both = f"{hit} UNION ALL SELECT {form.alias}.* FROM {table} WHERE {miss}"  # noqa: S608
        self._put(form.name, self._sql(both, values))
        if self.count(form.name) != before:
            raise InternalError(f"a change of {form.name} lost rows or doubled them")

    def _insert(self, form: forms.Insert, rows: Any) -> None:
        """By place; columns that are not named get none."""
        table = self._tables[form.name]
        given = dict(zip(form.columns or table.types, rows.columns, strict=True))
        placed = rows.toDF(*(f"c{n}" for n in range(len(rows.columns))))
        at = {name: f"c{n}" for n, name in enumerate(given)}
        chosen = placed.selectExpr(
            *(
                f"CAST({at.get(name, 'NULL')} AS {kind}) AS {name}"
                for name, kind in table.types.items()
            )
        )
        self._show(form.name, _Table(table.types, (*table.folders, self._write(form.name, chosen))))

    def _put(self, name: str, rows: Any) -> None:
        types = {f.name: f.dataType.simpleString().upper() for f in rows.schema.fields}
        self._show(name, _Table(types, (self._write(name, rows),)))

    def _write(self, name: str, rows: Any) -> Path:
        self._written += 1
        folder = self._folder / f"{_flat(name)}-{self._written}"
        rows.write.parquet(f"file://{folder}")
        return folder

    def _show(self, name: str, table: _Table) -> None:
        schema = ", ".join(f"`{column}` {kind}" for column, kind in table.types.items())
        if table.folders:
            paths = [f"file://{folder}" for folder in table.folders]
            rows = self._spark.read.schema(schema).parquet(*paths)
        else:
            rows = self._spark.createDataFrame([], schema)
        rows.createOrReplaceTempView(_flat(name))
        self._tables[name] = table

    def _sql(self, text: str, values: Mapping[str, Any]) -> Any:
        """A query in Spark's spelling of names, types and parameters; its text stays as it is."""
        told = _TYPE.sub(lambda m: f"AS {_TYPES[m[1]]}", _SCHEMA.sub(r"\1__\2", text))
        names = sorted(set(_PARAMETER.findall(told)))
        told = _PARAMETER.sub(lambda m: _marker(m[1], values[m[1]]), told)
        return self._spark.sql(told, args={name: _plain(values[name]) for name in names})


def _flat(name: str) -> str:
    return name.replace(".", "__")


def _not(condition: str) -> str:
    """Where a condition does not hold; unknown is no."""
    return f"NOT coalesce(({condition}), false)"


def _sequence(parameters: object) -> Sequence[Sequence[Any]]:
    return parameters if isinstance(parameters, Sequence) else ()


def _marker(name: str, value: object) -> str:
    """Moments are bound as text: Spark would take Python's own for moments with a zone."""
    if isinstance(value, datetime):
        return f"CAST(:{name} AS TIMESTAMP_NTZ)"
    if isinstance(value, date):
        return f"CAST(:{name} AS DATE)"
    if isinstance(value, timedelta):
        return f"make_dt_interval(0, 0, 0, CAST(:{name} AS DECIMAL(18, 6)))"
    return f":{name}"


def _plain(value: object) -> object:
    if isinstance(value, timedelta):
        return f"{value / timedelta(seconds=1):.6f}"
    return value.isoformat() if isinstance(value, date) else value
