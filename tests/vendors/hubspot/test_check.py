"""What `optout check` says of a HubSpot account."""

from __future__ import annotations

import pytest

from optout.errors import AuthenticationFailed, NotFound
from optout.sandbox.faults import Fault, FaultKind
from optout.sandbox.hubspot.twin import HubSpotTwin
from optout.sandbox.server import Sandbox
from optout.testing.hubspot import Connect, read
from optout.vendors.hubspot.connector import HubSpotConfig


def test_check_is_silent_about_a_good_account_but_for_unmapped_types(connect: Connect) -> None:
    """A check that cries without cause is not read when there is one."""
    problems = list(connect().check())
    assert [(p.key, p.fatal) for p in problems] == [("esp.hubspot.categories", False)]
    assert "One to One" in problems[0].message


def test_check_names_every_problem_at_once(twin: HubSpotTwin, connect: Connect) -> None:
    """One problem a run makes setting up a matter of days."""
    twin.portal.types[12].is_active = False
    twin.portal.types[13].unit = 3
    twin.http.missing_scopes = {"content", "communication_preferences.statuses.batch.read"}
    categories = {"product_updates": ["99"], "educational": ["12"], "promotional": ["13"]}
    problems = {p.message: p for p in connect(categories=categories).check() if p.fatal}
    text = " / ".join(problems)
    assert "type 99 does not exist" in text
    assert "type 12 is archived" in text
    assert "type 13 belongs to business unit 3" in text
    scopes = {p.mend.rpartition(" ")[2] for p in problems.values() if p.key.endswith("token_env")}
    assert scopes == {"content", "communication_preferences.statuses.batch.read"}


def test_check_says_when_the_timeline_is_gone(
    twin: HubSpotTwin, connect: Connect, sandbox: Sandbox
) -> None:
    """The only trail is a legacy endpoint: its end must be noticed, not logged."""
    gone = Fault(FaultKind.SERVER_ERROR, "hubspot", "/timeline", times=None, status=404)
    sandbox.faults.plant(gone)
    [problem] = [p for p in connect().check() if p.fatal]
    assert "/subscriptions/timeline" in problem.message
    with pytest.raises(NotFound):
        read(connect(), "timeline")


def test_check_with_a_wrong_token_raises(connect: Connect) -> None:
    """Nothing more can be asked with a token that is not accepted."""
    with pytest.raises(AuthenticationFailed):
        list(connect(token="wrong").check())


def test_type_ids_that_are_no_numbers_are_refused_by_the_settings() -> None:
    """A type's name in place of its id would match nothing and say nothing."""
    with pytest.raises(ValueError, match="numeric ids"):
        HubSpotConfig(
            name="hubspot", vendor="hubspot", base_url="https://api.hubapi.com",
            token_env="T", categories={"promotional": ("Newsletter",)},
        )  # fmt: skip
