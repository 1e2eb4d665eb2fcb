"""The sandbox's front door: what is answered, counted, limited and spoilt."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from random import Random
from typing import Any, ClassVar

import pytest
import requests
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from optout.http.client import Limit
from optout.model import State
from optout.sandbox.acts import Act, Person, Twin
from optout.sandbox.faults import PASSING, Fault, FaultKind, plan
from optout.sandbox.limits import Limiter, Verdict, refusal
from optout.sandbox.server import Sandbox

NOW = datetime(2026, 9, 1, 2, 5, tzinfo=UTC)
STAMP = "2026-09-01T02:00:00Z"


class ToyTwin(Twin):
    """The least that is a twin: one list of 6 rows in pages of 2, in Mailchimp's shape."""

    vendor: ClassVar[str] = "mailchimp"
    base_path: ClassVar[str] = "/3.0"
    limits: ClassVar[tuple[Limit, ...]] = (Limit(concurrent=2),)
    limit_style: ClassVar[str] = "mailchimp"

    def category_map(self) -> Mapping[str, Sequence[str]]:
        return {}

    def routes(self) -> list[Route]:
        async def members(request: Request) -> Response:
            at = int(request.query_params.get("offset", 0))
            rows = [{"id": i, "status": "subscribed", "changed": STAMP} for i in range(at, at + 2)]
            return JSONResponse({"members": rows, "total_items": 6})

        def pages(request: Request) -> Response:
            at = int(request.query_params.get("page", 1))
            following = str(request.url.include_query_params(page=at + 1))
            return JSONResponse({"data": [{"id": at}], "links": {"next": following}})

        def echo(request: Request) -> Response:
            return JSONResponse({"lock": "held"}, 201)

        return [
            Route("/3.0/lists/{id}/members", members),
            Route("/3.0/pages", pages),
            Route("/3.0/echo", echo, methods=["POST"]),
        ]

    def add(self, person: Person, states: Mapping[str, State], at: datetime) -> None: ...
    def opt_out(self, address: str, category: str | None, act: Act) -> None: ...
    def opt_in(self, address: str, category: str | None, act: Act) -> None: ...
    def change_address(self, old: str, new: str, at: datetime) -> None: ...
    def delete(self, address: str, at: datetime) -> None: ...


class FakeClock:
    """Epoch seconds that move only when told."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    twin = ToyTwin((), token="t", rng=Random(1))
    twin.now = NOW
    with Sandbox([twin]) as running:
        yield running


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as http:
        yield http


def members(sandbox: Sandbox, offset: int = 0) -> str:
    return f"{sandbox.base_url('mailchimp')}/lists/7/members?offset={offset}"


def test_a_twin_answers_below_its_base_url_with_the_sandbox_clock(
    sandbox: Sandbox, session: requests.Session
) -> None:
    """A Date of the real clock would make every skew measured against the world nonsense."""
    answer = session.get(members(sandbox))
    assert answer.json()["total_items"] == 6
    assert answer.headers["date"] == "Tue, 01 Sep 2026 02:05:00 GMT"
    assert sandbox.base_url("mailchimp").endswith("/mailchimp/3.0")
    assert session.post(f"{sandbox.base_url('mailchimp')}/echo").status_code == 201


def test_the_log_keeps_templates_and_no_values(sandbox: Sandbox, session: requests.Session) -> None:
    """An address in a query would end in a test report."""
    session.get(members(sandbox) + "&email=ana@example.org")
    session.get(sandbox.url + "/mailchimp/nothing/ana@example.org")
    assert [entry.template for entry in sandbox.log] == ["/3.0/lists/{id}/members", "{unknown}"]
    assert [entry.status for entry in sandbox.log] == [200, 404]
    assert "ana" not in repr(sandbox.log)
    assert sandbox.requests["mailchimp"] == 2
    sandbox.forget()
    assert not sandbox.requests


def test_an_answer_on_a_kept_connection_takes_no_forty_milliseconds(
    sandbox: Sandbox, session: requests.Session
) -> None:
    """Nagle's delay made a night of 2,000 requests a matter of minutes."""
    took = []
    for _ in range(60):
        begun = time.monotonic()
        session.get(members(sandbox))
        took.append(time.monotonic() - begun)
    assert min(took[40:]) < 0.03, "the kernel acknowledges the first ones at once"


