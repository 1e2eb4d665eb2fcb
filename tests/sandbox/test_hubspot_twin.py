"""The HubSpot twin keeps the vendor's traps, and its answers have the vendor's shapes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any

import pytest
import requests

from optout.model import Source, State
from optout.sandbox.acts import Act, Mailing, Person
from optout.sandbox.hubspot.twin import HubSpotTwin
from optout.sandbox.server import Sandbox

AT = datetime(2026, 10, 1, 8, tzinfo=UTC)
NAMES = ("product_updates", "promotional")
PROMOTIONAL = 12
ADA = "ada@example.org"
V4 = "/communication-preferences/v4"
CONTACTS = "/crm/v3/objects/contacts"
TIMELINE = "/email/public/v1/subscriptions/timeline"
SPECS = Path(__file__).parents[3] / "shared" / "specs" / "hubspot"


class Caller:
    """Asks the twin as any HTTP client would."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.session = requests.Session()
        self.session.headers["Authorization"] = "Bearer pat-test"

    def ask(self, method: str, path: str, body: Any = None, **params: Any) -> requests.Response:
        return self.session.request(method, self._url + path, params=params, json=body)

    def get(self, path: str, **params: Any) -> Any:
        return self.ask("GET", path, **params).json()

    def post(self, path: str, body: Any, **params: Any) -> Any:
        return self.ask("POST", path, body, **params).json()


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Sandbox, Caller]]:
    """One server for all tests of the module; each gets addresses of its own."""
    twin = HubSpotTwin(NAMES, token="pat-test", rng=Random(1))
    twin.now = AT + timedelta(days=10)
    with Sandbox([twin], limits_on=False) as sandbox:
        caller = Caller(sandbox.base_url("hubspot"))
        yield sandbox, caller
        caller.session.close()


@pytest.fixture
def fresh() -> Iterator[tuple[HubSpotTwin, Caller]]:
    twin = HubSpotTwin(NAMES, token="pat-test", rng=Random(1))
    twin.now = AT + timedelta(days=10)
    sandbox = Sandbox([twin], limits_on=False).start()
    caller = Caller(sandbox.base_url("hubspot"))
    yield twin, caller
    caller.session.close()
    # A server takes a fifth of a second to end; the next test need not wait for it.
    Thread(target=sandbox.stop).start()


@pytest.fixture
def twin(running: tuple[Sandbox, Caller]) -> HubSpotTwin:
    found = running[0].twin("hubspot")
    assert isinstance(found, HubSpotTwin)
    return found


@pytest.fixture
def call(running: tuple[Sandbox, Caller]) -> Caller:
    return running[1]


def person(address: str) -> Person:
    return Person(1, address, "Ada", "Doe")


def words(call: Caller, address: str) -> dict[int, str]:
    results = call.get(f"{V4}/statuses/{address}", channel="EMAIL")["results"]
    return {each["subscriptionId"]: each["status"] for each in results}


# --- preferences ------------------------------------------------------------
def test_a_status_outlives_its_contact(twin: HubSpotTwin, call: Caller) -> None:
    """Deleting and importing again is how people think an opt-out is reset; it is not."""
    twin.add(person("kept@example.org"), {"promotional": State.OPTED_OUT}, AT)
    twin.delete("kept@example.org", AT)
    assert not twin.holds("kept@example.org")
    assert words(call, "kept@example.org")[PROMOTIONAL] == "UNSUBSCRIBED"
    twin.add(person("kept@example.org"), {}, AT)
    assert words(call, "kept@example.org")[PROMOTIONAL] == "UNSUBSCRIBED"


