"""`[alerts]` in optout.toml: what is wrong is said before the first page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from optout.alerts.routes import fallback, route
from optout.alerts.rule import AlertKey, Condition, Severity
from optout.alerts.settings import AlertsTable
from optout.errors import ConfigurationError
from optout.settings import load_settings


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[alerts.route]]\nchannels = ["pager"]', "a route names the channel 'pager'"),
        ('[alerts.channel.a]\nkind = "pigeon"', "kind"),
        ('[alerts.channel.a]\nkind = "slack"', "either token_env with channel, or webhook_env"),
        (
            '[alerts.channel.a]\nkind = "email"\nhost = "mail.example.com"\ntls = "none"\n'
            'from = "a@b.c"\nto = ["d@e.f"]',
            "use starttls",
        ),
        ("[alerts]\nrepeat_pages_hours = 3", "alerts.repeat_pages_hours: unknown key"),
        ("[alerts.thresholds]\nstale_hours = 0", "stale_hours"),
    ],
)
def test_a_wrong_setting_is_said_with_its_key(
    installation: Callable[..., Any], tmp_path: Path, text: str, said: str
) -> None:
    """A misspelt route would be found out by the page that never came."""
    place = installation(tmp_path, text)
    with pytest.raises(ConfigurationError, match=said):
        load_settings(place.config)


def table() -> AlertsTable:
    return AlertsTable.model_validate(
        {
            "channel": {name: {"kind": "file", "path": name} for name in ("a", "b", "c")},
            "route": [
                {"severity": ["page"], "channels": ["a", "b"], "owner": "on-call"},
                {"rule": ["complaints"], "system": ["sendgrid"], "channels": ["b"]},
                {"category": ["events"], "channels": ["c"]},
            ],
        }
    )


@pytest.mark.parametrize(
    ("rule", "source", "categories", "severity", "channels"),
    [
        ("complaints", "sendgrid", (), Severity.PAGE, ("a", "b")),
        ("complaints", "sendgrid", (), Severity.TICKET, ("b",)),
        ("complaints", "klaviyo", ("events",), Severity.TICKET, ("c",)),
        ("complaints", "klaviyo", (), Severity.TICKET, ("a",)),
    ],
)
def test_the_first_route_that_matches_decides_and_nothing_vanishes(
    rule: str, source: str, categories: tuple[str, ...], severity: Severity,
    channels: tuple[str, ...],
) -> None:  # fmt: skip
    """An alert that no route wants is the one that nobody thought of."""
    facts = Condition(AlertKey(rule, source), severity, "x", 1, categories=categories)
    assert route(table(), facts, severity).channels == channels


def test_the_next_channel_is_the_next_in_order_that_works() -> None:
    """Handing over to a channel that fails as well loses the alert after all."""
    assert fallback(table(), "a", frozenset({"a"})) == "b"
    assert fallback(table(), "a", frozenset({"a", "b"})) == "c"
    assert fallback(table(), "c", frozenset({"c", "a"})) == "b"
    assert fallback(table(), "a", frozenset({"a", "b", "c"})) is None
