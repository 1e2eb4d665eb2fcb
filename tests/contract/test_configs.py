"""A connector is built with its own options or not at all."""

from __future__ import annotations

import pytest

from optout.http.client import HttpClient, HttpOptions
from optout.model import Categories
from optout.vendors import VENDORS
from optout.vendors.base import Context, SystemConfig

URL = "http://127.0.0.1:1"


def test_the_options_of_another_system_are_refused(vendor: str) -> None:
    """A wiring fault would else show in the middle of a night, as a lacking attribute."""
    config = SystemConfig(name="esp", vendor=vendor, base_url=URL, token_env="TOKEN")
    http = HttpClient("esp", URL, HttpOptions())
    context = Context(config, "secret", Categories(("events",)), http)
    with pytest.raises(TypeError, match=f"the connector {vendor} needs a"):
        VENDORS[vendor](context)
