"""What the wire can do to an answer, and where requests may go."""

from __future__ import annotations

import gzip
import logging
import time
import weakref
from collections.abc import Callable
from typing import Any

import orjson
import pytest
import requests
from requests.adapters import HTTPAdapter

from optout import errors
from optout.http.client import HttpClient, HttpOptions
from optout.http.retry import RetryPolicy
from optout.http.transport import PooledAdapter
from optout.http.urls import BaseUrl, quote_segment

Connect = Callable[..., HttpClient]
ONCE = RetryPolicy(attempts=1, limited_attempts=1)
MANY = {"items": [{"id": n, "name": "x" * 50} for n in range(2000)]}


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"silent": True}, errors.Unreachable),
        ({"silent": True, "reset": True}, errors.Unreachable),
        ({"cut": 1000, "reset": True}, errors.Unreachable),
        ({"cut": 1}, errors.BrokenAnswer),
        ({"cut": 60_000}, errors.BrokenAnswer),
        ({"chunks": [b'{"items": [1, ']}, errors.Unreachable),
        ({"chunks": [b'{"items": [1]}']}, errors.Unreachable),
        ({"body": b"not gzip", "headers": {"Content-Encoding": "gzip"}}, errors.BrokenAnswer),
    ],
)
def test_a_broken_transfer_is_asked_again_and_never_read(
    vendor: Any, connect: Connect, fault: dict[str, Any], kind: type[errors.SourceError]
) -> None:
    """Half a page taken for a whole one loses the opt-outs in its other half."""
    vendor.script.append(vendor.reply(200, MANY, **fault))
    with pytest.raises((errors.Unreachable, errors.BrokenAnswer)) as caught:
        connect(retry=ONCE).get("/x")
    if not (fault.get("chunks") or fault.get("reset")):
        assert type(caught.value) is kind
    vendor.script.append(vendor.reply(200, MANY, **fault))
    assert connect().get("/x").data == {"ok": True}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (rb'{"name": "Zo\ud83d", "n": 1.5}', "Zo\ufffd"),
        (rb'{"name": "\ude00e", "n": 1.5}', "\ufffde"),
        (rb'{"name": "\ud83d\ud83d\ude00", "n": 1.5}', "\ufffd\U0001f600"),
        (rb'{"name": "C:\\ud83d\ude00", "n": 1.5}', "C:\\ud83d\ufffd"),
        (b'{"name": "Zo\n\x01", "n": 1.5}', "Zo\n\x01"),
    ],
)
def test_one_odd_character_does_not_keep_a_system_from_being_read(
    vendor: Any, connect: Connect, body: bytes, said: str
) -> None:
    """A name that was cut in the middle of a character would make every night incomplete."""
    vendor.script.append(vendor.reply(200, body=body))
    assert connect(retry=ONCE).get("/x").data == {"name": said, "n": 1.5}


@pytest.mark.parametrize(
    "body",
    [b'{"n": NaN}', b'{"n": 1e400}', b'{"n": -Infinity}', b"[" * 2000 + b"]" * 2000,
     rb'{"name": "Zo\ud83d', b'{"name": "\xe9"}', rb'{"name": "\ud83d"} {"more": 1}'],
)  # fmt: skip
def test_what_is_wrong_otherwise_is_broken_all_the_same(
    vendor: Any, connect: Connect, body: bytes
) -> None:
    """Leniency about characters must not read half an answer, or a number that is none."""
    vendor.script.append(vendor.reply(200, body=body))
    with pytest.raises(errors.BrokenAnswer):
        connect(retry=ONCE).get("/x")


def test_a_gzip_answer_is_unpacked_and_a_cut_one_is_broken(vendor: Any, connect: Connect) -> None:
    """zlib gives out what it has: a cut stream must not pass for a shorter list."""
    packed = gzip.compress(orjson.dumps(MANY))
    headers = {"Content-Encoding": "gzip"}
    vendor.script.append(vendor.reply(200, body=packed, headers=headers))
    vendor.script.append(vendor.reply(200, body=packed[:-200], headers=headers))
    client = connect(retry=ONCE)
    assert client.get("/x").data == MANY
    with pytest.raises(errors.BrokenAnswer):
        client.get("/x")


