"""Klaviyo's own client reads and writes the twin: a witness that did not read our code.

Its models are strict, so every answer that it takes is one that the vendor could have given. It
asks for revision 2026-10-15, in which campaigns have another shape than in ours.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from optout.model import Source, State
from optout.sandbox.acts import Act, Mailing
from optout.sandbox.klaviyo.twin import KlaviyoTwin
from optout.sandbox.server import Sandbox
from optout.testing.twins import peopled

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the client's own, on import
    klaviyo_api = pytest.importorskip("klaviyo_api", reason="the vendor's client is not installed")
pytestmark = pytest.mark.compat

AT = datetime(2026, 10, 1, 8, tzinfo=UTC)
CATEGORIES = ("product_updates", "promotional")


@pytest.fixture
def twin() -> KlaviyoTwin:
    twin = KlaviyoTwin(CATEGORIES, token="pk_test", rng=Random(1))
    return peopled(twin, 7, {"promotional": State.OPTED_IN}, AT)


@pytest.fixture
def client(twin: KlaviyoTwin) -> Iterator[Any]:
    with Sandbox([twin]) as sandbox:
        host = sandbox.base_url("klaviyo")
        client = klaviyo_api.KlaviyoAPI("pk_test", max_retries=0, test_host=host)
        yield client
        client.api_client.rest_client.pool_manager.clear()


def test_the_client_reads_profiles_with_consent(client: Any, twin: KlaviyoTwin) -> None:
    """A twin with another idea of consent would teach the connector that idea."""
    act = Act(AT + timedelta(hours=1), Source.PREFERENCE_CENTER)
    twin.opt_out("p1@example.org", None, act)
    twin.opt_out("p2@example.org", "promotional", act)
    twin.complain("p3@example.org", "none", AT)
    twin.bounce("p4@example.org", None, AT)
    found, cursor = {}, None
    while True:
        page = client.Profiles.get_profiles(
            additional_fields_profile=["subscriptions"], page_size=3, sort="id", page_cursor=cursor
        ).to_dict()
        for each in page["data"]:
            found[each["attributes"]["email"]] = each["attributes"]["subscriptions"]["email"]
        cursor = page["links"].get("next")
        if not cursor:
            break
        cursor = cursor.replace("http://", "https://")  # the client knows no other scheme
    assert len(found) == 7
    shown = {address: each["marketing"] for address, each in found.items()}
    assert shown["p1@example.org"]["suppression"][0]["reason"] == "UNSUBSCRIBE"
    assert shown["p2@example.org"]["can_receive_email_marketing"] is True
    assert shown["p2@example.org"]["list_suppressions"][0]["reason"] == "UNSUBSCRIBE"
    assert shown["p3@example.org"]["suppression"][0]["reason"] == "SPAM_COMPLAINT"
    assert shown["p4@example.org"]["suppression"][0]["reason"] == "HARD_BOUNCE"


def test_the_client_reads_lists_members_and_the_account(client: Any, twin: KlaviyoTwin) -> None:
    """Strict models for each of the small answers."""
    (list_id,) = twin.category_map()["promotional"]
    lists = client.Lists.get_lists(page_size=10).to_dict()["data"]
    assert [each["attributes"]["name"] for each in lists] == list(CATEGORIES)
    one = client.Lists.get_list(list_id, additional_fields_list=["profile_count"]).to_dict()
    assert one["data"]["attributes"]["profile_count"] == 7
    members = client.Lists.get_profiles_for_list(list_id, page_size=100).to_dict()["data"]
    assert len(members) == 7
    assert client.Accounts.get_accounts().to_dict()["data"][0]["id"] == "KLEX01"


def test_the_client_reads_metrics_events_and_templates(client: Any, twin: KlaviyoTwin) -> None:
    """Events with their profiles, and what a flow's message says."""
    twin.send(Mailing("m1", "Autumn", "promotional", AT), ["p1@example.org"])
    twin.send(Mailing("m2", "Receipt", None, AT), ["p1@example.org"])
    shown = client.Metrics.get_metrics().to_dict()["data"]
    metrics = {each["attributes"]["name"]: each["id"] for each in shown}
    where = f'equals(metric_id,"{metrics["Received Email"]}")'
    page = client.Events.get_events(filter=where, include=["profile", "metric"], page_size=200)
    assert len(page.to_dict()["data"]) == 2
    message_id = twin.campaigns["m2"].message_id
    flow = client.Flows.get_flow_message(message_id, include=["flow-action"]).to_dict()
    assert flow["data"]["attributes"]["channel"] == "email"


def test_the_client_unsubscribes_and_subscribes_again(client: Any, twin: KlaviyoTwin) -> None:
    """The traps as a program of the vendor's sees them: from a list that one is not on means from
    everything, and subscribing erases it."""
    (list_id,) = twin.category_map()["product_updates"]

    def job(kind: str, word: str) -> dict[str, Any]:
        profile = {"type": "profile", "attributes": {
            "email": "p1@example.org",
            "subscriptions": {"email": {"marketing": {"consent": word}}},
        }}  # fmt: skip
        return {"data": {
            "type": f"profile-subscription-bulk-{kind}-job",
            "attributes": {"profiles": {"data": [profile]}},
            "relationships": {"list": {"data": {"type": "list", "id": list_id}}},
        }}  # fmt: skip

    client.Profiles.bulk_unsubscribe_profiles(job("delete", "UNSUBSCRIBED"))
    profile = twin.profile("p1@example.org")
    assert profile is not None
    assert [each.reason for each in profile.suppressions] == ["UNSUBSCRIBE"]
    client.Profiles.bulk_subscribe_profiles(job("create", "SUBSCRIBED"))
    assert profile.suppressions == []
    assert profile.id in twin.lists[list_id].members


def test_the_client_understands_a_refusal(client: Any, twin: KlaviyoTwin) -> None:
    """Errors have the vendor's form, or its client could not raise its own."""
    from openapi_client.exceptions import ForbiddenException

    twin.scopes.discard("lists:read")
    with pytest.raises(ForbiddenException):
        client.Lists.get_lists()