def test_a_world_that_acts_holds_requests_back(sandbox: Sandbox) -> None:
    """A page read in the middle of an act would show a state that never was."""
    with ThreadPoolExecutor(1) as pool:
        with sandbox.lock:
            future = pool.submit(requests.get, members(sandbox), timeout=10)
            with pytest.raises(TimeoutError):
                future.result(timeout=0.1)
        assert future.result(timeout=10).status_code == 200


def test_too_many_connections_are_refused_in_both_of_mailchimps_ways(sandbox: Sandbox) -> None:
    """Whoever takes the bare 403 for a missing permission gives up the night."""
    sandbox.latency = 0.1
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: requests.get(members(sandbox), timeout=10), range(6)))
    assert {answer.status_code for answer in answers} == {200, 403, 429}
    assert all(not a.content for a in answers if a.status_code == 403)
    assert sandbox.limited["mailchimp"] == len([a for a in answers if a.status_code != 200])
    sandbox.limits_on = False
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: requests.get(members(sandbox), timeout=10), range(6)))
    assert {answer.status_code for answer in answers} == {200}


# --- limits, with a clock that is told ------------------------------------------------------------
def limiter(style: str, *limits: Limit, clock: FakeClock) -> Limiter:
    return Limiter(style, limits, {"/slow": (Limit(1, 60.0),)}, clock)


def test_a_fixed_window_opens_again_and_tells_when() -> None:
    """SendGrid announces what is left on every answer, and the epoch second of the next window."""
    clock = FakeClock()
    gate = limiter("sendgrid", Limit(2, 60.0), clock=clock)
    verdicts = [gate.enter("key", "/a") for _ in range(3)]
    assert [each.allowed for each in verdicts] == [True, True, False]
    assert verdicts[1].headers["X-RateLimit-Remaining"] == "0"
    reset = int(verdicts[2].headers["X-RateLimit-Reset"])
    assert clock.now < reset <= clock.now + 60
    assert gate.enter("key", "/b").allowed, "every endpoint has its own window"
    assert gate.enter("other", "/a").allowed, "every credential has its own window"
    clock.now = float(reset)
    assert gate.enter("key", "/a").allowed


def test_a_rolling_window_forgets_one_request_at_a_time() -> None:
    """HubSpot's ten seconds roll: after a burst, room comes back bit by bit."""
    clock = FakeClock()
    gate = limiter("hubspot", Limit(2, 10.0), Limit(100, 86_400.0), clock=clock)
    gate.enter("key", "/a")
    clock.now += 6
    gate.enter("key", "/b")
    refused = gate.enter("key", "/c")
    assert not refused.allowed
    assert refused.policy == "TEN_SECONDLY_ROLLING"
    assert refused.wait == pytest.approx(4.0)
    clock.now += 4
    assert gate.enter("key", "/c").allowed
    assert not gate.enter("key", "/c").allowed


def test_an_endpoint_may_have_a_limit_of_its_own() -> None:
    """Klaviyo allows 15 accounts a minute and 3,500 events: one limit for all would be wrong."""
    gate = limiter("klaviyo", Limit(75, 1.0), clock=FakeClock())
    assert gate.enter("key", "/slow").allowed
    assert not gate.enter("key", "/slow").allowed
    assert gate.enter("key", "/fast").allowed


def test_klaviyo_says_retry_after_only_when_it_refuses() -> None:
    """A client that reads RateLimit-* from a 429 waits for nothing."""
    clock = FakeClock()
    gate = limiter("klaviyo", Limit(1, 1.0), Limit(60, 60.0), clock=clock)
    assert gate.enter("key", "/a").headers["RateLimit-Limit"] == "60"
    answer = refusal("klaviyo", gate.enter("key", "/a"), 1)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert not any(name.startswith("ratelimit") for name in answer.headers)


