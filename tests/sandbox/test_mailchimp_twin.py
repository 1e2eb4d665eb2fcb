"""The Mailchimp twin: faithful where an audit could go wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import jsonschema
import pytest
import requests

from optout.model import Source, State
from optout.sandbox.acts import Act, Mailing, Person
from optout.sandbox.mailchimp.state import Audience, subscriber_hash
from optout.sandbox.mailchimp.twin import MailchimpTwin
from optout.sandbox.server import Sandbox

DAY = datetime(2026, 5, 1, 12, tzinfo=UTC)
SPEC = Path(__file__).parents[3] / "shared/specs/mailchimp/marketing.subset.swagger.json"
ANA = "Ana@Example.org"
CATEGORIES = ("news", "offers", "events")
OPTED_IN = dict.fromkeys(CATEGORIES, State.OPTED_IN)


class Asker:
    """Asks the twin over HTTP as a plain program would."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.session = requests.Session()
        self.session.auth = ("anybody", "key-us1")

    def __call__(self, path: str, method: str = "GET", body: Any = None, **query: Any) -> Any:
        answer = self.session.request(method, self.base + path, params=query, json=body, timeout=5)
        self.status, self.kind = answer.status_code, answer.headers.get("content-type", "")
        return answer.json() if answer.content else None


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox([MailchimpTwin(CATEGORIES, token="key-us1", rng=Random(1))]) as running:
        yield running


@pytest.fixture
def twin(sandbox: Sandbox) -> MailchimpTwin:
    """An account without members behind the same server, which is slow to stop."""
    made = sandbox.twin("mailchimp")
    assert isinstance(made, MailchimpTwin)
    MailchimpTwin.__init__(made, CATEGORIES, token="key-us1", rng=Random(1))
    made.lock, made.now = sandbox.lock, DAY
    return made


@pytest.fixture
def ask(sandbox: Sandbox) -> Iterator[Asker]:
    asker = Asker(sandbox.base_url("mailchimp"))
    yield asker
    asker.session.close()


@pytest.fixture
def shop(twin: MailchimpTwin) -> Audience:
    return next(iter(twin.audiences.values()))


def act(source: Source, hours: float = 1, **more: Any) -> Act:
    return Act(DAY + timedelta(hours=hours), source, **more)


def person(number: int, address: str | None = None) -> Person:
    return Person(number, address or f"p{number}@example.net", "Given", "Family")


def test_categories_live_in_interests_of_one_audience_and_in_a_second_audience(
    twin: MailchimpTwin,
) -> None:
    """A world with one audience would never show that each has its own state."""
    places = twin.category_map()
    assert len({refs[0].split("/")[0] for refs in places.values()}) == 2
    assert [len(refs[0].split("/")) for refs in places.values()] == [2, 2, 1]


def test_a_page_has_ten_members_unless_more_are_asked_and_more_than_1000_are_refused(
    twin: MailchimpTwin, ask: Asker, shop: Audience
) -> None:
    """A reader that forgets `count` would otherwise seem to work."""
    for number in range(25):
        twin.add(person(number), OPTED_IN, DAY)
    path = f"/lists/{shop.id}/members"
    assert len(ask(path)["members"]) == 10
    assert ask(path)["total_items"] == 25
    rest = ask(path, count=1000, offset=20)
    assert rest["members"][0]["email_address"] == "p20@example.net"
    problem = ask(path, count=1001)
    assert (ask.status, problem["status"]) == (400, 400)
    assert ask.kind.startswith("application/problem+json")


def test_an_answer_holds_only_the_fields_that_were_asked_for(
    twin: MailchimpTwin, ask: Asker, shop: Audience
) -> None:
    """A connector that leaves a field out of `fields` must notice that it is missing."""
    twin.add(person(1, ANA), OPTED_IN, DAY)
    path = f"/lists/{shop.id}/members"
    assert ask(path, fields="members.id,members.status") == {
        "members": [{"id": subscriber_hash(ANA), "status": "subscribed"}]
    }
    assert "total_items" not in ask(path, exclude_fields="total_items,members.tags")
    assert "tags" not in ask(path, exclude_fields="members.tags")["members"][0]