def test_the_portal_wide_no_does_not_write_into_the_types(twin: HubSpotTwin, call: Caller) -> None:
    """Who reads the types alone sees SUBSCRIBED for a person who left altogether."""
    twin.add(person("wide@example.org"), {"promotional": State.OPTED_IN}, AT)
    twin.opt_out("wide@example.org", None, Act(AT, Source.PREFERENCE_CENTER))
    assert words(call, "wide@example.org")[PROMOTIONAL] == "SUBSCRIBED"
    path = f"{V4}/statuses/wide@example.org/unsubscribe-all"
    [wide] = call.get(path, channel="EMAIL")["results"]
    assert (wide["wideStatusType"], wide["status"]) == ("PORTAL_WIDE", "UNSUBSCRIBED")
    assert "source" not in wide
    contact = twin.portal.contact("wide@example.org")
    assert contact is not None
    assert contact.properties["hs_email_optout"] == "true"


def test_v3_cannot_tell_never_said_from_no(twin: HubSpotTwin, call: Caller) -> None:
    """The reason for which the connector does not use v3."""
    twin.add(person("v3@example.org"), {"promotional": State.OPTED_OUT}, AT)
    shown = call.get("/communication-preferences/v3/status/email/v3@example.org")
    assert {each["status"] for each in shown["subscriptionStatuses"]} == {"NOT_SUBSCRIBED"}
    assert not any("timestamp" in each for each in shown["subscriptionStatuses"])


def test_a_new_address_begins_without_preferences(twin: HubSpotTwin, call: Caller) -> None:
    """An opt-out does not follow its person to another address."""
    twin.add(person("old@example.org"), {"promotional": State.OPTED_OUT}, AT)
    twin.change_address("old@example.org", "new@example.org", AT)
    assert words(call, "new@example.org")[PROMOTIONAL] == "NOT_SPECIFIED"
    assert words(call, "old@example.org")[PROMOTIONAL] == "UNSUBSCRIBED"


def test_a_write_says_when_it_resubscribed_somebody(twin: HubSpotTwin, call: Caller) -> None:
    """RESUBSCRIBE_OCCURRED is the only alarm that HubSpot gives."""
    twin.add(person("again@example.org"), {"promotional": State.OPTED_OUT}, AT)
    path = f"{V4}/statuses/again@example.org"
    wish = {"subscriptionId": PROMOTIONAL, "statusState": "SUBSCRIBED", "channel": "EMAIL"}
    reasons = [call.post(path, wish)["results"][0]["setStatusSuccessReason"] for _ in range(2)]
    assert reasons == ["RESUBSCRIBE_OCCURRED", "NO_STATUS_CHANGE"]
    assert call.ask("POST", path, {**wish, "statusState": "MAYBE"}).status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"{V4}/statuses/{ADA}", None),
        ("GET", f"{V4}/statuses/{ADA}/unsubscribe-all", None),
        ("POST", f"{V4}/statuses/batch/read", {"inputs": [ADA]}),
        ("POST", f"{V4}/statuses/batch/unsubscribe-all/read", {"inputs": [ADA]}),
    ],
)
def test_a_request_without_a_channel_is_refused(
    call: Caller, method: str, path: str, body: Any
) -> None:
    """A connector that forgets the channel must fail here, not at the vendor's."""
    answer = call.ask(method, path, body)
    assert answer.status_code == 400
    assert {"status", "category", "message", "correlationId"} <= answer.json().keys()
    assert answer.json()["status"] == "error"


def test_a_batch_has_a_bound_and_may_answer_only_in_part(twin: HubSpotTwin, call: Caller) -> None:
    """One batch too large is a 400; a 207 leaves some inputs without a result."""
    path = f"{V4}/statuses/batch/read"
    many = [f"b{number}@example.org" for number in range(101)]
    assert call.ask("POST", path, {"inputs": many}, channel="EMAIL").status_code == 400
    twin.http.unanswered["b2@example.org"] = 1
    answer = call.ask("POST", path, {"inputs": many[:5]}, channel="EMAIL")
    assert answer.status_code == 207
    assert len(answer.json()["results"]) == 4
    assert answer.json()["numErrors"] == 1
    assert call.ask("POST", path, {"inputs": many[:5]}, channel="EMAIL").status_code == 200


