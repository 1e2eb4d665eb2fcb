"""The notebooks run, are thin, begin with a question and end with what to do."""

from __future__ import annotations

import ast
import json
import zipfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from dashboards.build import build
from dashboards.data import open_published
from optout import nightly
from optout.testing.nights import Bench
from optout.testing.published import Shape, write_published

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
STANDARD = {"datetime", "os", "pathlib"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two nights of a small sandbox world, published."""
    with Bench(tmp_path_factory.mktemp("bench")) as bench:
        bench.run()
        bench.world.advance()
        bench.run()
        project = bench.project()
        with project.warehouse.writer() as con:
            return nightly.publish(project, con)


@pytest.fixture(scope="module")
def incidents(tmp_path_factory):
    """Thirty nights with incidents and the pages of the last one."""
    folder = tmp_path_factory.mktemp("incidents") / "published"
    copy = write_published(folder / "optout.duckdb", Shape(nights=30, drift=200))
    with open_published(copy) as data:
        build(data, folder / "site")
    return copy


def run(path: Path, copy: Path, monkeypatch, tmp_path) -> nbformat.NotebookNode:
    monkeypatch.setenv("OPTOUT_PUBLISHED", str(copy))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}})
    return client.execute()


def said(notebook: nbformat.NotebookNode) -> str:
    return json.dumps([c.get("outputs", []) for c in notebook.cells], default=str)


def test_there_are_five():
    """A notebook that is not tested here would rot."""
    assert [p.stem[:2] for p in NOTEBOOKS] == ["01", "02", "03", "04", "05"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs_on_a_sandbox_world_and_shows_no_address(
    path, world, monkeypatch, tmp_path
):
    """A notebook that fails at night, in the hands of on-call, is worse than none."""
    done = run(path, world, monkeypatch, tmp_path)
    assert all(c.get("execution_count") for c in done.cells if c.cell_type == "code")
    assert "@" not in said(done).replace("@@", "")


@pytest.mark.parametrize("stem", ["02_spike_triage", "05_evidence"])
def test_a_notebook_finds_the_incident_that_was_planted(stem, incidents, monkeypatch, tmp_path):
    """Running without an error is not the same as answering the question."""
    (path,) = [p for p in NOTEBOOKS if p.stem == stem]
    done = said(run(path, incidents, monkeypatch, tmp_path))
    if stem.startswith("02"):
        assert "'mailchimp', 'spike'" in done
        return
    (file,) = (incidents.parent / "evidence").glob("*.zip")
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        contents = json.loads(archive.read("contents.json"))
    assert contents["nights_with_pages"] == 1
    assert "pages/2026-11-20/index.html" in names
    assert {"tables/figures.csv", "tables/drift.csv", "tables/nights.csv"} <= set(names)
    assert contents["period"] == ["2026-10-01", "2026-12-31"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_is_thin_and_bare(path):
    """Outputs in git carry people's keys; logic in cells is tested by nobody."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [c for c in notebook.cells if c.cell_type == "code"]
    assert [c for c in code if c.outputs or c.execution_count] == []
    tree = ast.parse("\n".join(c.source for c in code))
    imported = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    roots = {name.split(".")[0] for name in imported}
    assert roots - STANDARD <= {"optout", "dashboards"}
    assert not any(isinstance(n, ast.FunctionDef | ast.ClassDef) for n in ast.walk(tree))
    assert max(len(c.source.splitlines()) for c in code) <= 15


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_begins_with_its_question_and_ends_with_what_to_do(path):
    """Figures without a question and without a next step leave the reader where he was."""
    notebook = nbformat.read(path, as_version=4)
    first, last = notebook.cells[0], notebook.cells[-1]
    assert first.cell_type == "markdown" and "**Question:" in first.source
    assert last.cell_type == "markdown" and last.source.startswith("## What to do")
