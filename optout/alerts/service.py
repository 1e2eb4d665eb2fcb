"""What runs and sensors call: judge the newest published night, and send what is to be told."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import duckdb
from duckdb import DuckDBPyConnection

from optout.alerts import heartbeat
from optout.alerts.deliver import CHANNEL_RULE, LOCK, Courier, Delivery
from optout.alerts.evaluate import Evaluator, Night, Told
from optout.alerts.facts import Facts
from optout.alerts.outbox import next_row, prune
from optout.alerts.rule import AlertKey, Condition, Direction, Family, Judgement, Rule, Severity
from optout.alerts.rules import RULES
from optout.alerts.sinks import build_sinks
from optout.alerts.state import AlertState
from optout.nightly import latest_night
from optout.project import Project
from optout.vendors import expected_streams

RUN_FAILED = Rule(
    "run_failed",
    Family.RUN,
    "The nightly run ends well.",
    lambda facts: Judgement(),
)
ALL_RULES = (*RULES, RUN_FAILED, CHANNEL_RULE)
NIGHTLY = (
    Family.DRIFT,
    Family.SPIKE,
    Family.CONSENT,
    Family.DEADLINE,
    Family.EXTRACTION,
    Family.RUN,
)
"""The families that judge a published night."""

# DuckDB keeps one instance of a file per process: a copy that is still open elsewhere in it would
# be read again instead of the new one that has taken its name.
_ONE_READER = threading.Lock()


@dataclass(frozen=True)
class Outcome:
    """What a call did."""

    night: date | None
    judged: tuple[Family, ...] = ()
    told: Told = field(default_factory=Told)
    delivery: Delivery = field(default_factory=Delivery)

    @property
    def is_quiet(self) -> bool:
        """Nothing was new, nothing was sent."""
        return not self.judged and not self.delivery.sent and not self.delivery.failed


class Alerting:
    """The alerts of one installation. Close it, or use it as a context."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.table = project.settings.alerts
        self.state = AlertState(project.data_dir)
        self.evaluator = Evaluator(self.state, self.table, ALL_RULES)

    def __enter__(self) -> Alerting:
        return self

    def __exit__(self, *told: object) -> None:
        self.state.close()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule that can raise an alert."""
        return ALL_RULES

    @property
    def moment(self) -> Night:
        """Now, where no night's facts are at hand."""
        return Night(self.project.now, self.project.tonight)

    def run(self, families: Sequence[Family] = NIGHTLY) -> Outcome:
        """Judge what the families have not judged yet, tell what is due, deliver."""
        due = self._due(families)
        night, told = None, Told()
        if due:
            with facts_of(self.project) as facts:
                if facts is not None:
                    at = self._night(facts, due)
                    night, told = facts.night, self.evaluator.evaluate(facts, list(due), at)
                    self._clear_failed_run(facts, at)
                    self._prune()
        if not told.opened and not told.repeated:
            self.evaluator.remind(self.moment)
        delivery = self.deliver()
        self._beat()
        return Outcome(night, tuple(due) if night else (), told, delivery)

    def deliver(self) -> Delivery:
        """Send what waits, if anything does."""
        if next_row(self.state, self.project.now) is None:
            return Delivery()
        sinks = build_sinks(self.table, self.project.environ, self.project.data_dir)
        lock = self.project.data_dir / LOCK
        courier = Courier(self.state, self.table, sinks, self.evaluator, lock)
        return courier.deliver(self.moment)

    def run_failed(self, night: date, step: str, error: str, run_id: str | None = None) -> Outcome:
        """Raise the alert of a run that failed; a page from the second night on."""
        key = AlertKey(RUN_FAILED.name, environment=self.table.environment)
        known = self.state.alert(key.dedup_key)
        before = known.opened_night if known and known.is_open else night
        nights = (night - before).days + 1
        condition = Condition(
            key=key,
            severity=Severity.PAGE if nights > 1 else Severity.TICKET,
            headline=f"The nightly run failed in {step} ({error})",
            count=max(1, nights),
            direction=Direction.UNSEEN,
            since=before,
            group="run",
            suspected=f"{step}: {error}",
            next_step="Read the step's log, mend it, and run the night again: `optout run`.",
        )
        at = Night(self.project.now, night, run_id=run_id)
        told = self.evaluator.raise_alert(RUN_FAILED, condition, at)
        return Outcome(night, (Family.RUN,), told, self.deliver())

    def _due(self, families: Sequence[Family]) -> dict[Family, str]:
        """The families that have not judged the present copy, with what names it for each."""
        copy = identity(self.project)
        if copy is None:
            return {}
        tokens = {family: _token(copy, family, self.project) for family in families}
        known = {family: self.state.evaluated(family) for family in families}
        return {f: t for f, t in tokens.items() if (known[f] or (None, ""))[1] != t}

    def _night(self, facts: Facts, due: dict[Family, str]) -> Night:
        row = facts.con.execute(
            "SELECT run_id FROM core.night WHERE night = $night", {"night": facts.night}
        ).fetchone()
        return Night(self.project.now, facts.night, due, row[0] if row else None)

    def _clear_failed_run(self, facts: Facts, at: Night) -> None:
        """A failed run is over when a night was published that ended after it failed."""
        key = AlertKey(RUN_FAILED.name, environment=self.table.environment)
        alert = self.state.alert(key.dedup_key)
        if alert is None or not alert.is_open:
            return
        row = facts.con.execute(
            "SELECT finished_at FROM core.night WHERE night = $night", {"night": facts.night}
        ).fetchone()
        ended = row[0] if row else None
        failed = alert.opened_at.replace(tzinfo=None)
        if facts.night > alert.seen_night or (ended is not None and ended > failed):
            self.evaluator.clear(key, at, "a night was published since")

    def _prune(self) -> None:
        """Once a night is often enough; what is not pruned today is pruned tomorrow."""
        before = self.project.now - timedelta(days=self.table.keep_sent_days)
        with self.state.transaction():
            prune(self.state, before)

    def _beat(self) -> None:
        nights = {known[0] for f in NIGHTLY if (known := self.state.evaluated(f)) is not None}
        if len(nights) == 1 and (night := nights.pop()) is not None:
            heartbeat.ping(self.state, self.table, self.project.environ, night, self.project.now)


