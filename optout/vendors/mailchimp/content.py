"""What a Mailchimp campaign shows of its duty to offer an opt-out and to name the sender.

Campaigns are written with merge tags that the vendor fills in when it sends: `*|UNSUB|*` becomes
the unsubscribe link, `*|LIST:ADDRESS|*` and `*|HTML:LIST_ADDRESS_HTML|*` the postal address of the
audience. Rendered content (the archive) has the link and the address themselves instead.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

_UNSUBSCRIBE = re.compile(
    r"\*\|UNSUB(?::[^|]*)?\|\*|list-manage\d*\.(?:com|net)/unsubscribe", re.IGNORECASE
)
_ADDRESS = re.compile(r"\*\|(?:HTML:)?LIST[:_]ADDRESS[A-Z_:]*\|\*", re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
"""An unclosed comment hides the rest of the mail, from the vendor's own check as well."""
_TAG = re.compile(r"<[^>]*>")


def bodies(content: Mapping[str, Any]) -> list[str]:
    """Every body that some recipient gets: one, or one for each variant; comments removed."""
    variants: list[Mapping[str, Any]] = [
        each for each in content.get("variate_contents") or [] if isinstance(each, dict)
    ]
    found = []
    for part in variants or [content]:
        text = part.get("html") or part.get("archive_html") or part.get("plain_text")
        if text:
            found.append(_COMMENT.sub(" ", str(text)))
    return found


def has_unsubscribe(found: list[str], settings: Mapping[str, Any]) -> bool | None:
    """Whether each body holds an unsubscribe link; None where the vendor shows no body."""
    if settings.get("auto_footer") is True:
        return True
    return all(_UNSUBSCRIBE.search(body) for body in found) if found else None


def has_postal_address(
    found: list[str], settings: Mapping[str, Any], contact: Mapping[str, Any]
) -> bool | None:
    """Whether each body shows where the sender can be written to; None without a body.

    A merge tag (and the vendor's own footer) shows what the audience's contact block holds: an
    empty block shows nothing.
    """
    is_filled = bool(contact.get("address1")) and bool(contact.get("city"))
    if settings.get("auto_footer") is True:
        return is_filled
    if not found:
        return None
    return all((is_filled and _ADDRESS.search(b)) or _is_written(b, contact) for b in found)


def _is_written(body: str, contact: Mapping[str, Any]) -> bool:
    """The street, and the town or its code, written out in the body."""
    text = _plain(body)
    street = _plain(str(contact.get("address1") or ""))
    town = [_plain(str(contact.get(name) or "")) for name in ("city", "zip")]
    return bool(street) and street in text and any(each and each in text for each in town)


def _plain(body: str) -> str:
    """The text without markup, in one line, in one case."""
    return " ".join(html.unescape(_TAG.sub(" ", body)).split()).casefold()
