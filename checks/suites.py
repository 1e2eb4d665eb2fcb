"""What must hold, sentence by sentence: the expectations of every suite, free of Dagster and GX.

A suite is a query over row tables and the expectations on its rows. `blocking` suites stop the
night (the pipeline itself would be wrong); the others tell a promise and never stop it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from checks.gx import Expectation
from optout.model import Source, State, TimeKind
from optout.settings import Settings

STATES = [s.value for s in State]
MAIL_KINDS = ["sent", "delivered", "bounced", "dropped", "opened", "clicked", "complained"]


@dataclass(frozen=True)
class Suite:
    """One asset check: its claim as a name, the asset it belongs to, and how it is judged."""

    name: str
    asset: tuple[str, ...]
    description: str
    query: str
    expectations: Sequence[Expectation]
    blocking: bool = False
    unknown_if: str | None = None
    """A query; any row of it (a reason) makes a failed or passed verdict unknown."""


def not_null(column: str) -> Expectation:
    """Every row tells it."""
    return Expectation("ExpectColumnValuesToNotBeNull", {"column": column}, f"{column} is told")


def one_of(column: str, values: Sequence[str]) -> Expectation:
    """Nothing but the words of `docs/naming.md`."""
    arguments = {"column": column, "value_set": list(values)}
    return Expectation("ExpectColumnValuesToBeInSet", arguments, f"{column} is a known word")


def no_rows(claim: str, where: str) -> Expectation:
    """No row for which `where` holds."""
    query = f"SELECT 1 FROM {{batch}} WHERE {where}"  # noqa: S608
    return Expectation("UnexpectedRowsExpectation", {"unexpected_rows_query": query}, claim)


def once(claim: str, *columns: str) -> Expectation:
    """No two rows alike in these columns. (GX's own expectation of uniqueness takes one column, and
    reads the rows five times.)"""
    named = ", ".join(columns)
    query = f"SELECT {named} FROM {{batch}} GROUP BY {named} HAVING count(*) > 1"  # noqa: S608
    return Expectation("UnexpectedRowsExpectation", {"unexpected_rows_query": query}, claim)


def structure_suites(settings: Settings) -> list[Suite]:
    """Raw and core are shaped as every later statement assumes; blocking."""
    everything = settings.category_masks.all
    masks = (
        "ins",
        "outs",
        "category_outs",
        "weak_outs",
        "sends",
        "blocks",
        "store_blocks",
        "unclear",
    )
    outside = " OR ".join(f"{m} < 0 OR {m} > {everything}" for m in masks)
    suites = [
        Suite(
            "raw_records_are_well_formed",
            ("raw", config.name),
            "Each reading names its store and record, has a key unless it is a deletion, and masks "
            "hold only configured categories.",
            f"SELECT * FROM raw.reading WHERE system = '{config.name}'",  # noqa: S608
            [
                not_null("store"),
                not_null("record_id"),
                no_rows("a record has a contact key", "contact_key IS NULL AND NOT deleted"),
                no_rows("masks hold configured categories only", outside),
                no_rows("weak opt-outs are opt-outs", "(weak_outs & ~outs) <> 0"),
            ],
            blocking=True,
        )
        for config in settings.systems
    ]
    return [*suites, *_core_suites()]


def _core_suites() -> list[Suite]:
    return [
        Suite(
            "each_record_has_one_current_observation",
            ("core", "observation"),
            "No record is said to hold two things at once, and no interval ends before it begins.",
            "SELECT system, stream, store, record_id FROM core.observation WHERE night_to IS NULL",
            [once("one observation a record", "system", "stream", "store", "record_id")],
            blocking=True,
        ),
        Suite(
            "each_change_is_recorded_once",
            ("core", "change"),
            "A change has one id, known words, and a time with how it is known.",
            "SELECT * FROM core.change",
            [
                once("one row a change", "change_id"),
                one_of("new_state", STATES),
                one_of("time_kind", [t.value for t in TimeKind]),
                one_of("source", [s.value for s in Source]),
                no_rows("no interval ends before it begins", "occurred_from > occurred_at"),
            ],
            blocking=True,
        ),
        Suite(
            "each_message_is_recorded_once",
            ("core", "mail_event"),
            "A message event has one key and a known kind.",
            "SELECT * FROM core.mail_event",
            [
                once("one row an event", "event_key"),
                one_of("kind", MAIL_KINDS),
            ],
            blocking=True,
        ),
        Suite(
            "each_person_has_one_address",
            ("core", "identity"),
            "A contact key stands for one address.",
            "SELECT * FROM core.identity",
            [
                not_null("address"),
                once("one row a key", "contact_key"),
            ],
            blocking=True,
        ),
    ]
