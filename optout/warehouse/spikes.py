"""Looks for opt-out spikes every night: counts, judges, writes `audit.spike`.

A series is one system, category, source, mailbox domain or campaign. Nights on which its system was
not read completely are neither judged nor learnt from; so are nights that were flagged, until they
are old enough to be the new normal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
from duckdb import DuckDBPyConnection

from optout.errors import UsageError
from optout.model import Categories
from optout.policy.detection import DetectionTable
from optout.rules.detection import GUARD
from optout.rules.scanners import SCAN_TIME, Rush
from optout.rules.spikes import Nights, judge, least_that_fires
from optout.settings import Settings
from optout.warehouse.script import insert, query, run
from optout.warehouse.spike_rows import Batch, Series, SpikeRow, Writer

COUNTED_AGAIN = 3
"""Nights whose events may still arrive: a read overlaps the one before by two days."""
NEW_NORMAL = 45
"""A level that was flagged for longer than so many nights teaches again."""
_HISTORY = 2
"""How many times the baseline's length is looked through for nights that were read completely."""
_CAMPAIGN_NIGHTS = GUARD


@dataclass(frozen=True)
class SpikePolicy:
    """What detection needs to know of the configuration."""

    categories: Categories
    hub: str
    systems: Mapping[str, int]
    """ESP → mask of the categories that are mapped to it."""
    table: DetectionTable = field(default_factory=DetectionTable)


def spike_policy(settings: Settings) -> SpikePolicy:
    """What the settings say of detection."""
    return SpikePolicy(
        categories=settings.category_masks,
        hub=settings.hub.name,
        systems={esp.name: settings.mapped(esp) for esp in settings.esp},
        table=settings.policy.detection,
    )


def detect(con: DuckDBPyConnection, night: date, *, policy: SpikePolicy) -> list[SpikeRow]:
    """Count the newest nights and judge this one; replaces its rows of `audit.spike`.

    Runs in the caller's transaction, after the night's opt-outs were rebuilt (`clocks`); running
    it again changes nothing. A backfilled night, or one that a later run has overtaken, keeps what
    was said then. Raises UsageError for a night that was never begun.
    """
    if not _is_current(con, night):
        return []
    count_nights(con, night, policy)
    rushes = _rushes(con, night)
    batches = [_nightly(con, night, policy), _campaigns(con, night, policy)]
    rules = policy.table.rules(sum(len(batch.series) for batch in batches))
    said = _said_before(con, night)
    rows: list[SpikeRow] = []
    for batch in batches:
        if batch.series:
            verdicts = judge(batch.nights, rules)
            writer = Writer(night, batch, verdicts, policy.table, rushes, said)
            rows += writer.rows({t.window: least_that_fires(t, rules) for t in verdicts.tests})
    con.execute("DELETE FROM audit.spike WHERE night = $night", {"night": night})
    insert(con, "audit.spike", rows)
    for name in ("night", "domain", "tells", "mail", "act", "out", "sent", "soon"):
        con.execute(f"DROP TABLE IF EXISTS spk_{name}")
    return rows


def _is_current(con: DuckDBPyConnection, night: date) -> bool:
    row = con.execute(
        """
        SELECT kind = 'backfill'
            OR EXISTS (SELECT 1 FROM core.night AS l WHERE l.night > $night AND l.kind = 'run')
        FROM core.night WHERE night = $night
        """,
        {"night": night},
    ).fetchone()
    if row is None:
        raise UsageError(
            f"the night {night} was never run", mend=f"Run `optout run --date {night}`"
        )
    return not row[0]


def count_nights(
    con: DuckDBPyConnection, night: date, policy: SpikePolicy, nights: int = COUNTED_AGAIN
) -> None:
    """Count the newest nights again, by series; leaves the temporary tables of `spike_counts`."""
    con.execute("CREATE OR REPLACE TEMP TABLE spk_category (category VARCHAR, bit INTEGER)")
    con.execute("CREATE OR REPLACE TEMP TABLE spk_system (system VARCHAR, mask INTEGER)")
    names = policy.categories.names
    con.executemany(
        "INSERT INTO spk_category VALUES (?, ?)", [(n, policy.categories.bit(n)) for n in names]
    )
    masks = {policy.hub: policy.categories.all, **policy.systems}
    con.executemany("INSERT INTO spk_system VALUES (?, ?)", list(masks.items()))
    row = con.execute(
        "SELECT min(night) FROM (SELECT night FROM core.night WHERE night <= $night"
        " ORDER BY night DESC LIMIT $count)",
        {"night": night, "count": nights},
    ).fetchone()
    run(
        con,
        "spike_counts",
        night=night,
        from_night=row[0] if row else night,
        hub=policy.hub,
        named_from=policy.table.named_domain_contacts,
    )


