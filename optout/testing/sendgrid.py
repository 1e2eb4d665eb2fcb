"""A SendGrid twin behind its server, with connectors for it: what the tests of SendGrid share."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

from optout.http.client import HttpClient
from optout.http.retry import RetryPolicy
from optout.model import Categories, Source
from optout.records import Reading
from optout.sandbox.acts import Act, Mailing, Person
from optout.sandbox.sendgrid.twin import SendGridTwin
from optout.sandbox.server import Sandbox
from optout.testing.outputs import MemoryOutput
from optout.vendors.base import Context, ReadRequest
from optout.vendors.sendgrid.connector import SendGrid, SendGridConfig

AT = datetime(2026, 10, 1, 8, tzinfo=UTC)
"""When people act."""
NOW = AT + timedelta(hours=16)
"""When the night is read."""
CATEGORIES = Categories(("product_updates", "promotional", "events"))
MAPPED = ("product_updates", "promotional")
"""Categories that have a group: 20001 and 20002."""
MAILING = Mailing("m1", "Autumn", "promotional", AT + timedelta(hours=1))


class SendGridBench:
    """A twin with five contacts, its server, and connectors for it."""

    def __init__(self) -> None:
        self.twin = SendGridTwin(MAPPED, token="SG.test", rng=Random(3))  # noqa: S106, S311
        self.twin.now = NOW
        for number in range(1, 6):
            self.twin.add(Person(number, f"P{number}@Example.org", "Pat", "Doe"), {}, AT)
        self.sandbox = Sandbox([self.twin])
        self.waits: list[float] = []
        """Seconds that were slept by nobody."""

    def connector(self, token: str = "SG.test", **settings: Any) -> SendGrid:  # noqa: S107
        """A connector whose key is `token`, with further settings."""
        categories = {name: tuple(ids) for name, ids in self.twin.category_map().items()}
        url = self.sandbox.base_url("sendgrid")
        config = SendGridConfig(**{
            "name": "sendgrid", "vendor": "sendgrid", "base_url": url, "token_env": "SG_KEY",
            "categories": categories, **settings,
        })  # fmt: skip
        http = HttpClient(
            "sendgrid", url, SendGrid.http_options(config, token), secrets=(token,),
            retry=RetryPolicy(attempts=3, base=0.0), sleep=self.waits.append,
        )  # fmt: skip
        return SendGrid(Context(config, token, CATEGORIES, http), sleep=self.waits.append)

    def read(
        self,
        stream: str,
        out: MemoryOutput | None = None,
        *,
        since: datetime | None = None,
        **settings: Any,
    ) -> MemoryOutput:
        """Read one stream to its end (or to the exception that it raises)."""
        out = out or MemoryOutput()
        request = ReadRequest(date(2026, 10, 1), NOW, since, now=NOW)
        self.connector(**settings).read(stream, request, out)
        return out


def link(at: datetime = AT, **kwargs: Any) -> Act:
    """The person used the link of a message."""
    return Act(at, Source.EMAIL_LINK, **kwargs)


def readings(out: MemoryOutput) -> dict[str | None, Reading]:
    """The readings by address."""
    return {row.address: row for row in out.of(Reading)}
