"""Files that a vendor points to."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import pytest

from optout import errors
from optout.http.client import HttpClient, HttpOptions, Limit

Connect = Callable[..., HttpClient]
FILE = gzip.compress(b"email\n" + b"canary@example.org\n" * 50_000, mtime=0)


def test_a_file_comes_as_it_is_stored_and_without_our_credential(
    vendor: Any, connect: Connect
) -> None:
    """The link points to another company's storage, which must not see our token."""
    headers = {"Content-Type": "application/gzip", "Content-Encoding": "gzip"}
    vendor.script.append(vendor.reply(200, body=FILE, headers=headers))
    options = HttpOptions(headers={"Authorization": "Bearer t"}, limits=(Limit(1, 1000.0),))
    client = connect(options)
    assert b"".join(client.download(f"{vendor.url}/f.csv.gz?X-Sig=abc")) == FILE
    assert "Authorization" not in vendor.seen[0].headers
    assert vendor.seen[0].headers["User-Agent"].startswith("optout/")
    assert vendor.seen[0].path == "/f.csv.gz?X-Sig=abc"


@pytest.mark.parametrize("fault", [{"cut": 10}, {"cut": 10, "reset": True}, {"chunks": [FILE]}])
def test_a_file_that_ends_early_is_an_error(
    vendor: Any, connect: Connect, fault: dict[str, Any]
) -> None:
    """Half an export would make half the people look absent."""
    vendor.script.append(vendor.reply(200, body=FILE, **fault))
    with pytest.raises((errors.BrokenAnswer, errors.Unreachable)) as caught:
        b"".join(connect().download(f"{vendor.url}/f?email=canary@example.org"))
    assert "canary" not in str(caught.value)
    assert caught.value.__context__ is None


def test_opening_is_retried(vendor: Any, connect: Connect, clock: Any) -> None:
    """Storage says 503 now and then."""
    vendor.script += [
        vendor.reply(503, headers={"Retry-After": "11"}),
        vendor.reply(200, body=b"", silent=True),
    ]
    vendor.script.append(vendor.reply(200, body=b"abc"))
    client = connect()
    assert b"".join(client.download(f"{vendor.url}/f")) == b"abc"
    assert len(clock.slept) == 2
    assert clock.slept[0] == 11.0
    assert client.stats.retries == 2


@pytest.mark.parametrize("status", [302, 403, 404])
def test_an_expired_link_is_not_a_missing_scope(vendor: Any, connect: Connect, status: int) -> None:
    """Told to mend the token, people would look in the wrong place."""
    vendor.script.append(vendor.reply(status, headers={"Location": "https://evil.example/"}))
    with pytest.raises(errors.SourceError, match="wrong or has expired") as caught:
        connect().download(f"{vendor.url}/f", template="{export}")
    assert isinstance(caught.value, errors.Permanent)
    assert str(caught.value).startswith("sell GET {export}: ")


@pytest.mark.parametrize(
    "url", ["http://files.example/x", "file:///etc/passwd", "https://a@b/", ""]
)
def test_only_https_files_are_opened(connect: Connect, url: str) -> None:
    """The link is data: it must not read our disk or send names in clear."""
    with pytest.raises(errors.UnexpectedAnswer, match="not an https URL"):
        connect().download(url)
