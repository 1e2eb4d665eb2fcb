"""Which country somebody meant: names, ISO 3166 codes and common other words, in any case.

Names and codes are those of the calendar library's registry, which holds every country that it has
holidays for; other ways of writing come with the regimes. What is not understood stays unknown.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import cache

from holidays import registry


def country_code(text: str | None, others: Mapping[str, str]) -> str | None:
    """The ISO 3166-1 alpha-2 code of what stands in a country field; None: unknown.

    `others` maps further (plain, lower-case) words to codes.
    """
    words = _plain(text or "")
    return others.get(words) or _names().get(words)


def _plain(text: str) -> str:
    """Without accents, case, and punctuation: `U.S.A.` and `usa ` are told alike."""
    folded = unicodedata.normalize("NFKD", text.casefold().replace("ø", "o").replace("ł", "l"))
    letters = "".join(c for c in folded if not unicodedata.combining(c))
    return " ".join(re.sub(r"[^a-z0-9]+", " ", letters).split())


@cache
def _names() -> Mapping[str, str]:
    names: dict[str, str] = {}
    for module, (_, alpha2, alpha3, *_) in registry.COUNTRIES.items():
        for name in (module.replace("_", " "), alpha2.lower(), alpha3.lower()):
            names[name] = alpha2
    return names