def test_the_hash_folds_case_and_the_address_keeps_it(
    twin: MailchimpTwin, ask: Asker, shop: Audience
) -> None:
    """Mixed case is common; the vendor shows it as it was given."""
    twin.add(person(1, ANA), OPTED_IN, DAY)
    member = ask(f"/lists/{shop.id}/members/{subscriber_hash('ana@example.ORG')}")
    assert member["email_address"] == ANA
    by_contact = ask(f"/lists/{shop.id}/members/{member['contact_id']}")
    assert by_contact == member == ask(f"/lists/{shop.id}/members/ana@example.org")


def test_archived_members_are_only_shown_when_asked_for(
    twin: MailchimpTwin, ask: Asker, shop: Audience
) -> None:
    """Whoever reads the default listing alone takes the archived for deleted."""
    twin.add(person(1, ANA), OPTED_IN, DAY)
    twin.delete(ANA, DAY)
    path = f"/lists/{shop.id}/members"
    assert ask(path)["total_items"] == 0
    assert ask(path, status="archived")["total_items"] == 1
    assert ask(path, status="gone") and ask.status == 400


def test_bounds_of_last_changed_are_exclusive_and_any_edit_moves_it(
    twin: MailchimpTwin, ask: Asker, shop: Audience
) -> None:
    """The stricter reading of the vendor's "after": a window without overlap would lose people."""
    twin.add(person(1, ANA), OPTED_IN, DAY)
    path = f"/lists/{shop.id}/members"
    at = "2026-05-01T12:00:00+00:00"
    assert ask(path, since_last_changed=at)["total_items"] == 0
    assert ask(path, before_last_changed=at)["total_items"] == 0
    assert ask(path, since_last_changed="2026-05-01T11:59:59+00:00")["total_items"] == 1
    twin.opt_out(ANA, "offers", act(Source.PREFERENCE_CENTER))
    assert ask(path, since_last_changed=at)["total_items"] == 1
    ask(path, since_last_changed="yesterday")
    assert ask.status == 400


def test_unsubscribed_since_works_only_together_with_that_status(
    twin: MailchimpTwin, ask: Asker, shop: Audience
) -> None:
    """The vendor answers 400, and so must the twin."""
    twin.add(person(1, ANA), OPTED_IN, DAY)
    twin.opt_out(ANA, None, act(Source.MANUAL))
    path = f"/lists/{shop.id}/members"
    since = "2026-05-01T12:30:00+00:00"
    assert ask(path, unsubscribed_since=since, status="unsubscribed")["total_items"] == 1
    ask(path, unsubscribed_since=since)
    assert ask.status == 400


def test_a_category_opt_out_leaves_a_false_interest_and_no_event(
    twin: MailchimpTwin, ask: Asker, shop: Audience
) -> None:
    """Interests have neither a time nor a history; the trail has a gap that must be found."""
    twin.add(person(1, ANA), OPTED_IN, DAY)
    twin.opt_out(ANA, "offers", act(Source.EMAIL_LINK))
    path = f"/lists/{shop.id}/members/{subscriber_hash(ANA)}"
    member = ask(path)
    assert (member["status"], sorted(member["interests"].values())) == ("subscribed", [False, True])
    assert ask(f"{path}/activity-feed")["activity"] == []


def test_a_link_in_a_campaign_is_reported_with_its_time_and_an_agents_unsubscribe_is_not(
    twin: MailchimpTwin, ask: Asker, shop: Audience
) -> None:
    """The member itself has no time of the opt-out: only the report or the feed has."""
    for number, address in enumerate((ANA, "bo@example.net")):
        twin.add(person(number, address), OPTED_IN, DAY)
    twin.send(Mailing("c1", "May", "offers", DAY), [ANA, "bo@example.net"])
    twin.opt_out(ANA, None, act(Source.EMAIL_LINK, campaign_id="c1", reason="Too many"))
    twin.opt_out("bo@example.net", None, act(Source.SUPPORT_REQUEST))
    report = ask("/reports/c1/unsubscribed")
    assert report["total_items"] == ask("/reports/c1")["unsubscribed"] == 1
    row = report["unsubscribes"][0]
    assert (row["email_address"], row["reason"]) == (ANA, "Too many")
    assert row["timestamp"] == "2026-05-01T13:00:00+00:00"
    by_admin = f"/lists/{shop.id}/members/{subscriber_hash('bo@example.net')}"
    assert ask(by_admin)["unsubscribe_reason"] == "N/A (Unsubscribed by admin)"
    entry = ask(f"{by_admin}/activity-feed", activity_filters="unsub")["activity"][0]
    assert entry["is_admin_unsubscribed"] is True
    second = list(twin.audiences.values())[1]
    assert ask(f"/lists/{second.id}/members", status="unsubscribed")["total_items"] == 2


