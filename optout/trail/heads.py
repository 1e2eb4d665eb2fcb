"""The head of each night, written outside the database: without it nobody could tell that the
last rows of the chain are gone.

`<data_dir>/chain/heads.jsonl`: one JSON object a line, only ever appended. A night that is
published again with more links gets another line. Copy the file to where the warehouse's writers
cannot reach it; the reports print the head as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import orjson
from duckdb import DuckDBPyConnection

from optout.files import make_dir, sync_dir
from optout.trail.chain import Head, head

FILE = Path("chain") / "heads.jsonl"


@dataclass(frozen=True)
class NightHead:
    """One line: the end of the chain as published with a night."""

    night: date
    links: int
    change_seq: int
    link: bytes


@dataclass(frozen=True)
class BadLine:
    """A line that is no head; `number` counts from 1."""

    number: int


def write_head(data_dir: Path, con: DuckDBPyConnection) -> Head:
    """Append the head of the latest finished night, durably, then note in the warehouse that this
    was done; nothing where it stands there already. Returns the head.

    A last line that a crash tore is ended first, so that it spoils only itself.
    """
    end = head(con)
    row = con.execute("SELECT max(night) FROM core.night WHERE finished_at IS NOT NULL").fetchone()
    night = row[0] if row else None
    if night is None or not end.links:
        return end
    fresh = NightHead(night, end.links, end.change_seq, end.link)
    if fresh not in read_heads(data_dir):
        _append(data_dir / FILE, fresh)
    if fresh not in noted_heads(con):
        con.execute(
            "INSERT INTO core.chain_head VALUES ($night, $links, $number, $link)",
            {"night": night, "links": end.links, "number": end.change_seq, "link": end.link},
        )
    return end


def noted_heads(con: DuckDBPyConnection) -> list[NightHead]:
    """The heads of which the warehouse knows that they were written outside."""
    rows = con.execute(
        "SELECT night, links, change_seq, link FROM core.chain_head ORDER BY links, night"
    ).fetchall()
    return [NightHead(*row) for row in rows]


def _append(path: Path, fresh: NightHead) -> None:
    make_dir(path.parent)
    line = {
        "night": fresh.night.isoformat(),
        "links": fresh.links,
        "last_change_seq": fresh.change_seq,
        "link": fresh.link.hex(),
    }
    torn = path.exists() and path.stat().st_size and not path.read_bytes().endswith(b"\n")
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, (b"\n" if torn else b"") + orjson.dumps(line) + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_dir(path.parent)


def read_heads(data_dir: Path) -> Iterator[NightHead | BadLine]:
    """The lines in the order in which they were written; nothing where there is no file."""
    path = data_dir / FILE
    if not path.exists():
        return
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            told = orjson.loads(line)
            yield NightHead(
                date.fromisoformat(told["night"]),
                int(told["links"]),
                int(told["last_change_seq"]),
                bytes.fromhex(told["link"]),
            )
        except (ValueError, KeyError, TypeError):
            yield BadLine(number)
