"""The trail of changes: whether it is complete, and whether its chain holds."""

from __future__ import annotations

from optout.alerts.facts import Facts, Figure
from optout.alerts.rule import Condition, Direction, Family, Judgement, Rule, Severity
from optout.alerts.rules.words import listed, plural

COMPLETENESS = "audit_trail_completeness"
CHAIN = "chain_intact"


def trail_incomplete(facts: Facts) -> Judgement:
    """Changes without their complete record, by system."""
    tonight = {s: f for (s, c), f in facts.tonight(COMPLETENESS).items() if s and not c}
    kinds: dict[str, list[str]] = {}
    before: dict[str, int] = {}
    if facts.has("mart.trail_daily"):
        for row in facts.rows("trail"):
            kinds.setdefault(row["system"], []).append(f"{row['kind']} {int(row['gaps']):,}")
            before[row["system"]] = before.get(row["system"], 0) + int(row["before"] or 0)
    conditions = [
        _gaps(facts, system, figure, kinds.get(system, []), before.get(system))
        for system, figure in tonight.items()
        if figure.status == "missed"
    ]
    known = {s for s, f in tonight.items() if f.status in ("met", "missed")}
    return Judgement(conditions, lambda key: key.source in known)


def _gaps(
    facts: Facts, system: str, figure: Figure, kinds: list[str], before: int | None
) -> Condition:
    gaps = int((figure.denominator or 0) - (figure.numerator or 0))
    return Condition(
        key=facts.key("trail_incomplete", system),
        severity=Severity.TICKET,
        headline=f"{plural(gaps, 'change')} in {system} lack{'s' * (gaps == 1)} a complete record",
        count=gaps,
        previous=before,
        direction=Direction.EVIDENCE,
        systems=(system,),
        suspected=f"By kind: {listed(kinds)}." if kinds else "See the kinds of the gaps.",
        next_step=f"`optout gaps --system {system}`: find what writes without a record.",
    )


def chain_broken(facts: Facts) -> Judgement:
    """Recorded changes that were altered, removed or inserted afterwards."""
    figure = facts.tonight(CHAIN).get((None, None))
    if figure is None or not figure.is_known:
        return Judgement()
    conditions = []
    if figure.status == "missed":
        conditions.append(
            Condition(
                key=facts.key("chain_broken"),
                severity=Severity.PAGE,
                headline="The chain of recorded changes is broken: the evidence was altered",
                count=1,
                direction=Direction.EVIDENCE,
                suspected=figure.note or "The database was edited, or restored without its heads.",
                next_step="`optout verify` names the first row; keep the files as they are.",
            )
        )
    return Judgement(conditions, lambda key: True)


RULES = (
    Rule(
        "trail_incomplete",
        Family.EXTRACTION,
        "Every change has its complete record (audit-trail completeness 100 %).",
        trail_incomplete,
    ),
    Rule(
        "chain_broken",
        Family.EXTRACTION,
        "What was recorded is never altered.",
        chain_broken,
        never_muted=True,
    ),
)
