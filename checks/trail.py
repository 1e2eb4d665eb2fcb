"""The trail as suites over its rows: one row a change, told and never blocking.

Each system's suite says sentence by sentence what makes its record of a change complete. Where the
system was not read completely tonight the verdict is unknown, whatever the rows say.
"""

from __future__ import annotations

from checks.gx import Expectation
from checks.promises import incomplete
from checks.suites import Suite, no_rows
from optout.settings import Settings
from optout.vendors.base import SystemConfig


def trail_suites(settings: Settings) -> list[Suite]:
    """`audit_completeness` of the hub and every ESP."""
    return [_completeness(config, config is settings.hub) for config in settings.systems]


def _completeness(config: SystemConfig, is_hub: bool) -> Suite:
    return Suite(
        f"audit_completeness_{config.name}",
        ("audit", "trail_change"),
        f"Every change of a preference that is known of {config.name} is recorded by "
        f"{config.name} itself, completely.",
        f"SELECT * FROM audit.trail_change WHERE system = '{config.name}'",  # noqa: S608
        _chained() if is_hub else _told(),
        unknown_if=incomplete(config.name),
    )


def _told() -> list[Expectation]:
    """What an event, a stamp or a report must be."""
    return [
        no_rows("every change has its entry", "NOT has_entry"),
        no_rows("every entry has its required fields", "missing IS NOT NULL"),
    ]


def _chained() -> list[Expectation]:
    """What the hub's history must be besides: a chain that ends in the current value."""
    return [
        *_told(),
        no_rows("every entry can be read", "NOT is_readable"),
        no_rows("each old value is the new one before it", "NOT is_chained"),
        no_rows(
            "the last new value is the current one",
            "NOT is_real OR (NOT has_entry AND fault IN ('broken_chain', 'no_history'))",
        ),
    ]
