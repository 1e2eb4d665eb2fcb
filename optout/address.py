"""Addresses: one normal form, and the keyed hash that stands for a person everywhere else.

Rule 1 of the design: trim, Unicode NFC, lower-case, IDNA domain. Plus-tags and dots stay
distinct unless the policy folds them. A hash without a key can be reversed for guessable inputs
(AEPD and EDPS on hashing), hence HMAC-SHA-256, cut to the 16 bytes that joins are fast on.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from dataclasses import dataclass

import idna

_BLANK = re.compile(r"[\s\x00-\x1f]")
"""Whitespace of any script, and what controls a terminal."""


class BadAddress(ValueError):
    """The text is no e-mail address; the message never repeats it."""


@dataclass(frozen=True)
class Folding:
    """Which differences between addresses the company ignores; none by default."""

    plus_tags: bool = False
    dots: bool = False


def normalise(address: str, folding: Folding | None = None) -> str:
    """The one form of an address that is compared; raises BadAddress."""
    if address.isascii():
        text = address.strip().lower()
    else:
        text = unicodedata.normalize("NFC", address.strip()).lower()
        text = unicodedata.normalize("NFC", text)
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain or _BLANK.search(text):
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
