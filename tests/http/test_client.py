"""What a client asks, and what it makes of the answers."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from optout import errors
from optout.errors import SourceError, Transient
from optout.http.client import HttpClient, HttpOptions
from optout.http.retry import RetryPolicy, wait_until_epoch

Connect = Callable[..., HttpClient]
ADDRESS = "ana.canary+x@example.org"
TOKEN = "tok-5f2c9d-canary"
ONCE = RetryPolicy(attempts=1, limited_attempts=1)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.RequestRefused),
        (401, errors.AuthenticationFailed),
        (403, errors.PermissionMissing),
        (404, errors.NotFound),
        (408, errors.Unreachable),
        (410, errors.Gone),
        (422, errors.RequestRefused),
        (429, errors.RateLimited),
        (500, errors.ServerFault),
        (503, errors.ServerFault),
        (599, errors.ServerFault),
        (204, errors.UnexpectedAnswer),
        (304, errors.UnexpectedAnswer),
    ],
)
def test_each_status_becomes_the_error_that_on_call_acts_on(
    vendor: Any, connect: Connect, status: int, kind: type[SourceError]
) -> None:
    """A wrong kind retries what is hopeless, or gives up where patience would do."""
    vendor.script.append(vendor.reply(status))
    with pytest.raises(kind) as caught:
        connect(retry=ONCE).get("/v2/contacts/1", template="/v2/contacts/{id}")
    assert caught.value.status == status
    assert str(caught.value).startswith(f"sell GET /v2/contacts/{{id}}: {status}, ")
    assert len(vendor.seen) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_permanent_error_is_not_asked_again(vendor: Any, connect: Connect, status: int) -> None:
    """Hammering a vendor with a revoked token gets an account locked."""
    vendor.answer = lambda seen: vendor.reply(status)
    with pytest.raises(SourceError) as caught:
        connect().get("/x")
    assert isinstance(caught.value, errors.Permanent)
    assert len(vendor.seen) == 1


def test_a_fault_is_retried_with_growing_jittered_waits(
    vendor: Any, connect: Connect, clock: Any
) -> None:
    """One passing 500 in ten thousand pages must not cost the night."""
    vendor.script += [vendor.reply(500)] * 5
    client = connect()
    assert client.get("/x").data == {"ok": True}
    assert len(vendor.seen) == 6
    assert len(clock.slept) == 5
    assert all(slept <= 0.5 * 2**n for n, slept in enumerate(clock.slept))
    figures = client.stats.as_dict()
    assert (figures["requests"], figures["retries"], figures["failed"]) == (6, 5, 5)
    assert (figures["gave_up"], figures["rate_limited"]) == (0, 0)
    assert figures["waited_seconds"] == pytest.approx(sum(clock.slept), abs=0.001)


def test_retries_end(vendor: Any, connect: Connect) -> None:
    """A vendor that is down all night must not hold the run for ever."""
    vendor.answer = lambda seen: vendor.reply(502)
    client = connect()
    with pytest.raises(errors.ServerFault):
        client.get("/x")
    assert len(vendor.seen) == RetryPolicy().attempts
    assert client.stats.gave_up == 1


def test_the_budget_ends_retries_before_the_attempts_do(
    vendor: Any, connect: Connect, clock: Any
) -> None:
    """Many long waits in a row must not add up to hours."""
    vendor.answer = lambda seen: vendor.reply(429, headers={"Retry-After": "100"})
    with pytest.raises(errors.RateLimited):
        connect(retry=RetryPolicy(budget=250.0)).get("/x")
    assert len(vendor.seen) == 3
    assert clock.now - 1000.0 == pytest.approx(200.0)


def test_the_wait_that_the_vendor_tells_is_kept_to_the_second(
    vendor: Any, connect: Connect, clock: Any
) -> None:
    """Coming back early extends a vendor's ban."""
    vendor.script.append(vendor.reply(429, headers={"Retry-After": "7"}))
    client = connect()
    client.get("/x")
    assert clock.now - 1000.0 == pytest.approx(7.0)
    assert client.stats.rate_limited == 1
    assert client.stats.waited_seconds == pytest.approx(7.0)


def test_a_date_as_retry_after_is_read_by_the_vendors_own_clock(
    vendor: Any, connect: Connect, clock: Any
) -> None:
    """With a wrong clock on our side the wait would be hours, or none."""
    dates = {
        "Retry-After": "Fri, 01 Jan 2038 00:00:20 GMT",
        "Date": "Fri, 01 Jan 2038 00:00:05 GMT",
    }
    vendor.script.append(vendor.reply(429, headers=dates))
    connect().get("/x")
    assert clock.now - 1000.0 == pytest.approx(15.0)