@pytest.mark.parametrize(("style", "headers"), [("sell", 0), ("mailchimp", 0), ("hubspot", 5)])
def test_who_announces_nothing_announces_nothing(style: str, headers: int) -> None:
    """Sell and Mailchimp leave the client to guess."""
    gate = limiter(style, Limit(5, 1.0), clock=FakeClock())
    assert len(gate.enter("key", "/a").headers) == headers


def test_sells_refusal_need_not_be_json() -> None:
    """Zapier's own app broke on it."""
    first, second = (refusal("sell", Verdict(False), count) for count in (1, 2))
    assert first.headers["content-type"] == "application/json"
    assert second.headers["content-type"].startswith("text/plain")


# --- faults --------------------------------------------------------------------------------------
def test_a_fault_strikes_the_nth_request_as_often_as_planted(
    sandbox: Sandbox, session: requests.Session
) -> None:
    """A loop over every request of a run needs exactly one fault at exactly one place."""
    fault = Fault(FaultKind.UNAVAILABLE, "mailchimp", "/members", nth=2, times=2)
    sandbox.faults.plant(fault)
    assert [session.get(members(sandbox)).status_code for _ in range(4)] == [200, 503, 503, 200]
    assert sandbox.faults.applied() == {fault: 2}
    sandbox.faults.clear()
    assert session.get(members(sandbox)).status_code == 200


def test_a_fault_keeps_to_its_vendor_endpoint_and_method(
    sandbox: Sandbox, session: requests.Session
) -> None:
    """A fault that strikes elsewhere tests something else."""
    sandbox.faults.plant(
        Fault(FaultKind.SERVER_ERROR, "klaviyo"),
        Fault(FaultKind.SERVER_ERROR, "mailchimp", "/pages"),
        Fault(FaultKind.SERVER_ERROR, "mailchimp", method="POST"),
    )
    assert session.get(members(sandbox)).status_code == 200
    assert sum(sandbox.faults.applied().values()) == 0


def spoilt(sandbox: Sandbox, session: requests.Session, fault: Fault, offset: int = 2) -> Any:
    sandbox.faults.plant(fault)
    return session.get(members(sandbox, offset))


@pytest.mark.parametrize(
    ("kind", "status"),
    [(FaultKind.LIMITED, 429), (FaultKind.SERVER_ERROR, 500), (FaultKind.UNAUTHORIZED, 401),
     (FaultKind.EXPIRED_CURSOR, 400)],
)  # fmt: skip
def test_refusals_have_their_status(
    sandbox: Sandbox, session: requests.Session, kind: FaultKind, status: int
) -> None:
    """Each has its own meaning to a reader: wait, again, never, from the start."""
    answer = spoilt(sandbox, session, Fault(kind, "mailchimp"))
    assert answer.status_code == status
    assert "retry-after" not in answer.headers


def test_a_429_can_tell_how_long_to_wait(sandbox: Sandbox, session: requests.Session) -> None:
    """With and without are two different tests of a reader."""
    answer = spoilt(sandbox, session, Fault(FaultKind.LIMITED, "mailchimp", seconds=7))
    assert answer.headers["retry-after"] == "7"


def test_only_a_request_that_goes_on_meets_an_expired_cursor(
    sandbox: Sandbox, session: requests.Session
) -> None:
    """A first page has no cursor that could expire."""
    sandbox.faults.plant(Fault(FaultKind.EXPIRED_CURSOR, "mailchimp", times=None))
    assert session.get(members(sandbox, 0)).status_code == 200
    assert session.get(members(sandbox, 2)).status_code == 400


def test_a_cut_connection_gives_no_answer(sandbox: Sandbox, session: requests.Session) -> None:
    """The reader must see a failure, not an empty page; the next connection works."""
    sandbox.faults.plant(Fault(FaultKind.RESET, "mailchimp"))
    with pytest.raises(requests.ConnectionError):
        session.get(members(sandbox))
    assert sandbox.log[-1].status == 0
    assert session.get(members(sandbox)).status_code == 200


