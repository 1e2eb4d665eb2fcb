"""The registry: a vendor is one file beside this one and one line here."""

from __future__ import annotations

from optout.vendors.base import Connector
from optout.vendors.hubspot.connector import HubSpot
from optout.vendors.klaviyo.connector import Klaviyo
from optout.vendors.mailchimp.connector import Mailchimp
from optout.vendors.sendgrid.connector import SendGrid
from optout.vendors.zendesk_sell.connector import ZendeskSell

VENDORS: dict[str, type[Connector]] = {
    c.vendor: c for c in (ZendeskSell, Mailchimp, SendGrid, Klaviyo, HubSpot)
}
