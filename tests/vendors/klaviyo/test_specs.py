"""Klaviyo's own specification judges the connector's questions and the twin's answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import parse_qsl

import pytest
from jsonschema import Draft202012Validator

from optout.http.client import HttpClient
from optout.http.transport import Transport
from optout.model import Categories, Source, State
from optout.sandbox.acts import Act, Mailing, Person
from optout.sandbox.klaviyo.twin import KlaviyoTwin
from optout.sandbox.server import Sandbox
from optout.testing.klaviyo import AT, CATEGORIES, CUTOFF
from optout.testing.outputs import MemoryOutput
from optout.vendors.base import Context, ReadRequest
from optout.vendors.klaviyo.connector import Klaviyo, KlaviyoConfig

SPECS = Path(__file__).parents[4] / "shared" / "specs" / "klaviyo"
pytestmark = [
    pytest.mark.specs,
    pytest.mark.skipif(not SPECS.is_dir(), reason="the vendor's specifications are not here"),
]
UNSPECIFIED = ("/api/accounts", "/api/flow-messages")
"""Endpoints whose specification is not among the saved ones."""

Exchange = tuple[str, Mapping[str, str], Mapping[str, str], int, Any]


@pytest.fixture(scope="module")
def operations() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Path template → (specification, operation)."""
    found = {}
    for name in ("profiles", "lists", "metrics", "events", "campaigns"):
        spec = json.loads((SPECS / f"{name}.json").read_text())
        for path, methods in spec["paths"].items():
            if "get" in methods:
                found[path] = (spec, methods["get"])
    return found


@pytest.fixture
def exchanges(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Exchange]]:
    """Every question and answer of a full and an incremental night, and of `check`."""
    seen: list[Exchange] = []
    original = Transport.exchange

    def spy(self: Transport, method: str, url: str, headers: Any, body: Any) -> Any:
        wire = original(self, method, url, headers, body)
        path, _, query = url.partition("?")
        data = json.loads(wire.body)
        place = path.partition("/klaviyo")[2]
        seen.append((place, dict(parse_qsl(query)), headers, wire.status, data))
        return wire

    monkeypatch.setattr(Transport, "exchange", spy)
    twin = _account()
    with Sandbox([twin], limits_on=False) as sandbox:
        table = {
            "name": "klaviyo", "vendor": "klaviyo", "base_url": sandbox.base_url("klaviyo"),
            "token_env": "KLAVIYO_KEY", "categories": twin.category_map(),
        }  # fmt: skip
        config = KlaviyoConfig.model_validate(table)
        now = [0.0]
        http = HttpClient(
            "klaviyo", config.base_url, Klaviyo.http_options(config, "pk_test"),
            clock=lambda: now[0],
            sleep=lambda seconds: now.__setitem__(0, now[0] + seconds),
        )  # fmt: skip
        connector = Klaviyo(Context(config, "pk_test", Categories(CATEGORIES), http))
        assert not [problem for problem in connector.check() if problem.fatal]
        for since in (None, AT - timedelta(days=1)):
            for stream in connector.streams(connector.config):
                state = {"members": dict.fromkeys(connector_lists(twin), 1000)}
                asked = ReadRequest(CUTOFF.date(), CUTOFF, since, state)
                connector.read(stream.name, asked, MemoryOutput())
    yield seen


def connector_lists(twin: KlaviyoTwin) -> list[str]:
    return [list_id for ids in twin.category_map().values() for list_id in ids]


def _account() -> KlaviyoTwin:
    twin = KlaviyoTwin(CATEGORIES, token="pk_test", rng=Random(1))
    twin.now = CUTOFF
    for number in range(1, 130):
        person = Person(number, f"p{number}@example.org", "Pat", "Doe", "DE")
        twin.add(person, {"promotional": State.OPTED_IN}, AT)
    act = Act(AT, Source.PREFERENCE_CENTER)
    twin.send(Mailing("m1", "Autumn", "promotional", AT), ["p1@example.org"])
    twin.send(Mailing("m2", "Receipt", None, AT), ["p1@example.org"])
    twin.send(Mailing("m3", "Bare", "promotional", AT, has_postal_address=False), [])
    twin.opt_out("p1@example.org", None, act)
    twin.opt_out("p2@example.org", "promotional", act)
    twin.complain("p3@example.org", "m1", AT)
    twin.bounce("p4@example.org", "m1", AT)
    return twin


