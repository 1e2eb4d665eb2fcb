"""Nothing personal or secret in what leaves the package."""

from __future__ import annotations

import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optout.http.redact import RedactingFilter, Redactor

SECRET = "sk+live/9f8e7d6c=canary"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("for ana.canary+tag@example.org.", "for [address]."),
        ("<ana@example.org>,bob@b.example", "<[address]>,[address]"),
        ("mailto:ana@xn--bcher-kva.example", "mailto:[address]"),
        ("ünïcode@bücher.example here", "[address] here"),
        ("path /m/ana%2Bx%40example.org/tags", "path /m/[address]/tags"),
        ("'o'brien@example.org'", "'[address]'"),
        ("@dataclass on line 3 @ home", "@dataclass on line 3 @ home"),
        ('email "ana@localhost"', 'email "[address]"'),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer [secret]"),
        ("'basic YW55OmtleQ=='", "'basic [secret]'"),
        ("Klaviyo-API-Key pk_123", "Klaviyo-API-Key [secret]"),
        ("GET /x?email=a&b=2 HTTP/1.1", "GET /x?[query] HTTP/1.1"),
        ("see https://h.example/p?token=1", "see https://h.example/p?[query]"),
        ("from 203.0.113.9, 10.0.0.1:80", "from [ip], [ip]:80"),
        ("from 2001:db8::8a2e:370:7334 at 12:34:56", "from [ip] at 12:34:56"),
        ("[::1] ::ffff:192.0.2.1", "[[ip]] [ip]"),
        ("/members/9e107d9d372bb6826bd81d3542a419d6", "/members/[digest]"),
    ],
)
def test_personal_data_and_credentials_are_replaced(text: str, clean: str) -> None:
    """Whatever shape they come in."""
    assert Redactor()(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T06:00:00.123Z optout 0.1.0: 99.9 % of 12:30, std::move, a: b",
        "mailchimp GET /lists/{list_id}/members: 404, not found",
        "key " + "ab" * 32,
        "the Basic plan lacks this",
        "why? because; 1.2.3.4.5 is a section, 300.1.1.1 no host",
    ],
)
def test_what_is_neither_stays(text: str) -> None:
    """A message that hides times and versions helps nobody."""
    assert Redactor(("", "e", "any"))(text) == text


@given(st.text(max_size=20), st.text(max_size=20), st.sampled_from(["plain", "quoted"]))
def test_a_given_secret_never_remains(before: str, after: str, form: str) -> None:
    """Not even inside other text or a URL."""
    redact = Redactor((SECRET, "", SECRET[:8]))
    shown = SECRET if form == "plain" else "sk%2Blive%2F9f8e7d6c%3Dcanary"
    assert shown not in redact(before + shown + after)


@given(st.emails(), st.sampled_from([" ", "<", "\n", ",", '"']))
def test_no_address_survives(address: str, around: str) -> None:
    """Addresses have stranger letters than people think."""
    domain = address.rsplit("@", 1)[1]
    assert f"@{domain}" not in Redactor()(f"x{around}{address}{around}y")


@given(st.text(max_size=80))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    """Messages pass several borders."""
    redact = Redactor((SECRET,))
    once = redact(text)
    assert redact(once) == once


def test_the_filter_cleans_messages_arguments_and_tracebacks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A library's traceback quotes the URL, with the address in it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(RedactingFilter(Redactor((SECRET,))))
    log = logging.getLogger("test.redact")
    log.addHandler(handler)
    log.propagate = False
    try:
        try:
            raise ValueError("GET /?q=canary@example.org")
        except ValueError:
            log.exception("failed for %s with %s", "canary@example.org", SECRET, stack_info=True)
    finally:
        log.removeHandler(handler)
    said = capsys.readouterr().err
    assert "failed for [address] with [secret]" in said
    assert "ValueError: GET /?[query]" in said
    assert "canary@" not in said
