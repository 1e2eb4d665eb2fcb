"""Documentation of alerts is true to the program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from optout.alerts.life import Action
from optout.alerts.service import ALL_RULES

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "runbooks").glob("*.md"))


def test_each_rule_has_its_runbook_and_each_runbook_its_rule() -> None:
    """A link in a page at three in the morning must lead somewhere."""
    assert {page.stem for page in PAGES} == {rule.name for rule in ALL_RULES}
    assert len({rule.name for rule in ALL_RULES}) == len(ALL_RULES)


@pytest.mark.parametrize("page", [*PAGES, DOCS / "operations.md"], ids=lambda page: page.stem)
def test_each_command_in_it_exists_with_its_options(
    page: Path, commands_exist: Callable[[str], None]
) -> None:
    """A runbook with a command that fails costs the time that it should save."""
    commands_exist(page.read_text(encoding="utf-8"))


def test_actions_are_the_ones_that_channels_know() -> None:
    """The webhook's receiver relies on these words."""
    assert {a.value for a in Action} == {"trigger", "acknowledge", "resolve", "digest", "test"}
