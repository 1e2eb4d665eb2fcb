"""The twin keeps SendGrid's traps: a kinder one would let a connector fall into them later."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
import requests

from optout.model import Source, State
from optout.sandbox.acts import Act, Mailing, Person
from optout.sandbox.sendgrid.twin import SendGridTwin
from optout.sandbox.server import Sandbox

AT = datetime(2026, 10, 1, 8, tzinfo=UTC)
CATEGORIES = ("product_updates", "promotional")
PEOPLE = [Person(n, f"P{n}@Example.org", "Pat", "Doe") for n in range(1, 5)]
MAILING = Mailing("m1", "Autumn", "promotional", AT + timedelta(hours=1))


class Api:
    """A client that knows nothing but HTTP."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.headers["Authorization"] = "Bearer SG.test"

    def __call__(self, path: str, method: str = "GET", **kwargs: Any) -> requests.Response:
        return self.session.request(method, f"{self.url}{path}", timeout=10, **kwargs)


@pytest.fixture
def twin() -> SendGridTwin:
    twin = SendGridTwin(CATEGORIES, token="SG.test", rng=Random(1))
    twin.now = AT
    for person in PEOPLE:
        twin.add(person, {}, AT)
    return twin


@pytest.fixture
def api(twin: SendGridTwin) -> Iterator[Api]:
    with Sandbox([twin]) as sandbox:
        client = Api(sandbox.base_url("sendgrid"))
        with client.session:
            yield client


def link(at: datetime = AT, **kwargs: Any) -> Act:
    return Act(at, Source.EMAIL_LINK, **kwargs)


def test_an_addition_to_a_missing_group_goes_to_the_global_list(api: Api) -> None:
    """The vendor answers 201 as if nothing were wrong; a sync that trusts it mutes people."""
    body = {"recipient_emails": ["P1@Example.org"]}
    assert api("/v3/asm/groups/99/suppressions", "POST", json=body).status_code == 201
    assert [each["email"] for each in api("/v3/suppression/unsubscribes").json()] == [
        "p1@example.org"
    ]


def test_deleting_a_group_frees_everybody_in_it(api: Api, twin: SendGridTwin) -> None:
    """The opt-outs are gone without a trace; only the group's absence tells."""
    twin.opt_out("p1@example.org", "promotional", link())
    group = twin.group_of["promotional"]
    assert api(f"/v3/asm/groups/{group}").json()["unsubscribes"] == 1
    assert api(f"/v3/asm/groups/{group}", "DELETE").status_code == 204
    assert api("/v3/asm/suppressions").json() == []
    assert api(f"/v3/asm/groups/{group}/suppressions").json() == []
    assert api(f"/v3/asm/groups/{group}").status_code == 404
    twin.opt_out("p2@example.org", "promotional", link())
    assert api("/v3/suppression/unsubscribes").json()[0]["email"] == "p2@example.org"


def test_not_suppressed_is_an_empty_object_and_no_404(api: Api, twin: SendGridTwin) -> None:
    """Whoever waits for a 404 takes everybody for unsubscribed, or nobody."""
    twin.opt_out("p+1@example.org", None, link())
    known = api("/v3/asm/suppressions/global/p%2B1%40example.org")
    assert known.json() == {"recipient_email": "p+1@example.org"}
    unknown = api("/v3/asm/suppressions/global/p2%40example.org")
    assert (unknown.status_code, unknown.json()) == (200, {})


def test_lists_are_cut_silently_and_refuse_large_pages(api: Api, twin: SendGridTwin) -> None:
    """Without total or next link only the reader can know whether it has everything."""
    for number in range(60):
        twin.opt_out(f"u{number}@example.org", None, link(AT + timedelta(seconds=number)))
    assert len(api("/v3/suppression/unsubscribes").json()) == 50
    assert len(api("/v3/suppression/unsubscribes?limit=500").json()) == 60
    assert len(api("/v3/suppression/unsubscribes?limit=20&offset=50").json()) == 10
    refused = api("/v3/suppression/unsubscribes?limit=501")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "limit")


def test_both_ends_of_a_window_belong_to_it(api: Api, twin: SendGridTwin) -> None:
    """Windows that share a bound show an entry twice."""
    twin.opt_out("p1@example.org", None, link())
    second = int(AT.timestamp())
    for bounds in (f"start_time={second}", f"end_time={second}"):
        assert len(api(f"/v3/suppression/unsubscribes?{bounds}").json()) == 1
    assert api(f"/v3/suppression/unsubscribes?start_time={second + 1}").json() == []


def test_contacts_show_fifty_and_everything_comes_by_export(api: Api, twin: SendGridTwin) -> None:
    """The list of contacts looks complete and is a sample."""
    for number in range(60):
        twin.add(Person(100 + number, f"c{number}@example.org", "C", "D"), {}, AT)
    sample = api("/v3/marketing/contacts").json()
    assert (len(sample["result"]), sample["contact_count"]) == (50, 64)
    started = api("/v3/marketing/contacts/exports", "POST", json={"file_type": "json"})
    assert started.status_code == 202
    path = f"/v3/marketing/contacts/exports/{started.json()['id']}"
    assert api(path).json()["status"] == "pending"
    job = api(path).json()
    assert (job["status"], job["contact_count"], len(job["urls"])) == ("ready", 64, 2)
    lines = b"".join(
        gzip.decompress(requests.get(url, timeout=10).content) for url in job["urls"]
    ).splitlines()
    assert len(lines) == 64
    assert api.session.get(job["urls"][0], timeout=10).status_code == 400  # two credentials
    twin.now = AT + timedelta(days=4)
    assert requests.get(job["urls"][0], timeout=10).status_code == 403  # expired