def test_nobody_at_the_port_is_unreachable(unused_port: int, clock: Any) -> None:
    """A refused connection is the most usual way for a vendor to be down."""
    url = f"http://127.0.0.1:{unused_port}"
    client = HttpClient("sell", url, HttpOptions(), sleep=clock.sleep, clock=clock)
    with pytest.raises(errors.Unreachable) as caught:
        client.get("/x")
    assert str(caught.value) == "sell GET /x: the connection failed or broke"
    assert client.stats.requests == RetryPolicy().attempts


def test_a_silent_vendor_is_given_up_in_time(vendor: Any, connect: Connect) -> None:
    """Without a time-out one hung connection stops the night."""
    vendor.answer = lambda seen: time.sleep(0.4) or vendor.reply(200)
    with pytest.raises(errors.Unreachable, match="no answer in time"):
        connect(HttpOptions(read_timeout=0.05), retry=ONCE).get("/x")


def test_a_trickling_answer_is_given_up_in_time(vendor: Any, connect: Connect) -> None:
    """A byte a minute resets the read time-out for ever."""
    ticking = iter(range(1000))
    client = connect(HttpOptions(total_timeout=5.0), retry=ONCE, clock=lambda: 3.0 * next(ticking))
    vendor.script.append(vendor.reply(200, MANY))
    with pytest.raises(errors.Unreachable, match="no answer in time"):
        client.get("/x")


def test_connections_are_kept_alive(vendor: Any, connect: Connect) -> None:
    """A TLS handshake for each page doubles the night."""
    ports = set()
    inner = vendor.server.process_request

    def count(request: Any, address: Any) -> None:
        ports.add(address)
        inner(request, address)

    vendor.server.process_request = count
    client = connect()
    for _ in range(5):
        client.get("/x")
    vendor.script.append(vendor.reply(500, {"e": 1}))
    client.get("/x")
    assert len(ports) == 1


def test_a_client_that_was_closed_lets_go_of_its_connections(vendor: Any, connect: Connect) -> None:
    """A pool remembered beyond its closing holds a credential's connections open for ever."""
    adapter = PooledAdapter()
    client = connect(retry=ONCE, adapter=adapter)
    client.get("/x")
    request = requests.Request("GET", vendor.url).prepare()
    pool = weakref.ref(adapter.get_connection_with_tls_context(request, True, {}))
    client.close()
    assert pool() is None
    assert client.get("/x").data == {"ok": True}


def test_a_pool_belongs_to_one_origin_and_one_way_of_verifying() -> None:
    """A connection remembered for another host, proxy or certificate would speak to the wrong
    one, or to one that nobody has verified."""
    adapter = PooledAdapter()
    ways = [
        (f"{scheme}://{host}/path", verify, proxies)
        for scheme in ("http", "https")
        for host in ("a.example", "b.example", "a.example:8443")
        for verify in (True, "/bundle.pem")
        for proxies in ({}, {scheme: "http://proxy.example:3128"})
    ]
    plain = HTTPAdapter()
    for _ in range(2):
        for url, verify, proxies in ways:
            request = requests.Request("GET", url).prepare()
            found = adapter.get_connection_with_tls_context(request, verify, proxies)
            right = plain.get_connection_with_tls_context(request, verify, proxies)
            assert (found.scheme, found.host, found.port) == (right.scheme, right.host, right.port)
            assert found.proxy == right.proxy  # type: ignore[attr-defined]
            assert getattr(found, "ca_certs", None) == getattr(right, "ca_certs", None)


def test_a_redirect_to_another_host_is_refused_for_good(vendor: Any, connect: Connect) -> None:
    """Followed, it would hand our credential to whoever answers there."""
    for target in (
        "https://evil.example/x",
        "//evil.example/x",
        "http://127.0.0.1:1/x",
        "http://[",
    ):
        vendor.script.append(vendor.reply(302, headers={"Location": target}))
        with pytest.raises(errors.UnexpectedAnswer):
            connect().get("/x")
    assert len(vendor.seen) == 4


