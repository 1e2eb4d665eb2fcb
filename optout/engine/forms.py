"""Takes apart the few statements around a SELECT that the reconcile files use.

The rules are SELECTs, which DuckDB and Spark SQL read alike. What keeps their results (`CREATE OR
REPLACE TEMP TABLE`, `INSERT`, `UPDATE`, `DELETE`) differs by engine, so it is recognised here and
carried out by whoever runs it. Anything else raises InternalError: a statement that is not
understood must not be left out in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from optout.errors import InternalError

# `DISTINCT FROM` is a comparison and begins no clause.
_TOKEN = re.compile(r"'(?:[^']|'')*'|DISTINCT FROM|\"[^\"]*\"|[(),]|\w+")
_NAME = r"([a-z0-9_.]+)"
_CREATE = re.compile(rf"CREATE OR REPLACE TEMP (TABLE|VIEW) {_NAME}\s+(?:AS\b|(?=\())", re.I)
_INSERT = re.compile(rf"INSERT INTO {_NAME}\s*(?:\(([^()]*)\))?\s*(?=SELECT|WITH|VALUES)", re.I)
_CHANGE = re.compile(rf"(UPDATE|DELETE FROM) {_NAME}(?:\s+AS\s+(\w+))?", re.I)
_DROP = re.compile(rf"DROP (?:TABLE|VIEW) IF EXISTS {_NAME}$", re.I)
_QUERY = re.compile(r"(?:SELECT|WITH)\b", re.I)


@dataclass(frozen=True)
class Query:
    """Rows that are asked for."""

    select: str


@dataclass(frozen=True)
class Create:
    """A work table or view that is made of a query."""

    name: str
    select: str
    is_view: bool


@dataclass(frozen=True)
class Declare:
    """An empty work table."""

    name: str
    columns: str
    """Names with their types, as written."""


@dataclass(frozen=True)
class Insert:
    """Rows that are added."""

    name: str
    columns: tuple[str, ...]
    """Empty: all, in their order."""
    select: str


@dataclass(frozen=True)
class Delete:
    """Rows that are taken away."""

    name: str
    alias: str
    where: str
    """Empty: all of them."""


@dataclass(frozen=True)
class Update:
    """Rows that are changed."""

    name: str
    alias: str
    values: tuple[tuple[str, str], ...]
    """Column and expression."""
    source: str
    """The table, with its alias, that the values come from; empty: none."""
    where: str


@dataclass(frozen=True)
class Drop:
    """A work table or view that is no longer needed."""

    name: str


Form = Query | Create | Declare | Insert | Delete | Update | Drop


def parse(statement: str) -> Form:
    """What a statement does; raises InternalError for any other form."""
    text = statement.strip()
    if _QUERY.match(text):
        return Query(text)
    if found := _CREATE.match(text):
        return _created(found, text[found.end() :].strip())
    if found := _INSERT.match(text):
        return Insert(found[1], tuple(_names(found[2] or "")), text[found.end() :])
    if found := _CHANGE.match(text):
        return _changed(found, text[found.end() :].strip())
    if found := _DROP.match(text):
        return Drop(found[1].removeprefix("temp."))
    raise InternalError(f"no engine knows the statement '{' '.join(text.split()[:4])} …'")


def _created(found: re.Match[str], rest: str) -> Form:
    if found[0].upper().endswith("AS"):
        return Create(found[2], rest, found[1].upper() == "VIEW")
    return Declare(found[2], rest[1:-1].strip())


def _changed(found: re.Match[str], rest: str) -> Form:
    name, alias = found[2], found[3] or found[2].split(".")[-1]
    parts = _split(rest, ("SET", "FROM", "WHERE"))
    if found[1].upper() != "UPDATE":
        return Delete(name, alias, parts.get("WHERE", ""))
    values = tuple(_assigned(each) for each in _listed(parts["SET"]))
    return Update(name, alias, values, parts.get("FROM", ""), parts.get("WHERE", "true"))


def _assigned(text: str) -> tuple[str, str]:
    column, expression = text.split("=", 1)
    return column.strip(), expression.strip()


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _outside(text: str) -> Iterator[re.Match[str]]:
    """The words and commas that stand in no parentheses and no quotes."""
    depth = 0
    for token in _TOKEN.finditer(text):
        depth += (token[0] == "(") - (token[0] == ")")
        if depth == 0 and token[0] != ")" and token[0][0] not in "'\"":
            yield token


def _split(text: str, keywords: Sequence[str]) -> dict[str, str]:
    """The clauses of a statement by their first words."""
    marks = [token for token in _outside(text) if token[0].upper() in keywords]
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    return {
        mark[0].upper(): text[mark.end() : end].strip()
        for mark, end in zip(marks, ends, strict=False)
    }


def _listed(text: str) -> list[str]:
    """The elements of a list that commas separate."""
    commas = [token.start() for token in _outside(text) if token[0] == ","]
    starts = [0, *(comma + 1 for comma in commas)]
    return [text[a:b].strip() for a, b in zip(starts, [*commas, len(text)], strict=True)]
