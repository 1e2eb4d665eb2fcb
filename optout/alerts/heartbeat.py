"""The dead man's switch: told after each good night, so that silence is an alarm elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlsplit

from optout.alerts.outbox import waiting
from optout.alerts.rules.words import plural
from optout.alerts.settings import AlertsTable
from optout.alerts.sinks.base import ChannelError, talk
from optout.alerts.state import AlertState, stamp


def was_pinged(state: AlertState, night: date) -> bool:
    """Whether the switch was told of a night."""
    row = state.con.execute(
        "SELECT 1 FROM heartbeat WHERE night = ?", (night.isoformat(),)
    ).fetchone()
    return row is not None


def ping(
    state: AlertState, table: AlertsTable, environ: Mapping[str, str], night: date, now: datetime
) -> bool:
    """Tell the switch of a good night, once; False where it could not be told.

    Withheld while a notice waits for its channel: who relies on the switch shall hear of that.
    """
    url = environ.get(table.heartbeat_env or "", "").strip()
    if not url or was_pinged(state, night):
        return True
    if waiting(state):
        return False
    parts = urlsplit(url)
    try:
        with talk("heartbeat", f"{parts.scheme}://{parts.netloc}", secrets=(url,)) as client:
            query = f"?{parts.query}" if parts.query else ""
            client.get(
                f"{parts.path or '/'}{query}", template="{heartbeat}", ok=(200, 201, 202, 204)
            )
    except ChannelError:
        return False
    with state.transaction():
        state.con.execute(
            "INSERT OR IGNORE INTO heartbeat VALUES (?, ?)", (night.isoformat(), stamp(now))
        )
    return True


@dataclass(frozen=True)
class Pulse:
    """Whether all is well, as another scheduler may ask."""

    is_well: bool
    why_not: str
    night: date | None
    waiting: int


def check(
    state: AlertState, newest: tuple[date, datetime] | None, table: AlertsTable, now: datetime
) -> Pulse:
    """Judge the newest finished night (with its cut-off, naive UTC) and the outbox."""
    waits = sum(waiting(state).values())
    if newest is None:
        return Pulse(False, "no night was published yet", None, waits)
    night, cutoff = newest
    age = now.replace(tzinfo=None) - cutoff
    if age > timedelta(hours=table.thresholds.stale_hours):
        hours = int(age.total_seconds() // 3600)
        return Pulse(False, f"the newest night began {hours} hours ago", night, waits)
    if waits:
        return Pulse(False, f"{plural(waits, 'notice')} still to be sent", night, waits)
    return Pulse(True, "", night, 0)
