"""The people of the world: synthetic names and addresses, typed differently by different systems.

Every address is under example.org, example.com or example.net (RFC 2606), so that nothing here can
ever reach anybody. Addresses differ by plus-tags, dots, letter case, Unicode form and IDN domains
in the ways that break naive joins.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

from optout.address import normalise
from optout.model import State
from optout.sandbox.acts import Governance
from optout.sandbox.world.deeds import HUB, KLAVIYO, MAILCHIMP, SYSTEMS

_FIRST = ("Ana", "Ben", "Chloé", "Dmitri", "Élodie", "Farid", "Grace", "Håkan", "Inês", "José",
          "Keiko", "Lena", "Mónica", "Noah", "Olga", "Priya", "Quentin", "Rosa", "Søren", "Tara",
          "Ulf", "Vera", "Wen", "Ximena", "Yusuf", "Zoë")  # fmt: skip
_LAST = ("Adams", "Böhm", "Castillo", "Dubois", "Evans", "Fischer", "García", "Haddad", "Ito",
         "Jansen", "Kowalska", "Larsen", "Müller", "Novák", "Okafor", "Petrov", "Quinn", "Roy",
         "Silva", "Tanaka", "Ueda", "Vargas", "Weiß", "Xu", "Yılmaz", "Zhang")  # fmt: skip
_DOMAINS = ("example.org", "example.com", "example.net", "mail.example.org")
_IDN = ("käse.example.org", "bücher.example.net")

COUNTRIES: Sequence[tuple[str | None, str | None]] = (
    ("United States", "US"), ("USA", "US"), ("us", "US"), ("Canada", "CA"), ("CANADA", "CA"),
    ("ca", "CA"), ("Germany", "DE"), ("germany", "DE"), ("DE", "DE"), ("France", "FR"),
    ("fr", "FR"), ("United Kingdom", "GB"), ("GB", "GB"), ("Australia", "AU"), ("au", "AU"),
    ("Brazil", "BR"), ("Japan", "JP"), ("Atlantis", None), ("XX", None), ("", None), (None, None),
)  # fmt: skip
"""What stands in the hub's address → ISO 3166-1 code, None where nobody can tell."""


@dataclass
class Resident:
    """One person as the company means to treat him: what every system should be told."""

    id: int
    who: str
    """The normalised address."""
    first_name: str
    last_name: str
    country: str | None
    iso: str | None
    governance: Governance
    typed: dict[str, str]
    """System → the address as it was typed there."""
    wish: dict[str, State]
    is_out: bool = False
    """Opted out of everything."""
    records: list[int] = field(default_factory=list)
    """Numbers of the hub's contacts and leads."""
    role: str = ""
    """The planted fault that this person carries; empty: ordinary."""
    last_act: int = 0
    """The night that saw the last act."""
    was_ever_out: bool = False
    is_frozen: bool = False
    """Nothing more happens to this person."""
    is_mended: bool = False

    def wish_is_plain(self) -> bool:
        """Whether the person never opted out of anything that is still in force."""
        return not self.is_out and State.OPTED_OUT not in self.wish.values()

    def wish_says_no_more(self) -> bool:
        """Whether only the opt-out of everything keeps this person from mail."""
        wishes = self.wish.values()
        return State.OPTED_IN in wishes and State.OPTED_OUT not in wishes

    def wants_out(self, category: str) -> bool:
        """Whether the person does not want this kind of mail."""
        return self.is_out or self.wish[category] is State.OPTED_OUT


def is_free(r: Resident, night: int) -> bool:
    """Carries no fault, and has not acted before this night yet."""
    return not r.role and not r.is_frozen and r.last_act < night


def never_out(r: Resident) -> bool:
    """Never opted out of anything."""
    return not r.was_ever_out


def never_asked(r: Resident) -> bool:
    """Never said anything at all."""
    return never_out(r) and not was_in(r)


def has_unset(r: Resident) -> bool:
    """Was never asked about some category, and never opted out."""
    return not r.was_ever_out and State.NOT_SET in r.wish.values()


def can_come_back(r: Resident) -> bool:
    """Has opted out of a category, and of nothing else."""
    return not r.is_out and State.OPTED_OUT in r.wish.values()