def _template(path: str, known: Mapping[str, Any]) -> str:
    for template in known:
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            return template
    raise AssertionError(f"{path} is in no specification")


def test_every_question_is_one_that_the_vendor_documents(
    exchanges: list[Exchange], operations: dict[str, tuple[dict[str, Any], dict[str, Any]]]
) -> None:
    """A parameter, value, filter or operator that only our twin knows fails in production."""
    asked = set()
    for path, query, headers, _, _ in exchanges:
        assert headers["revision"] == "2026-07-15"
        if path.startswith(UNSPECIFIED):
            continue
        template = _template(path, operations)
        asked.add(template)
        _, operation = operations[template]
        parameters = {p["name"]: p["schema"] for p in operation["parameters"] if p["in"] == "query"}
        for name, value in query.items():
            _check_value(parameters[name], value)
        _check_filter(operation.get("x-klaviyo-filters", {}), query.get("filter", ""))
    assert asked == {
        "/api/profiles", "/api/lists", "/api/lists/{id}", "/api/lists/{id}/profiles",
        "/api/metrics", "/api/events", "/api/campaigns", "/api/campaign-messages/{id}",
    }  # fmt: skip


def _check_value(schema: dict[str, Any], text: str) -> None:
    if schema["type"] == "integer":
        assert schema["minimum"] <= int(text) <= schema["maximum"]
    words = text.split(",") if schema["type"] == "array" else [text]
    allowed = schema.get("items", schema).get("enum")
    assert allowed is None or set(words) <= set(allowed)


def _check_filter(fields: dict[str, Any], text: str) -> None:
    for operator, field in re.findall(r"(?<![\w.])([a-z-]+)\(([a-z_.]+),", text):
        if operator != "and":
            assert operator in fields[field]["operators"]["single"]


def test_every_answer_is_one_that_the_vendor_could_have_given(
    exchanges: list[Exchange], operations: dict[str, tuple[dict[str, Any], dict[str, Any]]]
) -> None:
    """A twin of another shape teaches the connector that shape."""
    checked = 0
    for path, _, _, status, data in exchanges:
        if path.startswith(UNSPECIFIED):
            continue
        assert status == 200
        spec, operation = operations[_template(path, operations)]
        schema = operation["responses"]["200"]["content"]["application/vnd.api+json"]["schema"]
        whole = {**_nullable(schema), "components": _nullable(spec["components"])}
        errors = list(Draft202012Validator(whole).iter_errors(data))
        assert not errors, f"{path}: {errors[0].json_path}: {errors[0].message[:200]}"
        checked += 1
    assert checked > 20


def _nullable(schema: Any) -> Any:
    """OpenAPI's `nullable` in the words of JSON Schema; `oneOf` as `anyOf`, since several of the
    specification's alternatives are alike."""
    if isinstance(schema, list):
        return [_nullable(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {"anyOf" if n == "oneOf" else n: _nullable(value) for n, value in schema.items()}
    if found.pop("nullable", None) is True:
        return {"anyOf": [found, {"type": "null"}]}
    return found


def test_the_limits_are_those_of_the_specification(
    operations: dict[str, tuple[dict[str, Any], dict[str, Any]]],
) -> None:
    """Limits from memory are either too slow or end in 429s."""
    config = KlaviyoConfig(
        name="klaviyo", vendor="klaviyo", base_url="https://a.klaviyo.com", token_env="KEY"
    )
    limits = Klaviyo.http_options(config, "pk_test").limits
    for template, (_, operation) in operations.items():
        told = operation["x-klaviyo-ratelimit"]
        burst, steady = int(told["burst"].split("/")[0]), int(told["steady"].split("/")[0])
        ours = [(each.requests, each.seconds) for each in limits if each.endpoint == template]
        if template == "/api/lists/{id}":  # with the count of members, by the operation's text
            assert "profile_count" in operation["description"]
            burst, steady = 1, 15
        assert ours in ([], [(burst, 1.0), (steady, 60.0)]), template
