"""The registry: a vendor is one file beside this one and one line here."""

from __future__ import annotations

from optout.vendors.base import Connector
from optout.vendors.hubspot import HubSpot
from optout.vendors.klaviyo import Klaviyo
from optout.vendors.mailchimp import Mailchimp
from optout.vendors.sendgrid import SendGrid
from optout.vendors.zendesk_sell import ZendeskSell

VENDORS: dict[str, type[Connector]] = {
    c.vendor: c for c in (ZendeskSell, Mailchimp, SendGrid, Klaviyo, HubSpot)
}
