"""`alerts.sqlite`: what is known of every alert, in small transactions of many processes.

Kept apart from the warehouse on purpose (docs/adr/0006-alerts-in-a-file-of-their-own.md): the
writer of a night holds the warehouse for minutes, a sensor's tick has milliseconds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from importlib.resources import files
from pathlib import Path

import orjson

from optout.alerts.life import Alert, State, Told
from optout.alerts.rule import Condition, Family, Severity
from optout.errors import LockedError, StorageError, WarehouseError
from optout.files import make_dir

FILE = "alerts.sqlite"
VERSION = 1
_BUSY_SECONDS = 10.0


@dataclass(frozen=True)
class Silence:
    """Who wants to hear nothing of what, until when and why; recording goes on."""

    until: datetime
    who: str
    why: str
    dedup_key: str | None = None
    rule: str | None = None
    system: str | None = None

    def covers(self, alert: Alert, now: datetime) -> bool:
        """Whether the alert is silenced at a moment. What may never be muted is not."""
        if now >= self.until or alert.never_muted:
            return False
        if self.dedup_key:
            return self.dedup_key == alert.key.dedup_key
        return (self.rule or alert.key.rule) == alert.key.rule and (
            not self.system or self.system in alert.key.systems
        )


class AlertState:
    """One installation's alerts. Open it for a short while; `transaction` is all or nothing."""

    def __init__(self, data_dir: Path) -> None:
        path = make_dir(data_dir) / FILE
        is_new = not path.exists()
        try:
            with ExitStack() as unless_it_fails:
                self.con = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
                unless_it_fails.callback(self.con.close)
                self.con.execute("PRAGMA synchronous = FULL")
                if is_new:
                    path.chmod(0o600)
                self._prepare()
                unless_it_fails.pop_all()
        except sqlite3.DatabaseError as error:
            raise WarehouseError(
                f"{FILE} cannot be opened ({error})",
                mend="Move it away: a new one is begun, and what is open is told anew",
            ) from None

    def _prepare(self) -> None:
        version = self.con.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise WarehouseError(
                f"{FILE} has version {version}, this program knows {VERSION}",
                mend="Use the newer version of optout that wrote it",
            )
        if version == VERSION:
            return
        with self.transaction():
            if self.con.execute("PRAGMA user_version").fetchone()[0] == 0:
                script = files("optout.alerts").joinpath("schema.sql").read_text(encoding="utf-8")
                for statement in _statements(script):
                    self.con.execute(statement)
                self.con.execute(f"PRAGMA user_version = {VERSION}")

    def close(self) -> None:
        """Close the file."""
        self.con.close()

    def __enter__(self) -> AlertState:
        return self

    def __exit__(self, *told: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Take the file's one write lock, and commit or undo everything; within another one, it
        is part of that."""
        if self.con.in_transaction:
            yield
            return
        with _explained():
            self.con.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._roll_back()
                raise
            self.con.execute("COMMIT")

    def _roll_back(self) -> None:
        """After a full disk SQLite has done it by itself."""
        if self.con.in_transaction:
            self.con.execute("ROLLBACK")

    def alerts(self, *, only_open: bool = False) -> list[Alert]:
        """All alerts, or those that are not resolved, the oldest first."""
        where = "WHERE state <> 'resolved'" if only_open else ""
        sql = f"SELECT * FROM alert {where} ORDER BY opened_at, dedup_key"  # noqa: S608
        return [_alert(row) for row in self._rows(sql)]

    def alert(self, dedup_key: str) -> Alert | None:
        """One alert by its key."""
        rows = self._rows("SELECT * FROM alert WHERE dedup_key = ?", (dedup_key,))
        return _alert(rows[0]) if rows else None

    def save(self, alert: Alert) -> None:
        """Insert or replace."""
        row = _row(alert)
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        self.con.execute(
            f"INSERT OR REPLACE INTO alert ({names}) VALUES ({marks})",  # noqa: S608
            tuple(row.values()),
        )

    def record_events(self, dedup_key: str, digests: frozenset[str]) -> int:
        """Remember single happenings; how many were not known."""
        before = self.con.total_changes
        self.con.executemany(
            "INSERT OR IGNORE INTO event VALUES (?, ?)", [(dedup_key, d) for d in sorted(digests)]
        )
        return self.con.total_changes - before

    def note(
        self,
        alert: Alert,
        what: str,
        now: datetime,
        *,
        night: date | None = None,
        who: str | None = None,
        note: str | None = None,
    ) -> None:
        """Add to an alert's history."""
        self.con.execute(
            "INSERT INTO history (dedup_key, at, night, what, count, severity, who, note)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                alert.key.dedup_key, stamp(now), night.isoformat() if night else None, what,
                alert.facts.count, alert.severity, who, note,
            ),
        )  # fmt: skip

    def history(self, dedup_key: str) -> list[dict[str, object]]:
        """Everything that happened to an alert, in order."""
        return [
            dict(row)
            for row in self._rows("SELECT * FROM history WHERE dedup_key = ? ORDER BY seq",
                                  (dedup_key,))
        ]  # fmt: skip

    def silence(self, silence: Silence, now: datetime) -> None:
        """Keep a silence."""
        self.con.execute(
            "INSERT INTO silence (dedup_key, rule, system, until, who, why, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                silence.dedup_key, silence.rule, silence.system, stamp(silence.until),
                silence.who, silence.why, stamp(now),
            ),
        )  # fmt: skip

    def silences(self, now: datetime) -> list[Silence]:
        """Those in force."""
        rows = self._rows("SELECT * FROM silence WHERE until > ? ORDER BY id", (stamp(now),))
        return [
            Silence(
                moment(row["until"]), row["who"], row["why"], row["dedup_key"], row["rule"],
                row["system"],
            )
            for row in rows
        ]  # fmt: skip

    def evaluated(self, family: str) -> tuple[date | None, str] | None:
        """The night and the copy of the facts that a family judged last."""
        rows = self._rows("SELECT night, token FROM evaluation WHERE family = ?", (family,))
        if not rows:
            return None
        night = rows[0]["night"]
        return (date.fromisoformat(night) if night else None), rows[0]["token"]

    def evaluations(self) -> dict[Family, tuple[date, datetime]]:
        """The night that each family judged last, and when it did."""
        rows = self._rows("SELECT * FROM evaluation WHERE night IS NOT NULL")
        return {
            Family(row["family"]): (date.fromisoformat(row["night"]), moment(row["evaluated_at"]))
            for row in rows
        }

    def set_evaluated(self, family: str, night: date | None, token: str, now: datetime) -> None:
        """Remember what a family has judged."""
        self.con.execute(
            "INSERT OR REPLACE INTO evaluation VALUES (?, ?, ?, ?)",
            (family, night.isoformat() if night else None, token, stamp(now)),
        )

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        cursor = self.con.execute(sql, values)
        cursor.row_factory = sqlite3.Row
        return cursor.fetchall()


