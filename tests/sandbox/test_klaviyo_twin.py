"""The Klaviyo twin is as strict and as treacherous as the vendor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
import requests

from optout.http.client import Limit
from optout.model import Source, State
from optout.sandbox.acts import Act, Mailing, Person
from optout.sandbox.klaviyo.twin import KlaviyoTwin
from optout.sandbox.server import Sandbox

AT = datetime(2026, 10, 1, 8, tzinfo=UTC)
CATEGORIES = ("product_updates", "promotional")
HEADERS = {
    "Authorization": "Klaviyo-API-Key pk_test",
    "revision": "2026-07-15",
    "Accept": "application/vnd.api+json",
}
SUBSCRIPTIONS = {"additional-fields[profile]": "subscriptions"}

Ask = Callable[..., Any]


@pytest.fixture
def twin() -> KlaviyoTwin:
    twin = KlaviyoTwin(CATEGORIES, token="pk_test", rng=Random(1))
    twin.now = AT
    return twin


@pytest.fixture
def sandbox(twin: KlaviyoTwin) -> Iterator[Sandbox]:
    with Sandbox([twin], clock=lambda: 1_000_000.0) as sandbox:
        yield sandbox


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.fixture
def ask(sandbox: Sandbox, session: requests.Session) -> Ask:
    def get(path: str, params: dict[str, Any] | None = None, *, status: int = 200,
            headers: dict[str, str] | None = None) -> Any:  # fmt: skip
        url = path if path.startswith("http") else sandbox.base_url("klaviyo") + path
        answer = session.get(url, params=params, headers=headers or HEADERS, timeout=10)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/vnd.api+json"
        return answer.json()

    return get


def person(number: int) -> Person:
    return Person(number, f"p{number}@example.org", "Pat", "Doe", "DE")


def people(twin: KlaviyoTwin, count: int, state: State = State.OPTED_IN) -> None:
    for number in range(1, count + 1):
        twin.add(person(number), {"promotional": state}, AT)


def marketing(twin: KlaviyoTwin, address: str) -> Any:
    profile = twin.profile(address)
    assert profile is not None
    return profile.subscriptions()["email"]["marketing"]


def act(source: Source, hours: int = 1) -> Act:
    return Act(AT + timedelta(hours=hours), source)


def test_consent_is_absent_unless_it_is_asked_for(twin: KlaviyoTwin, ask: Ask) -> None:
    """A reader that forgets the additional field would see nobody opted out."""
    people(twin, 1)
    assert "subscriptions" not in ask("/api/profiles")["data"][0]["attributes"]
    shown = ask("/api/profiles", SUBSCRIPTIONS)["data"][0]["attributes"]["subscriptions"]
    assert shown["email"]["marketing"]["consent"] == "SUBSCRIBED"


@pytest.mark.parametrize(
    ("left_out", "put_in", "status"),
    [
        ("Authorization", {}, 401),
        ("Authorization", {"Authorization": "Bearer pk_test"}, 401),
        ("revision", {}, 400),
        ("revision", {"revision": "2019-01-01"}, 400),
        ("Accept", {"Accept": "application/json"}, 406),
    ],
)
def test_requests_without_the_vendors_headers_are_refused(
    ask: Ask, left_out: str, put_in: dict[str, str], status: int
) -> None:
    """A connector that works only against a lenient twin fails on its first real night."""
    headers = {k: v for k, v in HEADERS.items() if k != left_out} | put_in
    error = ask("/api/lists", headers=headers, status=status)["errors"][0]
    assert {"id", "status", "code", "title", "detail", "source"} <= error.keys()


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/api/profiles", {"page[size]": "101"}),
        ("/api/profiles", {"offset": "3"}),
        ("/api/profiles", {"filter": "greater-or-equal(updated,2026-01-01T00:00:00Z)"}),
        ("/api/profiles", {"filter": "greater-than(updated,yesterday"}),
        ("/api/profiles", {"filter": "greater-than(updated,2026-13-01T00:00:00Z)"}),
        ("/api/profiles", {"sort": "first_name"}),
        ("/api/profiles", {"additional-fields[profile]": "everything"}),
        ("/api/profiles", {"page[cursor]": "nonsense"}),
        ("/api/lists", {"page[size]": "11"}),
        ("/api/events", {"page[size]": "1001"}),
        ("/api/events", {"filter": "any(metric_id,[\"a\"])"}),
        ("/api/campaigns", {}),
        ("/api/campaigns", {"filter": "equals(status,'Sent')"}),
    ],
)  # fmt: skip
def test_what_the_specification_does_not_allow_is_400(
    ask: Ask, path: str, params: dict[str, str]
) -> None:
    """`updated` knows only strict comparisons, campaigns need a channel, pages have a maximum."""
    error = ask(path, params, status=400)["errors"][0]
    assert error["source"]["parameter"]


def test_a_key_without_the_scope_is_403(twin: KlaviyoTwin, ask: Ask) -> None:
    """`optout check` must be able to name the scope that is missing."""
    twin.scopes.discard("events:read")
    assert "events:read" in ask("/api/events", status=403)["errors"][0]["detail"]


def test_pages_are_linked_absolutely_and_complete(twin: KlaviyoTwin, ask: Ask) -> None:
    """Following `links.next` to its end gives every profile once, though one is made meanwhile."""
    people(twin, 7)
    page = ask("/api/profiles", {"page[size]": 3, "sort": "id"})
    found = [each["id"] for each in page["data"]]
    twin.add(person(8), {}, AT)
    while "next" in page["links"]:
        page = ask(page["links"]["next"])
        found += [each["id"] for each in page["data"]]
    assert found == sorted(twin.profiles)


def test_descending_pages_lose_nothing(twin: KlaviyoTwin, ask: Ask) -> None:
    """Equal stamps across a page's border are where keyset paging goes wrong."""
    people(twin, 5)
    page = ask("/api/profiles", {"page[size]": 2, "sort": "-updated"})
    found = [each["id"] for each in page["data"]]
    while "next" in page["links"]:
        page = ask(page["links"]["next"])
        found += [each["id"] for each in page["data"]]
    assert found == sorted(twin.profiles, reverse=True)


