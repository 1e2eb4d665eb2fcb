"""The twin of Sell is as strict, and as odd, as its fact sheet says the vendor is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest
import requests

from optout.model import Source, State
from optout.sandbox.acts import Act, Governance, HistoryFault, Person
from optout.sandbox.server import Sandbox
from optout.sandbox.zendesk_sell import store as native
from optout.sandbox.zendesk_sell.twin import ZendeskSellTwin

TOKEN = "t" * 64
AT = datetime(2026, 3, 10, 2, tzinfo=UTC)
ACT = Act(at=AT, source=Source.EMAIL_LINK)
DEVICE = {"X-Basecrm-Device-UUID": "device-1"}


class Client:
    """A plain client of the twin."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def ask(self, method: str, path: str, **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {TOKEN}", **more.pop("headers", {})}
        return requests.request(method, self.base_url + path, headers=headers, timeout=5, **more)

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.ask("GET", path, **more)


@pytest.fixture
def twin() -> ZendeskSellTwin:
    twin = ZendeskSellTwin(("promotional", "events"), token=TOKEN, rng=Random(3))
    twin.now = AT
    return twin


@pytest.fixture
def client(twin: ZendeskSellTwin) -> Iterator[Client]:
    with Sandbox([twin], limits_on=False) as sandbox:
        yield Client(sandbox.base_url("zendesk_sell"))


def add(twin: ZendeskSellTwin, name: str, **more: Any) -> int:
    states = more.pop("states", {})
    person = Person(0, f"{name}@example.org", name.title(), "Roy", "DE")
    return twin.add_record(person, states, more.pop("at", AT - timedelta(days=9)), **more)


def code(answer: requests.Response) -> tuple[int, str]:
    (error,) = answer.json()["errors"]
    assert answer.json()["meta"]["logref"] == answer.headers["X-Request-Id"]
    return answer.status_code, error["error"]["code"]


def history(twin: ZendeskSellTwin, record_id: int) -> list[dict[str, Any]]:
    text = twin.store.value(twin.store.records["contact", record_id], native.HISTORY)
    return json.loads(text or "[]")


# --- the door -------------------------------------------------------------------------------------
def test_a_request_without_a_user_agent_is_refused(client: Client) -> None:
    """Sell answers 400 to it, and the connector must not learn that in production."""
    answer = client.get("/v2/contacts", headers={"User-Agent": ""})
    assert code(answer) == (400, "invalid_user_agent")


def test_a_wrong_token_and_a_lacking_scope_are_told_apart(
    twin: ZendeskSellTwin, client: Client
) -> None:
    """401 asks for a new token, 403 for another scope or plan."""
    answer = client.get("/v2/contacts", headers={"Authorization": "Bearer x"})
    assert code(answer) == (401, "unauthorized")
    twin.scopes = {"read"}
    assert code(client.ask("POST", "/v2/sync/start", headers=DEVICE))[0] == 403
    assert code(client.get("/v2/users/self"))[0] == 403
    twin.firehose_enabled = False
    assert code(client.get("/v3/contacts/stream"))[0] == 403


@pytest.mark.parametrize("query", ["per_page=101", "page=0", "updated_since=1", "sort_by=mood"])
def test_unknown_and_impossible_parameters_are_refused(client: Client, query: str) -> None:
    """A parameter that is silently ignored would read the wrong records."""
    assert code(client.get(f"/v2/contacts?{query}")) == (400, "invalid_param")


# --- Core -----------------------------------------------------------------------------------------
def test_pages_have_25_records_and_a_next_link_but_no_total(
    twin: ZendeskSellTwin, client: Client
) -> None:
    """The count is that of the page."""
    ids = [add(twin, f"p{i}") for i in range(60)]
    first = client.get("/v2/contacts?sort_by=id").json()
    assert (len(first["items"]), first["meta"]["count"]) == (25, 25)
    last = client.get("/v2/contacts?sort_by=id&page=3").json()
    assert "next_page" in first["meta"]["links"]
    assert "next_page" not in last["meta"]["links"]
    assert last["items"][-1]["data"]["id"] == ids[-1]


