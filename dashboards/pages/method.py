"""How each figure is made: from `docs/metrics.md` and the SQL in force, not written anew."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path

from markdown_it import MarkdownIt

from dashboards import words
from dashboards.blocks import Block, Column, Facts, Prose, Section, Table
from dashboards.data import Published
from dashboards.frame import Frame
from dashboards.page import Page, Places, fact, section
from optout.rules.regimes import builtin_regimes

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"


def build(data: Published, places: Places) -> Sequence[Section]:
    """One section for the rules, one for each metric, one for the law."""
    told = definitions()
    sections = [section("rules", "Rules", lambda: [Prose(_html(introduction()))])]
    names = dict.fromkeys((*told, *(metric for metric, _, _ in data.metrics)))
    for name in names:
        sections.append(Section(name, words.title(name), _metric(data, name, told.get(name))))
    sections.append(
        section(
            "law",
            "Law and providers' rules",
            lambda: [_law()],
            lead="Regimes are data with source and date, not branches. An "
            "engineering reading, not legal advice.",
        )
    )
    return sections


@cache
def _text() -> str:
    return DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else ""


def introduction() -> str:
    """The document up to the first metric."""
    return _text().split("\n## Promises", 1)[0].partition("\n")[2]


def definitions() -> dict[str, str]:
    """Metric → its definition, as `docs/metrics.md` gives it."""
    found: dict[str, str] = {}
    for part in _text().split("\n### ")[1:]:
        name, _, body = part.partition("\n")
        if name.startswith("`"):
            found[name.strip("` ")] = body.split("\n## ", 1)[0].strip()
    return found


def _metric(data: Published, name: str, told: str | None) -> list[Block]:
    row = data.metric(name)
    blocks: list[Block] = []
    if row is not None:
        blocks.append(Facts([fact(row, "Tonight, over all")]))
    blocks.append(Prose(_html(told or "This figure has no definition yet.")))
    sql = _sql(name)
    if sql:
        blocks.append(
            Prose(
                f"<details><summary>{escape(name)}: the SQL in force</summary>"
                f"<pre><code>{escape(sql)}</code></pre></details>"
            )
        )
    return blocks


def _sql(name: str) -> str:
    source = files("optout.warehouse").joinpath("sql", f"mart_{name}.sql")
    return source.read_text(encoding="utf-8") if source.is_file() else ""


def _html(text: str) -> str:
    """Our own document: its links to files of the project are plain words on a page."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("link")
    shifted = "\n".join(f"#{line}" if line.startswith("#") else line for line in text.splitlines())
    return str(parser.render(shifted))


def _law() -> Block:
    columns = (
        Column("regime", "Regime"),
        Column("rule", "Rule", "title"),
        Column("start", "Counts from", "title"),
        Column("limit", "Limit"),
        Column("reading", "Reading", "title"),
        Column("source", "Source"),
        Column("checked", "Checked", "night"),
    )
    regimes = builtin_regimes()
    rows = [
        (
            rule.regime,
            rule.rule_id,
            rule.start_event,
            f"{rule.amount} {words.title(str(rule.unit)).lower()}",
            str(rule.reading),
            rule.source,
            rule.checked_on,
        )
        for rule in regimes.rules
    ]
    return Table(
        "law-table",
        "Rules in force before the company's own",
        columns,
        Frame.of([c.name for c in columns], rows),
    )


PAGE = Page(
    "method",
    "Method",
    "How is each figure made, and where does the rule come from?",
    "Reference",
    build,
)