def test_an_expired_cursor_is_refused(twin: KlaviyoTwin, ask: Ask) -> None:
    """Resuming a night from a stale position must be noticeable."""
    people(twin, 3)
    link = ask("/api/profiles", {"page[size]": 1})["links"]["next"]
    twin.expire_cursors()
    assert ask(link, status=400)["errors"][0]["source"]["parameter"] == "page[cursor]"


def test_lists_come_ten_a_page(twin: KlaviyoTwin, ask: Ask) -> None:
    """An account with eleven lists needs a second page."""
    for number in range(12):
        twin.add_list(f"List {number}")
    first = ask("/api/lists")
    assert len(first["data"]) == 10
    assert len(ask(first["links"]["next"])["data"]) == 4
    one = ask(f"/api/lists/{first['data'][0]['id']}")["data"]["attributes"]
    assert "profile_count" not in one
    ask("/api/lists/Nope", status=404)


def test_members_have_a_date_of_joining_and_a_count(twin: KlaviyoTwin, ask: Ask) -> None:
    """The count is the vendor's only total; it comes only if asked for."""
    people(twin, 3)
    (list_id,) = twin.category_map()["promotional"]
    members = ask(f"/api/lists/{list_id}/profiles", {"fields[profile]": "email,joined_group_at"})
    assert members["data"][0]["attributes"] == {
        "email": "p1@example.org", "joined_group_at": "2026-10-01T08:00:00+00:00",
    }  # fmt: skip
    one = ask(f"/api/lists/{list_id}", {"additional-fields[list]": "profile_count"})
    assert one["data"]["attributes"]["profile_count"] == 3


def test_a_list_suppression_leaves_the_effective_answer_true(twin: KlaviyoTwin) -> None:
    """`can_receive_email_marketing` is a trap: it knows of global suppressions only."""
    people(twin, 1)
    twin.opt_out("p1@example.org", "promotional", act(Source.PREFERENCE_CENTER))
    shown = marketing(twin, "p1@example.org")
    assert shown["can_receive_email_marketing"] is True
    assert shown["consent"] == "SUBSCRIBED"
    assert [each["reason"] for each in shown["list_suppressions"]] == ["UNSUBSCRIBE"]