def test_a_token_or_scope_that_is_missing_is_told_apart(twin: HubSpotTwin, call: Caller) -> None:
    """401 means another token, 403 another checkbox."""
    answer = requests.get(
        call._url + CONTACTS, headers={"Authorization": "Bearer other"}, timeout=5
    )
    assert (answer.status_code, answer.json()["category"]) == (401, "INVALID_AUTHENTICATION")
    twin.http.missing_scopes = {"content"}
    refused = call.ask("GET", TIMELINE)
    twin.http.missing_scopes = set()
    assert (refused.status_code, refused.json()["category"]) == (403, "MISSING_SCOPES")
    assert "content" in refused.text


# --- contacts ---------------------------------------------------------------
def test_contacts_come_in_tens_and_archived_ones_apart(
    fresh: tuple[HubSpotTwin, Caller],
) -> None:
    """The default page is small and the bound is 100: both have been taken for the whole."""
    twin, call = fresh
    for number in range(25):
        twin.add(person(f"c{number}@example.org"), {}, AT)
    twin.delete("c3@example.org", AT + timedelta(days=1))
    first = call.get(CONTACTS)
    assert len(first["results"]) == 10
    rest = call.get(CONTACTS, limit=100, after=first["paging"]["next"]["after"])
    assert len(rest["results"]) == 14
    assert "paging" not in rest
    [gone] = call.get(CONTACTS, archived="true")["results"]
    assert gone["archivedAt"].startswith("2026-10-02")
    assert call.ask("GET", CONTACTS, limit=101).status_code == 400
    asked = call.get(CONTACTS, properties="email,hs_email_optout,no_such_thing", limit=1)
    assert asked["results"][0]["properties"]["hs_email_optout"] is None
    assert "no_such_thing" not in asked["results"][0]["properties"]
    history = call.get(CONTACTS, propertiesWithHistory="email", limit=1)["results"][0]
    assert history["propertiesWithHistory"]["email"][0]["sourceType"] == "IMPORT"


def test_search_has_a_bound_a_lag_and_no_archived_contacts(
    fresh: tuple[HubSpotTwin, Caller],
) -> None:
    """Each of the three has made an incremental read lose records."""
    twin, call = fresh
    for number in range(30):
        twin.add(person(f"s{number}@example.org"), {}, AT + timedelta(hours=number))
    twin.delete("s0@example.org", AT)
    since = {"propertyName": "lastmodifieddate", "operator": "GTE",
             "value": str(int((AT + timedelta(hours=20)).timestamp() * 1000))}  # fmt: skip
    body = {"filterGroups": [{"filters": [since]}], "sorts": ["-lastmodifieddate"], "limit": 4}
    found = call.post(f"{CONTACTS}/search", body)
    assert (found["total"], len(found["results"])) == (10, 4)
    assert found["results"][0]["properties"]["email"] == "s29@example.org"
    assert call.post(f"{CONTACTS}/search", {"limit": 1})["total"] == 29
    twin.http.lists.search_cap = 20
    assert call.ask("POST", f"{CONTACTS}/search", {"limit": 10, "after": "20"}).status_code == 400
    assert call.ask("POST", f"{CONTACTS}/search", {"limit": 201}).status_code == 400
    twin.http.lists.index_lag = timedelta(seconds=60)
    twin.now = AT + timedelta(hours=29)
    assert call.post(f"{CONTACTS}/search", {"limit": 1})["total"] == 28


