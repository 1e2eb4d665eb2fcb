"""What the engines share: the statements of a night, taken apart, and what is handed over."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from optout.engine import build_engine, forms
from optout.engine.duck import DuckEngine
from optout.engine.spark import INPUTS, OUTPUTS
from optout.errors import ConfigurationError, InternalError
from optout.policy.engine import EngineTable
from optout.settings import load_settings
from optout.testing import facts
from optout.warehouse.script import statements
from orchestration.cli import run
from orchestration.cli.common import EXIT_USAGE

NAMES = sorted(
    file.name.removesuffix(".sql")
    for file in files("optout.warehouse").joinpath("sql").iterdir()
    if file.name.startswith("audit_")
)
PERSONAL = {"address", "ip_truncated", "user_agent", "reason", "actor", "evidence_ref", "missing"}


def every_statement() -> list[str]:
    return [statement for name in NAMES for statement in statements(name)]


def test_every_statement_of_a_night_has_a_form_that_engines_know() -> None:
    """One that only DuckDB understands would be found out by the first night on Spark."""
    kinds = {type(forms.parse(statement)) for statement in every_statement()}
    assert {forms.Create, forms.Insert, forms.Delete, forms.Update} <= kinds


@pytest.mark.parametrize(
    "statement", ["MERGE INTO audit.drift USING x", "PRAGMA x", "ALTER TABLE audit.drift ADD x"]
)
def test_an_unknown_form_is_refused(statement: str) -> None:
    """Left out in silence it would change the answer on one engine only."""
    with pytest.raises(InternalError, match="no engine knows"):
        forms.parse(statement)


def test_the_clauses_of_an_update_are_found_where_they_end() -> None:
    """A comma or a keyword within an expression is not the end of one."""
    form = forms.parse(
        """
        UPDATE audit.drift AS d
        SET a = coalesce(v.a, d.a), b = (SELECT max(x) FROM y WHERE z = 1), c = 'FROM, WHERE'
        FROM rec_found AS v
        WHERE d.a IN (SELECT a FROM q WHERE true) AND v.a IS NOT DISTINCT FROM d.a
        """
    )
    assert form == forms.Update(
        name="audit.drift",
        alias="d",
        values=(
            ("a", "coalesce(v.a, d.a)"),
            ("b", "(SELECT max(x) FROM y WHERE z = 1)"),
            ("c", "'FROM, WHERE'"),
        ),
        source="rec_found AS v",
        where="d.a IN (SELECT a FROM q WHERE true) AND v.a IS NOT DISTINCT FROM d.a",
    )


def test_a_table_is_emptied_only_by_a_statement_without_a_condition() -> None:
    """The difference between one night's rows and all of them."""
    assert forms.parse("DELETE FROM audit.expected") == forms.Delete(
        "audit.expected", "expected", ""
    )
    some = forms.parse("DELETE FROM audit.drift WHERE opened_night = $night")
    assert some == forms.Delete("audit.drift", "drift", "opened_night = $night")


def test_work_tables_are_told_from_views_and_from_declarations() -> None:
    """A view that is kept as a table would show what was there before."""
    assert forms.parse("CREATE OR REPLACE TEMP VIEW a AS SELECT 1") == forms.Create(
        "a", "SELECT 1", True
    )
    assert forms.parse("CREATE OR REPLACE TEMP TABLE a (b UUID, c DATE)") == forms.Declare(
        "a", "b UUID, c DATE"
    )
    assert forms.parse("DROP TABLE IF EXISTS temp.rec_a") == forms.Drop("rec_a")


def test_every_table_that_the_statements_name_is_handed_over() -> None:
    """A table that the cluster does not have fails there, on the night of the change."""
    folder = Path(__file__).resolve().parents[2] / "optout" / "warehouse"
    text = "\n".join(every_statement()) + (folder / "reconcile.py").read_text()
    named = set(re.findall(r"\b(?:core|audit)\.[a-z_]+\b(?!`)", text))
    assert named - {"core.night", "core.source_read"} <= set(INPUTS)
    written = {
        form.name
        for form in map(forms.parse, every_statement())
        if isinstance(form, forms.Insert | forms.Update | forms.Delete) and "." in form.name
    }
    assert written == set(OUTPUTS)


def test_nothing_personal_is_handed_over() -> None:
    """The folder is shared by a cluster; keyed hashes are all that it needs."""
    con = facts.warehouse()
    for name, columns in INPUTS.items():
        if name.startswith("core."):
            described = con.execute(f"DESCRIBE SELECT {columns} FROM {name}").fetchall()
            assert not PERSONAL & {row[0] for row in described}, name


def test_the_engine_is_duckdb_unless_the_configuration_says_otherwise(tmp_path: Path) -> None:
    """Nobody gets a cluster by an upgrade, and a typing error is told."""
    config = tmp_path / "optout.toml"
    config.write_text(files("optout").joinpath("optout.template.toml").read_text())
    engine = load_settings(config).engine
    assert isinstance(build_engine(engine, tmp_path), DuckEngine)
    for wrong in ({"kind": "sparc"}, {"folder": Path("here")}, {"options": {"memory": "8g"}},
                  {"memory": "8g"}, {"memory": "9MB"}):  # fmt: skip
        with pytest.raises(ValueError, match=r"kind|absolute|begin with|4GB|256MB"):
            EngineTable.model_validate({"kind": "spark"} | wrong)


@pytest.mark.parametrize("lacking", ["pyspark", "java"])
def test_what_spark_lacks_is_told_before_the_first_night(
    lacking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found out by the night, after hours of reading, it would cost the night."""
    there = {"pyspark": object(), "java": "/usr/bin/java"} | {lacking: None}
    monkeypatch.setattr("optout.engine.spark.importlib.util.find_spec", there.get)
    monkeypatch.setattr("optout.engine.spark.shutil.which", there.get)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(ConfigurationError, match=r"engine\.kind: Spark") as raised:
        build_engine(EngineTable(kind="spark"), tmp_path).check()
    assert "duckdb" in str(raised.value)
    build_engine(EngineTable(), tmp_path).check()


def test_the_check_says_that_the_engine_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`optout check` is where everything that is wrong is looked for."""
    config = tmp_path / "optout.toml"
    text = files("optout").joinpath("optout.template.toml").read_text()
    config.write_text(text + '\n[engine]\nkind = "spark"\n')
    monkeypatch.setattr("optout.engine.spark.importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("orchestration.cli.check._ask", lambda project, config: ([], False))
    for name in re.findall(r'^[a-z_]*_env = "([A-Z_]+)"', text, re.M):
        monkeypatch.setenv(name, "x" * 40)
    assert run(["--config", str(config), "check"]) == EXIT_USAGE
    assert "✗ engine.kind: Spark is not installed" in capsys.readouterr().out
