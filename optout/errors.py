"""Every error that optout raises on purpose.

    OptoutError                     a person can act on the message; never a traceback
    ├── ConfigurationError          optout.toml or the environment: file, key, mend   (exit 2)
    ├── UsageError                  a command line argument                           (exit 2)
    ├── LockedError                 another run holds the warehouse: names its holder (exit 2)
    ├── WarehouseError              the database file is corrupt, foreign or too new  (exit 4)
    ├── StorageError                the disk is full, a folder may not be written       (exit 4)
    ├── InternalError               unforeseen: tells its type and place, never its text (exit 4)
    ├── LandingError                a landing file is missing or damaged              (exit 3)
    └── SourceError                 a system could not be read                        (exit 3)
        ├── Permanent (mixin)       asking again will not help
        │   ├── AuthenticationFailed    401
        │   ├── PermissionMissing       403 with a reason
        │   ├── NotFound                404
        │   ├── Gone                    410, an expired position or cursor
        │   ├── RequestRefused          any other 4xx
        │   └── UnexpectedAnswer        the answer breaks the vendor's documented contract
        └── Transient (mixin)       asking again may help
            ├── RateLimited             429, or the vendor's own way of saying it
            ├── ServerFault             5xx
            ├── Unreachable             DNS, refused, reset, time-out
            └── BrokenAnswer            truncated JSON, HTML instead of JSON, 200 with an error body

Retry code asks one question of any error: `isinstance(error, Transient)`.
Messages carry the system, the method and the path template; never an address, a token, a
query value or a response body (`optout.http.redact` removes what might slip in).
"""

from __future__ import annotations

from pathlib import Path


class OptoutError(Exception):
    """Base of all expected errors; `str(error)` is fit to be shown to a user.

    `mend` says what to do about it, in one sentence.
    """

    def __init__(self, message: str, *, mend: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.message}. {self.mend}" if self.mend else self.message


class ConfigurationError(OptoutError):
    """A wrong or missing setting: names the file, the key and the mend."""

    def __init__(self, message: str, *, key: str = "", file: Path | None = None, mend: str) -> None:
        place = ": ".join(part for part in (file.name if file else "", key) if part)
        super().__init__(f"{place}: {message}" if place else message, mend=mend)
        self.key = key
        self.file = file


class UsageError(OptoutError):
    """A command was called with something that it cannot use."""


class LockedError(OptoutError):
    """Another process is writing to the warehouse; says which."""


class WarehouseError(OptoutError):
    """The database cannot be used as it is."""


class StorageError(OptoutError):
    """The operating system refuses a file: no space, no permission, a read-only disk."""


class InternalError(OptoutError):
    """Something unforeseen. The exception's own text may hold a vendor's record: it is not told."""


class LandingError(OptoutError):
    """A landing file or manifest is missing, damaged or changed since it was written."""


class Permanent:
    """Mixin: asking again will not help."""


class Transient:
    """Mixin: asking again may help; `retry_after` is the vendor's own wait in seconds, if told."""

    retry_after: float | None = None


class SourceError(OptoutError):
    """A system could not be read.

    `system` is the configured name, `request` the method and path template, `status` the HTTP
    status where there was one.
    """

    def __init__(
        self,
        message: str,
        *,
        system: str = "",
        request: str = "",
        status: int | None = None,
        mend: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        head = " ".join(part for part in (system, request) if part)
        super().__init__(f"{head}: {message}" if head else message, mend=mend)
        self.system = system
        self.request = request
        self.status = status
        self.retry_after = retry_after


class AuthenticationFailed(Permanent, SourceError):
    """401: the credential is wrong, expired or revoked."""


class PermissionMissing(Permanent, SourceError):
    """403: the credential lacks a scope or the plan lacks the feature."""


class NotFound(Permanent, SourceError):
    """404: the thing asked for does not exist (any more)."""


class Gone(Permanent, SourceError):
    """410: a position or cursor is older than the vendor keeps."""


class RequestRefused(Permanent, SourceError):
    """Another 4xx: the request itself is wrong."""


class UnexpectedAnswer(Permanent, SourceError):
    """A well-formed answer without what the vendor documents; reading on would guess."""


class RateLimited(Transient, SourceError):
    """The vendor asks for fewer requests."""


class ServerFault(Transient, SourceError):
    """5xx."""


class Unreachable(Transient, SourceError):
    """No answer: DNS, refused, reset, time-out."""


class BrokenAnswer(Transient, SourceError):
    """An answer that cannot be what the vendor meant: cut off, wrong type, or an error in a 200."""
