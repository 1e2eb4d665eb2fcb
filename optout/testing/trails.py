"""Random histories of the hub's records with faults whose kinds are known: a second, slow
definition of the trail's rules, for tests only.

Each record lives through a few nights, one event a minute at most. What an event leaves behind (an
entry, an event of the other feed, a value that a night shows) is written into rows of `core`; what
is wrong with it is noted beside, in plain Python, without SQL and without looking at the rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from uuid import UUID

from optout.testing.facts import Row, change, key, reading

HUB = "hub"
CATEGORIES = ("a", "b")
FIELDS = ("a", "b", "*")
FIRST = date(2026, 11, 1)
LONG_AGO = datetime(2025, 1, 1)  # noqa: DTZ001 - the warehouse stores naive UTC
LATE = timedelta(hours=30, seconds=7)
Gap = tuple[str, str | None, str | None]
"""Kind, field, missing required field."""


def night_at(number: int) -> date:
    """The nth night, from 1."""
    return FIRST + timedelta(days=number - 1)


def read_at(number: int) -> datetime:
    """When that night's read begins."""
    return datetime.combine(night_at(number), datetime.min.time()) + timedelta(hours=2, minutes=5)


def beginning(name: str) -> str:
    """What a field was before anything was said of it."""
    return "opted_in" if name == "*" else "not_set"


@dataclass
class Entry:
    """One entry of the history; `what` names the event that wrote it."""

    what: str
    name: str
    old: str
    new: str
    at: datetime
    night: int
    number: int
    is_gone: bool = False


