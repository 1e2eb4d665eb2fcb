"""SendGrid's own client reads and writes the twin: a witness that did not read our code."""

from __future__ import annotations

import gzip
import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from optout.model import Source
from optout.sandbox.acts import Act, Mailing
from optout.sandbox.sendgrid.twin import SendGridTwin
from optout.sandbox.server import Sandbox
from optout.testing.twins import peopled

sendgrid = pytest.importorskip("sendgrid", reason="the vendor's client is not installed")
pytestmark = pytest.mark.compat

AT = datetime(2026, 10, 1, 8, tzinfo=UTC)
CATEGORIES = ("product_updates", "promotional")


@pytest.fixture
def twin() -> SendGridTwin:
    twin = SendGridTwin(CATEGORIES, token="SG.test", rng=Random(1))
    return peopled(twin, 3, {}, AT)


@pytest.fixture
def client(twin: SendGridTwin) -> Iterator[Any]:
    with Sandbox([twin]) as sandbox:
        host = sandbox.base_url("sendgrid")
        yield sendgrid.SendGridAPIClient(api_key="SG.test", host=host).client


def body(answer: Any) -> Any:
    return json.loads(answer.body)


def test_the_client_reads_groups_and_their_suppressions(client: Any, twin: SendGridTwin) -> None:
    """Paths and shapes as the vendor's own code spells them."""
    twin.opt_out("p1@example.org", "promotional", Act(AT, Source.EMAIL_LINK))
    groups = body(client.asm.groups.get())
    assert [(g["name"], g["unsubscribes"]) for g in groups] == [
        ("Product updates", 0),
        ("Promotional", 1),
    ]
    group = client.asm.groups._(groups[1]["id"])
    assert body(group.suppressions.get()) == ["p1@example.org"]
    [entry] = body(client.asm.suppressions.get())
    assert (entry["email"], entry["created_at"]) == ("p1@example.org", int(AT.timestamp()))


def test_the_client_writes_suppressions_with_the_vendors_traps(
    client: Any, twin: SendGridTwin
) -> None:
    """What a sync built on the official client would do to an account."""
    wanted = {"recipient_emails": ["P1@example.org"]}
    group = client.asm.groups._(20_002)
    assert group.suppressions.post(request_body=wanted).status_code == 201
    assert group.suppressions._("p1@example.org").delete().status_code == 204
    assert client.asm.groups._(99).suppressions.post(request_body=wanted).status_code == 201
    everywhere = client.asm.suppressions._("global")
    assert body(everywhere._("p1@example.org").get()) == {"recipient_email": "p1@example.org"}
    assert everywhere._("p1@example.org").delete().status_code == 204
    assert body(everywhere._("p1@example.org").get()) == {}
    made = {"name": "Extra", "description": "More", "is_default": False}
    number = body(client.asm.groups.post(request_body=made))["id"]
    assert client.asm.groups._(number).delete().status_code == 204


@pytest.mark.parametrize(
    "name", ["unsubscribes", "bounces", "blocks", "invalid_emails", "spam_reports"]
)
def test_the_client_reads_every_list(client: Any, twin: SendGridTwin, name: str) -> None:
    """Five lists of one shape, below /v3/suppression."""
    entry = {"created": int(AT.timestamp()), "email": "p1@example.org"}
    twin.main.lists[name]["p1@example.org"] = entry
    params = {"start_time": 0, "end_time": int(AT.timestamp()), "limit": 500, "offset": 0}
    assert body(getattr(client.suppression, name).get(query_params=params)) == [entry]


def test_the_client_exports_the_contacts(client: Any) -> None:
    """Job, poll, files: as a program that uses the official client does it."""
    contacts = client.marketing.contacts
    assert body(contacts.count.get())["contact_count"] == 3
    assert len(body(contacts.get())["result"]) == 3
    started = contacts.exports.post(request_body={"file_type": "csv"})
    assert started.status_code == 202
    job = contacts.exports._(body(started)["id"])
    told = [body(job.get()) for _ in range(2)]
    assert [each["status"] for each in told] == ["pending", "ready"]
    lines = []
    for url in told[1]["urls"]:
        with urllib.request.urlopen(url, timeout=10) as file:
            lines += gzip.decompress(file.read()).decode().splitlines()[1:]
    assert len(lines) == 3


def test_the_client_reads_sends_and_logs(client: Any, twin: SendGridTwin) -> None:
    """Single sends, senders, and both message logs."""
    twin.activity_on = True
    twin.send(Mailing("m", "Autumn", "promotional", AT), ["p1@example.org"])
    [short] = body(client.marketing.singlesends.get())["result"]
    send = body(client.marketing.singlesends._(short["id"]).get())
    assert send["email_config"]["suppression_group_id"] == 20_002
    sender = body(client.marketing.senders._(send["email_config"]["sender_id"]).get())
    assert sender["from"]["email"] == "news@shop.example.org"
    [message] = body(client.logs.post(request_body={"limit": 5}))["messages"]
    details = body(client.logs._(message["sg_message_id"]).get())
    assert details["asm_group_id"] == 20_002
    query = {"query": 'to_email="p1@example.org"', "limit": 5}
    [seen] = body(client.messages.get(query_params=query))["messages"]
    assert seen["status"] == "delivered"
    assert body(client.messages._(seen["msg_id"]).get())["events"][0]["event_name"] == "processed"


def test_the_client_speaks_for_a_subuser(twin: SendGridTwin) -> None:
    """The parameter of the official client becomes the header that the twin heeds."""
    twin.add_subuser("shop").unsubscribe("s@example.org", AT)
    with Sandbox([twin]) as sandbox:
        host = sandbox.base_url("sendgrid")
        client = sendgrid.SendGridAPIClient(
            api_key="SG.test", host=host, impersonate_subuser="shop"
        ).client
        found = body(client.suppression.unsubscribes.get())
    assert [each["email"] for each in found] == ["s@example.org"]
