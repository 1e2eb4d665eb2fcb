"""Klaviyo's campaigns and how they keep their duties."""

from __future__ import annotations

from datetime import timedelta

from optout.records import Campaign
from optout.sandbox.acts import Mailing
from optout.sandbox.klaviyo.twin import KlaviyoTwin
from optout.testing.klaviyo import AT, CUTOFF, PROMOTIONAL, Connect, read


def test_campaigns_tell_how_they_keep_their_duties(connect: Connect, twin: KlaviyoTwin) -> None:
    """Sender, way out and postal address of each mailing."""
    twin.send(Mailing("m1", "Good", "promotional", AT), [])
    twin.send(Mailing("m2", "Bad", "promotional", AT, has_unsubscribe=False,
                      has_postal_address=False), [])  # fmt: skip
    twin.send(Mailing("m3", "Future", "promotional", CUTOFF + timedelta(hours=1)), [])
    good, bad = read(connect(), "campaigns").of(Campaign)
    assert (good.name, good.categories, good.sent_at) == ("Good", PROMOTIONAL, AT)
    assert (good.from_address, good.from_name) == ("news@shop.example.org", "Example Shop")
    assert good.reply_to == "help@shop.example.org"
    assert (good.has_unsubscribe, good.has_postal_address) == (True, True)
    assert (bad.has_unsubscribe, bad.has_postal_address) == (False, False)


def test_without_the_account_a_missing_address_tag_is_not_known(
    connect: Connect, twin: KlaviyoTwin
) -> None:
    """The address may be written out; without the account nobody can tell."""
    twin.send(Mailing("m1", "Bare", "promotional", AT, has_postal_address=False), [])
    twin.scopes.discard("accounts:read")
    (row,) = read(connect(), "campaigns").of(Campaign)
    assert row.has_postal_address is None