def test_who_unsubscribed_personally_is_not_subscribed_again_by_a_system(
    twin: MailchimpTwin, ask: Asker, shop: Audience
) -> None:
    """The vendor's own protection: 400 for `subscribed`, while `pending` goes through."""
    twin.add(person(1, ANA), OPTED_IN, DAY)
    twin.opt_out(ANA, None, act(Source.EMAIL_LINK))
    path = f"/lists/{shop.id}/members/{subscriber_hash(ANA)}"
    for method in ("PATCH", "PUT"):
        problem = ask(path, method, {"status": "subscribed", "email_address": ANA})
        assert (ask.status, problem["title"]) == (400, "Member In Compliance State")
    twin.opt_in(ANA, None, act(Source.SYNC, 2))
    assert ask(path)["status"] == "unsubscribed"
    assert ask(path, "PATCH", {"status": "pending"})["status"] == "pending"
    twin.opt_in(ANA, None, act(Source.EMAIL_LINK, 3))
    member = ask(path)
    assert (member["status"], member["ip_opt"]) == ("subscribed", "198.51.100.7")
    assert member["timestamp_opt"] == "2026-05-01T15:00:00+00:00"


def test_put_without_status_leaves_the_status_of_a_known_member(
    twin: MailchimpTwin, ask: Asker, shop: Audience
) -> None:
    """`status_if_new` is for the new ones; confusing the two resubscribes people."""
    twin.add(person(1, ANA), OPTED_IN, DAY)
    twin.opt_out(ANA, None, act(Source.EMAIL_LINK))
    path = f"/lists/{shop.id}/members/{subscriber_hash(ANA)}"
    body = {"email_address": ANA, "status_if_new": "subscribed"}
    assert ask(path, "PUT", body)["status"] == "unsubscribed"
    new = f"/lists/{shop.id}/members/{subscriber_hash('new@example.net')}"
    body["email_address"] = "new@example.net"
    assert ask(new, "PUT", body)["status"] == "subscribed"


def test_archiving_and_unarchiving_subscribes_without_the_person(
    twin: MailchimpTwin, ask: Asker, shop: Audience
) -> None:
    """The status before archiving is forgotten: the way in which opt-outs get lost here."""
    twin.add(person(1, ANA), OPTED_IN, DAY)
    twin.opt_out(ANA, None, act(Source.EMAIL_LINK))
    path = f"/lists/{shop.id}/members/{subscriber_hash(ANA)}"
    ask(path, "DELETE")
    assert ask.status == 204
    assert ask(path)["status"] == "archived"
    member = ask(path, "PATCH", {"status": "subscribed"})
    assert (member["status"], member["source"]) == ("subscribed", "API - Generic")
    assert member["timestamp_opt"] == "2026-05-01T12:00:00+00:00"
    ask(path, "PATCH", {"status": "archived"})
    assert ask.status == 400


def test_a_permanently_deleted_address_is_gone_and_cannot_come_back(
    twin: MailchimpTwin, ask: Asker, shop: Audience
) -> None:
    """Only absence from a complete read tells of it."""
    twin.add(person(1, ANA), OPTED_IN, DAY)
    path = f"/lists/{shop.id}/members/{subscriber_hash(ANA)}"
    ask(f"{path}/actions/delete-permanent", "POST")
    assert ask.status == 204
    ask(path)
    assert ask.status == 404
    problem = ask(path, "PUT", {"email_address": ANA, "status_if_new": "subscribed"})
    assert problem["title"] == "Forgotten Email Not Subscribed"


def test_silence_of_the_person_shows_only_in_the_source(
    twin: MailchimpTwin, ask: Asker, shop: Audience
) -> None:
    """A restore must look like one, or no audit could tell it from an opt-in."""
    twin.add(person(1, ANA), OPTED_IN, DAY)
    twin.opt_out(ANA, None, act(Source.EMAIL_LINK))
    twin.silently_mailable(ANA, "offers", DAY + timedelta(days=1))
    member = ask(f"/lists/{shop.id}/members/{subscriber_hash(ANA)}")
    assert (member["status"], member["source"]) == ("subscribed", "API - Generic")
    second = list(twin.audiences.values())[1]
    assert second.members[subscriber_hash(ANA)].status == "unsubscribed"