@dataclass
class Life:
    """One record: what it is, what was written of it, and what is wrong."""

    person: int
    rng: Random
    nights: int
    has_feed: bool
    values: dict[str, str] = field(default_factory=lambda: {f: beginning(f) for f in FIELDS})
    entries: list[Entry] = field(default_factory=list)
    gaps: Counter[Gap] = field(default_factory=Counter)
    units: int = 0
    shown: list[dict[str, str]] = field(default_factory=list)
    _rows: list[Row] = field(default_factory=list)
    _bare: set[str] = field(default_factory=set)
    _number: int = 0
    has_unseen: bool = False

    # --- living ---------------------------------------------------------------------------------
    def live(self) -> None:
        """From the import to the last night."""
        self._import()
        for number in range(1, self.nights + 1):
            self._day(number)
            self.shown.append(dict(self.values))
        for entry in self._listed():
            if self.nights > 1 and self.rng.random() < 0.03:
                entry.is_gone = True
        self._judge_entries()

    def _import(self) -> None:
        """The record begins with some fields set, with an entry of it or without."""
        is_bare = self.rng.random() < 0.15
        for name in CATEGORIES:
            if self.rng.random() < 0.6:
                self.values[name] = "opted_in"
                if is_bare:
                    self._bare.add(name)
                else:
                    self._enter("clean", name, "not_set", "opted_in", LONG_AGO, 1)
                    self.units += 1

    def _day(self, number: int) -> None:
        at = read_at(number) - timedelta(hours=20)
        told: set[str] = set()
        real: set[str] = set()
        vague: set[str] = set()
        plan = [self.rng.choice(FIELDS) for _ in range(self.rng.choice((0, 1, 2, 3, 6)))]
        for i, name in enumerate(plan):
            at += timedelta(minutes=self.rng.choice((1, 2, 90)))
            is_last = name not in plan[i + 1 :]
            what = self.rng.choice(
                self._possible(number, is_last and name not in vague, is_last and name not in told)
            )
            if what in ("no_at", "silent", "unreadable"):
                vague.add(name)
            self._event(what, name, at, number)
            told.add(name)
            if what != "phantom":
                real.add(name)
        if number == 1:
            self._first_sight(real)

    def _possible(self, number: int, is_last: bool, is_alone: bool) -> list[str]:
        """What can happen so that there is one right answer."""
        found = ["clean", "clean", "clean", "lacks", "broken"]
        if self.has_feed:
            found += ["no_at", "silent", "late"]
        elif not self.has_unseen:
            # A late entry could be of the change that nobody saw.
            found += ["late"]
        if self.has_feed and not (number == 1 and self._bare):
            found += ["unreadable"]
        if is_last:
            # Beside a change without an entry it would pass for that one's.
            found += ["phantom"]
        if is_alone and number > 1:
            found += ["unseen"]
        return found

    def _event(self, what: str, name: str, at: datetime, number: int) -> None:
        old = self.values[name]
        words = ("opted_in", "opted_out") if name == "*" else ("opted_in", "opted_out", "not_set")
        new = self.rng.choice([word for word in words if word != old])
        self.units += 1
        if what == "phantom":
            self._enter(what, name, old, new, at, number)
            self.gaps["phantom", name, None] += 1
            return
        self.values[name] = new
        told = old
        if what == "broken":
            told = self.rng.choice([w for w in words if w != old])
        acted = at - LATE if what == "late" else at
        self.has_unseen = self.has_unseen or what == "unseen"
        if what not in ("silent", "unseen"):
            self._enter(what, name, told, new, acted, number)
        if self.has_feed and what != "unseen":
            self._tell(name, old, new, acted, at, number, is_known=what != "silent")
        kinds = {"silent": "change_without_entry", "unseen": "change_without_entry",
                 "unreadable": "unparsable"}  # fmt: skip
        if what in kinds:
            self.gaps[kinds[what], name, None] += 1
        missing = {"lacks": "ip", "no_at": "at"}.get(what)
        if missing:
            self.gaps["missing_required_field", name, missing] += 1

    def _first_sight(self, told: set[str]) -> None:
        """What the first night shows, and nothing tells of."""
        for name in self._bare - told:
            kind = "broken_chain" if self.entries else "no_history"
            self.gaps[kind, name, None] += 1
            self.units += 1

    def _judge_entries(self) -> None:
        """The chain of what is listed today, entry by entry."""
        for name in FIELDS:
            last = real = beginning(name)
            is_hidden = False
            for entry in self.entries:
                if entry.what == "unreadable":
                    is_hidden = True
                    continue
                if entry.name != name:
                    continue
                if entry.is_gone:
                    self._taken_out(entry)
                    continue
                if entry.what == "phantom":
                    last = entry.new
                else:
                    if entry.old not in (last, real) and not is_hidden:
                        self.gaps["broken_chain", name, None] += 1
                    last = real = entry.new
                is_hidden = False

    def _taken_out(self, entry: Entry) -> None:
        """Its change is left without an entry; what it lacked, nobody asks any more."""
        self.gaps["change_without_entry", entry.name, None] += 1
        if entry.what == "lacks":
            self.gaps["missing_required_field", entry.name, "ip"] -= 1

    def _listed(self) -> list[Entry]:
        kinds = ("clean", "late", "lacks", "broken")
        return [e for e in self.entries if e.what in kinds]

    # --- what is left behind --------------------------------------------------------------------
    def _enter(self, what: str, name: str, old: str, new: str, at: datetime, number: int) -> None:
        self._number += 1
        self.entries.append(Entry(what, name, old, new, at, number, self._number))

    def _tell(
        self, name: str, old: str, new: str, acted: datetime, at: datetime, number: int,
        *, is_known: bool,
    ) -> None:  # fmt: skip
        """The other feed dates by its own clock, and knows the act only with its circumstances."""
        skew = timedelta(seconds=self.rng.choice((0, 0, 3, -2)))
        self._rows.append(
            self._change(
                "firehose", name, old, new, (acted if is_known else at) + skew, number,
                received_at=at + skew, source="manual" if is_known else "unknown",
            )
        )  # fmt: skip

    def _change(
        self, feed: str, name: str, old: str, new: str, at: datetime, number: int, **more: object
    ) -> Row:
        self._number += 1
        row = change(
            HUB, self.person, None if name == "*" else name, new, at, feed=feed, old_state=old,
            night=night_at(number), store="contacts", record_id=str(self.person),
            change_id=UUID(int=self.person * 10_000 + self._number),
        )  # fmt: skip
        return row | more

    def changes(self) -> list[Row]:
        """Rows of `core.change`, and with them those of `core.history_entry` are known."""
        rows = list(self._rows)
        for position, entry in enumerate(self.entries):
            if entry.what == "unreadable":
                continue
            row = self._change(
                "history", entry.name, entry.old, entry.new, entry.at, entry.night,
                source="manual", position=position,
            )  # fmt: skip
            row["change_id"] = _id(self.person, entry)
            if entry.what == "no_at":
                row |= {"occurred_at": read_at(entry.night), "occurred_from": None,
                        "time_kind": "estimated"}  # fmt: skip
            rows.append(row)
        return rows

    def history(self) -> Iterator[Row]:
        """Rows of `core.history_entry`: what is listed after the last night."""
        position = 0
        for entry in self.entries:
            if entry.is_gone:
                continue
            is_read = entry.what != "unreadable"
            yield {
                "system": HUB, "store": "contacts", "record_id": str(self.person),
                "position": position, "change_id": _id(self.person, entry) if is_read else None,
                "missing": {"lacks": "ip", "no_at": "at"}.get(entry.what),
                "problem": None if is_read else "unparsable", "categories": 0,
                "night": night_at(entry.night),
            }  # fmt: skip
            position += 1

    def observations(self) -> Iterator[Row]:
        """Rows of `core.observation`: a version for each night that shows something else."""
        kept: Row | None = None
        for number, values in enumerate(self.shown, 1):
            masks = {
                "ins": _mask(values, "opted_in"),
                "category_outs": _mask(values, "opted_out"),
                "global_out": values["*"] == "opted_out",
            }
            if kept is not None and all(kept[name] == value for name, value in masks.items()):
                continue
            fresh = reading(
                HUB, self.person, store="contacts", record_id=str(self.person),
                valid_from=read_at(number), night_from=night_at(number), night_to=None,
                seen_after=read_at(number - 1) if number > 1 else None, created_at=LONG_AGO,
                contact_key=key(self.person), **masks,
            )  # fmt: skip
            if kept is not None:
                yield kept | {"night_to": night_at(number)}
            kept = fresh
        if kept is not None:
            yield kept

    def found(self) -> Counter[Gap]:
        """The gaps; without their fields where an entry cannot be read, because nobody can tell
        which of two changes it was about."""
        if not any(e.what == "unreadable" for e in self.entries):
            return +self.gaps
        plain: Counter[Gap] = Counter()
        for (kind, _, missing), count in self.gaps.items():
            plain[kind, None, missing] += count
        return +plain


def lives(rng: Random, people: int, nights: int, *, has_feed: bool) -> list[Life]:
    """So many records, each having lived."""
    found = [Life(person, rng, nights, has_feed) for person in range(1, people + 1)]
    for life in found:
        life.live()
    return found


def _id(person: int, entry: Entry) -> UUID:
    return UUID(int=person * 10_000 + 5_000 + entry.number)


def _mask(values: dict[str, str], word: str) -> int:
    return sum(1 << i for i, name in enumerate(CATEGORIES) if values[name] == word)
