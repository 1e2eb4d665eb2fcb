"""What holds for every stream of Sell: secrets kept, stores named."""

from __future__ import annotations

import logging

import pytest

from optout.errors import SourceError
from optout.records import Reading
from optout.sandbox.faults import Fault, FaultKind
from optout.testing.zendesk_sell import TOKEN, Hub, fill


def test_no_address_or_token_in_logs_and_errors(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    """Logs are kept by people who may not see addresses."""
    caplog.set_level(logging.DEBUG)
    fill(hub, 120)
    for i, endpoint in enumerate(("/contacts", "/sync", "/stream", "/custom_fields")):
        fault = Fault(FaultKind.SERVER_ERROR, "zendesk_sell", endpoint, nth=1 + i % 2)
        hub.sandbox.faults.plant(fault)
    for stream in hub.streams():
        assert hub.read(stream.name).status == "complete"
    hub.sandbox.faults.plant(Fault(FaultKind.TRUNCATED, "zendesk_sell", times=None))
    for stream in hub.streams():
        with pytest.raises(SourceError) as caught:
            hub.read(stream.name)
        assert "example.org" not in str(caught.value)
        assert TOKEN not in str(caught.value)
    assert "hub" in caplog.text
    assert "example.org" not in caplog.text
    assert TOKEN not in caplog.text


def test_every_snapshot_stream_names_the_stores_that_it_closes(hub: Hub) -> None:
    """The loader closes what is absent from a full read of these stores only."""
    fill(hub, 2)
    hub.add("lea", lead=True)
    for stream in hub.streams():
        stores = {r.store for r in hub.read(stream.name).of(Reading)}
        assert not stream.snapshot or stores == set(stream.stores)
