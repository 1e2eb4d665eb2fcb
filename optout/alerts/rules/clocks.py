"""Deadlines of open opt-outs, and the budget of late ones.

A deadline does not wait for a source to become readable again: an opt-out that was open when it was
last seen is taken to be open, and what could not be read mutes nothing here.
"""

from __future__ import annotations

from datetime import timedelta

from optout.alerts.facts import Facts, Row, nothing_known
from optout.alerts.rule import Condition, Direction, Family, Judgement, Rule, Severity
from optout.alerts.rules.drift import LAST_DAYS, band_of, days_left
from optout.alerts.rules.words import into, people, plural

_WARNED_AHEAD = timedelta(days=9)
"""Five business days lie within it wherever they begin."""
_WARNED_DAYS = 5
_HALF = 0.5
_FEWEST_LATE = 2
"""A single late opt-out wakes nobody: at small counts one alone would be more than the budget."""


def deadline(facts: Facts) -> Judgement:
    """Open opt-outs with five business days or fewer to their strict deadline."""
    if not facts.has("audit.opt_out"):
        return nothing_known()
    links: dict[tuple[str, str], list[Row]] = {}
    for row in facts.rows("deadline", until=facts.today + _WARNED_AHEAD):
        left = days_left(facts, row["deadline"])
        if left is not None and left <= _WARNED_DAYS:
            links.setdefault((row["known_in"], row["system"]), []).append(row | {"left": left})
    conditions = [_deadline(facts, link, rows) for link, rows in links.items()]
    return Judgement(conditions, facts.judges(facts.hub))


def _deadline(facts: Facts, link: tuple[str, str], rows: list[Row]) -> Condition:
    source, target = link
    left, count = min(r["left"] for r in rows), sum(int(r["people"]) for r in rows)
    over = sum(int(r["people"]) for r in rows if r["left"] < 0)
    when = f"{plural(left, 'business day')} left" if left else "today is the last day"
    when = when if left >= 0 else "the deadline is over"
    return Condition(
        key=facts.key("deadline", source, target),
        severity=Severity.PAGE if left <= LAST_DAYS else Severity.TICKET,
        headline=f"{people(count)} opted out in {source} must be so in {target}: {when}",
        count=count,
        people=count,
        direction=Direction.MAILABLE,
        systems=(source, target),
        categories=tuple(sorted({c for r in rows for c in r["categories"] or ()})),
        since=min(r["since"] for r in rows),
        deadline=min(r["deadline"] for r in rows),
        band=band_of(left),
        group=into(target),
        suspected=f"The opt-out is known in {source} and was not carried to {target}.",
        next_step=f"Suppress them in {target} today: "
        f"`optout drift --class unhonoured_opt_out --system {target}`.",
        details={
            "business_days_left": left,
            "over": over,
            "by_rule": str(rows[0]["strict_rule"]),
            "seen_last": facts.night.isoformat(),
        },
    )


def budget_burn(facts: Facts) -> Judgement:
    """How much of the month's allowance of late opt-outs a night, or seven, used up."""
    if not facts.has("audit.opt_out"):
        return nothing_known()
    (row,) = facts.rows("late", cutoff=facts.covered.cutoff)
    budget = max(1.0, int(row["opt_outs"]) * facts.limits.late_share)
    tonight, week = int(row["late_tonight"]), int(row["late_week"])
    conditions = []
    if week > budget * _HALF:
        is_page = tonight > budget * _HALF and tonight >= _FEWEST_LATE
        span, late = ("one night", tonight) if is_page else ("seven nights", week)
        conditions.append(
            Condition(
                key=facts.key("budget_burn"),
                severity=Severity.PAGE if is_page else Severity.TICKET,
                headline=f"{plural(late, 'opt-out')} took more than 24 hours within {span}: "
                f"{late / budget:.0%} of the month's allowance",
                count=week,
                people=week,
                direction=Direction.MAILABLE,
                group="late",
                suspected="What carries opt-outs between systems ran late or not at all.",
                next_step="`optout status --all` shows the times: find the slowest link.",
                details={
                    "allowance": f"{budget:.1f}",
                    "opt_outs_in_30_days": int(row["opt_outs"]),
                    "late_tonight": tonight,
                    "late_in_7_nights": week,
                },
            )
        )
    return Judgement(conditions, lambda key: facts.all_known)


RULES = (
    Rule(
        "deadline",
        Family.DEADLINE,
        "Every opt-out is honoured everywhere before its strict deadline.",
        deadline,
    ),
    Rule(
        "budget_burn",
        Family.DEADLINE,
        "99.9 % of the opt-outs are effective everywhere within 24 hours, over 30 days.",
        budget_burn,
    ),
)
