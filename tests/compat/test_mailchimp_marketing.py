"""The vendor's own client against the twin: an independent witness of its fidelity."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from optout.model import Source, State
from optout.sandbox.acts import Act, Mailing, Person
from optout.sandbox.mailchimp.state import subscriber_hash
from optout.sandbox.mailchimp.twin import MailchimpTwin
from optout.sandbox.server import Sandbox

pytestmark = pytest.mark.compat
sdk = pytest.importorskip("mailchimp_marketing")
api_client = pytest.importorskip("mailchimp_marketing.api_client")

DAY = datetime(2026, 5, 1, 12, tzinfo=UTC)
ANA = "ana@example.org"


@pytest.fixture
def twin() -> MailchimpTwin:
    made = MailchimpTwin(("news", "events"), token="key-us1", rng=Random(1))
    made.now = DAY
    made.add(Person(1, ANA, "Ana", "A"), {"news": State.OPTED_IN, "events": State.OPTED_IN}, DAY)
    made.send(Mailing("c1", "May", "news", DAY), [ANA])
    return made


@pytest.fixture
def client(twin: MailchimpTwin) -> Iterator[Any]:
    with Sandbox([twin]) as sandbox:
        made = sdk.Client({"api_key": "key-us1"})
        made.api_client.host = sandbox.base_url("mailchimp")
        yield made


def test_the_official_client_reads_lists_members_and_reports(
    client: Any, twin: MailchimpTwin
) -> None:
    """If the vendor's client cannot read the twin, the twin is no Mailchimp."""
    assert client.ping.get() == {"health_status": "Everything's Chimpy!"}
    lists = client.lists.get_all_lists(count=1000)["lists"]
    assert [each["id"] for each in lists] == list(twin.audiences)
    list_id = lists[0]["id"]
    group = client.lists.get_list_interest_categories(list_id)["categories"][0]["id"]
    interests = client.lists.list_interest_category_interests(list_id, group)["interests"]
    assert [each["name"] for each in interests] == ["news"]
    page = client.lists.get_list_members_info(
        list_id, count=1000, fields=["members.status", "total_items"], sort_field="last_changed"
    )
    assert page == {"members": [{"status": "subscribed"}], "total_items": 1}
    twin.opt_out(ANA, None, Act(DAY, Source.EMAIL_LINK, campaign_id="c1"))
    report = client.reports.get_unsubscribed_list_for_campaign("c1")
    assert report["unsubscribes"][0]["email_address"] == ANA
    assert client.reports.get_campaign_recipients("c1")["total_items"] == 1
    assert client.campaigns.list(status="sent", count=10)["campaigns"][0]["id"] == "c1"
    assert "*|UNSUB|*" in client.campaigns.get_content("c1")["html"]
    feed = client.lists.get_list_member_activity_feed(list_id, subscriber_hash(ANA))
    assert [each["activity_type"] for each in feed["activity"]] == ["unsub", "sent"]


def test_the_official_client_writes_and_is_refused_as_at_the_vendor(
    client: Any, twin: MailchimpTwin
) -> None:
    """The rules for subscribing again are what drift comes from; they must bite here too."""
    list_id, member = next(iter(twin.audiences)), subscriber_hash(ANA)
    twin.opt_out(ANA, None, Act(DAY, Source.EMAIL_LINK, campaign_id="c1"))
    with pytest.raises(api_client.ApiClientError) as refused:
        client.lists.update_list_member(list_id, member, {"status": "subscribed"})
    assert refused.value.status_code == 400
    assert "Member In Compliance State" in refused.value.text
    client.lists.delete_list_member(list_id, member)
    assert client.lists.get_list_member(list_id, member)["status"] == "archived"
    body = {"email_address": ANA, "status_if_new": "subscribed", "status": "subscribed"}
    assert client.lists.set_list_member(list_id, member, body)["status"] == "subscribed"


def test_a_wrong_key_is_refused(client: Any) -> None:
    """401 arrives as text in the client's own error."""
    client.set_config({"api_key": "other-us1"})
    with pytest.raises(api_client.ApiClientError) as refused:
        client.ping.get()
    assert refused.value.status_code == 401
