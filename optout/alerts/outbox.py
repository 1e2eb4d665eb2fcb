"""The outbox: notices wait here, in the order of each alert, until their channel has taken them.

Rows are written in the transaction that changes the alert. They leave it at least once: the count
of attempts is raised *before* each attempt, so that after a crash a channel knows that it may have
sent this one already and can look before it sends again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import orjson

from optout.alerts.life import Action
from optout.alerts.message import Message
from optout.alerts.state import AlertState, moment, stamp


class Outcome(StrEnum):
    """What became of a row."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    NOT_FOR_IT = "not for this channel"


@dataclass(frozen=True)
class Row:
    """One notice for one channel."""

    seq: int
    channel: str
    dedup_key: str
    episode: int
    attempts: int
    message: Message


@dataclass(frozen=True)
class Health:
    """How a channel fares."""

    name: str
    failures: int = 0
    failing_since: datetime | None = None
    next_at: datetime | None = None
    error: str | None = None


def enqueue(
    state: AlertState, message: Message, channels: Iterable[str], *, episode: int, now: datetime
) -> int:
    """Put a message into the outbox; one that is there already is not put twice. How many were."""
    before = state.con.total_changes
    state.con.executemany(
        "INSERT OR IGNORE INTO outbox (channel, dedup_key, action, revision, episode, message,"
        " created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (
                channel, message.dedup_key, message.action, message.revision, episode,
                orjson.dumps(message.as_json()).decode(), stamp(now),
            )
            for channel in channels
        ],
    )  # fmt: skip
    return state.con.total_changes - before


def channels_told(state: AlertState, dedup_key: str, episode: int) -> list[str]:
    """The channels that were given a trigger in this episode: they must hear of its end."""
    rows = state.con.execute(
        "SELECT channel, min(seq) AS first FROM outbox WHERE dedup_key = ? AND episode = ?"
        " AND action = ? GROUP BY channel ORDER BY first",
        (dedup_key, episode, Action.TRIGGER),
    ).fetchall()
    return [row[0] for row in rows]


def next_row(state: AlertState, now: datetime) -> Row | None:
    """The oldest row whose channel is not resting after a failure: what a channel did not take
    stays the first in its row, so the notices of an alert keep their order."""
    row = state.con.execute(
        """
        SELECT o.seq, o.channel, o.dedup_key, o.episode, o.attempts, o.message
        FROM outbox AS o LEFT JOIN channel AS c ON c.name = o.channel
        WHERE o.done_at IS NULL AND (c.next_at IS NULL OR c.next_at <= ?)
        ORDER BY o.seq LIMIT 1
        """,
        (stamp(now),),
    ).fetchone()
    if row is None:
        return None
    seq, channel, dedup_key, episode, attempts, message = row
    said = Message.from_json(orjson.loads(message))
    return Row(seq, channel, dedup_key, episode, attempts, said)


def begin_attempt(state: AlertState, row: Row) -> None:
    """Count the attempt before it is made."""
    state.con.execute("UPDATE outbox SET attempts = attempts + 1 WHERE seq = ?", (row.seq,))


def finish(
    state: AlertState,
    row: Row,
    outcome: Outcome,
    now: datetime,
    *,
    reference: str | None = None,
    error: str | None = None,
) -> None:
    """The row is done with."""
    state.con.execute(
        "UPDATE outbox SET done_at = ?, outcome = ?, reference = ?, error = ? WHERE seq = ?",
        (stamp(now), outcome, reference, error, row.seq),
    )


def thread_of(state: AlertState, row: Row) -> str | None:
    """The channel's own name of the first notice of this episode that it took."""
    found = state.con.execute(
        "SELECT reference FROM outbox WHERE channel = ? AND dedup_key = ? AND episode = ?"
        " AND reference IS NOT NULL AND seq < ? ORDER BY seq LIMIT 1",
        (row.channel, row.dedup_key, row.episode, row.seq),
    ).fetchone()
    return found[0] if found else None


def waiting(state: AlertState) -> dict[str, int]:
    """Channel → notices that it has not taken yet."""
    sql = "SELECT channel, count(*) FROM outbox WHERE done_at IS NULL GROUP BY channel"
    return dict(state.con.execute(sql).fetchall())


def health(state: AlertState, channel: str) -> Health:
    """How a channel fares; all is well where nothing is known."""
    row = state.con.execute(
        "SELECT name, failures, failing_since, next_at, error FROM channel WHERE name = ?",
        (channel,),
    ).fetchone()
    if row is None:
        return Health(channel)
    since, after = (moment(text) if text else None for text in row[2:4])
    return Health(row[0], row[1], since, after, row[4])


def failing(state: AlertState) -> frozenset[str]:
    """Channels whose last attempt failed."""
    rows = state.con.execute("SELECT name FROM channel WHERE failures > 0").fetchall()
    return frozenset(row[0] for row in rows)


def set_health(state: AlertState, known: Health) -> None:
    """Remember how a channel fares."""
    state.con.execute(
        "INSERT OR REPLACE INTO channel VALUES (?, ?, ?, ?, ?)",
        (
            known.name, known.failures,
            stamp(known.failing_since) if known.failing_since else None,
            stamp(known.next_at) if known.next_at else None, known.error,
        ),
    )  # fmt: skip


def copy_waiting(state: AlertState, channel: str, other: str, now: datetime) -> int:
    """Let another channel take what this one does not: the alert must reach somebody."""
    before = state.con.total_changes
    state.con.execute(
        "INSERT OR IGNORE INTO outbox (channel, dedup_key, action, revision, episode, message,"
        " created_at) SELECT ?, dedup_key, action, revision, episode, message, ? FROM outbox"
        " WHERE channel = ? AND done_at IS NULL ORDER BY seq",
        (other, stamp(now), channel),
    )
    return state.con.total_changes - before


def copy_row(state: AlertState, row: Row, other: str, now: datetime) -> int:
    """Let another channel take one notice that this one refused for good."""
    return enqueue(state, row.message, [other], episode=row.episode, now=now)


def prune(state: AlertState, before: datetime) -> int:
    """Forget notices that were done with before a moment; how many were.

    Those of an alert whose end was not told everywhere stay: its channels hear of it, in its
    thread. The newest of each key stays as well: a digest's number follows on from the last one.
    """
    known = state.con.total_changes
    state.con.execute(
        """
        DELETE FROM outbox AS o
        WHERE o.done_at < ?
          AND NOT EXISTS (SELECT 1 FROM alert AS a
                          WHERE a.dedup_key = o.dedup_key AND a.state <> 'resolved')
          AND NOT EXISTS (SELECT 1 FROM outbox AS w
                          WHERE w.dedup_key = o.dedup_key AND w.done_at IS NULL)
          AND EXISTS (SELECT 1 FROM outbox AS n WHERE n.dedup_key = o.dedup_key AND n.seq > o.seq)
        """,
        (stamp(before),),
    )
    return state.con.total_changes - known


REST = (timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10), timedelta(hours=1))
"""How long a channel rests after its first, second, ... failure in a row."""


def rest_after(failures: int, asked: float | None) -> timedelta:
    """The rest after so many failures; the channel's own wish counts if it is longer."""
    own = REST[min(failures, len(REST)) - 1]
    return own if asked is None else max(own, timedelta(seconds=min(asked, 3600.0)))
