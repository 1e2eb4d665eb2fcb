"""Consent that ends soon, has ended, or cannot be proven, of people who would be mailed."""

from __future__ import annotations

from optout.alerts.facts import Facts, Row, nothing_known
from optout.alerts.rule import Condition, Direction, Family, Judgement, Rule, Severity
from optout.alerts.rules.words import listed, people
from optout.rules.consent import ConsentStatus

_ENDING = {
    ConsentStatus.WITHIN_7: (3, 7),
    ConsentStatus.WITHIN_30: (2, 30),
    ConsentStatus.WITHIN_60: (1, 60),
}
_WITHOUT = {
    ConsentStatus.EXPIRED: (Severity.PAGE, "whose consent has ended"),
    ConsentStatus.NOT_PROVEN: (Severity.TICKET, "whose consent is not proven"),
}


def consent_expiry(facts: Facts) -> Judgement:
    """By regime: who would be mailed without consent, and whose consent ends within 60 days."""
    if not facts.has("audit.consent", "audit.audience"):
        return nothing_known()
    regimes: dict[str, dict[str, Row]] = {}
    for row in facts.rows("consent"):
        regimes.setdefault(row["regime"], {})[row["status"]] = row
    conditions = []
    for regime, rows in regimes.items():
        conditions += [
            _without(facts, regime, status, rows[status])
            for status in _WITHOUT
            if status in rows and rows[status]["mailable"]
        ]
        ending = {s: rows[s] for s in _ENDING if s in rows and rows[s]["mailable"]}
        if ending:
            conditions.append(_ending(facts, regime, ending))
    return Judgement(conditions, lambda key: facts.all_known)


def _without(facts: Facts, regime: str, status: ConsentStatus, row: Row) -> Condition:
    severity, words = _WITHOUT[status]
    count = int(row["mailable"])
    return Condition(
        key=facts.key("consent_expiry", scope=f"{regime}:{status}"),
        severity=severity,
        headline=f"{people(count)} would still be mailed {words} ({regime})",
        count=count,
        people=count,
        direction=Direction.MAILABLE,
        deadline=row["last_safe_day"] if status is ConsentStatus.EXPIRED else None,
        group=f"consent:{regime}",
        suspected=f"Basis: {listed(row['bases'] or ()) or 'none recorded'}; nothing stops mail "
        "when a basis ends.",
        next_step=f"Exclude them from every audience: `optout consent --status {status}`.",
        is_judged=facts.is_known(facts.hub),
        details={"regime": regime},
    )


def _ending(facts: Facts, regime: str, rows: dict[ConsentStatus, Row]) -> Condition:
    band, days = max(_ENDING[status] for status in rows)
    counts = {f"within_{_ENDING[s][1]}_days": int(r["mailable"]) for s, r in rows.items()}
    nearest = int(rows[next(s for s in _ENDING if s in rows)]["mailable"])
    return Condition(
        key=facts.key("consent_expiry", scope=f"{regime}:ending"),
        severity=Severity.TICKET if days <= 30 else Severity.DIGEST,
        headline=f"The consent of {people(nearest)} ends within {days} days ({regime})",
        count=sum(counts.values()),
        people=sum(counts.values()),
        deadline=min(r["last_safe_day"] for r in rows.values() if r["last_safe_day"]),
        band=band,
        group=f"consent:{regime}",
        suspected="Implied consent runs from a transaction, a contract's end or an inquiry.",
        next_step="Ask them for express consent while it is still allowed: "
        "`optout consent --status within_30`.",
        is_judged=facts.is_known(facts.hub),
        details={"regime": regime, **counts},
    )


RULES = (
    Rule(
        "consent_expiry",
        Family.CONSENT,
        "No mail on expired or unproven consent; implied consent is renewed before it ends.",
        consent_expiry,
    ),
)
