"""Mailchimp's own specification judges the connector's questions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from optout.testing.mailchimp import DAY, World, busy

SPEC = Path(__file__).parents[4] / "shared/specs/mailchimp/marketing.subset.swagger.json"


def documented(path: str, paths: dict[str, Any]) -> dict[str, Any]:
    """The documented parameters of the operation that a path is, by name."""
    parts = path.split("/")
    for template, operations in paths.items():
        names = template.split("/")
        if len(names) == len(parts) and all(
            name == part or name.startswith("{") for name, part in zip(names, parts, strict=True)
        ):
            given = operations.get("parameters", []) + operations["get"].get("parameters", [])
            return {each["name"]: each for each in given if each["in"] == "query"}
    raise AssertionError(f"no documented path: {path}")


@pytest.mark.specs
def test_every_request_is_one_that_the_vendor_documents(world: World) -> None:
    """A parameter that the vendor ignores would look as if it filtered."""
    if not SPEC.exists():
        pytest.skip("the vendor's specification is not beside the repository")
    paths = json.loads(SPEC.read_text())["paths"]
    busy(world)
    connector = world.connector()
    assert list(connector.check()) == []
    for stream in connector.streams(connector.config):
        world.read(stream.name, connector=connector)
    state = {"through": DAY.isoformat()}
    world.read("members", since=DAY)
    world.read("activity", state=state)
    assert len(world.requests) > 50
    for path, params in world.requests:
        known = documented(path, paths)
        for name, value in params.items():
            assert name in known, (path, name)
            rule = known[name]
            words = rule.get("enum", [value])
            assert value in words or [value] in words
            assert rule["type"] != "integer" or value <= rule.get("maximum", value)
