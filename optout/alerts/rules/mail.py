"""How people answer mail: complaints, and people who change their preferences again and again."""

from __future__ import annotations

from optout.alerts.facts import Facts, Figure, nothing_known
from optout.alerts.rule import Condition, Direction, Family, Judgement, Rule, Severity
from optout.alerts.rules.words import people

LOOK = 0.001
NEVER = 0.003
"""Google's and Yahoo's bounds of the spam rate."""


def complaints(facts: Facts) -> Judgement:
    """Complaints per delivery at or above 0.1 %, and 0.3 %; of too few deliveries
    (`[policy.clocks] complaint_minimum`) there is no figure."""
    conditions, known = [], set()
    for (system, category), figure in facts.tonight("complaint_rate").items():
        if not system or category or not figure.is_known:
            continue
        known.add(system)
        if (figure.value or 0) >= LOOK:
            conditions.append(_complained(facts, system, figure))
    return Judgement(conditions, lambda key: key.source in known)


def _complained(facts: Facts, system: str, figure: Figure) -> Condition:
    rate, count = figure.value or 0.0, int(figure.numerator or 0)
    is_never = rate >= NEVER
    bound = "above 0.3 %, which mailbox providers never accept" if is_never else "above 0.1 %"
    return Condition(
        key=facts.key("complaints", system),
        severity=Severity.PAGE if is_never else Severity.TICKET,
        headline=f"{rate:.2%} of the mail from {system} is reported as spam: {bound}",
        count=count,
        people=count,
        direction=Direction.TREND,
        systems=(system,),
        band=2 if is_never else 1,
        suspected="One campaign or list that people do not recognise or did not ask for.",
        next_step=f"Hold the next campaign from {system}; compare the complaints of its last ones.",
        details={"deliveries": int(figure.denominator or 0)},
    )


def frequent_changers(facts: Facts) -> Judgement:
    """People whose preferences change remarkably often: a loop between systems, or abuse."""
    if not facts.has("audit.frequent_changer"):
        return nothing_known()
    (row,) = facts.rows("changers")
    count = int(row["people"])
    conditions = []
    if count:
        conditions.append(
            Condition(
                key=facts.key("frequent_changers"),
                severity=Severity.DIGEST,
                headline=f"The preferences of {people(count)} change remarkably often, "
                f"up to {int(row['most'])} times",
                count=count,
                people=count,
                direction=Direction.TREND,
                suspected="Two syncs that overwrite each other, or a form that is abused.",
                next_step="`optout explain ADDRESS` of one of them shows who changes what.",
            )
        )
    return Judgement(conditions, lambda key: facts.all_known)


RULES = (
    Rule(
        "complaints",
        Family.SPIKE,
        "Fewer than 0.1 % of deliveries are reported as spam, never 0.3 %.",
        complaints,
    ),
    Rule(
        "frequent_changers",
        Family.SPIKE,
        "Preferences are changed by people, not by loops.",
        frequent_changers,
    ),
)