@contextmanager
def _explained() -> Iterator[None]:
    """Say in words what SQLite says of its file."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            told = f"{FILE} is being written by another process"
            raise LockedError(told, mend="Wait until it has ended") from None
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            told = f"there is no space left to write {FILE}"
            raise StorageError(told, mend="Make room; what is open is told then") from None
        raise


def stamp(at: datetime) -> str:
    """A moment as the file holds it: UTC, sortable as text."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def moment(text: str) -> datetime:
    """The reverse of `stamp`."""
    return datetime.fromisoformat(text)


def _row(alert: Alert) -> dict[str, object]:
    told = None
    if alert.told:
        told = orjson.dumps(asdict(alert.told) | {"at": stamp(alert.told.at)}).decode()
    return {
        "dedup_key": alert.key.dedup_key,
        "rule": alert.key.rule,
        "state": alert.state,
        "episode": alert.episode,
        "revision": alert.revision,
        "severity": alert.severity,
        "facts": orjson.dumps(alert.facts.as_json()).decode(),
        "opened_at": stamp(alert.opened_at),
        "opened_night": alert.opened_night.isoformat(),
        "seen_night": alert.seen_night.isoformat(),
        "news": alert.news,
        "is_announced": int(alert.is_announced),
        "told": told,
        "unknown_since": stamp(alert.unknown_since) if alert.unknown_since else None,
        "resolved_at": stamp(alert.resolved_at) if alert.resolved_at else None,
        "acknowledged_by": alert.acknowledged_by,
        "never_muted": int(alert.never_muted),
    }


def _alert(row: sqlite3.Row) -> Alert:
    told = orjson.loads(row["told"]) if row["told"] else None
    return Alert(
        facts=Condition.from_json(orjson.loads(row["facts"])),
        severity=Severity(row["severity"]),
        opened_at=moment(row["opened_at"]),
        opened_night=date.fromisoformat(row["opened_night"]),
        seen_night=date.fromisoformat(row["seen_night"]),
        state=State(row["state"]),
        episode=row["episode"],
        revision=row["revision"],
        news=row["news"],
        is_announced=bool(row["is_announced"]),
        told=Told(moment(told["at"]), Severity(told["severity"]), told["count"], told["band"])
        if told
        else None,
        unknown_since=moment(row["unknown_since"]) if row["unknown_since"] else None,
        resolved_at=moment(row["resolved_at"]) if row["resolved_at"] else None,
        acknowledged_by=row["acknowledged_by"],
        never_muted=bool(row["never_muted"]),
    )


def _statements(script: str) -> list[str]:
    lines = (line.split("--")[0] for line in script.splitlines())
    return [part.strip() for part in "\n".join(lines).split(";") if part.strip()]
