"""Runs the SQL files of this package: statements in order, values as bound parameters only."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any

from duckdb import DuckDBPyConnection

from optout.engine.session import Session

_PARAMETER = re.compile(r"\$([a-z_]+)\b")
_COMMENT = re.compile(r"--[^\n]*")


@cache
def statements(name: str) -> tuple[str, ...]:
    """The statements of `sql/<name>.sql`, without comments; a statement ends with `;` at the end
    of a line."""
    text = files("optout.warehouse").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
    parts = re.split(r";[ \t]*(?:\n|\Z)", _COMMENT.sub("", text))
    return tuple(part.strip() for part in parts if part.strip())


def parameters(statement: str) -> set[str]:
    """The names of the values that a statement wants."""
    return set(_PARAMETER.findall(statement))


def run(con: Session, name: str, **values: Any) -> None:
    """Execute a file; each statement is given the parameters that it names."""
    for statement in statements(name):
        con.execute(statement, {key: values[key] for key in parameters(statement)})


def query(con: DuckDBPyConnection, name: str, **values: Any) -> list[tuple[Any, ...]]:
    """Execute a file and return the rows of its last statement."""
    run(con, name, **values)
    return con.fetchall()