def test_a_bounce_and_a_complaint_clean_and_are_reported(
    twin: MailchimpTwin, ask: Asker, shop: Audience
) -> None:
    """Both block mail and neither is an opt-out."""
    for number, address in enumerate((ANA, "bo@example.net")):
        twin.add(person(number, address), OPTED_IN, DAY)
    twin.send(Mailing("c1", "May", "offers", DAY), [ANA, "bo@example.net"])
    twin.bounce(ANA, "c1", DAY)
    twin.complain("bo@example.net", "c1", DAY)
    twin.click("bo@example.net", "c1", DAY)
    assert ask(f"/lists/{shop.id}/members", status="cleaned")["total_items"] == 2
    states = {r["email_address"]: r["status"] for r in ask("/reports/c1/sent-to")["sent_to"]}
    assert states == {ANA: "hard", "bo@example.net": "sent"}
    assert ask(f"/lists/{shop.id}/abuse-reports")["total_items"] == 1
    assert ask("/reports/c1/abuse-reports")["abuse_reports"][0]["campaign_id"] == "c1"
    emails = ask("/reports/c1/email-activity", since="2026-05-01T11:00:00+00:00")["emails"]
    assert [len(each["activity"]) for each in emails] == [0, 1]


def test_an_address_can_change_and_then_has_another_hash(
    twin: MailchimpTwin, ask: Asker, shop: Audience
) -> None:
    """The contact id is all that links the old address with the new one."""
    twin.add(person(1, ANA), OPTED_IN, DAY)
    path = f"/lists/{shop.id}/members/"
    before = ask(path + subscriber_hash(ANA))
    twin.change_address(ANA, "ana.new@example.org", DAY)
    after = ask(path + subscriber_hash("ana.new@example.org"))
    assert (after["contact_id"], after["id"] != before["id"]) == (before["contact_id"], True)
    ask(path + subscriber_hash(ANA))
    assert ask.status == 404


def test_a_wrong_key_is_refused_with_a_problem(ask: Asker) -> None:
    """401 must never look like an empty account."""
    ask.session.auth = ("anybody", "another")
    assert ask("/ping")["title"] == "API Key Invalid"
    assert ask.status == 401


# --- against the vendor's own specification -------------------------------------------------------
PATHS = (
    "/ping", "/lists", "/lists/{list_id}/members", "/lists/{list_id}/interest-categories",
    "/lists/{list_id}/interest-categories/{interest_category_id}/interests",
    "/lists/{list_id}/members/{subscriber_hash}", "/lists/{list_id}/abuse-reports",
    "/lists/{list_id}/members/{subscriber_hash}/activity",
    "/lists/{list_id}/members/{subscriber_hash}/activity-feed",
    "/campaigns", "/campaigns/{campaign_id}", "/campaigns/{campaign_id}/content", "/reports",
    "/reports/{campaign_id}", "/reports/{campaign_id}/unsubscribed",
    "/reports/{campaign_id}/sent-to", "/reports/{campaign_id}/abuse-reports",
    "/reports/{campaign_id}/email-activity",
)  # fmt: skip


def strict(schema: Any) -> Any:
    """The schema without dates' formats (the vendor breaks them with ''), refusing extra fields."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {k: strict(v) for k, v in schema.items() if k not in ("example", "x-discriminator")}
    if plain.get("type") == "object" and plain.get("properties"):
        plain["additionalProperties"] = False
    return plain


@pytest.mark.specs
@pytest.mark.parametrize("path", PATHS)
def test_answers_have_the_shape_of_the_vendors_specification(
    path: str, twin: MailchimpTwin, ask: Asker, shop: Audience
) -> None:
    """A field that only the twin has would let a connector pass that fails at the vendor."""
    if not SPEC.exists():
        pytest.skip("the vendor's specification is not beside the repository")
    twin.add(person(1, ANA), OPTED_IN, DAY)
    twin.send(Mailing("c1", "May", "offers", DAY), [ANA])
    twin.click(ANA, "c1", DAY)
    twin.opt_out(ANA, None, act(Source.EMAIL_LINK, campaign_id="c1"))
    twin.complain(ANA, "c1", DAY)
    real = path.format(
        list_id=shop.id, interest_category_id=shop.group_id, campaign_id="c1",
        subscriber_hash=subscriber_hash(ANA),
    )  # fmt: skip
    answer = ask(real)
    assert ask.status == 200
    operation = json.loads(SPEC.read_text())["paths"][path]["get"]
    jsonschema.validate(answer, strict(operation["responses"]["200"]["schema"]))
