"""Mail that was sent after an opt-out. Nothing ever mutes these, and each new send is told."""

from __future__ import annotations

from functools import partial

from optout.alerts.facts import Facts, Row, nothing_known
from optout.alerts.rule import (
    Condition,
    Direction,
    Family,
    Judgement,
    Rule,
    Severity,
    event_digest,
)
from optout.alerts.rules.words import listed, people, plural


def _sends(facts: Facts, rule: str, *, is_warning: bool) -> Judgement:
    """An alert for each pair of systems, open until a complete night brings no new send and nobody
    of them would be mailed there any more."""
    if not facts.has("audit.violation"):
        return nothing_known()
    pairs: dict[tuple[str, str], list[Row]] = {}
    for row in facts.rows("send", is_warning=is_warning):
        pairs.setdefault((row["known_in"], row["system"]), []).append(row)
    conditions = [
        _condition(facts, rule, pair, rows, is_warning)
        for pair, rows in pairs.items()
        if any(r["is_unmended"] or r["found_night"] == facts.night for r in rows)
    ]

    def judged(key: object) -> bool:
        return facts.all_known and facts.mail_known(*facts.esps)

    return Judgement(conditions, judged)


def _condition(
    facts: Facts, rule: str, pair: tuple[str, str], rows: list[Row], is_warning: bool
) -> Condition:
    source, target = pair
    persons = {r["person"] for r in rows}
    unmended = {r["person"] for r in rows if r["is_unmended"]}
    legal = sum(r["grade"] == "legal_breach" for r in rows)
    is_page = not is_warning or bool(unmended)
    what = "within the time to honour it" if is_warning else "after the deadline to honour it"
    return Condition(
        key=facts.key(rule, source, target),
        severity=Severity.PAGE if is_page else Severity.TICKET,
        headline=f"{target} sent {plural(len(rows), 'message')} to {people(len(persons))} who had "
        f"opted out in {source}, {what}",
        count=len(rows),
        people=len(persons),
        previous=sum(r["found_night"] < facts.night for r in rows),
        direction=Direction.MAILABLE,
        systems=(source, target),
        categories=tuple(sorted({r["category"] for r in rows if r["category"]})),
        since=min(r["found_night"] for r in rows),
        deadline=min(r["deadline"] for r in rows),
        events=frozenset(event_digest(r["event_key"], r["person"], r["category"]) for r in rows),
        suspected=_campaigns(rows),
        next_step=f"Suppress them in {target}, stop its queued campaigns, and keep the evidence: "
        f"`optout violations --system {target}`.",
        details={"still_mailable": len(unmended)}
        | ({} if is_warning else {"beyond_the_law": legal}),
    )


def _campaigns(rows: list[Row]) -> str:
    known = sorted({str(r["campaign_id"]) for r in rows if r["campaign_id"]})
    if not known:
        return "No campaign is told: an automation or a single message."
    return f"{plural(len(known), 'campaign')}: {listed(known, 3)}."


RULES = (
    Rule(
        "breach",
        Family.DEADLINE,
        "No mail after the strict deadline of an opt-out; there is no budget for it.",
        partial(_sends, rule="breach", is_warning=False),
        never_muted=True,
    ),
    Rule(
        "send_after_opt_out",
        Family.DEADLINE,
        "No mail once an opt-out was received.",
        partial(_sends, rule="send_after_opt_out", is_warning=True),
        never_muted=True,
    ),
)