def test_a_redirect_at_the_same_origin_is_followed_within_bounds(
    vendor: Any, connect: Connect
) -> None:
    """A moved path is no fault; a circle is."""
    vendor.script.append(vendor.reply(301, headers={"Location": "/new?page=1"}))
    client = connect()
    assert client.get("/old").data == {"ok": True}
    assert vendor.seen[-1].path == "/new?page=1"
    vendor.answer = lambda seen: vendor.reply(302, headers={"Location": "/circle"})
    with pytest.raises(errors.UnexpectedAnswer, match="without end"):
        client.get("/circle")


def test_a_post_is_only_redirected_with_its_body(vendor: Any, connect: Connect) -> None:
    """A 302 turns it into a GET: an acknowledgement would silently become a read."""
    vendor.script.append(vendor.reply(307, headers={"Location": "/new"}))
    vendor.script.append(vendor.reply(200))
    vendor.script.append(vendor.reply(302, headers={"Location": "/new"}))
    client = connect()
    client.post("/old", {"a": 1})
    assert vendor.seen[-1].body == b'{"a":1}'
    with pytest.raises(errors.UnexpectedAnswer, match="drops the body"):
        client.post("/old", {"a": 1})


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v2/x",
        "http://127.0.0.1.evil.example/x",
        "//evil.example/x",
        "ftp://127.0.0.1/x",
        "",
        "v2/contacts",
    ],
)
def test_a_link_to_another_origin_is_refused_before_anything_is_sent(
    vendor: Any, connect: Connect, link: str
) -> None:
    """A vendor's next link is data; data does not choose where our credential goes."""
    with pytest.raises(errors.UnexpectedAnswer) as caught:
        connect().get(link, template="/next")
    assert "evil" not in str(caught.value)
    assert vendor.seen == []


@pytest.mark.parametrize(
    "link", ["https://api.example.com@evil.example/x", "https://api.example.com\\@evil.example/x"]
)
def test_a_link_that_only_looks_like_ours_is_refused(link: str) -> None:
    """Two parsers that read a URL differently are a way out."""
    base = BaseUrl("sell", "https://api.example.com/p", allow_plain_http=False)
    with pytest.raises(errors.UnexpectedAnswer):
        base.join(link, request="GET /x")
    assert base.join("https://API.example.com:443/y?a=1", {"b": 2}, request="") == (
        "https://api.example.com/y?a=1&b=2"
    )


@pytest.mark.parametrize(
    "url",
    ["http://api.example.com", "ftp://api.example.com", "https://u:p@x.example", "https:///x"],
)
def test_a_base_url_that_would_leak_the_credential_is_a_setting_to_mend(url: str) -> None:
    """Plain http shows the token to the whole way."""
    with pytest.raises(errors.ConfigurationError) as caught:
        HttpClient("sell", url, HttpOptions())
    assert caught.value.key == "sell.base_url"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://localhost:9", "http://[::1]:9/sell"])
def test_plain_http_is_for_this_machine_or_by_consent(url: str) -> None:
    """The sandbox and a proxy beside us need no certificate."""
    here = BaseUrl("sell", url, allow_plain_http=False)
    assert here.join("/x", request="GET /x") == f"{url}/x"
    assert HttpClient("sell", url, HttpOptions()).system == "sell"
    allowed = HttpOptions(allow_plain_http=True)
    assert HttpClient("sell", "http://api.example.com", allowed).system == "sell"


def test_a_segment_is_quoted_whole() -> None:
    """An address with a slash, or an id of dots, would ask for something else."""
    assert quote_segment("a+b/c@example.org") == "a%2Bb%2Fc%40example.org"
    assert quote_segment(12) == "12"
    for trap in ("", ".", ".."):
        with pytest.raises(errors.UnexpectedAnswer):
            quote_segment(trap)


def test_a_proxy_is_not_asked_for_this_machine(
    vendor: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    """A company's proxy in the environment would break the sandbox."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused_port}")
    assert connect(retry=ONCE).get("/x").status == 200


def test_urllib3_does_not_log_the_query(
    vendor: Any, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """At level DEBUG it writes each URL with the address in it."""
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "urllib3"):
        connect().get("/lists/members/0123456789abcdef0123456789abcdef", {"email": "canary@a.org"})
        vendor.script.append(vendor.reply(500))
        connect().get("/canary@a.org", {"email": "canary@a.org"})
    assert "/lists/members/[digest]?[query]" in caplog.text
    assert "canary" not in caplog.text
