"""Judges only those of whom something changed since the last judged night, with the same result.

A verdict rests on what is known of that one person, on the cut-off and on the policy; on nobody
else. So whoever is as before, with nothing dated after the last cut-off, keeps the verdict of that
night, and only the counts need everybody: those are kept by pairs of words (`audit.word_count`),
from which the affected people are taken away as they were and to which they are added as they are.

What was known at the last night need not be kept: readings are change-only, changes are numbered.
Whatever alters either in another way (an erasure, a night loaded again) has to `forget` the basis.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from importlib.resources import files
from typing import Any

from duckdb import DuckDBPyConnection

from optout import __version__
from optout.engine.session import Session
from optout.warehouse.script import run
from optout.warehouse.words import people

WORTH_IT = 100_000
"""People; fewer are judged in half a second all together."""
_MOST = 0.2
"""The share of the people up to which judging them alone is cheaper than judging everybody."""


@dataclass(frozen=True)
class Basis:
    """The night that was judged last, on the same policy and systems."""

    night: date
    cutoff: datetime
    change_seq: int

    @property
    def values(self) -> dict[str, Any]:
        """As the statements name it."""
        return {
            "last": self.night,
            "last_cutoff": self.cutoff,
            "last_change": self.change_seq,
        }


def basis_of(con: DuckDBPyConnection, night: date, cutoff: datetime, rules: str) -> Basis | None:
    """What a night can go on from; None where it has to judge everybody."""
    row = con.execute(
        """
        SELECT night, cutoff_at, change_seq FROM audit.basis
        WHERE night < $night AND cutoff_at <= $cutoff AND rules = $rules
        """,
        {"night": night, "cutoff": cutoff, "rules": rules},
    ).fetchone()
    return Basis(*row) if row else None


def fingerprint(*policy: object) -> str:
    """Of all that a verdict rests on beside the data: under other rules everybody is judged."""
    digest = hashlib.sha256(repr((__version__, policy)).encode())
    folder = files("optout.warehouse").joinpath("sql")
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if file.name.startswith(("audit_", "incremental_")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def narrow(con: Session, basis: Basis) -> int | None:
    """Find the affected people, gather what is known of them, and count them. None: so many that
    it is cheaper to judge everybody."""
    run(con, "incremental_affected", **basis.values)
    row = con.execute("SELECT count(*) FROM rec_affected").fetchone()
    affected = int(row[0]) if row else 0
    if affected > _MOST * people(con):
        return None
    run(con, "incremental_near", **basis.values)
    return affected


def add_up(con: Session) -> bool:
    """Bring `rec_group` from the affected people to everybody. False: the kept counts do not go
    with what is known, so that everybody has to be judged."""
    run(con, "incremental_totals")
    row = con.execute("SELECT count(*) FROM rec_group WHERE people < 0").fetchone()
    return row is not None and row[0] == 0


def keep(con: Session, values: Mapping[str, Any], rules: str) -> None:
    """Make the night the basis of the next one."""
    run(con, "incremental_keep", rules=rules, **values)


def forget(con: DuckDBPyConnection | Session) -> None:
    """The next night judges everybody; in the caller's transaction."""
    con.execute("DELETE FROM audit.basis")
