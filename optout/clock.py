"""The clock is an input: `--now` or OPTOUT_NOW sets it for a whole run, to replay a night."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from optout.errors import UsageError


def parse_now(text: str | None) -> datetime:
    """The given moment (ISO 8601; without an offset it is UTC), or the present one."""
    if not text:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"'{text}' is no moment", mend="Write ISO 8601, such as 2026-11-23T02:00:00Z"
        ) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def night_of(moment: datetime, zone: ZoneInfo) -> date:
    """The night that begins at a moment: its date in the configured zone."""
    return moment.astimezone(zone).date()
