"""Deadlines, violations and consent once more: slow, literal and independent, for tests only.

Written from the prose of `docs/adr/0005` and `docs/metrics.md` over plain rows, one person at a
time, walking day by day, without `optout.rules`, `regimes.toml` or SQL.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import holidays
from dateutil.relativedelta import relativedelta

Row = dict[str, Any]
EUROPE = {"DE": "Europe/Berlin", "FR": "Europe/Paris"}
ZONES = {"US": "America/New_York", "CA": "America/Toronto", "GB": "Europe/London",
         "AU": "Australia/Sydney", **EUROPE}  # fmt: skip
_DAY = timedelta(days=1)
_FAR = date(9999, 1, 1)


@dataclass(frozen=True)
class SlowPolicy:
    """What the oracle has to know."""

    categories: Sequence[str]
    hub: str
    zone: str
    window: timedelta
    cutoff: datetime
    countries: Mapping[str, str]
    """What stands in the hub → country; absent: unknown."""


@dataclass
class Due:
    """One deadline: the first moment that is too late, and the last date in time."""

    late_from: datetime
    last_day: date
    zone: str


class SlowClocks:
    """Judges the rows of `core` of one night."""

    def __init__(self, policy: SlowPolicy, **rows: Sequence[Row]) -> None:
        self.policy = policy
        self.rows = rows

    def _of(self, table: str, person: UUID) -> list[Row]:
        return [row for row in self.rows.get(table, ()) if row["contact_key"] == person]

    # --- what was said ----------------------------------------------------------------------------
    def said(self, person: UUID, state: str) -> list[Row]:
        """Known changes of a person to a state, estimates that became exact left out."""
        told = [c for c in self._of("changes", person) if c["new_state"] == state]
        found = []
        for c in told:
            is_exact = c["time_kind"] == "source"
            begin = c["occurred_at"] if is_exact else (c["occurred_from"] or self.policy.cutoff)
            if begin <= self.policy.cutoff and (is_exact or not self._became_exact(c, told)):
                found.append(c)
        return found

    @staticmethod
    def _became_exact(c: Row, told: Sequence[Row]) -> bool:
        begin = c["occurred_from"]
        return any(
            s["time_kind"] == "source" and s["system"] == c["system"]
            and s["category"] == c["category"] and s["occurred_at"] <= c["occurred_at"]
            and (begin is None or s["occurred_at"] > begin)
            for s in told
        )  # fmt: skip

    def outs(self, person: UUID) -> list[Row]:
        """Opt-outs, one however many feeds told of it, with what nobody recorded as a change."""
        merged: dict[tuple[Any, ...], Row] = {}
        for c in self.said(person, "opted_out"):
            key = (c["category"], c["system"], c["occurred_at"], c["time_kind"])
            one = merged.setdefault(key, {**c, "receipts": []})
            if c.get("received_at"):
                one["receipts"].append(c["received_at"])
        for e in self._of("undated", person):
            merged[e["category"], e["system"], e["occurred_at"], "undated"] = {**e, "receipts": []}
        return list(merged.values())

    def lifted_at(self, out: Row, person: UUID) -> datetime | None:
        """When the person's own opt-in had certainly lifted it."""
        moments = []
        for i in self.said(person, "opted_in"):
            if not i["is_explicit"] or i["occurred_from"] is None:
                continue
            if i["category"] is None:
                is_wide = out["category"] is None or not self._kept(i, out["category"])
            else:
                is_wide = i["category"] == out["category"]
            if is_wide and i["occurred_from"] - out["occurred_at"] > self.policy.window:
                moments.append(i["occurred_at"])
        return min(moments, default=None)

    def _kept(self, release: Row, category: str) -> bool:
        bit = 1 << list(self.policy.categories).index(category)
        same = [
            i["night"] for i in self.said(release["contact_key"], "opted_in")
            if i["category"] is None and i["is_explicit"] and i["system"] == release["system"]
            and i["occurred_at"] == release["occurred_at"]
            and i["occurred_from"] == release["occurred_from"]
        ]  # fmt: skip
        night = min(same)
        if any(
            c["system"] == release["system"] and c["category"] == category
            and c["occurred_at"] > release["occurred_at"] and c["night"] <= night
            for c in self.said(release["contact_key"], "opted_out")
        ):  # fmt: skip
            return False  # that is what it shows
        return any(
            o["system"] == release["system"] and o["category_outs"] & bit
            and o["night_from"] <= night and (o.get("night_to") is None or o["night_to"] > night)
            for o in self._of("observations", release["contact_key"])
        )  # fmt: skip

    # --- deadlines --------------------------------------------------------------------------------
    def places(self, person: UUID) -> list[str | None]:
        """Known countries, else one unknown."""
        told = {self.policy.countries.get(c["country"] or "") for c in self._of("consents", person)}
        known: list[str | None] = [*sorted(c for c in told if c)]
        return known or [None]

    def deadlines(self, out: Row, person: UUID) -> tuple[Due, Due]:
        """The strict and the legal one: of all rules that bind, the earliest."""
        strict, legal = [], []
        for place in self.places(person):
            for law in [place] if place in ZONES else [*ZONES]:
                if law in EUROPE and place not in ZONES and law != "DE":
                    continue  # one regime, however many countries
                a, b = self._of_law(law, out, place)
                strict.append(a)
                legal.append(b)
        return _earliest(strict), _earliest(legal)

    def _of_law(self, law: str, out: Row, place: str | None) -> tuple[Due, Due]:
        zone = ZONES.get(place or "", self.policy.zone)
        acted = out["occurred_at"]
        received = min(out["receipts"], default=acted)
        home = place if place in EUROPE else law if law not in EUROPE else None
        if law == "CA":
            start = _local(acted, zone)
            return self._days(start, 10, zone, False, None), self._days(
                start, 10, zone, False, "CA"
            )
        start = _local(received, zone)
        if law == "US":
            return self._days(start, 10, zone, False, None), self._days(
                start, 10, zone, False, "US"
            )
        if law == "AU":
            return self._days(start, 5, zone, True, None), self._days(start, 5, zone, False, "AU")
        end = received + timedelta(hours=48)
        strict = Due(end + timedelta(microseconds=1), _local(end, zone), zone)
        return strict, self._month(start, zone, home)

    def _days(
        self, start: date, count: int, zone: str, is_day_one: bool, country: str | None
    ) -> Due:
        off = _holidays(country, start)
        day, left = start, count
        if is_day_one and start.weekday() < 5:
            left -= 1
        while left:
            day += _DAY
            left -= day.weekday() < 5 and day not in off
        return Due(_midnight_after(day, zone), day, zone)

    def _month(self, start: date, zone: str, country: str | None) -> Due:
        off = _holidays(country, start)
        day = start + relativedelta(months=1)
        while day.weekday() > 4 or day in off:
            day += _DAY
        return Due(_midnight_after(day, zone), day, zone)

    # --- violations -------------------------------------------------------------------------------
    def messages(self, person: UUID) -> Iterator[Row]:
        """Each message once: as sent, else as delivered, else as bounced."""
        mail = [
            m for m in self._of("mails", person)
            if m["kind"] in ("sent", "delivered", "bounced") and not m["transactional"]
            and m["occurred_at"] <= self.policy.cutoff
        ]  # fmt: skip
        groups: dict[tuple[Any, ...], list[Row]] = {}
        for m in mail:
            name = m["message_id"] or m["campaign_id"] or m["event_key"]
            groups.setdefault((m["system"], name), []).append(m)
        for group in groups.values():
            kinds = {m["kind"] for m in group}
            best = next(k for k in ("sent", "delivered", "bounced") if k in kinds)
            mask = 0
            for m in group:
                mask |= m["categories"]
            yield from ({**m, "categories": mask} for m in group if m["kind"] == best)

    def violations(self, person: UUID) -> Iterator[tuple[Any, ...]]:
        """(event, grade, beyond strict, opted out at, strict date, legal date) of a person."""
        outs = [(o, self.lifted_at(o, person), *self.deadlines(o, person))
                for o in self.outs(person)]  # fmt: skip
        for m in self.messages(person):
            at = m["occurred_at"]
            covering = [
                (o, strict, legal) for o, lifted, strict, legal in outs
                if o["occurred_at"] < at and (lifted is None or lifted >= at)
                and self._covers(o, m["categories"])
                and (min(o["receipts"], default=o["occurred_at"]) < at or strict.late_from <= at)
            ]  # fmt: skip
            if not covering:
                continue
            beyond = any(at >= strict.late_from for _, strict, _ in covering)
            unlawful = any(at >= legal.late_from for *_, legal in covering)
            grade = "legal_breach" if unlawful else "breach" if beyond else "warning"
            yield (
                m["event_key"], grade, beyond, min(o["occurred_at"] for o, *_ in covering),
                min(s.last_day for _, s, _ in covering), min(g.last_day for *_, g in covering),
            )  # fmt: skip

    def _covers(self, out: Row, mask: int) -> bool:
        if out["category"] is None:
            return True
        return bool(mask & 1 << list(self.policy.categories).index(out["category"]))

    # --- consent ----------------------------------------------------------------------------------
    def consent(self, person: UUID, today: date) -> tuple[str, str | None, date | None] | None:
        """(status, basis, expiry); None where mail needs no consent or the hub has no record."""
        records = self._of("consents", person)
        regimes = {"CA": "casl", "GB": "shown", "AU": "inferred", "US": None}
        found = []
        for place in self.places(person) if records else ():
            regime = "shown" if place in EUROPE else regimes.get(place or "", "casl")
            if regime is not None:
                found.append(self._best(records, regime, today))
        severity = ("not_proven", "expired")
        return min(
            found,
            key=lambda f: (
                severity.index(f[0]) if f[0] in severity else 2, f[2] or _FAR,
            ),
            default=None,
        )  # fmt: skip

    def _best(
        self, records: Sequence[Row], regime: str, today: date
    ) -> tuple[str, str | None, date | None]:
        worth = []
        for r in records:
            basis = (r["basis"] or "").strip().lower()
            if not (r["basis_ref"] or "").strip() or not self._proves(r, basis, regime, today):
                continue
            worth.append((self._end(r, basis) if regime == "casl" else _FAR, basis))
        if not worth:
            named = [b for r in records if (b := (r["basis"] or "").strip().lower())]
            return "not_proven", max(named, default=None), None
        end, basis = max(worth)
        if end == _FAR:
            return "ok", basis, None
        left = (end - today).days - 1
        for limit, status in (
            (-1, "expired"),
            (7, "within_7"),
            (30, "within_30"),
            (60, "within_60"),
        ):
            if left <= limit:
                return status, basis, end
        return "ok", basis, end

    @staticmethod
    def _proves(r: Row, basis: str, regime: str, today: date) -> bool:
        day = r["basis_date"]
        if basis == "express":
            method = (r["method"] or "").strip().lower()
            return method == "explicit" and day is not None and day <= today
        if regime == "shown":
            return False
        if basis in ("contract", "membership"):
            return True
        events = ("purchase", "inquiry") if regime == "casl" else ("purchase",)
        return basis in events and day is not None and day <= today

    @staticmethod
    def _end(r: Row, basis: str) -> date:
        if basis == "express" or r["basis_date"] is None:
            return _FAR
        day: date = r["basis_date"]
        return day + (relativedelta(months=6) if basis == "inquiry" else relativedelta(years=2))


def _earliest(dues: Sequence[Due]) -> Due:
    first = min(d.late_from for d in dues)
    return min((d for d in dues if d.late_from == first), key=lambda d: d.zone)


def _local(moment: datetime, zone: str) -> date:
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date()


def _midnight_after(day: date, zone: str) -> datetime:
    local = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)) + _DAY
    return local.astimezone(UTC).replace(tzinfo=None)


def _holidays(country: str | None, start: date) -> set[date]:
    if country is None:
        return set()
    kinds = {"CA": ("public", "government", "optional"), "US": ("public", "government"),
             "AU": ("public", "bank")}.get(country, ("public",))  # fmt: skip
    return set(
        holidays.country_holidays(country, years=[start.year, start.year + 1], categories=kinds)
    )
