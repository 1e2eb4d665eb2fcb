"""A report as PDF, from the same data as its page."""

from __future__ import annotations

from collections.abc import Sequence

from optout.reports.document import Report, Section, Table
from optout.reports.paper import Cell, Paper
from optout.reports.render_html import VERDICT, cell, is_number

MOST_ROWS = 200
_WIDE = 10
"""So many columns ask for the long side of the sheet."""


def pdf(report: Report) -> bytes:
    """The document; the same report gives the same pages."""
    is_wide = any(len(t.columns) >= _WIDE and t.rows for t in report.tables())
    made = f"{report.made_at[:16].replace('T', ' ')} UTC"
    paper = Paper(f"{report.title}, {report.period}", made, landscape=is_wide)
    _head(paper, report, made)
    draw(paper, report.sections)
    _foot(paper, report)
    return bytes(paper.output())


def draw(paper: Paper, sections: Sequence[Section]) -> None:
    """Sections one below the other."""
    for section in sections:
        paper.heading(section.title, 13)
        for text in (section.lead, *section.paragraphs):
            if text:
                paper.note(text, muted=False)
        for table in section.tables:
            _table(paper, table)


def _head(paper: Paper, report: Report, made: str) -> None:
    paper.heading(report.title, 18)
    span = "" if report.since == report.until else f": {report.since} to {report.until}"
    night = f", last night measured {report.night}" if report.night else ""
    paper.note(f"{report.period}{span}{night}, made {made}")
    paper.band(VERDICT[report.verdict], report.summary, report.verdict)
    if not report.gaps:
        paper.note(
            "Every source was read completely on every night of the period, and every cell could "
            "be compared."
        )
        return
    paper.heading("What is not known or not comparable", 10)
    for gap in report.gaps:
        paper.note(f"- {gap}", muted=False)


def _table(paper: Paper, table: Table) -> None:
    paper.heading(table.title, 9.5)
    if table.not_measured:
        paper.note(f"Not measured: {table.not_measured}.")
    elif not table.rows:
        paper.note(" ".join(part for part in (table.empty, table.lead) if part))
    else:
        if table.lead:
            paper.note(table.lead)
        head = [Cell(c.title, is_number(c)) for c in table.columns]
        rows = [
            [
                Cell(
                    cell(dict(row), c),
                    is_number(c),
                    str(row.get(c.name)) if c.kind == "status" else None,
                    c.kind == "key",
                )
                for c in table.columns
            ]
            for row in table.rows[:MOST_ROWS]
        ]
        paper.grid(head, rows)
        if len(table.rows) > MOST_ROWS:
            paper.note(
                f"The first {MOST_ROWS} of {len(table.rows):,}; all of them: {table.id}.csv."
            )
    if table.erased:
        paper.note(f"{table.erased} rows were removed because the person was erased since.")


def _foot(paper: Paper, report: Report) -> None:
    paper.heading("Proof and versions", 13)
    if report.head:
        paper.note(
            f"Head of the chain: {report.head.link} after {report.head.links:,} links, published "
            f"with the night {report.head.night}.",
            muted=False,
        )
    else:
        paper.note("Head of the chain: no change was recorded yet.", muted=False)
    paper.note("; ".join(f"{name} {version}" for name, version in report.versions.items()))
    paper.note("Times are UTC. Contact keys are keyed hashes; no address stands here.")