def test_broken_bodies_come_with_200(sandbox: Sandbox, session: requests.Session) -> None:
    """Status 200 proves nothing."""
    for kind in (FaultKind.TRUNCATED, FaultKind.HTML, FaultKind.EMPTY):
        answer = spoilt(sandbox, session, Fault(kind, "mailchimp"))
        assert answer.status_code == 200
        with pytest.raises(requests.JSONDecodeError):
            answer.json()
        sandbox.faults.clear()
    answer = spoilt(sandbox, session, Fault(FaultKind.ERROR_IN_200, "mailchimp"))
    assert answer.status_code == 200
    assert "members" not in answer.json()


def test_pages_go_missing_come_twice_or_again(sandbox: Sandbox, session: requests.Session) -> None:
    """Only totals and ids can tell these from a good read."""

    def ids(fault: FaultKind) -> list[int]:
        sandbox.faults.clear()
        sandbox.faults.plant(Fault(fault, "mailchimp", nth=2))
        session.get(members(sandbox, 0))
        body = session.get(members(sandbox, 2)).json()
        assert body["total_items"] == 6
        return [row["id"] for row in body["members"]]

    assert ids(FaultKind.MISSING_PAGE) == []
    assert ids(FaultKind.DUPLICATE_PAGE) == [2, 3, 2, 3]
    assert ids(FaultKind.REPEATED_PAGE) == [0, 1]


def test_a_repeated_cursor_leads_back_to_the_page(
    sandbox: Sandbox, session: requests.Session
) -> None:
    """A reader that trusts it never ends."""
    sandbox.faults.plant(Fault(FaultKind.REPEATED_CURSOR, "mailchimp", "/pages", times=None))
    here = f"{sandbox.base_url('mailchimp')}/pages?page=3"
    assert session.get(here).json()["links"]["next"] == here


def test_values_are_spoilt_in_as_many_rows_as_asked(
    sandbox: Sandbox, session: requests.Session
) -> None:
    """A consent field that is gone must stop the read, not read as 'no opt-out'."""

    def statuses(fault: Fault) -> list[Any]:
        sandbox.faults.clear()
        rows = spoilt(sandbox, session, fault).json()["members"]
        return [row.get("status", "absent") for row in rows]

    assert statuses(Fault(FaultKind.UNKNOWN_ENUM, "mailchimp")) == ["mystery", "subscribed"]
    assert statuses(Fault(FaultKind.FIELD_ABSENT, "mailchimp", rows=9)) == ["absent", "absent"]
    assert statuses(Fault(FaultKind.FIELD_NULL, "mailchimp")) == [None, "subscribed"]
    sandbox.faults.clear()
    total = spoilt(sandbox, session, Fault(FaultKind.WRONG_TOTAL, "mailchimp", rows=3)).json()
    assert total["total_items"] == 9


def test_a_skewed_clock_moves_stamps_and_date_alike(
    sandbox: Sandbox, session: requests.Session
) -> None:
    """A bound of the skew can only be found if both are off by the same."""
    answer = spoilt(sandbox, session, Fault(FaultKind.SKEW, "mailchimp", seconds=-300))
    assert answer.json()["members"][0]["changed"] == "2026-09-01T01:55:00Z"
    assert answer.headers["date"] == "Tue, 01 Sep 2026 02:00:00 GMT"


def test_a_slow_answer_is_right(sandbox: Sandbox, session: requests.Session) -> None:
    """Slow is not wrong."""
    fault = Fault(FaultKind.SLOW, "mailchimp", seconds=0.05)
    answer = spoilt(sandbox, session, fault)
    assert answer.elapsed.total_seconds() >= 0.05
    assert len(answer.json()["members"]) == 2


def test_a_plan_of_faults_is_its_seed() -> None:
    """A failure found with a seed must be found again with it."""
    assert plan(3, ("mailchimp", "klaviyo"), 20) == plan(3, ("mailchimp", "klaviyo"), 20)
    assert plan(3, ("mailchimp",), 20) != plan(4, ("mailchimp",), 20)
    assert {fault.kind for fault in plan(3, ("mailchimp",), 200)} == PASSING
