"""The registry: a vendor is one file beside this one and one line here."""

from __future__ import annotations

from collections.abc import Iterable

from optout.vendors.base import Connector, SystemConfig
from optout.vendors.hubspot.connector import HubSpot
from optout.vendors.klaviyo.connector import Klaviyo
from optout.vendors.mailchimp.connector import Mailchimp
from optout.vendors.sendgrid.connector import SendGrid
from optout.vendors.zendesk_sell.connector import ZendeskSell

VENDORS: dict[str, type[Connector]] = {
    c.vendor: c for c in (ZendeskSell, Mailchimp, SendGrid, Klaviyo, HubSpot)
}


def expected_streams(systems: Iterable[SystemConfig]) -> dict[str, tuple[str, ...]]:
    """System → the streams that a night has to read of it."""
    return {
        each.name: tuple(stream.name for stream in VENDORS[each.vendor].streams(each))
        for each in systems
    }
