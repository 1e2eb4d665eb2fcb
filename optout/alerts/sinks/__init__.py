"""Channels: one file each, and the registry of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from optout.alerts.settings import AlertsTable
from optout.alerts.sinks.base import Sink


def build_sinks(table: AlertsTable, environ: Mapping[str, str], data_dir: Path) -> dict[str, Sink]:
    """Name → channel, in the configured order. A missing secret is no error yet: it fails the
    channel when it is used, so that the others go on."""
    return {
        name: _BUILDERS[settings.kind](settings, environ, data_dir)
        for name, settings in table.channels.items()
    }


def _pagerduty(settings: Any, environ: Mapping[str, str], data_dir: Path) -> Sink:
    from optout.alerts.sinks.pagerduty import PagerDutySink

    return PagerDutySink(settings, environ)


def _slack(settings: Any, environ: Mapping[str, str], data_dir: Path) -> Sink:
    from optout.alerts.sinks.slack import SlackSink, SlackWebhookSink

    return (SlackWebhookSink if settings.webhook_env else SlackSink)(settings, environ)


def _email(settings: Any, environ: Mapping[str, str], data_dir: Path) -> Sink:
    from optout.alerts.sinks.email import EmailSink

    return EmailSink(settings, environ)


def _webhook(settings: Any, environ: Mapping[str, str], data_dir: Path) -> Sink:
    from optout.alerts.sinks.webhook import WebhookSink

    return WebhookSink(settings, environ)


def _apprise(settings: Any, environ: Mapping[str, str], data_dir: Path) -> Sink:
    from optout.alerts.sinks.apprise import AppriseSink

    return AppriseSink(settings, environ)


def _file(settings: Any, environ: Mapping[str, str], data_dir: Path) -> Sink:
    from optout.alerts.sinks.file import FileSink

    return FileSink(data_dir / settings.path)


def _console(settings: Any, environ: Mapping[str, str], data_dir: Path) -> Sink:
    from optout.alerts.sinks.console import ConsoleSink

    return ConsoleSink()


_BUILDERS: Mapping[str, Callable[[Any, Mapping[str, str], Path], Sink]] = {
    "pagerduty": _pagerduty,
    "slack": _slack,
    "email": _email,
    "webhook": _webhook,
    "apprise": _apprise,
    "file": _file,
    "console": _console,
}
