"""Opt-out rates that rose, and feeds that died; the statistics are `optout.rules.spikes`.

One alert a system and kind, whatever the series it shows in: a campaign that is never mailed again
could never be judged mended by itself.
"""

from __future__ import annotations

from functools import partial

from optout.alerts.facts import Facts, Row, nothing_known
from optout.alerts.rule import Condition, Direction, Family, Judgement, Rule, Severity
from optout.alerts.rules.words import listed, plural
from optout.rules.detection import DetectionRules

_UNTOLD = "too_little_to_tell"
_NARROW = ("campaign", "domain", "source", "category")
"""Series that explain a rise, the most telling first."""


def _judge(facts: Facts, rule: str, kind: str, severity: Severity) -> Judgement:
    if not facts.has("audit.spike"):
        return nothing_known()
    rows = facts.rows("spikes")
    hits: dict[str, list[Row]] = {}
    for row in rows:
        if row["kind"] == kind and not _was_told(row, facts.detection):
            hits.setdefault(row["system"], []).append(row)
    conditions = [
        _condition(facts, rule, system, series, severity) for system, series in hits.items()
    ]
    told = {r["system"] for r in rows if r["dimension"] == "system" and r["kind"] != _UNTOLD}
    return Judgement(conditions, lambda key: key.source in told)


def _was_told(row: Row, limits: DetectionRules) -> bool:
    """Whether a sum of nights is high for a night only that was told as a spike when it came: one
    problem, one alert. What is left of the sum has to be too much by itself."""
    if row["kind"] != "slow_rise" or row["untold"] == row["opt_outs"]:
        return False
    left, expected = int(row["untold"]), float(row["untold_expected"] or 0)
    return left < limits.min_slow_effect * expected or left - expected < limits.min_excess


def _condition(
    facts: Facts, rule: str, system: str, series: list[Row], severity: Severity
) -> Condition:
    first = series[0]
    narrow = next((r for d in _NARROW for r in series if r["dimension"] == d), None)
    nights = int(first["window_nights"])
    return Condition(
        key=facts.key(rule, system),
        severity=severity,
        headline=_headline(rule, system, first),
        count=int(first["opt_outs"]),
        people=int(first["opt_outs"]),
        direction=Direction.UNSEEN if rule == "dead_feed" else Direction.TREND,
        systems=(system,),
        categories=tuple(sorted({r["key"] for r in series if r["dimension"] == "category"})),
        since=min(r["since"] for r in series),
        group=f"mail:{system}",
        suspected=_suspected(rule, narrow),
        next_step=_NEXT[rule].format(system=system),
        details={
            "deliveries": int(first["deliveries"]),
            "expected": f"{first['expected'] or 0:.1f}",
            "nights_summed": nights,
            "series": listed((f"{r['dimension']} {r['key']}" for r in series), 5),
        },
    )


def _headline(rule: str, system: str, row: Row) -> str:
    count, sent = int(row["opt_outs"]), int(row["deliveries"])
    if rule == "dead_feed":
        return f"Not one opt-out in {system} after {sent:,} deliveries: the feed is dead"
    if rule == "scanner_opt_outs":
        return f"{plural(count, 'opt-out')} in {system} look automatic (a mail scanner's clicks)"
    nights = int(row["window_nights"])
    when = "tonight" if nights == 1 else f"in {nights} nights"
    return (
        f"{plural(count, 'opt-out')} in {system} {when}, {row['ratio'] or 0:.1f} times as many as "
        f"expected of {sent:,} deliveries"
    )


def _suspected(rule: str, narrow: Row | None) -> str:
    if rule == "dead_feed":
        return "The unsubscribe link, its webhook or our read of it does not work."
    if rule == "scanner_opt_outs":
        return (
            "A firm's mail scanner followed every link; the opt-outs stand until a person returns."
        )
    if narrow is None:
        return "It shows in the whole system, not in one campaign, domain or source."
    return f"It shows in the {narrow['dimension']} {narrow['key']}."


_NEXT = {
    "opt_out_spike": "Look at what {system} sent last; hold the campaign that people leave.",
    "slow_rise": "Compare what {system} sends, and how often, with a month ago.",
    "dead_feed": "Click an unsubscribe link of {system} yourself and see whether it arrives; "
    "no send before it does.",
    "scanner_opt_outs": "Move the link of {system} to one-click by POST; do not undo the opt-outs.",
}

RULES = (
    Rule(
        "opt_out_spike",
        Family.SPIKE,
        "The share of people who opt out does not jump.",
        partial(_judge, rule="opt_out_spike", kind="spike", severity=Severity.PAGE),
    ),
    Rule(
        "slow_rise",
        Family.SPIKE,
        "The share of people who opt out does not creep up.",
        partial(_judge, rule="slow_rise", kind="slow_rise", severity=Severity.TICKET),
    ),
    Rule(
        "dead_feed",
        Family.SPIKE,
        "Where much is mailed, some opt out: none at all means that nobody hears them.",
        partial(_judge, rule="dead_feed", kind="dead_feed", severity=Severity.PAGE),
    ),
    Rule(
        "scanner_opt_outs",
        Family.SPIKE,
        "Opt-outs that a machine made are told apart, and still honoured.",
        partial(_judge, rule="scanner_opt_outs", kind="scanner", severity=Severity.DIGEST),
    ),
)
