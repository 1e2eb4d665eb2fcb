"""Microsoft Teams and the long tail through the library apprise.

It knows no life cycle and no idempotency, and says only whether it worked: a notice that was cut
off by a crash is sent again. Keep tickets and digests here rather than pages.
"""

from __future__ import annotations

import warnings
from datetime import datetime
from typing import Any

from optout.alerts.message import Message
from optout.alerts.render import subject, text
from optout.alerts.settings import AppriseChannel
from optout.alerts.sinks.base import ConfiguredSink, Misconfigured, Unavailable


def _library() -> Any:
    """The library, imported when it is used: it loads a hundred services, one of which imports a
    module that Python has deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import apprise

        "json" in apprise.plugins.N_MGR  # noqa: B015 - loads the services now, inside this block
    return apprise


class AppriseSink(ConfiguredSink[AppriseChannel]):
    """One apprise URL."""

    def send(
        self, message: Message, *, thread: str | None, is_repeat: bool, now: datetime
    ) -> str | None:
        """Hand it to the library."""
        apprise = _library()
        url = self._secret(self._settings.url_env)
        notifier = apprise.Apprise()
        if not notifier.add(url):
            raise Misconfigured(
                f"apprise does not understand the URL in {self._settings.url_env}",
                mend="See the library's list of services",
            )
        if not notifier.notify(title=subject(message), body=text(message)):
            raise Unavailable("apprise could not hand the message over")
        return None
