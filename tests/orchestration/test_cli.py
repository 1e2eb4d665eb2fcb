"""The command line: help for all, exit codes, and never a traceback for a user's mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.cli import COMMANDS, run

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help_and_is_documented(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command that nobody can find does not exist."""
    assert run([name, "--help"]) == 0
    assert "Usage:" in capsys.readouterr().out
    documents = (ROOT / "README.md").read_text() + "".join(
        p.read_text() for p in (ROOT / "docs").rglob("*.md")
    )
    assert f"optout {name}" in documents or f"`{name}`" in documents


def test_help_does_not_load_dagster() -> None:
    """`optout --help` must answer at once."""
    import subprocess
    import sys

    code = (
        "import sys; from orchestration.cli import run; run(['--help']); "
        "sys.exit('dagster' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert said.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run"], 2, "optout init"),
        (["status"], 2, "optout init"),
        (["--now", "yesterday", "run"], 2, "ISO 8601"),
        (["nonsense"], 2, "No such command"),
        (["drift", "--class", "nonsense"], 2, "nonsense"),
        (["init", "--force", "--nonsense"], 2, "No such option"),
    ],
)
def test_a_mistake_is_told_with_its_mend_and_exit_code(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    """A traceback for a typo sends people away."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPTOUT_CONFIG", raising=False)
    assert run(arguments) == code
    told = capsys.readouterr()
    assert said in told.err
    assert "Traceback" not in told.err


def test_init_writes_once_and_does_not_overwrite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody's configuration must survive a second `init`."""
    monkeypatch.chdir(tmp_path)
    assert run(["init"]) == 0
    (tmp_path / "optout.toml").write_text("mine")
    assert run(["init"]) == 2
    assert "--force" in capsys.readouterr().err
    assert (tmp_path / "optout.toml").read_text() == "mine"


def test_missing_secrets_are_named_and_the_exit_code_is_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first thing that goes wrong in every set-up."""
    monkeypatch.chdir(tmp_path)
    for name in ("SELL_TOKEN", "MAILCHIMP_API_KEY", "OPTOUT_KEY"):
        monkeypatch.delenv(name, raising=False)
    run(["init"])
    assert run(["run"]) == 2
    said = capsys.readouterr().err
    assert "SELL_TOKEN" in said
    assert "OPTOUT_KEY" in said