def evaluate_and_deliver(project: Project) -> Outcome:
    """Judge the newest night by every rule and deliver: what a headless run ends with."""
    with Alerting(project) as alerting:
        return alerting.run()


def identity(project: Project) -> str | None:
    """Names the published copy; another one has another name. None: there is none yet."""
    try:
        told = project.published.stat()
    except FileNotFoundError:
        return None
    return f"{told.st_ino}-{told.st_mtime_ns}-{told.st_size}"


def _token(copy: str, family: Family, project: Project) -> str:
    """What a family has judged: the copy, and the clock where the rules look at it."""
    now: datetime = project.now
    if family in (Family.DEADLINE, Family.CONSENT):
        return f"{copy}|{project.tonight}"
    if family is Family.EXTRACTION:
        return f"{copy}|{now:%Y-%m-%dT%H}"
    return copy


@contextmanager
def facts_of(project: Project) -> Iterator[Facts | None]:
    """The facts of the newest published night; None where none is finished."""
    with _ONE_READER:
        con = duckdb.connect(str(project.published), read_only=True)
        try:
            con.execute("SET TimeZone = 'UTC'")
            found = latest_night(con)
            yield None if found is None else build_facts(project, con, found[0])
        finally:
            con.close()


def build_facts(project: Project, con: DuckDBPyConnection, night: date) -> Facts:
    """A night's facts with the names and thresholds of the installation."""
    settings = project.settings
    return Facts(
        con=con,
        night=night,
        now=project.now,
        today=project.tonight,
        hub=settings.hub.name,
        systems=tuple(c.name for c in settings.systems),
        expected=expected_streams(settings.systems),
        environment=settings.alerts.environment,
        limits=settings.alerts.thresholds,
        detection=settings.policy.detection.rules(),
    )
