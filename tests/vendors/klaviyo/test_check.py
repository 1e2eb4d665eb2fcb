"""Keys refused, secrets kept, limits kept, and what `optout check` says of Klaviyo."""

from __future__ import annotations

import logging

import pytest

from optout.errors import AuthenticationFailed, NotFound, PermissionMissing, SourceError
from optout.model import Source
from optout.records import Campaign, Finding
from optout.sandbox.acts import Mailing
from optout.sandbox.faults import Fault, FaultKind
from optout.sandbox.klaviyo.twin import KlaviyoTwin
from optout.sandbox.server import Sandbox
from optout.testing.klaviyo import AT, TOKEN, Connect, act, address, people, read, suppress
from optout.vendors.klaviyo.connector import Klaviyo


def test_a_revoked_key_is_an_error_and_no_empty_account(
    connect: Connect, twin: KlaviyoTwin
) -> None:
    """A failed read must never look like one that found nobody."""
    people(twin, 2)
    for stream in ("profiles", "list_members", "campaigns", "events"):
        with pytest.raises(AuthenticationFailed):
            read(connect(token="pk_wrong"), stream)
    twin.scopes.clear()
    with pytest.raises(PermissionMissing):
        read(connect(), "profiles")


def test_nothing_personal_and_no_key_in_errors_and_logs(
    connect: Connect, twin: KlaviyoTwin, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Errors are shown on pages and sent by alerts."""
    people(twin, 250)
    twin.opt_out(address(1), None, act(Source.EMAIL_LINK))
    suppress(twin, "canary@example.org")
    shown: list[str] = []
    kinds = (FaultKind.SERVER_ERROR, FaultKind.HTML, FaultKind.REPEATED_CURSOR,
             FaultKind.FIELD_ABSENT, FaultKind.UNAUTHORIZED)  # fmt: skip
    with caplog.at_level(logging.DEBUG):
        for kind in kinds:
            for stream in ("profiles", "list_members", "events"):
                sandbox.faults.clear()
                sandbox.faults.plant(Fault(kind, "klaviyo", nth=2, times=None))
                try:
                    read(connect(), stream)
                except SourceError as error:
                    shown.append(str(error))
        sandbox.faults.clear()
        out = read(connect(), "profiles")
    shown += [f"{finding.code} {finding.detail}" for finding in out.of(Finding)]
    assert len(shown) > len(kinds)
    for text in [*shown, caplog.text]:
        assert "example.org" not in text
        assert TOKEN not in text


def test_a_sound_account_has_no_fatal_problem(connect: Connect, twin: KlaviyoTwin) -> None:
    """`optout check` must be silent where all is well; a list of no category is worth a word."""
    people(twin, 1)
    assert list(connect().check()) == []
    list_id = twin.add_list("Old")
    (problem,) = connect().check()
    assert (problem.fatal, list_id in problem.message) == (False, True)


@pytest.mark.parametrize(
    ("scope", "fatal"),
    [
        ("profiles:read", True), ("lists:read", True), ("metrics:read", True),
        ("events:read", True), ("campaigns:read", True), ("accounts:read", False),
    ],
)  # fmt: skip
def test_check_names_the_missing_scope(
    connect: Connect, twin: KlaviyoTwin, scope: str, fatal: bool
) -> None:
    """A 403 in the first night is too late, and says too little."""
    people(twin, 1)
    twin.scopes.discard(scope)
    found = [p for p in connect().check() if scope in p.message]
    assert [(p.key, p.fatal) for p in found] == [("esp.klaviyo.token_env", fatal)]


def test_check_finds_wrong_lists_metrics_key_and_consent(
    connect: Connect, twin: KlaviyoTwin
) -> None:
    """Everything at once, each with its place in optout.toml."""
    people(twin, 1)
    del twin.metrics["Received Email"]
    twin.consent_field_empty = "absent"
    categories = {**twin.category_map(), "promotional": ["Gone01"], "product_updates": []}
    problems = {p.key: p for p in connect(categories=categories).check() if p.fatal}
    assert problems.keys() == {
        "esp.klaviyo.categories.promotional", "esp.klaviyo.categories.product_updates",
        "esp.klaviyo.token_env",
    }  # fmt: skip
    assert any("Received Email" in p.message for p in connect().check() if not p.fatal)
    (wrong,) = connect(token="pk_wrong").check()
    assert wrong.key == "esp.klaviyo.token_env"


def test_check_notices_a_retired_revision(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Revisions are retired on a schedule; the pinned one will be, too."""
    monkeypatch.setattr(Klaviyo, "revision", "2019-01-01")
    (problem,) = connect().check()
    assert "revision" in problem.message


def test_a_missing_page_of_the_api_is_not_found(connect: Connect) -> None:
    """A base_url with a wrong path must say so."""
    connector = connect()
    wrong = connect(base_url=connector.config.base_url + "/wrong")
    with pytest.raises(NotFound):
        read(wrong, "profiles")


def test_reading_keeps_to_the_vendors_limits(
    connect: Connect, twin: KlaviyoTwin, sandbox: Sandbox
) -> None:
    """Ten campaigns' messages a second and 150 a minute: no 429 that one could have foreseen."""
    for number in range(40):
        twin.send(Mailing(f"m{number}", "Mail", "promotional", AT), [])
    assert len(read(connect(), "campaigns").of(Campaign)) == 40
    assert sandbox.limited["klaviyo"] == 0
