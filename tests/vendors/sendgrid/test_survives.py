"""SendGrid's streams killed at every durable step, and what the vendor's files may look like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from random import Random

import pytest

from optout.errors import BrokenAnswer
from optout.http.client import Answer, HttpClient
from optout.model import Categories, Source
from optout.records import Row
from optout.sandbox.acts import Act, Mailing, Person
from optout.sandbox.sendgrid.twin import SendGridTwin
from optout.sandbox.server import Sandbox
from optout.testing.outputs import Killed, MemoryOutput
from optout.testing.sendgrid import AT, NOW
from optout.vendors.base import Context, ReadRequest
from optout.vendors.sendgrid import contacts as sendgrid_contacts
from optout.vendors.sendgrid.connector import SendGrid, SendGridConfig

CATEGORIES = Categories(("product_updates", "promotional"))
STREAMS = ("unsubscribes", "groups", "spam_reports", "contacts", "messages", "campaigns")


@pytest.fixture
def twin() -> SendGridTwin:
    """An account with a subuser, so that each stream has two steps."""
    twin = SendGridTwin(CATEGORIES.names, token="SG.test", rng=Random(7))
    twin.now = NOW
    for number in range(12):
        address = f"p{number}@example.org"
        twin.add(Person(number, address, "Pat", "Doe"), {}, AT)
        act = Act(AT + timedelta(seconds=number), Source.EMAIL_LINK)
        twin.opt_out(address, (None, "promotional", "product_updates")[number % 3], act)
    twin.send(Mailing("m", "Autumn", "promotional", AT), ["p1@example.org", "p2@example.org"])
    twin.complain("p1@example.org", "m", AT)
    shop = twin.add_subuser("shop")
    for number in range(4):
        shop.put_contact(f"s{number}@example.org", f"s-{number}", AT)
        shop.unsubscribe(f"s{number}@example.org", AT)
    return twin


@pytest.fixture
def sandbox(twin: SendGridTwin, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    monkeypatch.setattr("optout.vendors.sendgrid.lists.PAGE", 3)
    monkeypatch.setattr(sendgrid_contacts, "ROWS_TO_A_PAGE", 2)
    with Sandbox([twin]) as running:
        yield running


def connector(sandbox: Sandbox) -> SendGrid:
    url = sandbox.base_url("sendgrid")
    config = SendGridConfig(
        name="sendgrid", vendor="sendgrid", base_url=url, token_env="SG_KEY",
        categories={"product_updates": ("20001",), "promotional": ("20002",)},
    )  # fmt: skip
    http = HttpClient("sendgrid", url, SendGrid.http_options(config, "SG.test"))
    context = Context(config, "SG.test", CATEGORIES, http)
    return SendGrid(context, sleep=lambda seconds: None)


def read(sandbox: Sandbox, stream: str, out: MemoryOutput) -> MemoryOutput:
    request = ReadRequest(date(2026, 10, 1), NOW, None, now=NOW)
    connector(sandbox).read(stream, request, out)
    return out


def rows(out: MemoryOutput) -> Counter[Row]:
    return Counter(out.rows)


@pytest.mark.parametrize("stream", STREAMS)
def test_a_read_may_be_killed_at_any_step(sandbox: Sandbox, stream: str) -> None:
    """Killed at step 1, 2, 3 ... and resumed: the same rows as the undisturbed read."""
    whole = read(sandbox, stream, MemoryOutput())
    assert whole.status == "complete"
    assert whole.rows
    for kill_at in range(1, len(whole.calls) + 1):
        for durable in (1, 2):
            out = MemoryOutput(kill_at=kill_at, durable_pages=durable)
            with pytest.raises(Killed):
                read(sandbox, stream, out)
            again = read(sandbox, stream, out.resumed())
            assert again.status == "complete"
            assert again.read_total == whole.read_total
            assert rows(again) == rows(whole)


def test_reading_twice_says_the_same(sandbox: Sandbox) -> None:
    """Ids must not depend on the moment or the order of the read."""
    for stream in STREAMS:
        first = read(sandbox, stream, MemoryOutput())
        assert rows(first) == rows(read(sandbox, stream, MemoryOutput()))


def test_a_subuser_that_came_since_begins_the_read_anew(
    sandbox: Sandbox, twin: SendGridTwin
) -> None:
    """A place among other accounts is no place in these."""
    out = MemoryOutput(kill_at=2)
    with pytest.raises(Killed):
        read(sandbox, "unsubscribes", out)
    twin.add_subuser("new").unsubscribe("n@example.org", AT)
    again = read(sandbox, "unsubscribes", out.resumed())
    assert "restart" in again.calls
    assert again.status == "complete"
    assert rows(again) == rows(read(sandbox, "unsubscribes", MemoryOutput()))


@pytest.mark.parametrize(
    ("head", "row"),
    [
        (b'"NAME","CONTACT_ID"', b'"x","1"'),
        (b'"EMAIL"', b'"a@example.org"'),
        (b'"EMAIL","CONTACT_ID"', b'"a@example.org"'),
        (b'"EMAIL","CONTACT_ID"', b'"a@example.org","1","2"'),
        (b'"EMAIL","CONTACT_ID"', b"\xff\xfe,1"),
        (b'"EMAIL","CONTACT_ID"', b'"a@exa"mple.org","1"'),
    ],
)
def test_a_file_of_another_shape_is_an_error(
    sandbox: Sandbox, twin: SendGridTwin, head: bytes, row: bytes
) -> None:
    """Columns that moved or vanished would make contacts out of something else."""
    out = MemoryOutput(kill_at=2)
    with pytest.raises(Killed):
        read(sandbox, "contacts", out)
    [job] = twin.main.exports.values()
    job.parts[:] = [head + b"\n" + row + b"\n"]
    with pytest.raises(BrokenAnswer):
        read(sandbox, "contacts", out.resumed())


def test_a_contact_without_an_address_is_counted_and_no_row(
    sandbox: Sandbox, twin: SendGridTwin
) -> None:
    """Contacts may be known by phone only; they must not break the count of the export."""
    twin.main.contacts["phone"] = {
        "id": "c-9", "email": "", "alternate_emails": [], "updated_at": "2026-10-01T00:00:00Z",
    }  # fmt: skip
    out = read(sandbox, "contacts", MemoryOutput())
    assert (out.status, out.read_total) == ("complete", 17)
    assert out.note and "1 contacts have no address" in out.note


def test_the_wait_is_told_by_the_reset_header() -> None:
    """A 429 has no Retry-After; a reset far away means that two clocks differ."""
    config = SendGridConfig(
        name="sendgrid", vendor="sendgrid", base_url="https://api.sendgrid.com", token_env="K"
    )
    wait = SendGrid.http_options(config, "SG.x").retry_after
    assert wait is not None
    date_header = "Thu, 01 Oct 2026 08:00:00 GMT"
    second = int(AT.timestamp())
    for reset, expected in ((second + 20, 20.0), (second + 9_000, None), (second - 5, 0.0)):
        headers = {"X-RateLimit-Reset": str(reset), "Date": date_header}
        assert wait(Answer(429, headers, None)) == expected
