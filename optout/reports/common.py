"""The parts that every report has: sources, gaps, promises, versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from optout import __version__
from optout.reports import words
from optout.reports.document import Row, Section, Table, columns
from optout.reports.source import NotMeasured, Source
from optout.rules.regimes import builtin_regimes

SOURCES = columns(
    "system", ("status", "Last night", "status"), ("complete", "Complete nights", "count"),
    ("nights", "Nights read", "count"), ("records", "Records", "count"),
    ("findings", "Unusable", "count"), ("why_not", "Why not"),
)  # fmt: skip
PROMISES = columns(
    ("metric", "Promise", "word"), ("target", "Target", "target"), ("value", "Figure", "value"),
    ("interval", "95 % interval or bounds"), ("numerator", "Of it", "count"),
    ("denominator", "Out of", "count"), ("not_comparable", "Not comparable", "count"),
    ("status", "Last night", "status"),
)  # fmt: skip
NIGHTS = columns(
    ("met", "Nights met", "count"), ("missed", "Missed", "count"),
    ("unknown", "Not measured", "count"),
)  # fmt: skip


@dataclass(frozen=True)
class Standing:
    """How the promises were kept over the nights of the period, and how they stand on the last."""

    rows: tuple[Row, ...]
    not_measured: str | None = None

    def of(self, status: str) -> list[str]:
        """The promises that came to a status over the period, in words."""
        return [words.words(str(r["metric"])) for r in self.rows if r["over_period"] == status]

    @property
    def has_nights(self) -> bool:
        """Whether there is more than one night to speak of."""
        return any(int(r["met"]) + int(r["missed"]) + int(r["unknown"]) > 1 for r in self.rows)

    @property
    def verdict(self) -> str:
        """The worst that is known."""
        if self.of("missed"):
            return "missed"
        return "unknown" if self.not_measured or self.of("unknown") or not self.rows else "met"

    @property
    def sentence(self) -> str:
        """What a reader remembers."""
        missed, unknown, met = (len(self.of(s)) for s in ("missed", "unknown", "met"))
        if not self.rows:
            return "No promise was measured."
        some, every = (" on some night", " on every night") if self.has_nights else ("", "")
        if not missed and not unknown:
            return f"All {met} promises were kept{every}."
        parts = [f"{words.counted(missed, 'promise')} missed{some}"] if missed else []
        parts += [f"{unknown} could not be measured{every}"] if unknown else []
        parts += [f"{met} kept{every}"] if met else []
        text = ", ".join(parts)
        return text[:1].upper() + text[1:] + "."


def standing(source: Source) -> Standing:
    """The promises over all, to the report's night."""
    if source.night is None:
        return Standing((), "no night in the period ended")
    try:
        rows = source.rows("report_promises")
    except NotMeasured as missing:
        return Standing((), f"{missing} is not published")
    return Standing(tuple({**r, "interval": words.interval(dict(r))} for r in rows))


def promises(source: Source, told: Standing, *, with_nights: bool = False) -> Section:
    """The promises, and what is to be said of those that could not be measured."""
    named = PROMISES + (NIGHTS if with_nights else ())
    table = Table(
        "promises", "Over all systems and categories", named, told.rows,
        empty="No promise is measured.", not_measured=told.not_measured,
    )  # fmt: skip
    notes = tuple(
        f"{_title(str(r['metric']))}: {r['note']}."
        for r in told.rows
        if r["note"] and r["status"] in ("unknown", "missed")
    )
    return Section("promises", "Promises", told.sentence, notes, (table,))


def sources(source: Source) -> Section:
    """Which systems were read, and how completely."""
    table = source.table("sources", "Systems", SOURCES, "report_sources",
                         empty="No system was read.")  # fmt: skip
    return Section(
        "sources", "Sources",
        "A figure that depends on a source which was not read completely is not measured, "
        "whatever the others say.",
        (), (table,),
    )  # fmt: skip


def gaps(source: Source, told: Standing, *, is_over: bool) -> tuple[str, ...]:
    """What was not complete or not comparable, a sentence each."""
    found = []
    if not is_over:
        upto = f"up to the night {source.night}" if source.night else "so far"
        found.append(f"The period is not over: this is what is known {upto}.")
    missing = _missed_nights(source)
    if missing:
        found.append(f"Nights without a run: {_listed(missing)}.")
    late = [str(n["night"]) for n in source.nights if n["kind"] == "backfill"]
    if late:
        found.append(f"Nights of which only dated events could be read later: {_listed(late)}.")
    for night in source.nights:
        if night["is_finished"] and night["incomplete"]:
            found.append(f"Not read completely on {night['night']}: {night['incomplete']}.")
    left_out = [
        f"{words.words(str(r['metric']))} ({int(r['not_comparable']):,})"
        for r in told.rows
        if r["not_comparable"]
    ]
    if left_out:
        found.append(f"Left out on the last night, as not comparable: {', '.join(left_out)}.")
    return tuple(found)


def versions(source: Source) -> dict[str, str]:
    """Of the program, the rules that shipped with it, the schema and the vendors' APIs."""
    checked = max(rule.checked_on for rule in builtin_regimes().rules)
    told = {"optout": __version__, "rules last checked": checked.isoformat()}
    for query, name in (("report_schema", ""), ("report_revisions", "API of ")):
        try:
            rows: Sequence[Row] = source.rows(query) if source.night else ()
        except NotMeasured:
            continue
        told |= {f"{name}{r['system']}": str(r["revision"]) for r in rows}
    return told


def rules_table() -> Table:
    """Every rule that deadlines were computed by."""
    rows: tuple[dict[str, Any], ...] = tuple(
        {
            "rule": rule.key, "starts": words.words(rule.start_event),
            "amount": f"{rule.amount} {words.words(rule.unit)}", "severity": rule.severity,
            "source": rule.source, "checked_on": rule.checked_on.isoformat(),
        }
        for rule in builtin_regimes().rules
    )  # fmt: skip
    named = columns("rule", "starts", "amount", "severity", "source",
                    ("checked_on", "Checked on", "date"))  # fmt: skip
    return Table("rules", "Rules that ship with the program", named, rows)


def _title(metric: str) -> str:
    text = words.words(metric)
    return text[:1].upper() + text[1:]


def _missed_nights(source: Source) -> list[str]:
    """Days between the first and the last night of the period on which none was begun."""
    begun = {date.fromisoformat(str(n["night"])) for n in source.nights}
    if not begun:
        return []
    span = (max(begun) - min(begun)).days
    days = (min(begun) + timedelta(days=n) for n in range(span))
    return [day.isoformat() for day in days if day not in begun]


def _listed(names: Sequence[str]) -> str:
    most = 10
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
