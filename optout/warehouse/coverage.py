"""How much of a night was really read: what may be judged, and what has to stay unknown."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from duckdb import DuckDBPyConnection

from optout.errors import UsageError


@dataclass(frozen=True)
class Coverage:
    """One night's completeness, system by system."""

    night: date
    cutoff: datetime
    """Naive UTC, as the warehouse stores it."""
    is_backfill: bool
    """Only dated events were loaded: the state of that night stays unknown."""
    is_latest: bool
    """No later night was run: `core.observation` shows the state of this one."""
    streams: Mapping[str, tuple[int, int]]
    """System → (streams read completely, streams that should have been: at least one)."""

    def is_complete(self, system: str) -> bool:
        """Whether every stream that the account has was read to its end."""
        done, wanted = self.streams.get(system, (0, 1))
        return done == wanted


def coverage(
    con: DuckDBPyConnection,
    night: date,
    systems: Collection[str],
    expected: Mapping[str, Collection[str]],
) -> Coverage:
    """Read `core.night` and `core.source_read`; UsageError for a night that was never begun.

    `expected` names the streams that a system has; where it does not, every stream that was ever
    read of the system is expected again, so that one which silently stopped is noticed.
    """
    row = con.execute(
        """
        SELECT cutoff_at, kind,
               EXISTS (SELECT 1 FROM core.night AS l WHERE l.night > $night AND l.kind = 'run')
        FROM core.night WHERE night = $night
        """,
        {"night": night},
    ).fetchone()
    if row is None:
        raise UsageError(
            f"the night {night} was never run", mend=f"Run `optout run --date {night}`"
        )
    cutoff, kind, has_later = row
    reads = con.execute(
        """
        SELECT system, stream,
               bool_or(night = $night AND is_skipped),
               bool_or(night = $night AND is_complete AND NOT is_skipped)
        FROM core.source_read WHERE night <= $night
        GROUP BY system, stream
        """,
        {"night": night},
    ).fetchall()
    told = {(system, stream): (skipped, done) for system, stream, skipped, done in reads}
    streams: dict[str, tuple[int, int]] = {}
    for system in systems:
        seen = {stream for name, stream in told if name == system}
        read = [told.get((system, s), (False, False)) for s in expected.get(system) or seen]
        wanted = [done for skipped, done in read if not skipped]
        streams[system] = (sum(wanted), max(1, len(wanted)))
    return Coverage(night, cutoff, kind == "backfill", not has_later, streams)
