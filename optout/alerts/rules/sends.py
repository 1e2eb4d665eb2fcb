"""Mail that was sent after an opt-out. Nothing ever mutes it, and each new send is told."""

from __future__ import annotations

from optout.alerts.facts import Facts, Row, nothing_known
from optout.alerts.rule import (
    AlertKey,
    Condition,
    Direction,
    Family,
    Judgement,
    Rule,
    Severity,
    event_digest,
)
from optout.alerts.rules.words import into, listed, people, plural

_GRADES = {
    "legal_breach": "beyond the law's deadline",
    "breach": "beyond the strict deadline",
    "warning": "before the deadline",
}
"""The gravest first."""


def breach(facts: Facts) -> Judgement:
    """One alert a sending system, open until a complete night brings no new send and none of those
    people would be mailed there any more.

    A ticket only where all of it was sent before the deadline to people who are suppressed by now.
    """
    if not facts.has("audit.violation"):
        return nothing_known()
    senders: dict[str, list[Row]] = {}
    for row in facts.rows("send"):
        if row["is_unmended"] or row["found_night"] == facts.night:
            senders.setdefault(row["system"], []).append(row)
    conditions = [_condition(facts, system, rows) for system, rows in senders.items()]

    def judged(key: AlertKey) -> bool:
        return facts.all_known and facts.mail_known(*key.systems)

    return Judgement(conditions, judged)


def _condition(facts: Facts, system: str, rows: list[Row]) -> Condition:
    persons = {r["person"] for r in rows}
    unmended = {r["person"] for r in rows if r["is_unmended"]}
    known_in = tuple(sorted({r["known_in"] for r in rows}))
    grades = {g: sum(r["grade"] == g for r in rows) for g in _GRADES}
    told = ", ".join(f"{count:,} {_GRADES[g]}" for g, count in grades.items() if count)
    is_page = bool(unmended or grades["breach"] or grades["legal_breach"])
    return Condition(
        key=facts.key("breach", target=system),
        severity=Severity.PAGE if is_page else Severity.TICKET,
        headline=f"{system} sent {plural(len(rows), 'message')} to {people(len(persons))} who had "
        f"opted out ({told})",
        count=len(rows),
        people=len(persons),
        previous=sum(r["found_night"] < facts.night for r in rows),
        direction=Direction.MAILABLE,
        systems=(*(name for name in known_in if name != system), system),
        categories=tuple(sorted({r["category"] for r in rows if r["category"]})),
        since=min(r["found_night"] for r in rows),
        deadline=min(r["deadline"] for r in rows),
        events=frozenset(event_digest(r["event_key"], r["person"], r["category"]) for r in rows),
        group=into(system),
        suspected=f"The opt-outs are known in {listed(known_in)}; {_campaigns(rows)}.",
        next_step=f"Suppress them in {system}, stop its queued campaigns, and keep the evidence: "
        f"`optout violations --system {system}`.",
        details={"still_mailable": len(unmended)},
    )


def _campaigns(rows: list[Row]) -> str:
    known = sorted({str(r["campaign_id"]) for r in rows if r["campaign_id"]})
    if not known:
        return "no campaign is told: an automation or single messages"
    return f"{plural(len(known), 'campaign')} sent it: {listed(known, 3)}"


RULES = (
    Rule(
        "breach",
        Family.DEADLINE,
        "No mail once an opt-out was received; after its deadline there is no budget for it.",
        breach,
        never_muted=True,
    ),
)