# --- the v1 feeds -----------------------------------------------------------
def test_the_timeline_is_newest_first_in_a_window_that_includes_both_ends(
    fresh: tuple[HubSpotTwin, Caller],
) -> None:
    """And pages stay where they are, whatever happens between two of them."""
    twin, call = fresh
    for number in range(10):
        act = Act(AT + timedelta(seconds=number), Source.EMAIL_LINK)
        twin.opt_out(f"t{number}@example.org", "promotional", act)
    start = int(AT.timestamp() * 1000) + 2000
    window = {"startTimestamp": start, "endTimestamp": start + 5000, "limit": 4}
    first = call.get(TIMELINE, **window)
    assert [item["recipient"][1] for item in first["timeline"]] == ["7", "6", "5", "4"]
    assert first["hasMore"]
    twin.opt_out("late@example.org", None, Act(AT + timedelta(seconds=3.5), Source.EMAIL_LINK))
    twin.opt_out("new@example.org", None, Act(AT + timedelta(seconds=6), Source.EMAIL_LINK))
    rest = call.get(TIMELINE, **window, offset=first["offset"])
    assert [item["recipient"] for item in rest["timeline"]] == [
        "late@example.org",
        "t3@example.org",
        "t2@example.org",
    ]
    assert not rest["hasMore"]
    assert call.ask("GET", TIMELINE, offset="nonsense").status_code == 400


def test_a_change_has_either_its_cause_or_a_stamp_of_its_own(
    fresh: tuple[HubSpotTwin, Caller],
) -> None:
    """The vendor leaves the stamp out where an event caused the change."""
    twin, call = fresh
    twin.send(Mailing("m1", "Autumn", "promotional", AT), [ADA])
    link = Act(AT + timedelta(hours=1), Source.EMAIL_LINK, campaign_id="m1")
    twin.opt_out(ADA, "promotional", link)
    twin.opt_out(ADA, None, Act(AT + timedelta(hours=2), Source.SUPPORT_REQUEST))
    by_agent, by_link = (item["changes"][0] for item in call.get(TIMELINE)["timeline"])
    assert ("causedByEvent" in by_link, "timestamp" in by_link) == (True, False)
    assert ("causedByEvent" in by_agent, "timestamp" in by_agent) == (False, True)
    assert (by_link["source"], by_agent["source"]) == ("SOURCE_RECIPIENT", "SOURCE_CUSTOMER")
    [event] = call.get("/email/public/v1/events", eventType="STATUSCHANGE")["events"]
    assert event["id"] == by_link["causedByEvent"]["id"]
    campaign = call.get(f"/email/public/v1/campaigns/{event['emailCampaignId']}")
    email = call.get(f"/marketing/v3/emails/{campaign['contentId']}")
    assert email["subscriptionDetails"]["subscriptionId"] == str(PROMOTIONAL)


def test_a_complaint_and_a_bounce_leave_the_statuses_alone(
    fresh: tuple[HubSpotTwin, Caller],
) -> None:
    """Complaint, bounce and opt-out are three facts."""
    twin, call = fresh
    twin.add(person(ADA), {"promotional": State.OPTED_IN}, AT)
    twin.send(Mailing("m1", "Autumn", "promotional", AT), [ADA])
    twin.complain(ADA, "m1", AT)
    twin.bounce(ADA, "m1", AT)
    assert words(call, ADA)[PROMOTIONAL] == "SUBSCRIBED"
    kinds = {c["changeType"] for item in call.get(TIMELINE)["timeline"] for c in item["changes"]}
    assert {"PORTAL_SPAM_REPORT", "PORTAL_BOUNCE"} <= kinds


def test_an_import_that_makes_mailable_again_names_no_recipient(
    fresh: tuple[HubSpotTwin, Caller],
) -> None:
    """The trace by which such an import can be told from a person's wish."""
    twin, call = fresh
    twin.add(person(ADA), {"promotional": State.OPTED_OUT}, AT)
    twin.opt_out(ADA, None, Act(AT, Source.EMAIL_LINK))
    twin.silently_mailable(ADA, None, AT + timedelta(days=1))
    assert words(call, ADA)[PROMOTIONAL] == "SUBSCRIBED"
    newest = call.get(TIMELINE, limit=1)["timeline"][0]
    assert {change["source"] for change in newest["changes"]} == {"SOURCE_CUSTOMER"}
    assert newest["changes"][-1]["changeType"] == "PORTAL_STATUS"


