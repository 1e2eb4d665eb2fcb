"""Spikes that machines make: scanners that open every link of a message, also the one to opt out.

They come from one mailbox domain within minutes of delivery. Such opt-outs are honoured like any
other: nobody can tell for certain that the person did not mean it. Only the alert is another one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

SCAN_TIME = timedelta(minutes=5)
"""From delivery to opt-out. People take hours: few of a domain's opt-outs come so soon."""
_LEAST = 10
_SHARE = 0.8


@dataclass(frozen=True)
class Rush:
    """The mailbox domain of a series with most opt-outs soon after delivery, tonight."""

    domain: str | None
    """None where it has too few contacts to be named."""
    soon: int
    """Its opt-outs within `SCAN_TIME` of the delivery."""
    all: int
    """Its opt-outs."""

    @property
    def name(self) -> str:
        """The domain, or words for one that is not named."""
        return self.domain or "one small domain"


def is_scanner(rush: Rush, *, opt_outs: int, threshold: int) -> bool:
    """Whether machines explain a spike: nearly all opt-outs of one domain came within minutes, and
    without these there would be no spike."""
    is_rush = rush.soon >= _LEAST and rush.soon >= _SHARE * rush.all
    return is_rush and opt_outs - rush.soon < threshold
