"""What `optout check` says of a Mailchimp account."""

from __future__ import annotations

import pytest

from optout.testing.mailchimp import World
from optout.vendors.mailchimp.connector import MailchimpConfig


def test_check_finds_nothing_wrong_with_a_right_configuration(world: World) -> None:
    """A check that always complains is not read."""
    assert list(world.connector().check()) == []


def test_check_names_the_key_and_the_base_url_when_they_are_wrong(world: World) -> None:
    """The two first mistakes of everybody."""
    (problem,) = world.connector(token="other").check()
    assert (problem.key, problem.fatal) == ("esp.mailchimp.token_env", True)
    base = world.sandbox.base_url("mailchimp").removesuffix("/3.0")
    (problem,) = world.connector(base=base).check()
    assert problem.key == "esp.mailchimp.base_url"
    assert "/3.0" in problem.mend


def test_check_finds_lists_and_interests_that_do_not_exist_and_audiences_left_out(
    world: World,
) -> None:
    """All at once, with what exists: the first night is too late."""
    extra = world.twin.make_audience("Partners", ["tips"])
    stranger = next(iter(extra.interests))
    mapping = {
        "news": [f"{world.shop.id}/{stranger}"],
        "offers": [f"{world.shop.id}/ffffffffff"],
        "events": ["eeeeeeeeee"],
    }
    problems = {p.message: p for p in world.connector(categories=mapping).check()}
    told_ = " | ".join(problems)
    assert f"the interest '{stranger}' belongs to the list '{extra.id}'" in told_
    assert "has no interest 'ffffffffff'" in told_
    assert "there is no list 'eeeeeeeeee'" in told_
    assert sum(not p.fatal for p in problems.values()) == 2
    assert all(world.shop.id in p.mend for p in problems.values() if "no list" in p.message)


def test_a_store_that_is_written_wrongly_is_refused_at_once() -> None:
    """A mapping with a space or a second slash would ask for something else."""
    for store in ("a/b/c", "a b", "/b", "../x"):
        with pytest.raises(ValueError, match="list id"):
            MailchimpConfig(
                name="m", vendor="mailchimp", base_url="http://127.0.0.1", token_env="T",
                categories={"news": (store,)},
            )  # fmt: skip
