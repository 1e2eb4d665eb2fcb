"""The twin's answers against the vendor's official specifications, where they are present."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
import requests

from optout.model import Source
from optout.sandbox.acts import Act, Mailing, Person
from optout.sandbox.sendgrid.twin import SendGridTwin
from optout.sandbox.server import Sandbox

jsonschema = pytest.importorskip("jsonschema")
SPECS = Path(__file__).parents[3] / "shared" / "specs" / "sendgrid"
pytestmark = [
    pytest.mark.specs,
    pytest.mark.skipif(not SPECS.is_dir(), reason="the vendor's specifications are not here"),
]

AT = datetime(2026, 10, 1, 8, tzinfo=UTC)
GROUP = "/v3/asm/groups/{group_id}"
CASES = [
    ("tsg_suppressions_v3", f"/v3/suppression/{name}", f"/v3/suppression/{name}")
    for name in ("unsubscribes", "bounces", "blocks", "invalid_emails", "spam_reports")
] + [
    ("tsg_suppressions_v3", "/v3/asm/groups", "/v3/asm/groups"),
    ("tsg_suppressions_v3", GROUP, "/v3/asm/groups/20001"),
    ("tsg_suppressions_v3", f"{GROUP}/suppressions", "/v3/asm/groups/20001/suppressions"),
    ("tsg_suppressions_v3", "/v3/asm/suppressions", "/v3/asm/suppressions"),
    ("tsg_suppressions_v3", "/v3/asm/suppressions/{email}", "/v3/asm/suppressions/p1@example.org"),
    ("tsg_scopes_v3", "/v3/scopes", "/v3/scopes"),
    ("tsg_mc_contacts_v3", "/v3/marketing/contacts", "/v3/marketing/contacts"),
    ("tsg_mc_contacts_v3", "/v3/marketing/contacts/count", "/v3/marketing/contacts/count"),
    ("tsg_mc_contacts_v3", "/v3/marketing/contacts/exports", "/v3/marketing/contacts/exports"),
    ("tsg_mc_contacts_v3", "/v3/marketing/contacts/exports/{id}", "EXPORT"),
    ("tsg_mc_singlesends_v3", "/v3/marketing/singlesends", "/v3/marketing/singlesends"),
    ("tsg_mc_singlesends_v3", "/v3/marketing/singlesends/{id}", "SEND"),
    ("tsg_mc_senders_v3", "/v3/marketing/senders", "/v3/marketing/senders"),
    ("tsg_mc_senders_v3", "/v3/marketing/senders/{id}", "/v3/marketing/senders/1"),
    ("tsg_logs_v3", "/v3/logs", "POST"),
    ("tsg_logs_v3", "/v3/logs/{sg_message_id}", "LOG"),
    ("tsg_email_activity_v3", "/v3/messages", '/v3/messages?query=status%3D"delivered"'),
    ("tsg_email_activity_v3", "/v3/messages/{msg_id}", "MESSAGE"),
]


@pytest.fixture(scope="module")
def twin() -> SendGridTwin:
    twin = SendGridTwin(("news",), token="SG.test", rng=Random(1))
    twin.now = AT
    twin.activity_on = True
    addresses = [f"p{number}@example.org" for number in range(1, 6)]
    for number, address in enumerate(addresses):
        twin.add(Person(number, address, "Pat", "Doe"), {}, AT)
    twin.send(Mailing("m", "Autumn", "news", AT), addresses[:1])
    act = Act(AT, Source.EMAIL_LINK, campaign_id="m")
    twin.opt_out(addresses[0], None, act)
    twin.opt_out(addresses[0], "news", act)
    twin.opt_in(addresses[0], "news", act)
    twin.opt_out(addresses[1], "news", act)
    twin.click(addresses[0], "m", AT)
    twin.bounce(addresses[0], "m", AT)
    twin.complain(addresses[0], "m", AT)
    for name in ("blocks", "invalid_emails"):
        entry = {"created": 1, "email": addresses[2], "reason": "x", "status": "4.0.0"}
        twin.main.lists[name][addresses[2]] = entry
    return twin


@pytest.fixture(scope="module")
def ask(twin: SendGridTwin) -> Iterator[Any]:
    with Sandbox([twin]) as sandbox:
        url, headers = sandbox.base_url("sendgrid"), {"Authorization": "Bearer SG.test"}
        base = f"{url}/v3/marketing/contacts/exports"
        job = requests.post(base, headers=headers, json={}, timeout=10).json()["id"]
        twin.main.exports[job].polls_left = 0
        special = {
            "EXPORT": f"/v3/marketing/contacts/exports/{job}",
            "SEND": f"/v3/marketing/singlesends/{next(iter(twin.main.single_sends))}",
            "LOG": f"/v3/logs/{next(iter(twin.main.messages))}",
            "MESSAGE": f"/v3/messages/{next(iter(twin.main.messages))}",
        }

        def get(path: str) -> requests.Response:
            if path == "POST":
                return requests.post(f"{url}/v3/logs", headers=headers, json={}, timeout=10)
            return requests.get(url + special.get(path, path), headers=headers, timeout=10)

        yield get


@pytest.mark.parametrize(("spec", "template", "path"), CASES, ids=[case[1] for case in CASES])
def test_an_answer_has_the_specified_shape(ask: Any, spec: str, template: str, path: str) -> None:
    """A shape of our own invention would be proven against itself."""
    document = json.loads((SPECS / f"{spec}.json").read_text())
    operation = document["paths"][template]["post" if path == "POST" else "get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    answer = ask(path)
    assert answer.status_code == 200
    whole = {**_plain(schema), "components": _plain(document["components"])}
    validator = jsonschema.Draft202012Validator(whole)
    assert [error.message for error in validator.iter_errors(answer.json())] == []


def _plain(node: Any) -> Any:
    """OpenAPI's `nullable` in the words of JSON Schema; a discriminated union by its word."""
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if not isinstance(node, dict):
        return node
    if "discriminator" in node:
        return {"anyOf": _plain(node["oneOf"])}
    made = {key: _plain(value) for key, value in node.items() if key != "nullable"}
    if node.get("nullable"):
        return {"anyOf": [made, {"type": "null"}]}
    return made
