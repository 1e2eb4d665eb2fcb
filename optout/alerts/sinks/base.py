"""What a channel is, and the three ways in which it can fail.

    ChannelError
    ├── Unavailable     it may work later: no answer, 5xx, too many requests
    ├── Misconfigured   it will not work until somebody mends it: a missing or refused credential
    └── Refused         it will never take this message; others it may

Messages of these errors name the channel's kind and what went wrong, never a URL or a secret.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from optout.alerts.life import Action
from optout.alerts.message import Message
from optout.errors import (
    AuthenticationFailed,
    BrokenAnswer,
    ConfigurationError,
    NotFound,
    OptoutError,
    PermissionMissing,
    RequestRefused,
    SourceError,
)
from optout.http.client import HttpClient, HttpOptions
from optout.http.retry import RetryPolicy

ALL_ACTIONS = frozenset(Action)


class ChannelError(OptoutError):
    """A message could not be handed over."""

    retry_after: float | None = None


class Unavailable(ChannelError):
    """Not now; `retry_after` is the channel's own wish in seconds."""


class Misconfigured(ChannelError):
    """Not until it is mended."""


class Refused(ChannelError):
    """Never this message."""


class Sink(Protocol):
    """One channel. `send` raises ChannelError; it returns its own name of what was sent."""

    actions: frozenset[Action]
    """What it can carry; anything else is not for it."""

    def send(
        self, message: Message, *, thread: str | None, is_repeat: bool, now: datetime
    ) -> str | None:
        """Hand one message over.

        `thread` is what the first notice of the same episode returned. `is_repeat`: an earlier
        attempt may have gone through, so a channel without idempotency of its own looks first.
        """


SettingsT = TypeVar("SettingsT")


class ConfiguredSink(ABC, Generic[SettingsT]):
    """A sink with a table of its own in optout.toml, and secrets in the environment."""

    actions = ALL_ACTIONS

    def __init__(self, settings: SettingsT, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ

    @abstractmethod
    def send(
        self, message: Message, *, thread: str | None, is_repeat: bool, now: datetime
    ) -> str | None:
        """See `Sink.send`."""

    def _secret(self, variable: str | None) -> str:
        """A secret, read when it is used; raises Misconfigured."""
        value = self._environ.get(variable or "", "").strip()
        if not value:
            raise Misconfigured(f"the environment variable {variable} is not set", mend="Set it")
        return value


_ONCE = RetryPolicy(attempts=1, limited_attempts=1)
_TAKEN = range(200, 300)


@contextmanager
def talk(
    kind: str, url: str, *, secrets: tuple[str, ...] = (), taken: Container[int] = _TAKEN
) -> Iterator[HttpClient]:
    """A client for one message, whose failures are raised as ChannelError.

    It tries once: waiting and trying again are the outbox's. A receiver that answered with a status
    of `taken` has the message, whatever is wrong with the body of that answer.
    """
    options = HttpOptions(connect_timeout=5.0, read_timeout=10.0, total_timeout=20.0)
    try:
        client = HttpClient(kind, url, options, secrets=secrets, retry=_ONCE)
    except ConfigurationError as error:
        raise Misconfigured(str(error)) from None
    try:
        yield client
    except BrokenAnswer as error:
        if error.status not in taken:
            raise _told(error) from None
    except SourceError as error:
        raise _told(error) from None
    finally:
        client.close()


def _told(error: SourceError) -> ChannelError:
    """A failed request in the words of channels."""
    if isinstance(error, AuthenticationFailed | PermissionMissing | NotFound):
        return Misconfigured(str(error))
    if isinstance(error, RequestRefused):
        return Refused(str(error))
    answer = Unavailable(str(error))
    answer.retry_after = error.retry_after
    return answer