def test_an_api_unsubscribe_from_a_list_that_one_is_not_on_goes_global(twin: KlaviyoTwin) -> None:
    """The vendor's own warning: a category opt-out by the API can become one of everything."""
    people(twin, 1)
    twin.opt_out("p1@example.org", "product_updates", act(Source.API))
    shown = marketing(twin, "p1@example.org")
    assert shown["suppression"][0]["reason"] == "UNSUBSCRIBE"
    assert shown["list_suppressions"] == []
    assert twin.events["Unsubscribed from Email Marketing"]


def test_subscribing_erases_opt_outs_but_no_bounce(twin: KlaviyoTwin) -> None:
    """An accidental subscribe by an integration is how opt-outs get lost in Klaviyo."""
    people(twin, 1)
    twin.opt_out("p1@example.org", None, act(Source.EMAIL_LINK))
    twin.complain("p1@example.org", "none", AT)
    twin.bounce("p1@example.org", None, AT)
    twin.silently_mailable("p1@example.org", "promotional", AT + timedelta(hours=2))
    shown = marketing(twin, "p1@example.org")
    assert [each["reason"] for each in shown["suppression"]] == ["HARD_BOUNCE"]
    assert (shown["consent"], shown["method"]) == ("SUBSCRIBED", "API")


def test_staff_suppress_and_unsuppress_their_own_only(twin: KlaviyoTwin) -> None:
    """Unsuppressing never lifts what the person did."""
    people(twin, 1)
    twin.opt_out("p1@example.org", None, act(Source.SUPPORT_REQUEST))
    twin.opt_out("p1@example.org", None, act(Source.EMAIL_LINK))
    profile = twin.profile("p1@example.org")
    assert profile is not None
    twin.unsuppress(profile, AT)
    assert [each.reason for each in profile.suppressions] == ["UNSUBSCRIBE"]


@pytest.mark.parametrize("kind", ["suppression", "list_suppressions"])
def test_a_consent_shows_in_the_feed_of_its_own_and_not_in_updated(
    twin: KlaviyoTwin, ask: Ask, kind: str
) -> None:
    """A reader of `updated` alone would miss opt-outs."""
    people(twin, 3)
    category = None if kind == "suppression" else "promotional"
    twin.opt_out("p2@example.org", category, act(Source.PREFERENCE_CENTER))
    moved = {"filter": "greater-than(updated,2026-10-01T08:00:00Z)"}
    assert ask("/api/profiles", moved)["data"] == []
    field = f"subscriptions.email.marketing.{kind}.timestamp"
    where = f"greater-or-equal({field},2026-10-01T09:00:00Z)"
    found = ask("/api/profiles", {"filter": where, "sort": field})["data"]
    assert [each["attributes"]["email"] for each in found] == ["p2@example.org"]
    later = f"greater-than({field},2026-10-01T09:00:00Z)"
    assert ask("/api/profiles", {"filter": later})["data"] == []
    twin.updated_moves_on_consent = True
    twin.opt_out("p3@example.org", category, act(Source.PREFERENCE_CENTER))
    assert len(ask("/api/profiles", moved)["data"]) == 1


@pytest.mark.parametrize(("switch", "expected"), [("null", None), ("absent", "nothing")])
def test_the_consent_field_can_turn_empty(
    twin: KlaviyoTwin, ask: Ask, switch: str, expected: object
) -> None:
    """The vendor once did it to a customer: answers with the field but nothing in it."""
    people(twin, 2)
    twin.consent_field_empty = switch
    attributes = ask("/api/profiles", SUBSCRIPTIONS)["data"][0]["attributes"]
    assert attributes.get("subscriptions", "nothing") == expected


