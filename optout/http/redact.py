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

_SHORTEST_SECRET = 6
_CREDENTIAL = re.compile(
    # "the basic plan" holds no credential, "Basic YW55Og==" does.
    r"\b((?i:bearer|klaviyo-api-key)|(?i:basic)(?=\s+\S+[A-Z0-9=]))(\s+)[^\s,;'\"]+"
)
_WORD = re.compile(r"[^\s<>\"(),;:=/?&]+")
_SIGN = re.compile("@|%40")
_QUERY = re.compile(r"(?<=[\w/}\]])\?[^\s\"'<>]+")
_DIGEST = re.compile(r"(?<![0-9A-Za-z])[0-9a-fA-F]{32}(?![0-9A-Za-z])")
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)")
_IPV6 = re.compile(
    r"(?<![\w:.])(?=[0-9a-fA-F:]*:[0-9a-fA-F:]*:)[0-9a-fA-F:]{3,39}(?:(?:\.\d{1,3}){3})?(?![\w:])"
)


class Redactor:
    """Replaces personal data and secrets in text; calling it again changes nothing more.

    Secrets of fewer than six letters are left out: they would tear ordinary words apart.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        long = [secret for secret in secrets if len(secret) >= _SHORTEST_SECRET]
        forms = {form for secret in long for form in (secret, quote(secret, safe=""))}
        longest_first = sorted(forms, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def __call__(self, text: str) -> str:
        """The text, fit to be shown and kept."""
        if self._secrets is not None:
            text = self._secrets.sub("[secret]", text)
        text = _CREDENTIAL.sub(r"\1\2[secret]", text)
        text = _QUERY.sub("?[query]", text)
        if _SIGN.search(text):
            text = _WORD.sub(_address, text)
        text = _DIGEST.sub("[digest]", text)
        # An IPv6 address may end in an IPv4 one.
        return _IPV4.sub(_ip, _IPV6.sub(_ip, text))


def _address(match: re.Match[str]) -> str:
    """`[address]` for a word that is one, quotes around it and a full stop behind it kept.

    Word by word, because one pattern for all of it takes quadratic time on long lines. Before
    the sign may stand nothing, if the word was cut from its beginning by a delimiter (`a=@b`).
    """
    word = match.group()
    core = word.strip("'").rstrip(".'")
    local, sign, domain = _split_at_sign(core)
    before = match.string[match.start() - 1] if match.start() else ""
    cut = word[0] == "'" or before in ("=", "/", "&", "?")
    if not sign or not domain.strip(".") or not (local or cut):
        return word
    return word.replace(core, "[address]", 1)


def _split_at_sign(word: str) -> tuple[str, str, str]:
    """What stands before, in and behind the first address sign."""
    found = _SIGN.search(word)
    if found is None:
        return word, "", ""
    return word[: found.start()], found.group(), word[found.end() :]


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
