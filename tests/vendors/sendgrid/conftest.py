"""A SendGrid twin with five contacts behind its server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from optout.testing.sendgrid import SendGridBench as Bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    with bench.sandbox:
        yield bench