def test_too_many_requests_are_refused_with_the_name_of_the_limit() -> None:
    """The body names the limit, and no header says when to come back."""
    twin = HubSpotTwin(NAMES, token="pat-test", rng=Random(1))
    with Sandbox([twin], clock=lambda: 1000.0) as sandbox:
        call = Caller(sandbox.base_url("hubspot"))
        answers = [call.ask("GET", "/account-info/v3/details") for _ in range(101)]
        call.session.close()
    assert answers[99].status_code == 200
    assert answers[99].headers["X-HubSpot-RateLimit-Remaining"] == "0"
    assert answers[100].status_code == 429
    assert answers[100].json()["policyName"] == "TEN_SECONDLY_ROLLING"
    assert "retry-after" not in answers[100].headers


# --- the vendor's own specification -----------------------------------------
def _schema(spec: str, path: str, method: str) -> dict[str, Any]:
    """The 200 answer's schema, with its references resolvable. Examples of null on almost every
    node say nothing about the shape."""
    document = json.loads((SPECS / spec).read_text())
    content = document["paths"][path][method]["responses"]["200"]["content"]
    return {**next(iter(content.values()))["schema"], "components": document["components"]}


@pytest.mark.specs
@pytest.mark.parametrize(
    ("spec", "template", "path", "body"),
    [
        ("communication-preferences.v4.json", f"{V4}/definitions", "", None),
        ("communication-preferences.v4.json", f"{V4}/statuses/{{subscriberIdString}}",
         f"{V4}/statuses/{ADA}?channel=EMAIL", None),
        ("communication-preferences.v4.json",
         f"{V4}/statuses/{{subscriberIdString}}/unsubscribe-all",
         f"{V4}/statuses/{ADA}/unsubscribe-all?channel=EMAIL", None),
        ("communication-preferences.v4.json", f"{V4}/statuses/batch/read",
         f"{V4}/statuses/batch/read?channel=EMAIL", {"inputs": [ADA]}),
        ("communication-preferences.v4.json", f"{V4}/statuses/batch/unsubscribe-all/read",
         f"{V4}/statuses/batch/unsubscribe-all/read?channel=EMAIL", {"inputs": [ADA]}),
        ("communication-preferences.v3.json",
         "/communication-preferences/v3/status/email/{emailAddress}",
         f"/communication-preferences/v3/status/email/{ADA}", None),
        ("contacts.v3.json", f"{CONTACTS}/search", "", {"limit": 5}),
        ("properties.v3.json", "/crm/v3/properties/{objectType}",
         "/crm/v3/properties/contacts", None),
        ("marketing-emails.v3.json", "/marketing/v3/emails", "", None),
    ],
)  # fmt: skip
def test_answers_have_the_shapes_of_the_vendors_specification(
    fresh: tuple[HubSpotTwin, Caller], spec: str, template: str, path: str, body: Any
) -> None:
    """A twin that only agrees with our own connector proves nothing."""
    jsonschema = pytest.importorskip("jsonschema", reason="needs a validator of JSON schemas")
    if not (SPECS / spec).exists():
        pytest.skip("the vendor's specification is not here")
    twin, call = fresh
    twin.add(person(ADA), {"promotional": State.OPTED_IN}, AT)
    twin.opt_in(ADA, "promotional", Act(AT, Source.FORM))
    twin.opt_out(ADA, None, Act(AT, Source.EMAIL_LINK))
    twin.send(Mailing("m1", "Autumn", "promotional", AT), [ADA])
    answer = call.ask("GET" if body is None else "POST", path or template, body)
    assert answer.status_code == 200
    shown = answer.json()
    if "search" in template:  # an unset property is null there, which the specification leaves out
        for each in shown["results"]:
            each["properties"] = {k: v for k, v in each["properties"].items() if v is not None}
    schema = _schema(spec, template, "get" if body is None else "post")
    jsonschema.Draft7Validator(schema).validate(shown)