def test_filters_by_ids_and_email(twin: ZendeskSellTwin, client: Client) -> None:
    """Several records may hold one address."""
    a, b = add(twin, "ana"), add(twin, "ana")
    add(twin, "ben")
    found = client.get("/v2/contacts?email=ana@example.org&sort_by=id").json()["items"]
    assert [item["data"]["id"] for item in found] == [a, b]
    found = client.get(f"/v2/contacts?ids={b}").json()["items"]
    assert [item["data"]["id"] for item in found] == [b]


def test_a_put_is_partial_and_strict(twin: ZendeskSellTwin, client: Client) -> None:
    """What is not sent stays; an unknown field or choice is refused."""
    id_ = add(twin, "ana", states={"events": State.OPTED_IN})
    twin.now = AT + timedelta(hours=1)

    def put(custom: dict[str, Any]) -> requests.Response:
        body = {"data": {"custom_fields": custom}}
        return client.ask("PUT", f"/v2/contacts/{id_}", json=body)

    data = put({"email_pref_promotional": "opted_out"}).json()["data"]
    assert data["custom_fields"]["email_pref_promotional"] == "opted_out"
    assert data["custom_fields"]["email_pref_events"] == "opted_in"
    assert data["updated_at"] == "2026-03-10T03:00:00Z"
    assert code(put({"nothing": 1})) == (422, "unknown")
    assert code(put({"email_pref_promotional": "paused"})) == (422, "incorrect_value")
    assert code(put({native.GLOBAL: "true"})) == (422, "invalid_type")
    bare = client.ask("PUT", f"/v2/contacts/{id_}", json={"custom_fields": {}})
    assert code(bare) == (400, "invalid_payload")


def test_a_deleted_record_is_not_found(twin: ZendeskSellTwin, client: Client) -> None:
    """There is no archived state."""
    id_ = add(twin, "ana")
    twin.delete("ana@example.org", AT)
    assert code(client.get(f"/v2/contacts/{id_}")) == (404, "not_found")
    assert not twin.holds("ana@example.org")


# --- Sync -----------------------------------------------------------------------------------------
def start(client: Client, device: str = "device-1") -> requests.Response:
    return client.ask("POST", "/v2/sync/start", headers={"X-Basecrm-Device-UUID": device})


def drain(client: Client, *, ack: bool = True) -> list[dict[str, Any]]:
    answer = start(client)
    items: list[dict[str, Any]] = []
    if answer.status_code == 204:
        return items
    assert answer.status_code == 201
    session = answer.json()["data"]["id"]
    while True:
        page = client.get(f"/v2/sync/{session}/queues/main", headers=DEVICE)
        if page.status_code == 204:
            return items
        batch = page.json()["items"]
        items += batch
        if ack:
            keys = [item["meta"]["sync"]["ack_key"] for item in batch]
            body = {"data": {"ack_keys": keys}}
            assert client.ask("POST", "/v2/sync/ack", json=body, headers=DEVICE).status_code == 202


def test_what_is_not_acknowledged_comes_again_in_the_next_session(
    twin: ZendeskSellTwin, client: Client
) -> None:
    """The server keeps the state: that is what makes a crash harmless."""
    for i in range(120):
        add(twin, f"p{i}")
    first = drain(client, ack=False)
    assert {item["meta"]["type"] for item in first} == {"contact", "user", "deal", "tag"}
    assert len(drain(client)) == len(first)
    assert start(client).status_code == 204


def test_only_the_latest_state_is_delivered(twin: ZendeskSellTwin, client: Client) -> None:
    """It is no history: an in-out-in between two nights cannot be seen here."""
    add(twin, "ana")
    drain(client)
    twin.opt_out("ana@example.org", "events", ACT)
    twin.opt_in("ana@example.org", "events", ACT)
    (item,) = drain(client)
    assert item["data"]["custom_fields"]["email_pref_events"] == "opted_in"