def test_a_wait_above_the_maximum_ends_the_question_and_says_how_long(
    vendor: Any, connect: Connect, clock: Any
) -> None:
    """Sleeping through a daily quota would hold the run until the morning."""
    vendor.answer = lambda seen: vendor.reply(429, headers={"Retry-After": "3600"})
    with pytest.raises(errors.RateLimited) as caught:
        connect(retry=RetryPolicy(budget=10_000)).get("/x")
    assert caught.value.retry_after == 3600
    assert clock.slept == []


def test_a_connector_can_read_the_wait_from_the_vendors_own_header(
    vendor: Any, connect: Connect, clock: Any
) -> None:
    """SendGrid tells an epoch second and no Retry-After."""
    epoch = str(int(clock.wall().timestamp()) + 9)
    vendor.script.append(vendor.reply(429, headers={"X-Reset": epoch}))
    options = HttpOptions(retry_after=lambda a: wait_until_epoch(a, "X-Reset", clock.wall()))
    connect(options).get("/x")
    assert clock.now - 1000.0 == pytest.approx(9.0)


def test_a_bare_403_can_mean_too_many(vendor: Any, connect: Connect) -> None:
    """Mailchimp says so at high volume; taken for a missing permission it would end the night."""
    vendor.script.append(vendor.reply(403, body=b"", headers={"Content-Type": "text/html"}))
    options = HttpOptions(is_limited=lambda a: a.status == 403 and a.data is None)
    client = connect(options)
    assert client.get("/x").data == {"ok": True}
    assert client.stats.rate_limited == 1


def test_an_error_in_a_200_is_an_error(vendor: Any, connect: Connect) -> None:
    """Taken for an answer, it would read as an empty list."""
    vendor.answer = lambda seen: vendor.reply(200, {"success": False})
    options = HttpOptions(refusal=lambda a: None if "items" in a.data else f"refused {ADDRESS}")
    with pytest.raises(errors.BrokenAnswer, match=re.escape("200, refused [address]")):
        connect(options).get("/x")
    assert len(vendor.seen) == RetryPolicy().attempts


def test_a_hook_that_stumbles_makes_the_answer_broken_not_the_run(
    vendor: Any, connect: Connect
) -> None:
    """A KeyError out of a connector's lambda would be an internal error instead of a retry."""
    vendor.script.append(vendor.reply(200, [1]))
    options = HttpOptions(
        refusal=lambda a: a.data["meta"] and None, is_limited=lambda a: a.data["x"]
    )
    vendor.answer = lambda seen: vendor.reply(200, {"meta": 1, "x": 0})
    assert connect(options).get("/x").status == 200
    assert len(vendor.seen) == 2


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>maintenance</html>", "text/html; charset=utf-8"),
        (b'{"items": []}', "text/html"),
        (b'{"items": [1, 2', "application/json"),
        (b"", "application/json"),
        (b"null", "application/json"),
        (b'"ok"', "text/plain"),
        (b"OK", "text/plain"),
        (b'{"a": "\xff"}', "application/json"),
    ],
)
def test_an_answer_that_is_not_the_vendors_is_broken(
    vendor: Any, connect: Connect, body: bytes, kind: str
) -> None:
    """A proxy's error page or half an answer must never look like an empty list."""
    vendor.script.append(vendor.reply(200, body=body, headers={"Content-Type": kind}))
    with pytest.raises(errors.BrokenAnswer) as caught:
        connect(retry=ONCE).get("/x")
    assert isinstance(caught.value, Transient)


@pytest.mark.parametrize("kind", ["application/vnd.api+json", "application/problem+json", ""])
def test_json_by_another_name_is_json(vendor: Any, connect: Connect, kind: str) -> None:
    """Klaviyo's media type is its own."""
    vendor.script.append(vendor.reply(200, {"a": 1}, headers={"Content-Type": kind}))
    assert connect(retry=ONCE).get("/x").data == {"a": 1}


def test_a_status_that_was_asked_for_is_an_answer_whatever_it_is(
    vendor: Any, connect: Connect
) -> None:
    """Sell's drained queue says 204; a member who is not there says 404."""
    vendor.script += [vendor.reply(204, body=b""), vendor.reply(404, body=b"<html>no</html>")]
    client = connect()
    assert client.get("/q", ok=(200, 204)).data is None
    assert client.get("/q", ok=(200, 404)).status == 404


