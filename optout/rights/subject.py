"""The person whose data is meant, and every way in which a text can name them."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import unquote
from uuid import UUID

import idna

from optout.address import BadAddress, Keyer, normalise

_PLAIN = re.compile(r"[a-z0-9]+")
_SELECTIVE = 4
ERASED = "[erased]"
"""What stands where a text named the person."""

_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_SURROGATES = re.compile(r"\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)
_END = re.compile(r"[\s\"'<>(),:;\[\]\\/=&?|]")
_MOST_LOCAL, _MOST_DOMAIN = 64, 255


@dataclass(frozen=True)
class Subject:
    """One address under every key of the installation."""

    normal: str
    keyers: Sequence[Keyer]
    """The current key first."""

    @classmethod
    def of(cls, address: str, keyers: Sequence[Keyer]) -> Subject:
        """Raises BadAddress."""
        return cls(normalise(address, keyers[0].folding), keyers)

    @cached_property
    def keys(self) -> dict[str, UUID]:
        """Key id → contact key."""
        return {k.key_id: UUID(bytes=k.key_of_normal(self.normal)) for k in self.keyers}

    @property
    def key(self) -> UUID:
        """The contact key that is made now."""
        return self.keys[self.keyers[0].key_id]

    @cached_property
    def spellings(self) -> tuple[str, ...]:
        """The normal form, and the one with the domain in its own letters."""
        local, _, domain = self.normal.rpartition("@")
        try:
            own = f"{local}@{idna.decode(domain)}"
        except idna.IDNAError:
            own = self.normal
        return tuple(dict.fromkeys((self.normal, own)))

    @cached_property
    def clue(self) -> str:
        """What every spelling contains, in lower case: a quick test before `names`. Letters and
        digits only, which nothing escapes."""
        local, _, domain = self.normal.rpartition("@")
        folding = self.keyers[0].folding
        in_local = [] if folding and folding.dots else _PLAIN.findall(local)
        in_domain = [
            run
            for label in domain.split(".")
            if not label.startswith("xn--")
            for run in _PLAIN.findall(label)
        ]
        best = max(in_local, key=len, default="")
        return best if len(best) >= _SELECTIVE else max([best, *in_domain], key=len)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        forms = "|".join(re.escape(form) for form in self.spellings)
        return re.compile(rf"(?<![\w.+%-])(?:{forms})(?![\w-]|\.\w)")

    def names(self, text: str) -> bool:
        """Whether the text names the person in any spelling: case, Unicode form, JSON, URL or
        HTML escapes, and what the policy folds."""
        for variant in _variants(text):
            if self._pattern.search(variant):
                return True
            if any(self._is_spelling(token) for token in _tokens(variant)):
                return True
        return False

    def shows_key(self, text: str) -> bool:
        """Whether the text holds a contact key of the person, as UUID or plain hex digits."""
        plain = text.lower()
        return any(str(key) in plain or key.hex in plain for key in self.keys.values())

    @cached_property
    def stored(self) -> frozenset[bytes]:
        """The contact keys as bytes: plain, and as DuckDB stores a UUID (a signed little-endian
        number, its first bit turned)."""
        plain = {key.bytes for key in self.keys.values()}
        return frozenset(
            plain | {(key.int ^ (1 << 127)).to_bytes(16, "little") for key in self.keys.values()}
        )

    def _is_spelling(self, token: str) -> bool:
        try:
            return normalise(token.strip(".!*{}`~"), self.keyers[0].folding) == self.normal
        except BadAddress:
            return False


def _tokens(text: str) -> Iterator[str]:
    """What stands around each `@`; in one pass, however long the text is."""
    place = text.find("@")
    while place >= 0:
        before = _END.split(text[max(0, place - _MOST_LOCAL) : place])[-1]
        after = _END.split(text[place + 1 : place + 1 + _MOST_DOMAIN], maxsplit=1)[0]
        if before and after:
            yield f"{before}@{after}"
        place = text.find("@", place + 1)


def _variants(text: str) -> Iterator[str]:
    """The text, and what it says once its escapes are undone; lower case, NFC."""
    seen: set[str] = set()
    for variant in (text, _unescaped(text), unquote(text), html.unescape(text)):
        plain = unicodedata.normalize("NFC", variant.lower())
        if "@" in plain and plain not in seen:
            seen.add(plain)
            yield plain


def _unescaped(text: str) -> str:
    if "\\u" not in text:
        return text
    joined = _SURROGATES.sub(
        lambda m: bytes.fromhex(m[1] + m[2]).decode("utf-16-be", "replace"), text
    )
    return _ESCAPE.sub(lambda m: chr(int(m[1], 16)), joined)
