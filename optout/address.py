"""Addresses: one normal form, and the keyed hash that stands for a person everywhere else.

Rule 1 of the design: trim, Unicode NFC, lower-case, IDNA domain. Plus-tags and dots stay
distinct unless the policy folds them. A hash without a key can be reversed for guessable inputs
(AEPD and EDPS on hashing), hence HMAC-SHA-256, cut to the 16 bytes that joins are fast on.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import idna

_BLANK = re.compile(r"[\s\x00-\x1f]")
"""Whitespace of any script, and what controls a terminal."""
_PLAIN = re.compile(r"[!-?A-~]+@[!-?A-~]*[!-\-/-?A-~]")
"""ASCII without a blank, one @, no dot at the end: nothing to do but lower-case it."""
_BLOCK = 64
"""Bytes that SHA-256 takes in at a time."""


class BadAddress(ValueError):
    """The text is no e-mail address; the message never repeats it."""


@dataclass(frozen=True)
class Folding:
    """Which differences between addresses the company ignores; none by default."""

    plus_tags: bool = False
    dots: bool = False

    def __bool__(self) -> bool:
        return self.plus_tags or self.dots


def normalise(address: str, folding: Folding | None = None) -> str:
    """The one form of an address that is compared; raises BadAddress."""
    if not folding and _PLAIN.fullmatch(address):
        return address.lower()
    if address.isascii():
        text = address.strip().lower()
    else:
        text = unicodedata.normalize("NFC", address.strip()).lower()
        text = unicodedata.normalize("NFC", text)
    local, at, domain = text.rpartition("@")
    # U+FFFD stands for a character that got lost: two people could become one.
    if not at or not local or not domain or _BLANK.search(text) or "\ufffd" in text:
        raise BadAddress("not an e-mail address")
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except idna.IDNAError:
            raise BadAddress("the domain of the address is not valid") from None
    if folding:
        if folding.plus_tags:
            local = local.partition("+")[0] or local
        if folding.dots:
            local = local.replace(".", "") or local
    return f"{local}@{domain.rstrip('.')}"


@dataclass(frozen=True)
class Keyer:
    """Turns normalised addresses into contact keys; `key_id` names the secret, never shows it."""

    secret: bytes
    key_id: str
    folding: Folding | None = None
    record_secret: bytes | None = None
    """What record names are made with: the first key of the installation, whatever came after.
    They stand inside the chain of changes and in vendors' event ids, so they must outlast keys."""

    def key(self, address: str) -> bytes:
        """The 16-byte contact key of a raw address; raises BadAddress."""
        return self.key_of_normal(normalise(address, self.folding))

    def key_of_normal(self, normal: str) -> bytes:
        """The 16-byte contact key of an already normalised address."""
        return hmac.digest(self.secret, normal.encode(), "sha256")[:16]

    def keyed(self, addresses: Sequence[Any]) -> tuple[list[str | None], list[bytes | None]]:
        """The normal forms and contact keys of a batch, None for both where there is no address:
        the text is none, or it is not text at all. Half the work of one by one."""
        folding = self.folding or None
        normals = [_normal(address, folding) for address in addresses]
        digest = _digester(self.secret)
        return normals, [None if normal is None else digest(normal.encode()) for normal in normals]

    def pseudonym(self, text: str) -> str:
        """A stable name (32 hex digits) for a record that a vendor knows by address only, or by a
        hash of it, which anybody can compute. Never equal to a contact key; any text will do."""
        try:
            text = normalise(text, self.folding)
        except BadAddress:
            text = text.strip().lower()
        secret = self.secret if self.record_secret is None else self.record_secret
        return hmac.digest(secret, b"pseudonym\x1f" + text.encode(), "sha256")[:16].hex()

    @property
    def fingerprint(self) -> bytes:
        """Tells whether two secrets are the same, and nothing about them."""
        return hmac.digest(self.secret, b"fingerprint\x1f", "sha256")[:8]

    def __repr__(self) -> str:
        return f"Keyer(key_id={self.key_id!r})"


def _normal(address: Any, folding: Folding | None) -> str | None:
    try:
        return normalise(address, folding) if isinstance(address, str) else None
    except BadAddress:
        return None


def _digester(secret: bytes) -> Callable[[bytes], bytes]:
    """HMAC-SHA-256 of one secret (RFC 2104), cut to 16 bytes, for many texts: the hashes that have
    taken in the secret are copied, where `hmac.digest` looks OpenSSL's methods up each time."""
    block = (secret if len(secret) <= _BLOCK else sha256(secret).digest()).ljust(_BLOCK, b"\0")
    inner_of = sha256(bytes(byte ^ 0x36 for byte in block)).copy
    outer_of = sha256(bytes(byte ^ 0x5C for byte in block)).copy

    def digest(text: bytes) -> bytes:
        inner, outer = inner_of(), outer_of()
        inner.update(text)
        outer.update(inner.digest())
        return outer.digest()[:16]

    return digest
