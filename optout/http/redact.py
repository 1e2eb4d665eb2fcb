"""Nothing personal and nothing secret in what leaves the package: messages and log lines.

Replaced in any text: e-mail addresses (also percent-encoded), the secrets that were given, bearer
and basic credentials, IP addresses, query strings, and 32-digit hexadecimal digests (Mailchimp
names a member by the MD5 of the address).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import quote

_CREDENTIAL = re.compile(r"\b(bearer|basic|klaviyo-api-key)\s+[^\s,;'\"]+", re.IGNORECASE)
_ADDRESS = re.compile(
    r"[^\s<>\"'(),;:=/?&@]+(?:@|%40)[^\s<>\"'(),;:=/?&@]*[^\s<>\"'(),;:=/?&@.]", re.IGNORECASE
)
_QUERY = re.compile(r"((?:https?://|/)[^\s?\"'<>]*)\?[^\s\"'<>]+")
_DIGEST = re.compile(r"(?<![0-9A-Za-z])[0-9a-fA-F]{32}(?![0-9A-Za-z])")
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)")
_IPV6 = re.compile(
    r"(?<![\w:.])(?=[0-9a-fA-F:]*:[0-9a-fA-F:]*:)[0-9a-fA-F:]{3,39}(?:(?:\.\d{1,3}){3})?(?![\w:])"
)


class Redactor:
    """Replaces personal data and secrets in text; calling it again changes nothing more."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets if secret for form in (secret, quote(secret, safe=""))}
        longest_first = sorted(forms, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def __call__(self, text: str) -> str:
        """The text, fit to be shown and kept."""
        if self._secrets is not None:
            text = self._secrets.sub("[secret]", text)
        text = _CREDENTIAL.sub(r"\1 [secret]", text)
        text = _QUERY.sub(r"\1?[query]", text)
        text = _ADDRESS.sub("[address]", text)
        text = _DIGEST.sub("[digest]", text)
        text = _IPV4.sub(_ip, text)
        return _IPV6.sub(_ip, text)


def _ip(match: re.Match[str]) -> str:
    """`[ip]` for what is an IP address indeed (a time of day looks much like one)."""
    text = match.group()
    if not any(letter in "0123456789abcdefABCDEF" for letter in text):
        return text
    try:
        ip_address(text)
    except ValueError:
        return text
    return "[ip]"


class RedactingFilter(logging.Filter):
    """Applies a redactor to every record that passes, tracebacks included.

    Put it on handlers: a filter on a logger does not see the records of the loggers below it.
    """

    def __init__(self, redact: Redactor | None = None) -> None:
        super().__init__()
        self.redact = redact or Redactor()
        self._formatter = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true; the record's text is final afterwards."""
        record.msg = self.redact(record.getMessage())
        record.args = None
        if record.exc_info and not record.exc_text:
            record.exc_text = self._formatter.formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = self.redact(record.exc_text)
        if record.stack_info:
            record.stack_info = self.redact(record.stack_info)
        return True
