"""A warehouse file of any size whose truth is known: a hub and four ESPs, four categories.

DuckDB itself draws and writes the rows (`sql/world_*.sql`, a fixed seed), so that ten million
people take about two minutes of two processors. `bench.truth` holds what a reconciliation has to
find, counted from the draws and not from the rows.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from optout.model import Categories
from optout.warehouse.connection import migrate
from optout.warehouse.reconcile import ReconcilePolicy, reconcile

HUB = "sell"
ESPS = ("mailchimp", "sendgrid", "klaviyo", "hubspot")
NAMES = ("product_updates", "educational", "promotional", "events")
POLICY = ReconcilePolicy(categories=Categories(NAMES), hub=HUB, systems=dict.fromkeys(ESPS, 15))
NIGHT = date(2026, 11, 20)
SETTLED = NIGHT + timedelta(days=1)
"""Nothing changed, but what was in flight has arrived."""
NEXT = NIGHT + timedelta(days=2)
"""One in 200 people has changed."""
FIRST_NIGHT = NIGHT - timedelta(days=30)
SEED = "optout-1"
_SQL = Path(__file__).parent / "sql"


def cutoff(night: date) -> datetime:
    """Naive UTC, as the warehouse stores it."""
    return datetime(night.year, night.month, night.day, 2)  # noqa: DTZ001


@cache
def statements(name: str) -> tuple[str, ...]:
    """The statements of `benchmarks/sql/<name>.sql`, without comments."""
    text = re.sub(r"--[^\n]*", "", (_SQL / f"{name}.sql").read_text(encoding="utf-8"))
    return tuple(part.strip() for part in re.split(r";[ \t]*(?:\n|\Z)", text) if part.strip())


def run(con: DuckDBPyConnection, name: str, **values: object) -> None:
    """Execute a file; each statement is given the parameters that it names."""
    for statement in statements(name):
        wanted = set(re.findall(r"\$([a-z_]+)\b", statement))
        con.execute(statement, {key: values[key] for key in wanted})


def open_file(path: Path, memory_limit: str | None = None) -> DuckDBPyConnection:
    """A connection as the product opens it."""
    con = duckdb.connect(str(path))
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET enable_progress_bar = false")
    con.execute("SET preserve_insertion_order = false")
    if memory_limit:
        con.execute("SET memory_limit = $limit", {"limit": memory_limit})
    return con


def begin(con: DuckDBPyConnection, night: date) -> None:
    """A night in which every system was read completely."""
    con.execute(
        "INSERT INTO core.night (night, cutoff_at, kind) VALUES (?, ?, 'run')",
        [night, cutoff(night)],
    )
    for system in (HUB, *ESPS):
        stream = "contacts" if system == HUB else "members"
        con.execute(
            """
            INSERT INTO core.source_read (
                system, stream, night, manifest_hash, is_complete, is_full, is_snapshot,
                is_skipped, read_at, row_count, finding_count
            ) VALUES (?, ?, ?, 'hash', true, true, true, false, ?, 0, 0)
            """,
            [system, stream, night, cutoff(night) + timedelta(hours=1)],
        )


def build(path: Path, people: int) -> None:
    """Write the file."""
    con = open_file(path, "6GB")
    migrate(con)
    con.execute("CREATE SCHEMA bench")
    con.execute(
        "CREATE TABLE bench.truth (class VARCHAR, system VARCHAR, category VARCHAR, people BIGINT)"
    )
    _name_categories(con)
    values = {
        "seed": SEED, "people": people, "cutoff": cutoff(NIGHT), "first_night": FIRST_NIGHT,
        "first_read": cutoff(FIRST_NIGHT) + timedelta(hours=1),
    }  # fmt: skip
    begin(con, FIRST_NIGHT)
    begin(con, NIGHT)
    run(con, "world_people", **values)
    for esp in ESPS:
        run(con, "world_esp", system=esp, **values)
    con.execute("CHECKPOINT")
    con.close()


def go_on(path: Path) -> None:
    """Judge the first two nights of a file, and let one in 200 people change before the third."""
    con = open_file(path, "6GB")
    for night in (NIGHT, SETTLED):
        if night != NIGHT:
            begin(con, night)
        con.execute("BEGIN")
        reconcile(con, night, policy=POLICY)
        con.execute("COMMIT")
    begin(con, NEXT)
    _name_categories(con)
    run(con, "world_next", seed=SEED, night=NEXT, cutoff=cutoff(NEXT))
    con.execute("CHECKPOINT")
    con.close()


def _name_categories(con: DuckDBPyConnection) -> None:
    con.execute("CREATE TEMP TABLE world_category (category VARCHAR, bit INTEGER)")
    con.executemany(
        "INSERT INTO world_category VALUES (?, ?)", [(n, 1 << i) for i, n in enumerate(NAMES)]
    )