def test_a_post_sends_json_and_may_be_answered_with_nothing(vendor: Any, connect: Connect) -> None:
    """An acknowledgement has no body to give back."""
    vendor.script.append(vendor.reply(202, body=b""))
    answer = connect().post("/v2/sync/ack", {"keys": ["a"]}, ok=(200, 202, 204))
    assert answer.data is None
    assert vendor.seen[0].body == b'{"keys":["a"]}'
    assert vendor.seen[0].headers["Content-Type"] == "application/json"


def test_a_post_that_asks_for_something_is_not_answered_with_nothing(
    vendor: Any, connect: Connect
) -> None:
    """A batch without its statuses, an export without its number: lost on the way, not none."""
    vendor.script.append(vendor.reply(200, body=b""))
    vendor.answer = lambda seen: vendor.reply(200, {"results": []})
    assert connect().post("/batch/read", {"inputs": ["a"]}).data == {"results": []}
    assert len(vendor.seen) == 2


def test_a_plus_in_an_address_stays_a_plus(vendor: Any, connect: Connect) -> None:
    """As a space it would ask for somebody else."""
    connect().get("/v3/x", {"email": "a+b@example.org", "skip": None, "deep": True, "id": [1, 2]})
    assert vendor.seen[0].path == "/v3/x?email=a%2Bb%40example.org&deep=true&id=1&id=2"


def test_the_path_is_put_behind_the_base_urls_prefix(vendor: Any, connect: Connect) -> None:
    """A proxy or test server serves several vendors under prefixes."""
    client = connect(path="/sell/")
    client.get("/v2/contacts", {"page": 1})
    client.get(f"{vendor.url}/sell/v2/contacts?page=2")
    paths = [seen.path for seen in vendor.seen]
    assert paths == ["/sell/v2/contacts?page=1", "/sell/v2/contacts?page=2"]


def test_every_request_says_who_asks(vendor: Any, connect: Connect) -> None:
    """Sell refuses requests without a User-Agent."""
    options = HttpOptions(headers={"user-agent": "curl", "Authorization": f"Bearer {TOKEN}"})
    connect(options).get("/x", headers={"X-Device": "d1", "User-Agent": "other"})
    headers = vendor.seen[0].headers
    assert headers["User-Agent"] == "optout/0.1.0"
    assert headers["X-Device"] == "d1"
    assert headers["Authorization"] == f"Bearer {TOKEN}"


def test_basic_credentials_are_sent_and_not_overridden_by_netrc(
    vendor: Any, connect: Connect, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """requests prefers ~/.netrc to a header: another person's credential would be sent."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login thief password other\n")
    monkeypatch.setenv("NETRC", str(netrc))
    connect(HttpOptions(basic_auth=("any", "key"))).get("/x")
    assert vendor.seen[0].headers["Authorization"] == "Basic YW55OmtleQ=="


@pytest.mark.parametrize("token", ["secret-canary\n", "sécret-canary", "a\r\nX: secret-canary"])
def test_a_token_that_no_header_can_carry_is_a_setting_to_mend(token: str) -> None:
    """The library's own error would quote the token."""
    options = HttpOptions(headers={"Authorization": f"Bearer {token}"})
    with pytest.raises(errors.ConfigurationError) as caught:
        HttpClient("sell", "https://api.example.com", options)
    assert "canary" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("fault", ["status", "refused", "redirect", "html"])
def test_no_error_holds_an_address_or_a_token(
    vendor: Any, connect: Connect, fault: str, unused_port: int
) -> None:
    """Errors end in logs, alerts and tickets."""
    script = {
        "status": vendor.reply(400, {"error": ADDRESS}),
        "redirect": vendor.reply(302, headers={"Location": f"https://evil.example/?e={ADDRESS}"}),
        "html": vendor.reply(200, body=ADDRESS.encode(), headers={"Content-Type": "text/html"}),
    }
    options = HttpOptions(basic_auth=("sell", TOKEN))
    client = connect(options, retry=ONCE)
    if fault == "refused":
        url = f"http://127.0.0.1:{unused_port}"
        client = HttpClient("sell", url, options, retry=ONCE)
    else:
        vendor.script.append(script[fault])
    with pytest.raises(SourceError) as caught:
        client.get(f"/members/{ADDRESS}/{TOKEN}", {"email": ADDRESS, "key": TOKEN})
    said = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    said = re.sub(r'File ".*?\n.*?\n(\s+[\^~]+\n)?', "", said)
    assert "canary" not in said
    assert caught.value.__context__ is None
