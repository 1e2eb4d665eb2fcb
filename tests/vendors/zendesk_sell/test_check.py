"""What `optout check` says of a Sell account."""

from __future__ import annotations

from typing import Any

from optout.sandbox.zendesk_sell import store as native
from optout.testing.zendesk_sell import TOKEN, Hub, fill, rename


def problems(hub: Hub, **settings: Any) -> dict[str, Any]:
    return {p.key: p for p in hub.connector(**settings).check()}


def test_a_good_account_has_no_problem(hub: Hub) -> None:
    """A check that always complains is not read."""
    assert problems(hub) == {}


def test_a_wrong_token_is_the_only_problem(hub: Hub) -> None:
    """Nothing more can be asked."""
    hub.twin.token = "another"
    (found,) = hub.connector().check()
    assert (found.key, found.fatal) == ("hub.token_env", True)
    assert TOKEN not in found.message + found.mend


def test_each_lacking_or_wrong_field_is_named_with_its_mend(hub: Hub) -> None:
    """The API cannot create custom fields: a person must, and must know where."""
    rename(hub, "email_pref_events", "Events")
    rename(hub, native.HISTORY, "Log", "lead")
    hub.twin.store.definition("contact", native.GLOBAL).type = "number"
    hub.twin.store.definition("lead", "email_pref_promotional").choices = ("opted_in", "no mail")
    found = problems(hub)
    assert set(found) == {
        "hub.categories.events",
        "hub.fields.history",
        "hub.fields.global_opt_out",
        "hub.categories.promotional",
    }
    assert "the API cannot" in found["hub.categories.events"].mend
    assert "leads" in found["hub.fields.history"].message
    assert "opted_out" in found["hub.categories.promotional"].message


def test_lacking_scopes_and_plans_are_told_once_each(hub: Hub) -> None:
    """Optional APIs are a hint, demanded ones an error."""
    hub.twin.scopes = {"read"}
    hub.twin.firehose_enabled = False
    found = problems(hub)
    assert {(key, p.fatal) for key, p in found.items()} == {
        ("hub.token_env", False),
        ("hub.sync", False),
        ("hub.firehose", False),
    }
    assert problems(hub, sync="on")["hub.sync"].fatal
    assert "hub.sync" not in problems(hub, sync="off")
    hub.twin.scopes = {"profile", "sync"}
    assert problems(hub)["hub.token_env"].fatal


def test_a_category_that_the_company_does_not_have_is_told(hub: Hub) -> None:
    """A misspelt one would be read from the default field."""
    assert set(problems(hub, categories={"promotionl": ("x",)})) == {"hub.categories.promotionl"}


def test_an_owner_who_is_no_administrator_is_told(hub: Hub) -> None:
    """Hidden contacts cannot be told from absent ones."""
    hub.twin.user_role = "user"
    found = problems(hub)["hub.token_env"]
    assert (found.fatal, "administrator" in found.mend) == (False, True)


def test_check_opens_no_session(hub: Hub) -> None:
    """Sessions are limited to 100, and a check may run every minute."""
    fill(hub, 3)
    problems(hub)
    assert hub.twin.desk.sessions == {}
