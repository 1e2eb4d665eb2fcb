"""The house keeps its own rules: what is committed, who imports whom, what the documents say."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("optout", "dashboards", "assets", "checks", "orchestration")


def tracked() -> list[Path]:
    said = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in said.stdout.splitlines() if (ROOT / name).is_file()]


def test_the_lock_pins_every_package_with_hashes_and_names_no_host() -> None:
    """A lock without hashes installs what somebody swapped; a host in it ties it to one place."""
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    assert "--index-url" not in text
    blocks = re.split(r"\n(?=[a-z0-9])", text.strip())
    unpinned = [b.splitlines()[0] for b in blocks if "==" not in b or "--hash=sha256:" not in b]
    assert not unpinned
    assert len(blocks) > 100


def test_the_lock_holds_every_dependency_that_is_declared() -> None:
    """`make setup` installs the lock alone: what it lacks is missing at run time."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    wanted = [*project["project"]["dependencies"], *groups["dev"], *groups["compat"]]
    lock = (ROOT / "requirements.lock").read_text()
    locked = set(re.findall(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==", lock, re.M))
    names = {re.split(r"[<>=\[ ]", w)[0].lower() for w in wanted}
    assert not names - locked


def test_no_resolver_file_that_names_hosts_is_committed() -> None:
    """`uv.lock` records the registry's host."""
    assert not [p for p in tracked() if p.name == "uv.lock"]


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_run_one_way(layer: str) -> None:
    """A core that imports Dagster cannot be used, tested or replaced without it."""
    lower = set(LAYERS[: LAYERS.index(layer) + 1])
    wrong = []
    for path in (ROOT / layer).rglob("*.py"):
        for name in imported(path):
            top = name.split(".")[0]
            if top in LAYERS and top not in lower:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
            if layer in ("optout", "dashboards") and top in ("dagster", "great_expectations"):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_great_expectations_is_confined_to_one_module() -> None:
    """Its import takes seconds and its traps are handled in one place."""
    users = [
        str(p.relative_to(ROOT))
        for layer in LAYERS
        for p in (ROOT / layer).rglob("*.py")
        if any(n.split(".")[0] == "great_expectations" for n in imported(p))
    ]
    assert users == ["checks/gx.py"]


def test_the_folders_names_belong_to_this_checkout() -> None:
    """Generic names (`assets`, `checks`) could be taken by an installed distribution."""
    code = "import assets, checks, dashboards, optout, orchestration as o; print(assets.__file__)"
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert Path(said.stdout.strip()).is_relative_to(ROOT)


def test_links_in_the_documents_lead_somewhere() -> None:
    """A runbook that does not open at three in the morning is worse than none."""
    broken = []
    for page in [p for p in tracked() if p.suffix == ".md"]:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken


def test_there_are_no_package_files_under_tests() -> None:
    """With one in tests/assets the folder would hide the package `assets`."""
    assert not list((ROOT / "tests").rglob("__init__.py"))
