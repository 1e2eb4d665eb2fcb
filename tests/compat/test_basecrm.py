"""Sell's own Python client against the twin: an independent witness of its fidelity."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from optout.model import Source, State
from optout.sandbox.acts import Act, Person
from optout.sandbox.server import Sandbox
from optout.sandbox.zendesk_sell.twin import ZendeskSellTwin

basecrm = pytest.importorskip("basecrm", reason="the vendor's client is not installed")
pytestmark = pytest.mark.compat

TOKEN = "b" * 64
AT = datetime(2026, 3, 10, 2, tzinfo=UTC)


@pytest.fixture
def twin() -> ZendeskSellTwin:
    twin = ZendeskSellTwin(("promotional", "events"), token=TOKEN, rng=Random(5))
    twin.now = AT
    for i in range(120):
        person = Person(i, f"p{i}@example.org", "Pat", f"Roy {i}", "DE")
        twin.add_record(person, {"events": State.OPTED_IN}, AT, lead=i % 10 == 0)
    return twin


@pytest.fixture
def sandbox(twin: ZendeskSellTwin) -> Iterator[Sandbox]:
    with Sandbox([twin], limits_on=False) as sandbox:
        yield sandbox


@pytest.fixture
def client(sandbox: Sandbox) -> Any:
    return basecrm.Client(access_token=TOKEN, base_url=sandbox.base_url("zendesk_sell"))


def test_lists_and_single_records_are_unwrapped(client: Any) -> None:
    """The envelopes are those that the client expects."""
    contacts = client.contacts.list(page=2, per_page=50, sort_by="id")
    assert len(contacts) == 50
    assert client.contacts.retrieve(contacts[0].id).email == contacts[0].email
    assert len(client.leads.list(per_page=100)) == 12
    assert client.accounts.self().name == "Example Shop"
    assert client.users.self().role == "admin"


def test_an_update_is_partial(client: Any) -> None:
    """The client sends only what it is given."""
    (contact,) = client.contacts.list(email="p7@example.org")
    custom = {"email_pref_promotional": "opted_out"}
    updated = client.contacts.update(contact.id, custom_fields=custom)
    assert updated.custom_fields.email_pref_promotional == "opted_out"
    assert updated.custom_fields.email_pref_events == "opted_in"


def test_errors_become_the_clients_own(sandbox: Sandbox, client: Any) -> None:
    """The array of errors is the one that the client parses."""
    with pytest.raises(basecrm.RequestError) as missing:
        client.contacts.retrieve(1)
    assert (missing.value.http_status, missing.value.errors[0].code) == (404, "not_found")
    with pytest.raises(basecrm.ResourceError) as refused:
        client.contacts.update(1003, custom_fields={"no such field": 1})
    assert refused.value.errors[0].field == "/custom_fields/no such field"
    stranger = basecrm.Client(access_token="c" * 64, base_url=sandbox.base_url("zendesk_sell"))
    with pytest.raises(basecrm.RequestError) as unknown:
        stranger.contacts.list()
    assert unknown.value.http_status == 401


def test_too_many_requests_become_the_clients_own_error(twin: ZendeskSellTwin) -> None:
    """Ten a second, said with and without JSON."""
    with Sandbox([twin], clock=lambda: 1000.0) as sandbox:
        client = basecrm.Client(access_token=TOKEN, base_url=sandbox.base_url("zendesk_sell"))
        for _ in range(10):
            client.accounts.self()
        for _ in range(2):
            with pytest.raises(basecrm.RateLimitError):
                client.accounts.self()


def test_the_clients_own_sync_loop_gets_everything_once(twin: ZendeskSellTwin, client: Any) -> None:
    """Start, fetch to the end, acknowledge; afterwards only what changed."""
    seen: list[tuple[str, int]] = []

    def take(meta: Any, data: Any) -> bool:
        seen.append((meta.type, data.id))
        return bool(basecrm.Sync.ACK)

    sync = basecrm.Sync(client=client, device_uuid="basecrm-device")
    sync.fetch(take)
    assert len(seen) == len(set(seen))
    assert sum(kind == "contact" for kind, _ in seen) == 109
    assert sum(kind == "lead" for kind, _ in seen) == 12
    seen.clear()
    sync.fetch(take)
    assert seen == []
    twin.opt_out("p7@example.org", "events", Act(at=AT, source=Source.FORM))
    sync.fetch(lambda meta, data: not seen.append((meta.type, data.id)) and basecrm.Sync.NACK)
    assert [kind for kind, _ in seen] == ["contact"]
    sync.fetch(take)
    assert len(seen) == 2