def test_a_deletion_tells_the_id_only_and_only_to_who_knew(
    twin: ZendeskSellTwin, client: Client
) -> None:
    """Created and deleted before the first session never appears."""
    add(twin, "before")
    twin.delete("before@example.org", AT)
    id_ = add(twin, "ana")
    assert "deleted" not in {item["meta"]["sync"]["event_type"] for item in drain(client)}
    twin.delete("ana@example.org", AT)
    (item,) = drain(client)
    assert item["data"] == {"id": id_}
    assert item["meta"]["sync"]["event_type"] == "deleted"


def test_the_order_is_random(twin: ZendeskSellTwin, client: Client) -> None:
    """Whoever relies on it fails here, not in production."""
    for i in range(50):
        add(twin, f"p{i}")
    ids = [item["data"]["id"] for item in drain(client) if item["meta"]["type"] == "contact"]
    assert ids != sorted(ids)


def test_sessions_are_limited_and_belong_to_their_device(
    twin: ZendeskSellTwin, client: Client
) -> None:
    """100 may be open; a device cannot read another's."""
    sessions = [start(client, f"d{i}").json()["data"]["id"] for i in range(100)]
    assert start(client, "one-more").status_code == 422
    answer = client.get(
        f"/v2/sync/{sessions[0]}/queues/main", headers={"X-Basecrm-Device-UUID": "d1"}
    )
    assert code(answer)[0] == 404
    assert code(client.ask("POST", "/v2/sync/start")) == (400, "invalid_header")


def test_a_withheld_record_is_named_in_failed_objects(
    twin: ZendeskSellTwin, client: Client
) -> None:
    """And is offered again later."""
    id_ = add(twin, "ana")
    twin.desk.withheld = {("contact", id_)}
    session = start(client).json()["data"]["id"]
    page = client.get(f"/v2/sync/{session}/queues/main", headers=DEVICE).json()
    assert page["meta"]["failed_objects"] == [{"type": "contact", "id": id_}]
    assert id_ not in [i["data"]["id"] for i in page["items"] if i["meta"]["type"] == "contact"]


# --- Firehose -------------------------------------------------------------------------------------
def hose(client: Client, position: str, limit: int = 25) -> dict[str, Any]:
    answer = client.get(f"/v3/contacts/stream?position={position}&limit={limit}")
    assert answer.status_code == 200
    return answer.json()


def test_the_firehose_keeps_72_hours(twin: ZendeskSellTwin, client: Client) -> None:
    """An older position is gone, and the tail moves on."""
    add(twin, "ana", at=AT)
    position = hose(client, "tail")["meta"]["position"]
    twin.now = AT + timedelta(hours=73)
    assert code(client.get(f"/v3/contacts/stream?position={position}")) == (410, "gone")
    assert hose(client, "tail")["items"] == []
    assert code(client.get("/v3/contacts/stream?position=nonsense"))[0] == 400


def test_an_empty_page_is_not_the_end_and_events_may_repeat(
    twin: ZendeskSellTwin, client: Client
) -> None:
    """`top` is the only end."""
    twin.empty_page_every = 2
    for i in range(30):
        add(twin, f"p{i}", at=AT)
    position, seen, pages = "tail", [], []
    while True:
        page = hose(client, position, 10)
        pages.append(len(page["items"]))
        seen += [item["meta"]["event_id"] for item in page["items"]]
        position = page["meta"]["position"]
        if page["meta"]["top"]:
            break
    assert 0 in pages
    assert len(seen) > len(set(seen)) == 30


def test_an_update_tells_former_values_in_another_shape(
    twin: ZendeskSellTwin, client: Client
) -> None:
    """Custom fields are an array here, not keyed by name."""
    id_ = add(twin, "ana", at=AT, states={"events": State.OPTED_IN})
    twin.opt_out("ana@example.org", "events", ACT)
    event = hose(client, "tail")["items"][-1]
    assert event["data"]["id"] == id_
    assert "custom_fields" not in event["data"]
    name = "email_pref_events"

    def value(data: dict[str, Any]) -> Any:
        held = {v["custom_field"]["name"]: v["value"] for v in data["custom_field_values"]}
        return held.get(name)

    assert (value(event["meta"]["previous"]), value(event["data"])) == ("opted_in", "opted_out")
    assert event["meta"]["sequence"] == 2


