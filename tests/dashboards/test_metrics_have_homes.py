"""A metric without a definition, a page and a test cannot exist."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import pytest

import optout.warehouse
from dashboards.pages.method import definitions
from dashboards.promises import PROMISES
from dashboards.site import page_of
from optout.testing.nights import Bench

ROOT = Path(__file__).parents[2]


def registered() -> set[str]:
    """Every metric in a registry: a tuple of names whose name ends in METRICS."""
    found: set[str] = set()
    for module in pkgutil.iter_modules(optout.warehouse.__path__, "optout.warehouse."):
        made = importlib.import_module(module.name)
        for name, value in vars(made).items():
            if name.endswith("METRICS") and isinstance(value, tuple):
                found |= {str(metric) for metric in value}
    return found


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> set[str]:
    """What a real night writes."""
    with Bench(tmp_path_factory.mktemp("bench")) as bench:
        bench.run()
        with bench.project().warehouse.reader() as con:
            rows = con.execute("SELECT DISTINCT metric FROM mart.metric_daily").fetchall()
    return {name for (name,) in rows}


def test_every_metric_has_a_definition(written):
    """A figure that no document defines cannot be defended before an auditor."""
    assert sorted((registered() | written) - set(definitions())) == []


def test_every_metric_has_a_page_that_shows_it(written):
    """A figure that nobody sees is measured for nobody."""
    assert [m for m in sorted(registered() | written) if page_of(m) is None] == []


def test_every_metric_is_named_in_a_test_of_its_own_part(written):
    """A figure that no test holds to its definition will drift from it."""
    tests = [p for p in (ROOT / "tests").rglob("test_*.py") if p.parent.name != "dashboards"]
    text = "\n".join(p.read_text(encoding="utf-8") for p in tests)
    assert [m for m in sorted(registered() | written) if m not in text] == []


def test_every_promise_is_measured_or_says_that_it_is_not(written):
    """A tile that is misspelt would stay unknown for ever, and nobody would ask why."""
    asked = {p.metric for p in PROMISES if not p.query}
    assert asked - written - registered() <= {"sync_latency_seconds"}
