"""Promises as suites over row tables: told, never blocking.

The rows are people in a system, not ready-made metrics: GX counts them in DuckDB itself. Where a
source of the night was incomplete the verdict is unknown, whatever the rows say.
"""

from __future__ import annotations

from checks.gx import Expectation
from checks.suites import Suite, no_rows
from optout.settings import Settings
from optout.vendors.base import SystemConfig

ACCURACY = 0.999
_WRONG = "('unhonoured_opt_out', 'orphan_mailable', 'lost_opt_out', 'over_suppressed')"


def promise_suites(settings: Settings) -> list[Suite]:
    """The suites of every ESP."""
    return [
        suite
        for esp in settings.esp
        for suite in (_accuracy(settings, esp), _recall(settings, esp))
    ]


def _accuracy(settings: Settings, esp: SystemConfig) -> Suite:
    mostly = {"column": "agrees", "value_set": [True], "mostly": ACCURACY}
    return Suite(
        f"sync_accuracy_{esp.name}",
        ("audit", "drift"),
        f"At least {ACCURACY:.1%} of the people in {esp.name} are there as they should be.",
        f"""
        SELECT p.contact_key, w.contact_key IS NULL AS agrees
        FROM (
            SELECT contact_key FROM core.observation
            WHERE system = '{esp.name}' AND night_to IS NULL AND present
              AND contact_key IS NOT NULL
            GROUP BY contact_key
        ) AS p
        LEFT JOIN (
            SELECT contact_key FROM audit.drift
            WHERE system = '{esp.name}' AND closed_night IS NULL AND class IN {_WRONG}
            GROUP BY contact_key
        ) AS w ON w.contact_key = p.contact_key
        """,  # noqa: S608
        [Expectation("ExpectColumnValuesToBeInSet", mostly, "people are as they should be")],
        unknown_if=incomplete(settings.hub.name, esp.name),
    )


def _recall(settings: Settings, esp: SystemConfig) -> Suite:
    return Suite(
        f"no_opted_out_contact_is_mailable_{esp.name}",
        ("audit", "drift"),
        f"Nobody who is expected to be opted out would be mailed by {esp.name}.",
        f"""
        SELECT e.contact_key, e.category, d.contact_key IS NOT NULL AS is_mailable
        FROM audit.expected AS e
        LEFT JOIN audit.drift AS d
            ON d.contact_key = e.contact_key AND d.category = e.category
           AND d.system = '{esp.name}' AND d.closed_night IS NULL
           AND d.class = 'unhonoured_opt_out'
        WHERE e.state = 'opted_out'
        """,  # noqa: S608
        [no_rows("no opted-out person is mailable", "is_mailable")],
        unknown_if=incomplete(*(c.name for c in settings.systems)),
    )


def incomplete(*systems: str) -> str:
    """A query of what was not read completely tonight: a row of it makes a verdict unknown."""
    names = ", ".join(f"'{name}'" for name in systems)
    return f"""
        SELECT 'incomplete: ' || w.name
        FROM (SELECT unnest([{names}]) AS name) AS w
        LEFT JOIN (
            SELECT system, bool_and(is_complete) AS is_complete
            FROM core.source_read
            WHERE night = (SELECT max(night) FROM core.night)
            GROUP BY system
        ) AS r ON r.system = w.name
        WHERE NOT coalesce(r.is_complete, false)
    """  # noqa: S608
