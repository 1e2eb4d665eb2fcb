"""HubSpot's own client reads and writes the twin: a witness that did not read our code."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from optout.model import Source, State
from optout.sandbox.acts import Act, Mailing
from optout.sandbox.hubspot.twin import HubSpotTwin
from optout.sandbox.server import Sandbox
from optout.testing.twins import peopled

hubspot = pytest.importorskip("hubspot", reason="the vendor's client is not installed")
pytestmark = pytest.mark.compat

AT = datetime(2026, 10, 1, 8, tzinfo=UTC)
CATEGORIES = ("product_updates", "promotional")


@pytest.fixture
def twin() -> HubSpotTwin:
    twin = HubSpotTwin(CATEGORIES, token="pat-test", rng=Random(1))
    return peopled(twin, 7, {"promotional": State.OPTED_IN}, AT)


@pytest.fixture
def client(twin: HubSpotTwin) -> Iterator[Any]:
    with Sandbox([twin]) as sandbox:
        yield hubspot.Client.create(access_token="pat-test", host=sandbox.base_url("hubspot"))


def test_the_client_reads_definitions_and_statuses(client: Any, twin: HubSpotTwin) -> None:
    """A twin with another idea of the v3 models would teach the connector that idea."""
    twin.opt_out("p1@example.org", None, Act(AT, Source.PREFERENCE_CENTER))
    api = client.communication_preferences
    kinds = api.definition_api.get_page().subscription_definitions
    assert {kind.id for kind in kinds} == {"10", "11", "12"}
    shown = api.status_api.get_email_status("p1@example.org").subscription_statuses
    assert {each.status for each in shown} == {"NOT_SUBSCRIBED"}
    assert {each.source_of_status for each in shown} == {"PORTAL_WIDE_STATUS"}


def test_the_client_unsubscribes_and_is_refused_the_way_back(
    client: Any, twin: HubSpotTwin
) -> None:
    """v3 does not resubscribe a person who opted out; a twin that did would hide the vendor's
    own protection."""
    from hubspot.communication_preferences import (
        ApiException,
        PublicUpdateSubscriptionStatusRequest,
    )

    api = client.communication_preferences.status_api
    wish = PublicUpdateSubscriptionStatusRequest(
        email_address="p2@example.org", subscription_id="12"
    )
    assert api.unsubscribe(wish).status == "NOT_SUBSCRIBED"
    with pytest.raises(ApiException) as refused:
        api.subscribe(wish)
    assert refused.value.status == 400


def test_the_client_pages_through_all_contacts(client: Any) -> None:
    """A cursor that the official client cannot follow is no HubSpot cursor."""
    page = client.crm.contacts.basic_api.get_page(limit=3)
    assert len(page.results) == 3
    assert page.paging.next.after
    everyone = client.crm.contacts.get_all()
    assert [each.properties["email"] for each in everyone] == [
        f"p{number}@example.org" for number in range(1, 8)
    ]


def test_the_client_searches_and_lists_properties(client: Any) -> None:
    """Search is how changed contacts are found on incremental nights."""
    from hubspot.crm.contacts import PublicObjectSearchRequest

    wish = PublicObjectSearchRequest(
        filter_groups=[
            {"filters": [{"propertyName": "email", "operator": "EQ", "value": "p3@example.org"}]}
        ],
        sorts=["lastmodifieddate"],
        properties=["email"],
        limit=10,
        after="0",
    )
    found = client.crm.contacts.search_api.do_search(wish)
    assert found.total == 1
    names = {each.name for each in client.crm.properties.core_api.get_all("contacts").results}
    assert {"email", "hs_additional_emails", "hs_email_optout"} <= names


def test_the_client_reads_marketing_emails(client: Any, twin: HubSpotTwin) -> None:
    """The from address hides in `replyTo`; the client's model must find it there."""
    mailing = Mailing("m1", "Autumn", "promotional", AT)
    twin.send(mailing, ["p1@example.org"])
    page = client.marketing.emails.marketing_emails_api.get_page(limit=10)
    assert [email.name for email in page.results] == ["Autumn"]
    assert page.results[0]._from.reply_to == mailing.from_address


def test_a_wrong_token_is_a_401_with_a_category(twin: HubSpotTwin) -> None:
    """The connector tells a bad token from a bad request by exactly this."""
    from hubspot.crm.contacts import ApiException

    with Sandbox([twin]) as sandbox:
        client = hubspot.Client.create(access_token="wrong", host=sandbox.base_url("hubspot"))
        with pytest.raises(ApiException) as refused:
            client.crm.contacts.basic_api.get_page()
    assert refused.value.status == 401
    assert "INVALID_AUTHENTICATION" in refused.value.body
