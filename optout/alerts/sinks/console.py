"""Standard error, for dry runs."""

from __future__ import annotations

import sys
from datetime import datetime

from optout.alerts.message import Message
from optout.alerts.render import text
from optout.alerts.sinks.base import ALL_ACTIONS


class ConsoleSink:
    """Writes the plain text."""

    actions = ALL_ACTIONS

    def send(
        self, message: Message, *, thread: str | None, is_repeat: bool, now: datetime
    ) -> str | None:
        """Never fails but with the stream itself."""
        sys.stderr.write(text(message) + "\n")
        return None