def _rushes(con: DuckDBPyConnection, night: date) -> dict[Series, Rush]:
    rows = query(con, "spike_rush", night=night, soon=SCAN_TIME)
    return {Series(*row[:3]): Rush(row[3], row[4], row[5]) for row in rows}


def _nightly(con: DuckDBPyConnection, night: date, policy: SpikePolicy) -> Batch:
    """Series × the last nights of every series that is not a campaign."""
    length = _HISTORY * policy.table.baseline_nights + GUARD
    counts = query(
        con,
        "spike_history",
        night=night,
        from_night=night - timedelta(days=length - 1),
        new_normal=NEW_NORMAL,
    )
    complete = _complete(con, night, length)
    series = sorted({Series(*row[:3]) for row in counts if (row[1], length - 1) in complete})
    place = {s: i for i, s in enumerate(series)}
    shape = (len(series), length)
    opt_outs, deliveries = np.zeros(shape), np.zeros(shape)
    flagged = np.zeros(shape, dtype=bool)
    for dimension, system, key, ago, out, sent, is_flagged in counts:
        row = place.get(Series(dimension, system, key))
        if row is not None:
            opt_outs[row, length - 1 - ago] = out
            deliveries[row, length - 1 - ago] = sent
            flagged[row, length - 1 - ago] = is_flagged
    told = [[(s.system, n) in complete for n in range(length)] for s in series]
    # Without any series numpy would take the empty list for numbers.
    is_complete = np.array(told, dtype=bool).reshape(shape)
    ages = np.arange(length - 1, -1, -1)
    weekday = np.array([(night - timedelta(days=int(a))).weekday() for a in ages], dtype=np.int64)
    teaches = is_complete & ~flagged
    nights = Nights(opt_outs, deliveries, np.tile(weekday, (shape[0], 1)), is_complete, teaches)
    return Batch(series, nights)


def _complete(con: DuckDBPyConnection, night: date, length: int) -> set[tuple[str, int]]:
    """(system, column) of every night on which each stream of the system was read to its end."""
    rows = con.execute(
        """
        SELECT system, ($night - night)::INTEGER
        FROM core.source_read
        WHERE night > $night - $length::INTEGER AND night <= $night
        GROUP BY system, night
        HAVING bool_and(is_complete OR is_skipped) AND NOT bool_and(is_skipped)
        """,
        {"night": night, "length": length},
    ).fetchall()
    return {(system, length - 1 - ago) for system, ago in rows}


def _campaigns(con: DuckDBPyConnection, night: date, policy: SpikePolicy) -> Batch:
    """A campaign is new every time: its totals are judged by those of earlier campaigns of the same
    system and categories."""
    length = policy.table.baseline_nights
    complete = _complete(con, night, 1)
    rows = query(
        con, "spike_campaigns", night=night, life=_CAMPAIGN_NIGHTS, history=_HISTORY * length
    )
    earlier: dict[tuple[str, int], list[tuple[int, int]]] = {}
    tonight: list[tuple[str, str, int, int, int]] = []
    for system, key, mask, is_tonight, is_flagged, out, sent in rows:
        if is_tonight:
            tonight.append((system, key, mask, out, sent))
        elif not is_flagged:
            earlier.setdefault((system, mask), []).append((out, sent))
    tonight = [row for row in tonight if (row[0], 0) in complete]
    shape = (len(tonight), length + GUARD)
    opt_outs, deliveries = np.zeros(shape), np.zeros(shape)
    for i, (system, _, mask, out, sent) in enumerate(tonight):
        for j, past in enumerate(earlier.get((system, mask), [])[:length]):
            opt_outs[i, j], deliveries[i, j] = past
        opt_outs[i, -1], deliveries[i, -1] = out, sent
    everywhere = np.ones(shape, dtype=bool)
    weekday = np.zeros(shape, dtype=np.int64)
    nights = Nights(opt_outs, deliveries, weekday, everywhere, everywhere)
    return Batch([Series("campaign", row[0], row[1]) for row in tonight], nights, True)


def _said_before(con: DuckDBPyConnection, night: date) -> dict[Series, tuple[str, date]]:
    """What was said of each series last night, and since when."""
    rows = con.execute(
        """
        SELECT dimension, system, key, kind, since FROM audit.spike
        WHERE night = (SELECT max(night) FROM core.night WHERE night < $night)
        """,
        {"night": night},
    ).fetchall()
    return {Series(*row[:3]): (row[3], row[4]) for row in rows}
