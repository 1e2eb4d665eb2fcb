"""How much of a night was really read: what may be judged, and what has to stay unknown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from duckdb import DuckDBPyConnection

from optout.errors import UsageError
from optout.vendors.base import Role


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
    lacking: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """System → the roles (`optout.vendors.base.Role`) of which a stream was not read completely."""

    def has_state(self, system: str) -> bool:
        """Whether what the system holds is known: only then can its cells be judged."""
        return Role.STATE not in self.lacking.get(system, {Role.STATE})

    def is_complete(self, system: str) -> bool:
        """Whether state and changes are known: only then can a promise be called met."""
        return not self.lacking.get(system, {Role.STATE}) & {Role.STATE, Role.CHANGES}

    def why_unknown(self, *needed: str | None) -> str | None:
        """Why a figure that needs these systems cannot be known; None: it can. A None among them
        is none."""
        if self.is_backfill:
            return "the night was missed: only its dated events could be loaded later"
        if not self.is_latest:
            return "a later night was run before this one was measured"
        for system in needed:
            if system is not None and not self.is_complete(system):
                return f"{system} was not read completely"
        return None

    def doubt(self, systems: Iterable[str], system: str | None = None) -> str | None:
        """Which of the systems, other than this one, may hold what nobody else knows."""
        others = [name for name in systems if name != system and not self.is_complete(name)]
        return f"not read completely: {', '.join(others)}" if others else None


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
               bool_or(night = $night AND is_complete AND NOT is_skipped),
               arg_max(role, night)
        FROM core.source_read WHERE night <= $night
        GROUP BY system, stream
        """,
        {"night": night},
    ).fetchall()
    told = {(row[0], row[1]): row[2:] for row in reads}
    streams: dict[str, tuple[int, int]] = {}
    lacking: dict[str, frozenset[str]] = {}
    for system in systems:
        seen = {stream for name, stream in told if name == system}
        unknown = (False, False, Role.STATE)
        read = [told.get((system, s), unknown) for s in expected.get(system) or seen] or [unknown]
        wanted = [done for skipped, done, _ in read if not skipped]
        streams[system] = (sum(wanted), max(1, len(wanted)))
        lacking[system] = frozenset(r for skipped, done, r in read if not skipped and not done)
    return Coverage(night, cutoff, kind == "backfill", not has_later, streams, lacking)