# --- acts -----------------------------------------------------------------------------------------
def test_a_preference_moves_its_governance_and_history_on_every_record(
    twin: ZendeskSellTwin,
) -> None:
    """One address on several contacts and leads is one person."""
    ids = [add(twin, "ana"), add(twin, "Ana", lead=True)]
    twin.opt_out("ANA@example.org", "events", ACT)
    for kind, id_ in zip(("contact", "lead"), ids, strict=True):
        record = twin.store.records[kind, id_]
        assert twin.store.value(record, "email_pref_events") == "opted_out"
        assert twin.store.value(record, native.SOURCE) == "email_link"
    assert history(twin, ids[0]) == [
        {
            "at": "2026-03-10T02:00:00Z",
            "changes": {"email_pref_events": {"old": "not_set", "new": "opted_out"}},
            "source": "email_link",
            "reason": None,
            "ip": "198.51.100.7",
            "user_agent": "Mozilla/5.0 (sandbox)",
            "contact_id": ids[0],
            "email": "ana@example.org",
        }
    ]


def test_one_record_alone_can_be_set_apart_from_its_duplicate(twin: ZendeskSellTwin) -> None:
    """That is how duplicates come to contradict each other."""
    a, b = add(twin, "ana"), add(twin, "ana")
    twin.set_preference("ana@example.org", None, State.OPTED_OUT, ACT, record_id=b)
    flags = [twin.store.value(twin.store.records["contact", i], native.GLOBAL) for i in (a, b)]
    assert flags == [None, True]


def test_a_restore_leaves_governance_and_history_as_they_were(twin: ZendeskSellTwin) -> None:
    """This is how an opt-out gets lost without a trace."""
    id_ = add(twin, "ana")
    twin.opt_out("ana@example.org", "events", ACT)
    before = history(twin, id_)
    twin.restore("ana@example.org", "events", State.OPTED_IN, AT + timedelta(hours=1))
    record = twin.store.records["contact", id_]
    assert twin.store.value(record, "email_pref_events") == "opted_in"
    assert twin.store.value(record, native.SOURCE) == "email_link"
    assert history(twin, id_) == before


@pytest.mark.parametrize(
    "kind",
    ["change_without_entry", "missing_required_field", "broken_chain", "unparsable", "phantom"],
)
def test_each_fault_spoils_the_history_in_its_own_way(twin: ZendeskSellTwin, kind: str) -> None:
    """The demo's truth is what the audit must find."""
    id_ = add(twin, "ana", states={"events": State.OPTED_IN})
    twin.set_preference("ana@example.org", "events", State.OPTED_OUT, ACT, fault=HistoryFault(kind))
    value = twin.store.value(twin.store.records["contact", id_], "email_pref_events")
    assert value == ("opted_in" if kind == "phantom" else "opted_out")
    entries = history(twin, id_)[1:]
    if kind == "change_without_entry":
        assert entries == []
        return
    (entry,) = entries
    if kind == "missing_required_field":
        assert "ip" not in entry
    elif kind == "unparsable":
        assert isinstance(entry["changes"], str)
    else:
        change = entry["changes"]["email_pref_events"]
        assert (change["old"] == "opted_in") == (kind == "phantom")
        assert change["new"] == "opted_out"


def test_governance_and_the_flag_stand_in_the_new_record(
    twin: ZendeskSellTwin, client: Client
) -> None:
    """As an administrator's import would write them."""
    governance = Governance("implicit", "inquiry", date(2026, 2, 1), "form 7")
    id_ = add(twin, "ana", global_out=True, governance=governance)
    custom = client.get(f"/v2/contacts/{id_}").json()["data"]["custom_fields"]
    assert custom[native.GLOBAL] is True
    assert (custom[native.BASIS], custom[native.BASIS_DATE]) == ("inquiry", "2026-02-01")
    assert (custom[native.CONSENT_METHOD], custom[native.BASIS_REF]) == ("implicit", "form 7")
    (entry,) = history(twin, id_)
    assert entry["changes"] == {native.GLOBAL: {"old": False, "new": True}}
