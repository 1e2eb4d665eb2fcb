"""Documentation of alerts is true to the program."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from optout.alerts.life import Action
from optout.alerts.service import ALL_RULES
from orchestration.cli import cli

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "runbooks").glob("*.md"))
_COMMAND = re.compile(r"(?:`|^)(optout [a-z][^`\n#]*)", re.MULTILINE)
_PLACES = {"SYSTEM": "sell", "TARGET": "sell", "FILE": "f.csv", "DATE": "2026-09-01"}


def test_each_rule_has_its_runbook_and_each_runbook_its_rule() -> None:
    """A link in a page at three in the morning must lead somewhere."""
    assert {page.stem for page in PAGES} == {rule.name for rule in ALL_RULES}
    assert len({rule.name for rule in ALL_RULES}) == len(ALL_RULES)


@pytest.mark.parametrize("page", [*PAGES, DOCS / "operations.md"], ids=lambda page: page.stem)
def test_each_command_in_it_exists_with_its_options(page: Path) -> None:
    """A runbook with a command that fails costs the time that it should save."""
    found = _COMMAND.findall(page.read_text(encoding="utf-8"))
    for text in found:
        for name, value in _PLACES.items():
            text = text.replace(name, value)
        arguments = shlex.split(text)[1:]
        if arguments and not arguments[0].startswith("-"):
            _parse(cli, arguments)


def _parse(group: click.Command, arguments: list[str]) -> None:
    context = click.Context(group, info_name=group.name)
    while isinstance(group, click.Group):
        command = group.get_command(context, arguments[0])
        assert command is not None, f"there is no command {arguments[0]}"
        group, arguments = command, arguments[1:]
        if isinstance(group, click.Group) and not arguments:
            return
    group.make_context(group.name, arguments, parent=context, resilient_parsing=False)


def test_actions_are_the_ones_that_channels_know() -> None:
    """The webhook's receiver relies on these words."""
    assert {a.value for a in Action} == {"trigger", "acknowledge", "resolve", "digest", "test"}
