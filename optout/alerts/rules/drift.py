"""Where systems disagree: opt-outs that are not honoured or lost, accuracy, growth, mass moves."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

from optout.alerts.facts import Facts, Figure, Row, nothing_known
from optout.alerts.rule import (
    Condition,
    Direction,
    Family,
    Judgement,
    Rule,
    Severity,
    Telling,
)
from optout.alerts.rules.words import into, people, plural
from optout.rules.clocks import business_days_between

LAST_DAYS = 1
"""So many business days left, or fewer: a person has to act now."""
_GROWTH_SHARE = 1.2
_GROWTH_COUNT = 10
_MOVE_FLOOR = 5
"""A share of few people is no mass."""


def days_left(facts: Facts, deadline: date | None) -> int | None:
    """Business days from today to a deadline; negative when it is over."""
    if deadline is None:
        return None
    if deadline < facts.today:
        return -1
    return business_days_between(facts.today, deadline)


def band_of(left: int | None) -> int:
    """Steps of nearness: 5, 2 and 1 business days left, and over."""
    if left is None or left > 5:
        return 0
    if left < 0:
        return 4
    return 3 if left <= LAST_DAYS else 2 if left <= 2 else 1


def unhonoured_opt_out(facts: Facts) -> Judgement:
    """People who opted out in one system and would be mailed by another, link by link."""
    if not facts.has("audit.opt_out", "audit.violation"):
        return nothing_known()
    conditions = [_unhonoured(facts, row) for row in facts.rows("unhonoured")]
    return Judgement(conditions, facts.judges(facts.hub))


def _unhonoured(facts: Facts, row: Row) -> Condition:
    source, target, count = row["known_in"], row["system"], int(row["people"])
    deadline, mailed = row["deadline"], int(row["mailed"])
    left = days_left(facts, deadline)
    is_urgent = mailed > 0 or (left is not None and left <= LAST_DAYS)
    by_now = f"; {people(mailed)} mailed since" if mailed else ""
    return Condition(
        key=facts.key("unhonoured_opt_out", source, target),
        severity=Severity.PAGE if is_urgent else Severity.TICKET,
        headline=f"{people(count)} opted out in {source} and would be mailed by {target}{by_now}",
        count=count,
        people=count,
        previous=_previous(facts, row),
        direction=Direction.MAILABLE,
        systems=(source, target),
        categories=tuple(row["categories"] or ()),
        since=row["since"],
        deadline=deadline,
        band=band_of(left),
        group=into(target),
        suspected=_cause(facts, row),
        next_step=f"Suppress them in {target} now: `optout drift --class unhonoured_opt_out "
        f"--system {target}` lists them; then mend what carries opt-outs from {source}.",
        is_judged=facts.is_known(facts.hub, target),
        details={"mailed_since": mailed}
        | ({"business_days_left": left} if left is not None else {}),
    )


def lost_opt_out(facts: Facts) -> Judgement:
    """Opt-outs that an ESP holds and the hub does not show: the next sync may undo them."""
    rows = facts.rows("drift", **{"class": "lost_opt_out"})
    by_system: dict[str, list[Row]] = {}
    for row in rows:
        by_system.setdefault(row["system"], []).append(row)
    conditions = []
    for system, parts in by_system.items():
        count = sum(int(p["people"]) for p in parts)
        known = [_previous(facts, p) for p in parts]
        conditions.append(
            Condition(
                key=facts.key("lost_opt_out", system, facts.hub),
                severity=Severity.TICKET,
                headline=f"{people(count)} opted out in {system}, and {facts.hub} does not know",
                count=count,
                people=count,
                previous=None if None in known else sum(k or 0 for k in known),
                direction=Direction.LOST,
                systems=(system, facts.hub),
                categories=tuple(sorted({c for p in parts for c in p["categories"] or ()})),
                since=min(p["since"] for p in parts),
                group=into(facts.hub),
                suspected=_cause(facts, max(parts, key=lambda p: int(p["people"]))),
                next_step=f"Write them into {facts.hub}: `optout drift --class lost_opt_out "
                f"--system {system}` lists them; then mend the way back from {system}.",
                is_judged=facts.is_known(facts.hub, system),
            )
        )
    return Judgement(conditions, facts.judges(facts.hub))


def _previous(facts: Facts, row: Row) -> int | None:
    return int(row["previous"]) if facts.nights_before else None


def _cause(facts: Facts, row: Row) -> str:
    if not facts.nights_before:
        return (
            "This is the first night: the state that was found, not something that broke tonight."
        )
    fresh, count = int(row["fresh"]), int(row["people"])
    where = f" in {row['store']}" if row["store"] else ""
    if fresh == count and count > 1:
        return f"All of it appeared tonight{where}: one transfer or import failed or undid them."
    if not fresh:
        return f"Nothing new tonight{where}: they were never carried over."
    return f"{plural(fresh, 'new case')} tonight{where}: what carries opt-outs over does not work."


def accuracy_below_target(facts: Facts) -> Judgement:
    """Agreement of cells below its target, told with the bound of its interval."""
    tonight = {s: f for (s, c), f in facts.tonight("sync_accuracy").items() if s and not c}
    conditions = [
        _inaccurate(facts, system, figure)
        for system, figure in tonight.items()
        if figure.status == "missed"
    ]
    known = {s for s, f in tonight.items() if f.status in ("met", "missed")}
    return Judgement(conditions, lambda key: key.target in known)


def _inaccurate(facts: Facts, system: str, figure: Figure) -> Condition:
    wrong = int((figure.denominator or 0) - (figure.numerator or 0))
    is_certain = (figure.high or 1.0) < 0.999
    bound = f"surely: at most {figure.high:.2%}" if is_certain else "within the reach of chance"
    return Condition(
        key=facts.key("accuracy_below_target", target=system),
        severity=Severity.TICKET if is_certain else Severity.DIGEST,
        headline=f"Only {figure.value:.2%} of the cells in {system} agree ({bound})",
        count=wrong,
        direction=Direction.MAILABLE,
        systems=(system,),
        group=_group(facts, system),
        telling=Telling.SUMMARY,
        suspected="The differences that `optout drift` lists; their classes tell which way.",
        next_step=f"`optout drift --system {system}`: mend the largest class first.",
        details={"cells_wrong": wrong, "target": figure.target or ""},
    )


def _group(facts: Facts, system: str) -> str:
    """Where what is wrong in a system comes from: opt-outs that the hub lost count in the system
    that holds them, but the way into the hub is what broke."""
    lost = sum(int(r["people"]) for r in facts.rows("drift", **{"class": "lost_opt_out"})
               if r["system"] == system)  # fmt: skip
    unhonoured = 0
    if facts.has("audit.opt_out", "audit.violation"):
        rows = facts.rows("unhonoured")
        unhonoured = sum(int(r["people"]) for r in rows if r["system"] == system)
    return into(facts.hub if lost > unhonoured else system)


def drift_grows(facts: Facts) -> Judgement:
    """Differences that grow night after night: what mends them does not run."""
    nights = facts.limits.drift_growth_nights
    conditions, known = [], set()
    for (system, category), figures in facts.metric("drift_open", nights=nights + 1).items():
        if not system or category or not figures[0].is_known or figures[0].night != facts.night:
            continue
        values = [int(f.value) for f in figures if f.value is not None]
        if len(values) <= nights:
            continue
        known.add(system)
        first, last = values[-1], values[0]
        grows = all(a > b for a, b in pairwise(values))
        if grows and last >= first * _GROWTH_SHARE and last - first >= _GROWTH_COUNT:
            conditions.append(
                Condition(
                    key=facts.key("drift_grows", target=system),
                    severity=Severity.TICKET,
                    headline=f"Differences in {system} grew {nights} nights in a row, "
                    f"from {first:,} to {last:,}",
                    count=last,
                    previous=values[1],
                    direction=Direction.MAILABLE,
                    systems=(system,),
                    since=figures[-1].night,
                    group=_group(facts, system),
                    telling=Telling.SUMMARY,
                    suspected=f"Nothing that mends differences in {system} has run since.",
                    next_step=f"`optout drift --system {system}`; see that its sync runs at all.",
                )
            )
    return Judgement(conditions, lambda key: key.target in known)


def mass_move(facts: Facts) -> Judgement:
    """Many people who went from out to in in one night without an act of their own."""
    if not facts.has("audit.move"):
        return nothing_known()
    worst: dict[str, Row] = {}
    for row in facts.rows("mass_move"):
        goes_on = row["night"] == facts.night or row["still_open"]
        if goes_on and _is_mass(facts, row) and row["system"] not in worst:
            worst[row["system"]] = row
    conditions = [_moved(facts, row) for row in worst.values()]
    return Judgement(conditions, facts.judges(facts.hub))


def _is_mass(facts: Facts, row: Row) -> bool:
    count, share = int(row["people"]), facts.limits.mass_move_share
    few = count > facts.limits.mass_move_people
    return few or (count >= _MOVE_FLOOR and count > share * int(row["everyone"] or 0))


_MOVERS = {
    "sync": "a sync between systems overwrote them",
    "import": "an import brought them back",
    "api": "a program wrote over the API",
    "manual": "somebody edited them in bulk",
    "vendor": "the vendor itself changed them",
}


def _moved(facts: Facts, row: Row) -> Condition:
    system, count = row["system"], int(row["people"])
    who = _MOVERS.get(row["source"], "no system told who did it: an import or a sync is likely")
    return Condition(
        key=facts.key("mass_move", system),
        severity=Severity.PAGE,
        headline=f"{people(count)} went from opted out to not in {system} in one night, "
        "without an act of their own",
        count=count,
        people=count,
        direction=Direction.MAILABLE,
        systems=(system,),
        since=row["night"],
        group=into(system),
        telling=Telling.CAUSE,
        suspected=f"In {system}, {who}.",
        next_step=f"Stop that job and every send from {system}; restore the opt-outs from "
        f"`optout drift --class unhonoured_opt_out --system {system} --csv FILE`.",
        details={"moved_by": row["source"], "not_yet_mended": int(row["still_open"])},
    )


RULES = (
    Rule(
        "unhonoured_opt_out",
        Family.DRIFT,
        "Who opted out anywhere is mailed nowhere (opt-out recall 100 %).",
        unhonoured_opt_out,
    ),
    Rule("lost_opt_out", Family.DRIFT, "The hub knows every opt-out.", lost_opt_out),
    Rule(
        "accuracy_below_target",
        Family.DRIFT,
        "At least 99.9 % of the cells are as they should be.",
        accuracy_below_target,
    ),
    Rule("drift_grows", Family.DRIFT, "Differences are mended, not collected.", drift_grows),
    Rule(
        "mass_move",
        Family.DRIFT,
        "Only the person lifts an opt-out: no sync, import or program does.",
        mass_move,
    ),
)
