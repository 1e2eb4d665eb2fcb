"""Whether the systems could be read at all, and whether they still say what they used to."""

from __future__ import annotations

from datetime import timedelta

from optout.alerts.facts import Facts, Figure, Row
from optout.alerts.rule import Condition, Direction, Family, Judgement, Rule, Severity
from optout.alerts.rules.words import listed, plural, source

_LOOKED_BACK = 15
_EMPTY_RECORDS = 20
_EMPTY_SHARE = 0.2
_EMPTY_FACTOR = 5
_PRESSURE_REQUESTS = 50
_PRESSURE_TICKET = 4
_VALUE_CODES = ("unknown_value", "unparsable")


def extraction_incomplete(facts: Facts) -> Judgement:
    """Systems that were not read to their end: a ticket; two nights running: a page."""
    figures = facts.metric("extraction_complete", nights=_LOOKED_BACK)
    told = {s: f for (s, c), f in figures.items() if s and f[0].night == facts.night}
    reads: dict[str, list[Row]] = {}
    for row in facts.rows("reads"):
        reads.setdefault(row["system"], []).append(row)
    conditions = [
        _incomplete(facts, system, nights, reads.get(system, []))
        for system, nights in told.items()
        if nights[0].status == "missed"
    ]
    known = {s for s, f in told.items() if f[0].status in ("met", "missed")}
    return Judgement(conditions, lambda key: key.source in known)


def _incomplete(facts: Facts, system: str, nights: list[Figure], reads: list[Row]) -> Condition:
    running = _running(nights)
    failed = [r for r in reads if not r["is_complete"]]
    why = listed((f"{r['stream']}: {r['why_not'] or 'unknown'}" for r in failed), 3)
    done, wanted = int(nights[0].numerator or 0), int(nights[0].denominator or 0)
    return Condition(
        key=facts.key("extraction_incomplete", system),
        severity=Severity.PAGE if running > 1 else Severity.TICKET,
        headline=f"{system} could not be read completely, {plural(running, 'night')} running "
        f"({done} of {wanted} streams): what depends on it is unknown",
        count=running,
        direction=Direction.UNSEEN,
        systems=(system,),
        since=nights[running - 1].night,
        group=source(system),
        suspected=why or "Streams that were read before are missing tonight.",
        next_step=f"`optout check`, then `optout run --system {system}`: a night that "
        "is read again before the next begins is whole.",
        details={"streams_failed": wanted - done},
    )


def _running(nights: list[Figure]) -> int:
    """For how many nights in a row, the newest first; nights that were not run do not count."""
    count = 0
    for figure in nights:
        if figure.status != "missed":
            break
        count += 1
    return count


def field_gone_empty(facts: Facts) -> Judgement:
    """A field that was filled and is not: a vendor or an integration stopped giving it."""
    conditions = [
        _empty_findings(facts, row)
        for row in facts.rows("findings")
        if row["code"] == "missing_field" and _is_jump(row)
    ]
    if facts.has("mart.preference_daily"):
        conditions += [
            _empty_words(facts, row) for row in facts.rows("not_set") if _is_emptied(row)
        ]
    return Judgement(conditions, facts.judges())


def _is_jump(row: Row) -> bool:
    now, before = int(row["records"]), int(row["most_before"])
    return bool(row["nights_before"]) and now >= max(_EMPTY_RECORDS, _EMPTY_FACTOR * before)


def _is_emptied(row: Row) -> bool:
    everyone, before = int(row["everyone"] or 0), int(row["everyone_before"] or 0)
    if not everyone or not before:
        return False
    more = int(row["not_set"] or 0) - int(row["not_set_before"] or 0)
    share = int(row["not_set"] or 0) / everyone - int(row["not_set_before"] or 0) / before
    return more >= _EMPTY_RECORDS and share >= _EMPTY_SHARE


def _empty_findings(facts: Facts, row: Row) -> Condition:
    system, count = row["system"], int(row["records"])
    return Condition(
        key=facts.key("field_gone_empty", system, scope=row["field"] or "all"),
        severity=Severity.TICKET,
        headline=f"{plural(count, 'record')} of {system} came without the field "
        f"{row['field'] or '(unnamed)'}",
        count=count,
        previous=int(row["most_before"]),
        direction=Direction.EVIDENCE,
        systems=(system,),
        group=source(system),
        suspected="The vendor, a permission or an integration no longer gives the field.",
        next_step="`optout check` tests the fields; compare one record in the vendor's own pages.",
        details={"field": row["field"]},
    )


def _empty_words(facts: Facts, row: Row) -> Condition:
    count = int(row["not_set"]) - int(row["not_set_before"])
    return Condition(
        key=facts.key("field_gone_empty", facts.hub, scope=f"preference:{row['category']}"),
        severity=Severity.PAGE,
        headline=f"{facts.hub} forgot the preference for {row['category']} of {count:,} people "
        "in one night",
        count=count,
        people=count,
        direction=Direction.LOST,
        systems=(facts.hub,),
        categories=(row["category"],),
        group=source(facts.hub),
        suspected="The custom field was renamed, emptied by an import, or hidden from the token.",
        next_step="`optout check`; stop every sync out of the hub until the field is back.",
        is_judged=facts.is_known(facts.hub),
    )


