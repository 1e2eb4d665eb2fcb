"""No personal data in what alerts keep or send."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from optout.alerts.service import evaluate_and_deliver
from optout.testing.facts import key
from optout.testing.ledger import HUB, Ledger

NOW = datetime(2026, 9, 1, 2, tzinfo=UTC)
CANARY = "canary.bird@example.org"
ADDRESS = "203.0.113.77"


def planted(facts: Ledger) -> None:
    """Addresses wherever a vendor or a person could have put one."""
    facts.night(1)
    why = f"403 for {CANARY} from {ADDRESS}"
    tonight = facts.night(
        2,
        incomplete=("sendgrid",),
        streams={"sendgrid": {"why_not": why, "revision": CANARY, "note": CANARY}},
    )
    facts.drift(
        "unhonoured_opt_out", "mailchimp", range(3), tonight, store=f"list:{CANARY}", reason=CANARY
    )
    facts.drift("lost_opt_out", "mailchimp", range(3), tonight, store=CANARY)
    facts.opt_out(1, tonight, tonight, "mailchimp", strict_rule=CANARY)
    facts.send("mailchimp", 1, tonight)
    facts.con.execute("UPDATE audit.violation SET campaign_id = ?", [f"to {CANARY}"])
    facts.insert(
        "core.finding", night=tonight, system=HUB, stream="records", code="unknown_value",
        store=CANARY, record_id=CANARY, field=CANARY, detail=CANARY, categories=0,
    )  # fmt: skip
    facts.metric("audit_trail_completeness", tonight, HUB, 1, 2, "missed", note=CANARY)
    facts.metric("chain_intact", tonight, None, 0, 1, "missed", note=CANARY)
    facts.insert(
        "audit.spike", night=tonight, kind="spike", dimension="campaign", system=HUB, key=CANARY,
        since=tonight, window_nights=1, opt_outs=9, deliveries=9, note=CANARY,
    )  # fmt: skip


def test_no_address_gets_into_a_notice_or_its_outbox(
    installation: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Alerts go to chats and mailboxes that no erasure ever reaches."""
    place = installation(
        tmp_path,
        '[alerts.channel.log]\nkind = "file"\n[alerts.channel.out]\nkind = "console"\n'
        '[[alerts.route]]\nchannels = ["log", "out"]\n',
    )
    place.publish(planted)
    outcome = evaluate_and_deliver(place.project(NOW.replace(day=2)))
    assert outcome.told.opened >= 5
    files = [f for f in (tmp_path / "data").iterdir() if f.is_file()]
    told = b"".join(f.read_bytes() for f in files) + capsys.readouterr().err.encode()
    for secret in (CANARY, "canary.bird", ADDRESS, str(key(1)), key(1).hex):
        assert secret.encode() not in told, f"{secret} was told"
    assert all(f.stat().st_mode & 0o077 == 0 for f in files), "others can read an alert file"
