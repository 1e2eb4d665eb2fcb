"""Legal clocks of the night: each opt-out with its deadlines, how it was honoured, sends after it.

The rules are those of `optout.rules.clocks` and `optout.rules.regimes`; here they are set-based SQL
(`sql/clock_*.sql`, `sql/violation_*.sql`). Python computes a deadline once per rule, country and
start date that occurs (a few thousand at most), never per person.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from duckdb import DuckDBPyConnection

from optout.model import Categories
from optout.policy.clocks import AudienceTable, ClocksTable, ConsentTable
from optout.rules.clocks import (
    business_days_between,
    days_off,
    end_of,
    legal_date,
    local_date,
    strict_date,
)
from optout.rules.countries import country_code
from optout.rules.regimes import Reading, Regimes, Rule, builtin_regimes
from optout.rules.resolution import DEFAULT_WINDOW
from optout.warehouse.coverage import Coverage, coverage
from optout.warehouse.script import insert, run

if TYPE_CHECKING:
    from optout.settings import Settings

_WORK_TABLES = (
    "category", "system", "domain", "country", "lawful", "limit", "mailbox", "due", "days_left",
    "superseded", "known", "word", "release", "stand", "copy", "place", "jurisdiction", "start",
    "date", "deadline", "out", "target", "record", "state", "read", "seen", "bound", "told", "send",
    "violation", "found",
)  # fmt: skip


@dataclass(frozen=True)
class ClockPolicy:
    """What clocks, consent and audience need to know of the configuration."""

    categories: Categories
    hub: str
    systems: Mapping[str, int]
    """ESP → mask of the categories that are mapped to it."""
    zone: ZoneInfo
    """Of dates without a jurisdiction."""
    window: timedelta = DEFAULT_WINDOW
    regimes: Regimes = field(default_factory=builtin_regimes)
    clocks: ClocksTable = field(default_factory=ClocksTable)
    consent: ConsentTable = field(default_factory=ConsentTable)
    audience: AudienceTable = field(default_factory=AudienceTable)
    send_streams: Mapping[str, Collection[str]] = field(default_factory=dict)
    """ESP → the streams that tell to whom it sent; empty: the vendor cannot tell."""
    streams: Mapping[str, Collection[str]] = field(default_factory=dict)
    """System → the streams that it must have read; where absent, those that it ever read."""


def clock_policy(settings: Settings) -> ClockPolicy:
    """The part of optout.toml that matters here."""
    from optout.vendors import VENDORS, expected_streams

    policy = settings.policy
    return ClockPolicy(
        categories=settings.category_masks,
        hub=settings.hub.name,
        systems={esp.name: settings.mapped(esp) for esp in settings.esp},
        zone=settings.zone,
        window=timedelta(minutes=policy.simultaneous_minutes),
        regimes=policy.regimes.apply(builtin_regimes()),
        clocks=policy.clocks,
        consent=policy.consent,
        audience=policy.audience,
        send_streams={esp.name: VENDORS[esp.vendor].send_streams for esp in settings.esp},
        streams=expected_streams(settings.systems),
    )


def clock_coverage(con: DuckDBPyConnection, night: date, policy: ClockPolicy) -> Coverage:
    """How completely the hub and the ESPs were read."""
    return coverage(con, night, (policy.hub, *policy.systems), policy.streams)


def clocks(con: DuckDBPyConnection, night: date, *, policy: ClockPolicy) -> None:
    """Write `audit.opt_out`, `audit.opt_out_effect`, `audit.violation` and `audit.campaign_fault`,
    after `reconcile`.

    Runs in the caller's transaction; running it again changes nothing. A backfilled night, or one
    that a later run has overtaken, leaves all as it is: its events are judged by the next night.
    Raises UsageError for a night that was never begun.
    """
    covered = clock_coverage(con, night, policy)
    if covered.is_backfill or not covered.is_latest:
        return
    values = {"night": night, "cutoff": covered.cutoff, "hub": policy.hub}
    prepare(con, policy)
    run(con, "clock_words", window=policy.window, **values)
    _place(con, policy)
    _deadlines(con, covered, policy)
    run(con, "clock_effects", all=policy.categories.all, **values)
    run(con, "violation_sends", **values)
    has_domains = bool(policy.clocks.sender_domains)
    run(con, "violation_campaigns", has_domains=has_domains, **values)
    for name in _WORK_TABLES:
        con.execute(f"DROP TABLE IF EXISTS clk_{name}")


def prepare(con: DuckDBPyConnection, policy: ClockPolicy) -> None:
    """The policy as small tables, and what the hub's words for countries mean."""
    names = policy.categories.names
    bits = [(name, policy.categories.bit(name)) for name in names]
    masks = {policy.hub: policy.categories.all, **policy.systems}
    fill(con, "clk_category", "category VARCHAR, bit INTEGER", bits)
    fill(con, "clk_system", "system VARCHAR, mask INTEGER", list(masks.items()))
    fill(con, "clk_domain", "domain VARCHAR", [(d,) for d in policy.clocks.sender_domains])
    con.execute("DELETE FROM mart.category")
    con.executemany("INSERT INTO mart.category VALUES (?, ?)", bits)
    told = con.execute("SELECT DISTINCT country FROM core.consent WHERE country IS NOT NULL")
    words = [row[0] for row in told.fetchall()]
    meant = [(w, country_code(w, policy.regimes.countries)) for w in words]
    fill(con, "clk_country", "told VARCHAR, country VARCHAR", meant)


