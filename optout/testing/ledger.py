"""Published facts said night by night, for tests of alerts: only what matters to the story."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from duckdb import DuckDBPyConnection

from optout.alerts.facts import Facts
from optout.alerts.settings import ThresholdTable
from optout.rules.detection import DetectionRules
from optout.testing.facts import key, warehouse

HUB = "sell"
ESPS = ("mailchimp", "sendgrid")
START = date(2026, 9, 1)


class Ledger:
    """A small warehouse with a hub and two ESPs; nights are numbered from 1."""

    def __init__(
        self,
        con: DuckDBPyConnection | None = None,
        esps: Iterable[str] = ESPS,
        streams: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.con = con or warehouse()
        self._streams = streams or {}
        """What a night reads of each system, where an installation is to judge it."""
        self.esps = tuple(esps)
        self.systems = (HUB, *self.esps)
        self._numbers = 0

    def night(
        self,
        number: int,
        *,
        incomplete: Iterable[str] = (),
        streams: Mapping[str, Any] | None = None,
    ) -> date:
        """A finished night; `incomplete` systems lack a part, `streams` adds columns of reads."""
        day, bad = START + timedelta(days=number - 1), set(incomplete)
        self.insert(
            "core.night", night=day, cutoff_at=_at(day), kind="run", finished_at=_at(day, 1)
        )
        for system in self.systems:
            more = (streams or {}).get(system) or {}
            for stream in self._streams.get(system, ("records",)):
                row = {
                    "system": system, "stream": stream, "night": day, "manifest_hash": "hash",
                    "is_complete": system not in bad, "is_full": True, "is_snapshot": True,
                    "is_skipped": False, "role": "state", "read_at": _at(day), "row_count": 0,
                    "finding_count": 0, "why_not": "503, the vendor failed" * (system in bad),
                    "requests": 100, "rate_limited": 0, "waited_seconds": 0.0,
                }  # fmt: skip
                self.insert("core.source_read", **(row | more))
            done = 0 if system in bad else 1
            self.metric("extraction_complete", day, system, done, 1, "met" if done else "missed")
        return day

    def metric(
        self,
        name: str,
        day: date,
        system: str | None,
        numerator: float | None,
        denominator: float | None,
        status: str,
        **more: Any,
    ) -> None:
        """One figure; its value is the share, or the count where there is no denominator."""
        value = None
        if numerator is not None and status != "unknown":
            value = numerator / denominator if denominator else numerator
        self.insert(
            "mart.metric_daily", night=day, metric=name, system=system, value=value,
            numerator=numerator, denominator=denominator, not_comparable=0, status=status, **more,
        )  # fmt: skip

    def drift(self, kind: str, system: str, people: Iterable[int], day: date, **more: Any) -> None:
        """Differences that open on a night."""
        for person in people:
            row = {
                "class": kind, "system": system, "category": "promotional",
                "contact_key": key(person), "decided_system": HUB, "decided_source": "email_link",
                "store": "list:1", "opened_night": day, "opened_at": _at(day), "seen_night": day,
            }  # fmt: skip
            self.insert("audit.drift", **(row | more))

    def mend(self, kind: str, system: str, day: date, people: Iterable[int] | None = None) -> None:
        """Open differences that a night finds mended."""
        keys = [key(p) for p in people] if people is not None else None
        self.con.execute(
            "UPDATE audit.drift SET closed_night = ?, closed_at = ? WHERE class = ? AND system = ?"
            " AND closed_night IS NULL AND (? OR list_contains(?::UUID[], contact_key))",
            [day, _at(day), kind, system, keys is None, keys or []],
        )

    def opt_out(self, person: int, day: date, deadline: date, systems: str, **more: Any) -> None:
        """An act of the hub on a day that `systems` (joined by commas) have not honoured yet."""
        row = {
            "opt_out_id": UUID(int=person + 1), "contact_key": key(person),
            "category": "promotional", "system": HUB, "source": "email_link", "is_own": True,
            "occurred_at": _at(day), "time_kind": "source", "is_start_estimated": False,
            "jurisdiction": "US", "jurisdiction_kind": "country", "strict_deadline": deadline,
            "strict_late_from": _at(deadline, 24), "strict_rule": "can_spam",
            "legal_deadline": deadline, "legal_late_from": _at(deadline, 24),
            "legal_rule": "can_spam", "is_exact": True, "is_unseen": False, "is_open": True,
            "open_systems": systems,
        }  # fmt: skip
        self.insert("audit.opt_out", **(row | more))

    def honoured(self, person: int, at: datetime) -> None:
        """The person's opt-outs are effective everywhere."""
        self.con.execute(
            "UPDATE audit.opt_out SET is_open = false, open_systems = NULL, honoured_at = ?,"
            " honoured_from = ? WHERE contact_key = ?",
            [at, at, key(person)],
        )

    def send(self, system: str, person: int, day: date, grade: str = "breach") -> None:
        """A send after an opt-out, found on a night."""
        self._numbers += 1
        self.insert(
            "audit.violation", event_key=UUID(int=10**9 + self._numbers), system=system,
            category="promotional", contact_key=key(person), campaign_id="autumn",
            sent_at=_at(day), sent_kind="source", is_bypass=False, opted_out_at=_at(START),
            opted_out_kind="source", opted_out_in=HUB, is_global=False, jurisdiction="US",
            grade=grade, beyond_strict=grade != "warning", strict_deadline=day,
            legal_deadline=day, found_night=day,
        )  # fmt: skip

    def insert(self, table: str, **row: Any) -> None:
        """One row of any table."""
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        self.con.execute(
            f"INSERT INTO {table} ({names}) VALUES ({marks})",  # noqa: S608
            list(row.values()),
        )

    def facts(
        self,
        day: date,
        *,
        now: datetime | None = None,
        limits: ThresholdTable | None = None,
        detection: DetectionRules | None = None,
    ) -> Facts:
        """What rules read on a night, two hours after it began unless told."""
        moment = now or datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=2)
        return Facts(
            con=self.con, night=day, now=moment, today=moment.date(), hub=HUB,
            systems=self.systems, expected={}, environment="production",
            limits=limits or ThresholdTable(), detection=detection or DetectionRules(),
        )  # fmt: skip


def _at(day: date, hours: int = 0) -> datetime:
    """A moment of a day as the warehouse stores it."""
    return datetime.combine(day, datetime.min.time()) + timedelta(hours=hours)