def schema_changed(facts: Facts) -> Judgement:
    """Values or an API revision that were not there before."""
    conditions = [
        _new_values(facts, row)
        for row in facts.rows("findings")
        if row["code"] in _VALUE_CODES and row["nights_before"] and not row["most_before"]
    ]
    revisions: dict[str, Row] = {}
    for row in facts.rows("reads"):
        if row["revision"] and row["revision_before"] not in (None, row["revision"]):
            revisions[row["system"]] = row
    conditions += [_new_revision(facts, row) for row in revisions.values()]
    return Judgement(conditions, facts.judges())


def _new_values(facts: Facts, row: Row) -> Condition:
    system, count = row["system"], int(row["records"])
    return Condition(
        key=facts.key("schema_changed", system, scope=f"{row['code']}:{row['field']}"),
        severity=Severity.TICKET,
        headline=f"{system} says something new in {row['field'] or 'a field'} "
        f"that is not understood ({plural(count, 'record')})",
        count=count,
        direction=Direction.EVIDENCE,
        systems=(system,),
        group=source(system),
        suspected="A new option in the vendor's account, or a new word of its API.",
        next_step="The cells are not comparable until it is mapped; see the finding's detail in "
        "`core.finding`.",
    )


def _new_revision(facts: Facts, row: Row) -> Condition:
    system = row["system"]
    return Condition(
        key=facts.key("schema_changed", system, scope="revision"),
        severity=Severity.DIGEST,
        headline=f"{system} was read with the API revision {row['revision']}, "
        f"before with {row['revision_before']}",
        count=1,
        direction=Direction.EVIDENCE,
        systems=(system,),
        suspected="An upgrade of optout, or the vendor's default moved.",
        next_step="Compare the night's record counts with the last ones.",
    )


def rate_limit_pressure(facts: Facts) -> Judgement:
    """Systems whose limits are hit so often that the night may not end in time."""
    totals: dict[str, list[int]] = {}
    for row in facts.rows("reads"):
        known = totals.setdefault(row["system"], [0, 0])
        known[0] += int(row["requests"])
        known[1] += int(row["rate_limited"])
    limit = facts.limits.rate_limited_share
    conditions = []
    for system, (requests, limited) in totals.items():
        share = limited / requests if requests else 0.0
        if requests < _PRESSURE_REQUESTS or share <= limit:
            continue
        is_high = share > limit * _PRESSURE_TICKET
        conditions.append(
            Condition(
                key=facts.key("rate_limit_pressure", system),
                severity=Severity.TICKET if is_high else Severity.DIGEST,
                headline=f"{share:.0%} of the requests to {system} were refused as too many",
                count=limited,
                direction=Direction.UNSEEN,
                systems=(system,),
                group=source(system),
                suspected="Another program uses the same credential or quota at night.",
                next_step="Give optout a credential of its own, or move `schedule.at`.",
                details={"requests": requests},
            )
        )
    return Judgement(conditions, lambda key: key.source in totals)


def freshness(facts: Facts) -> Judgement:
    """How old the newest night is: nothing else is judged while none is run."""
    allowed = timedelta(hours=facts.limits.stale_hours)
    age = facts.now.replace(tzinfo=None) - facts.covered.cutoff
    conditions = []
    if age > allowed:
        hours = int(age.total_seconds() // 3600)
        conditions.append(
            Condition(
                key=facts.key("freshness"),
                severity=Severity.PAGE
                if age > 2 * allowed - timedelta(hours=2)
                else Severity.TICKET,
                headline=f"The newest night began {hours} hours ago: nothing newer is known",
                count=1 + hours // 24,
                direction=Direction.UNSEEN,
                since=facts.night,
                group="run",
                suspected="The schedule is off, the daemon is down, or the run fails or waits.",
                next_step="Look at the runs; `optout run` reads the night by hand.",
            )
        )
    return Judgement(conditions, lambda key: True)


RULES = (
    Rule(
        "extraction_incomplete",
        Family.EXTRACTION,
        "Every system is read completely every night.",
        extraction_incomplete,
    ),
    Rule(
        "field_gone_empty",
        Family.EXTRACTION,
        "A consent field that was filled stays filled.",
        field_gone_empty,
    ),
    Rule(
        "schema_changed",
        Family.EXTRACTION,
        "What a vendor says is understood, and read with a known revision.",
        schema_changed,
    ),
    Rule(
        "rate_limit_pressure",
        Family.EXTRACTION,
        "Vendors' limits are kept, with room to spare.",
        rate_limit_pressure,
    ),
    Rule("freshness", Family.EXTRACTION, "A good night every night.", freshness),
)