def can_release(r: Resident) -> bool:
    """Has opted out of everything and of no category, and was once in."""
    return r.is_out and State.OPTED_OUT not in r.wish.values() and was_in(r)


def was_in(r: Resident) -> bool:
    """Said yes to something."""
    return State.OPTED_IN in r.wish.values()


def people(
    rng: Random, categories: Sequence[str], today: date, *, is_documented: bool = False
) -> Iterator[Resident]:
    """New people without end; no two share an address. `is_documented`: everybody's consent can be
    shown, and only that of purchases lapses."""
    number = 0
    while True:
        number += 1
        first, last = rng.choice(_FIRST), rng.choice(_LAST)
        canonical = _canonical(rng, first, last, number)
        country, iso = rng.choice(COUNTRIES)
        share = 0.0 if rng.random() < 0.07 else 0.65  # some were never asked anything
        yield Resident(
            id=number,
            who=normalise(canonical),
            first_name=first,
            last_name=last,
            country=country,
            iso=iso,
            governance=_governance(rng, today, number, is_documented=is_documented),
            typed=_typed(rng, canonical),
            wish={
                category: State.OPTED_IN if rng.random() < share else State.NOT_SET
                for category in categories
            },
        )


def _ascii(name: str) -> str:
    folded = name.replace("ß", "ss").replace("ø", "o").replace("ı", "i")
    return unicodedata.normalize("NFKD", folded).encode("ascii", "ignore").decode().lower()


def _canonical(rng: Random, first: str, last: str, number: int) -> str:
    """An address in composed Unicode and lower case."""
    kind = rng.random()
    domain = rng.choice(_DOMAINS)
    local = f"{_ascii(first)}.{_ascii(last)}{number}"
    if kind < 0.08:
        local += "+news"
    elif kind < 0.16:
        local = local.replace(".", "")
    elif kind < 0.22:
        local = unicodedata.normalize("NFC", f"{first}.{last}{number}").lower()
    elif kind < 0.27:
        domain = rng.choice(_IDN)
    return f"{local}@{domain}"


def _typed(rng: Random, canonical: str) -> dict[str, str]:
    """How each system has it; all are the same address by rule 1."""
    typed = dict.fromkeys(SYSTEMS, canonical)
    local, _, domain = canonical.partition("@")
    if not canonical.isascii():
        typed[HUB] = unicodedata.normalize("NFD", canonical)
        if not domain.isascii():
            typed[KLAVIYO] = f"{local}@{domain.encode('idna').decode()}"
    elif rng.random() < 0.15:
        typed[HUB] = f"{local.title()}@{domain}"
        typed[MAILCHIMP] = f"{local}@{domain.upper()}"
    return typed


def _governance(rng: Random, today: date, number: int, *, is_documented: bool) -> Governance:
    """A basis of consent, complete or not, with an end near or far (rule 6)."""
    kind = rng.random()
    ago = timedelta(days=rng.randint(5, 900))
    ref = f"DOC-{number:06d}"
    if number % 8 == 3:  # the two years of a purchase end within days, one way or the other
        spread = 160 if is_documented else 67
        return Governance("implicit", "purchase", today - timedelta(730 + 3 - number % spread), ref)
    if kind < 0.45 or is_documented:
        return Governance("explicit", "express", today - ago, ref)
    if kind < 0.60:
        return Governance("implicit", "purchase", today - ago, ref)
    if kind < 0.68:  # in force: a document and no end
        return Governance("implicit", "contract", None, ref)
    if kind < 0.74:
        return Governance("implicit", "contract", today - ago, ref)
    if kind < 0.82:
        return Governance("implicit", "inquiry", today - ago / 4, ref)
    if kind < 0.87:
        return Governance("implicit", "membership", today - ago, ref)
    if kind < 0.91:
        return Governance("grandfathered", "grandfathered", date(2014, 6, 1), ref)
    if kind < 0.96:  # not proven: no document
        return Governance("implicit", rng.choice(("purchase", "contract", "inquiry")), None, None)
    return Governance(None, None, None, None)