def fill(
    con: DuckDBPyConnection, name: str, columns: str, rows: Collection[tuple[object, ...]]
) -> None:
    """A temporary table of these rows."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE {name} ({columns})")
    insert(con, name, rows)


def today_in(zone: ZoneInfo, covered: Coverage) -> date:
    """The day that a night's figures are about: its date, or the local one where that is later."""
    return max(covered.night, local_date(covered.cutoff.replace(tzinfo=UTC), zone))


def _place(con: DuckDBPyConnection, policy: ClockPolicy) -> None:
    """Which rules bind in which country, and in which mailboxes."""
    found = con.execute("SELECT DISTINCT country FROM clk_country WHERE country IS NOT NULL")
    countries = [None, *sorted(row[0] for row in found.fetchall())]
    lawful = [(c,) for c in countries if c and policy.regimes.of_country(c)]
    fill(con, "clk_lawful", "country VARCHAR", lawful)
    limits = [
        (country or "", rule.key, str(policy.regimes.zone(country, policy.zone)),
         rule.hours if rule.is_elapsed else None, rule.start_event,
         rule.reading is not Reading.LEGAL, rule.reading is not Reading.STRICT, source)
        for country in countries
        for rule in policy.regimes.limits(country)
        for source in rule.sources or (None,)
    ]  # fmt: skip
    fill(
        con,
        "clk_limit",
        "country VARCHAR, rule VARCHAR, zone VARCHAR, hours INTEGER, start_event VARCHAR,"
        " is_strict BOOLEAN, is_legal BOOLEAN, source VARCHAR",
        limits,
    )
    mailboxes = [
        (domain, rule.key, str(policy.zone), rule.hours if rule.is_elapsed else None,
         rule.start_event, source)
        for rule, domains in policy.regimes.mailbox_limits()
        for domain in sorted(domains)
        for source in rule.sources or (None,)
    ]  # fmt: skip
    fill(
        con,
        "clk_mailbox",
        "domain VARCHAR, rule VARCHAR, zone VARCHAR, hours INTEGER, start_event VARCHAR,"
        " source VARCHAR",
        mailboxes,
    )
    run(con, "clock_places")


def _deadlines(con: DuckDBPyConnection, covered: Coverage, policy: ClockPolicy) -> None:
    """Both deadlines for each start date that occurs, then for each opt-out."""
    rules = {rule.key: rule for rule in policy.regimes.rules}
    starts = con.execute("SELECT rule, country, zone, started_on FROM clk_date").fetchall()
    due = []
    for key, country, zone, day in starts:
        # The holidays of a country without a law of its own are nobody's credit.
        home = country if policy.regimes.of_country(country) else None
        due.append((key, country, zone, day, *_late_from(rules[key], home, ZoneInfo(zone), day)))
    fill(
        con,
        "clk_due",
        "rule VARCHAR, country VARCHAR, zone VARCHAR, started_on DATE,"
        " strict_late_from TIMESTAMP, legal_late_from TIMESTAMP",
        due,
    )
    run(con, "clock_deadlines")
    ends = con.execute("SELECT DISTINCT zone, strict_deadline FROM clk_out WHERE is_root")
    left = [
        (zone, day, business_days_between(today_in(ZoneInfo(zone), covered), day))
        for zone, day in ends.fetchall()
    ]
    fill(con, "clk_days_left", "zone VARCHAR, deadline DATE, days_left INTEGER", left)


def _late_from(
    rule: Rule, country: str | None, zone: ZoneInfo, start: date
) -> tuple[datetime, datetime]:
    """The first moments that are too late by the strict and by the legal reading, naive UTC."""
    strict = end_of(strict_date(rule, start), zone)
    credited = days_off(rule.calendar_of(country), start)
    legal = end_of(legal_date(rule, start, credited), zone)
    return strict.replace(tzinfo=None), legal.replace(tzinfo=None)