def test_events_are_found_by_metric_and_time(twin: KlaviyoTwin, ask: Ask) -> None:
    """Metric ids differ per account; the newest event comes first unless asked otherwise."""
    people(twin, 3)
    addresses = [f"p{n}@example.org" for n in (1, 2, 3)]
    twin.send(Mailing("m1", "Autumn", "promotional", AT), addresses)
    twin.click("p1@example.org", "m1", AT + timedelta(hours=1))
    metrics = {m["attributes"]["name"]: m["id"] for m in ask("/api/metrics")["data"]}
    where = (
        f'and(equals(metric_id,"{metrics["Received Email"]}"),'
        "greater-or-equal(datetime,2026-10-01T08:00:02Z),less-than(datetime,2026-10-01T08:00:04Z))"
    )
    body = ask("/api/events", {"filter": where, "include": "profile,metric"})
    stamps = [each["attributes"]["datetime"] for each in body["data"]]
    assert stamps == ["2026-10-01T08:00:03+00:00", "2026-10-01T08:00:02+00:00"]
    kinds = [each["type"] for each in body["included"]]
    assert kinds == ["profile", "profile", "metric"]
    assert len(ask("/api/events")["data"]) == 4
    told = body["data"][0]["attributes"]["event_properties"]
    assert told["$group_ids"] == twin.category_map()["promotional"]


def test_campaigns_show_messages_and_templates(twin: KlaviyoTwin, ask: Ask) -> None:
    """The duties of a mailing are read from its template."""
    bare = Mailing("m1", "Bare", "promotional", AT, has_unsubscribe=False, has_postal_address=False)
    twin.send(bare, [])
    twin.send(Mailing("m2", "Receipt", None, AT), [])
    body = ask("/api/campaigns", {
        "filter": "equals(messages.channel,'email')", "include": "campaign-messages",
    })  # fmt: skip
    assert [each["attributes"]["name"] for each in body["data"]] == ["Bare"]
    message_id = body["included"][0]["id"]
    shown = ask(f"/api/campaign-messages/{message_id}", {"include": "template"})
    assert "unsubscribe" not in shown["included"][0]["attributes"]["html"]
    flow = twin.campaigns["m2"].message_id
    action = ask(f"/api/flow-messages/{flow}", {"include": "flow-action"})["included"][0]
    assert action["attributes"]["definition"]["data"]["message"]["transactional"] is True
    ask(f"/api/campaign-messages/{flow}", {"include": "template"}, status=404)
    newer = HEADERS | {"revision": "2026-10-15"}
    ask("/api/campaigns", headers=newer, status=400)


def test_deletion_leaves_nothing_and_an_address_moves_with_its_state(twin: KlaviyoTwin) -> None:
    """A deleted profile's events go with it; a new profile never gets an old id."""
    people(twin, 2)
    twin.send(Mailing("m1", "Autumn", "promotional", AT), ["p2@example.org"])
    old = twin.profile("p2@example.org")
    twin.delete("p2@example.org", AT)
    assert not twin.holds("p2@example.org")
    assert twin.events["Received Email"] == []
    twin.add(person(2), {}, AT)
    new = twin.profile("p2@example.org")
    assert old is not None and new is not None
    assert new.id > old.id
    twin.opt_out("p1@example.org", None, act(Source.EMAIL_LINK))
    twin.change_address("p1@example.org", "p2@example.org", AT)
    assert twin.holds("p1@example.org"), "another profile has the address: refused"
    twin.change_address("p1@example.org", "new@example.org", AT)
    assert marketing(twin, "new@example.org")["consent"] == "UNSUBSCRIBED"


def test_a_429_says_when_and_other_answers_say_how_many(
    twin: KlaviyoTwin, session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The RateLimit headers are absent exactly when a reader would want them."""
    monkeypatch.setattr(KlaviyoTwin, "limits", (Limit(2, 1.0), Limit(100, 60.0)))
    with Sandbox([twin], clock=lambda: 1_000_000.0) as sandbox:
        url = sandbox.base_url("klaviyo") + "/api/lists"
        answers = [session.get(url, headers=HEADERS, timeout=10) for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 200, 429]
    assert answers[1].headers["RateLimit-Remaining"] == "98"
    assert not [name for name in answers[2].headers if name.lower().startswith("ratelimit")]
    assert answers[2].headers["Retry-After"] == "1"
