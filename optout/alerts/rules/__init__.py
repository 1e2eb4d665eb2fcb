"""The rules: one module a subject, and the list of them.

Those that are raised from outside a night's facts (a run or a channel that failed) stand in
`optout.alerts.service` and `optout.alerts.deliver`.
"""

from __future__ import annotations

from optout.alerts.rule import Rule
from optout.alerts.rules import clocks, consent, drift, extraction, mail, sends, spikes, trail

RULES: tuple[Rule, ...] = (
    *drift.RULES,
    *sends.RULES,
    *clocks.RULES,
    *consent.RULES,
    *mail.RULES,
    *spikes.RULES,
    *extraction.RULES,
    *trail.RULES,
)
"""Every rule that judges a night."""
