"""What every command that lists rows does with them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import click
import pytest
from click.testing import CliRunner

from optout.project import Project
from orchestration.cli import rows as module
from orchestration.cli.rows import Listing, Output, Row, output_options

LISTING = Listing(
    "trial",
    ("kind", "contact_key", "seen_at"),
    ("kind",),
    {"kind": "Kind", "contact_key": "Contact key", "seen_at": "Seen"},
    "There is nothing.",
    flat=lambda row: {k: v for k, v in row.items() if k != "inner"},
    shown=lambda row: row | {"kind": row["kind"] or "unknown"},
)
ROWS: list[Row] = [
    {"kind": "a", "contact_key": "k1", "seen_at": "2026-03-02T10:20:30Z", "inner": {"n": 1}},
    {"kind": None, "contact_key": None, "seen_at": None, "inner": None},
]
asked: list[tuple[set[str], str]] = []


@click.command()
@click.option("--empty", is_flag=True)
@output_options
def command(empty: bool, output: Output) -> None:
    rows: Iterator[Row] = iter([] if empty else ROWS)
    click.echo(f"{sum(1 for _ in LISTING.write(cast(Project, None), rows, output))} passed on")


@pytest.fixture(autouse=True)
def _addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    def addresses_of(project: Any, keys: set[str], purpose: str) -> dict[str, str]:
        asked.append((keys, purpose))
        return {"k1": "ann@example.org"}

    asked.clear()
    monkeypatch.setattr(module, "addresses_of", addresses_of)


def told(*options: str) -> str:
    result = CliRunner().invoke(command, options, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_people_see_a_summary_and_no_address() -> None:
    """An address on a screen has to be asked for."""
    text = told()
    assert "2 passed on" in text
    assert "unknown" in text and "2026-03-02 10:20" in text
    assert "ann@" not in text and asked == []


def test_nothing_to_show_is_said() -> None:
    """No output at all could be a command that did not work."""
    assert "There is nothing." in told("--empty")


def test_a_program_gets_the_rows_as_they_are_and_nothing_else() -> None:
    """A table between the lines would break its parser; null must stay null."""
    *lines, passed = told("--json").splitlines()
    assert [json.loads(line) for line in lines] == ROWS
    assert passed == "2 passed on"


def test_addresses_are_shown_only_when_asked_for_and_that_is_recorded() -> None:
    """Keys of nobody are no question."""
    *lines, _ = told("--json", "--reveal").splitlines()
    assert [json.loads(line)["address"] for line in lines] == ["ann@example.org", None]
    assert asked == [({"k1"}, "trial")]
    assert "Address" in told("--reveal")


@pytest.mark.parametrize("reveal", [False, True])
def test_the_file_has_its_columns_and_the_screen_no_table(tmp_path: Path, reveal: bool) -> None:
    """A column that only some rows have would shift or break the file."""
    file = tmp_path / "rows.csv"
    text = told("--csv", str(file), *(["--reveal"] if reveal else []))
    assert f"2 rows written to {file}" in text
    assert "There is" not in text and "Kind" not in text
    with file.open(newline="", encoding="utf-8") as opened:
        head, first, second = csv.reader(opened)
    assert head == ["kind", "contact_key", "seen_at", *(["address"] if reveal else [])]
    person = ["ann@example.org"] if reveal else []
    assert first == ["a", "k1", "2026-03-02T10:20:30Z", *person]
    assert second == [""] * len(head)