def test_subusers_have_stores_of_their_own(api: Api, twin: SendGridTwin) -> None:
    """An unsubscribe in one does not keep the other from mailing."""
    twin.add_subuser("shop").unsubscribe("p1@example.org", AT)
    twin.add_subuser("old", region="eu", disabled=True)
    assert api("/v3/suppression/unsubscribes").json() == []
    behalf = {"on-behalf-of": "shop"}
    assert len(api("/v3/suppression/unsubscribes", headers=behalf).json()) == 1
    assert api("/v3/suppression/unsubscribes", headers={"on-behalf-of": "old"}).status_code == 403
    shown = api("/v3/subusers?include_region=true").json()
    assert [(each["username"], each["region"]) for each in shown] == [
        ("shop", "global"),
        ("old", "eu"),
    ]


def test_only_a_link_leaves_an_event(api: Api, twin: SendGridTwin) -> None:
    """A suppression that the sender added has a stamp and nothing else: no source, no machine."""
    twin.send(MAILING, [person.address for person in PEOPLE])
    twin.opt_out("p1@example.org", "promotional", link(campaign_id="m1"))
    twin.opt_out("p2@example.org", "promotional", Act(AT, Source.API))
    found = api("/v3/logs", "POST", json={"limit": 1000}).json()["messages"]
    assert len(found) == 4
    events = {
        each["to_email"]: [
            event["event"] for event in api(f"/v3/logs/{each['sg_message_id']}").json()["events"]
        ]
        for each in found
    }
    assert events["p1@example.org"][-1] == "group_unsubscribe"
    assert events["p2@example.org"][-1] == "delivered"


def test_a_log_shows_the_newest_thousand_and_never_tells(api: Api, twin: SendGridTwin) -> None:
    """There is no cursor: a full answer is the only sign that something is missing."""
    twin.send(MAILING, [f"b{number}@example.org" for number in range(1200)])
    query = 'sg_message_id_created_at >= TIMESTAMP "2026-10-01T00:00:00Z"'
    found = api("/v3/logs", "POST", json={"query": query, "limit": 1000}).json()["messages"]
    assert len(found) == 1000
    assert len(api("/v3/logs", "POST", json={"query": query}).json()["messages"]) == 10
    assert api("/v3/logs", "POST", json={"query": "nonsense"}).status_code == 400
    assert api("/v3/logs", "POST", json={"limit": 1001}).status_code == 400


def test_logs_that_the_account_lacks_are_refused(api: Api, twin: SendGridTwin) -> None:
    """Neither log is in every account, and a missing one must not look like no mail."""
    twin.logs_on = False
    assert api("/v3/logs", "POST", json={}).status_code == 404
    assert api('/v3/messages?query=status%3D"delivered"').status_code == 403
    twin.activity_on = True
    assert api('/v3/messages?query=status%3D"delivered"').json() == {"messages": []}


def test_a_key_does_what_its_scopes_allow(api: Api, twin: SendGridTwin) -> None:
    """401 and 403 are different news: a wrong key, and a key that lacks one right."""
    assert "marketing.read" in api("/v3/scopes").json()["scopes"]
    twin.scopes.discard("suppression.bounces.read")
    assert api("/v3/suppression/bounces").status_code == 403
    api.session.headers["Authorization"] = "Bearer SG.other"
    assert api("/v3/scopes").status_code == 401


def test_suppressions_survive_the_contact(api: Api, twin: SendGridTwin) -> None:
    """Deleting a contact is no opt-in, and a changed address is a new contact without one."""
    twin.opt_out("p1@example.org", None, link())
    twin.delete("p1@example.org", AT)
    twin.opt_out("p2@example.org", None, link())
    twin.change_address("p2@example.org", "new@example.org", AT)
    emails = {each["email"] for each in api("/v3/suppression/unsubscribes").json()}
    assert emails == {"p1@example.org", "p2@example.org"}
    assert not twin.holds("p2@example.org")
    assert twin.holds("NEW@example.org")


def test_acts_leave_what_the_world_meant(api: Api, twin: SendGridTwin) -> None:
    """The world's truth and the twin's state must not drift apart by themselves."""
    twin.add(Person(9, "p9@example.org", "P", "D"), {"promotional": State.OPTED_OUT}, AT)
    twin.opt_out("p1@example.org", "promotional", link())
    twin.opt_in("p1@example.org", "promotional", link())
    twin.opt_out("p2@example.org", None, link())
    twin.silently_mailable("p2@example.org", None, AT)
    twin.send(MAILING, ["p3@example.org"])
    twin.bounce("p3@example.org", "m1", AT)
    twin.complain("p3@example.org", "m1", AT)
    twin.click("p3@example.org", "m1", AT)
    group = twin.group_of["promotional"]
    assert api(f"/v3/asm/groups/{group}/suppressions").json() == ["p9@example.org"]
    assert api("/v3/suppression/unsubscribes").json() == []
    assert api("/v3/suppression/bounces").json()[0]["status"] == "5.1.1"
    assert api("/v3/suppression/spam_reports").json()[0]["ip"] == "192.0.2.10"
    suppressed = api("/v3/asm/suppressions/p9%40example.org").json()["suppressions"]
    assert [each["suppressed"] for each in suppressed] == [False, True]


def test_each_answer_tells_the_limit(api: Api) -> None:
    """A client reads its pace from these headers; a 429 has no Retry-After."""
    headers = api("/v3/scopes").headers
    assert headers["X-RateLimit-Limit"] == "600"
    assert int(headers["X-RateLimit-Remaining"]) < 600
