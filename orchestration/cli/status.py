"""`optout status`: the last night."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

from orchestration.cli.common import Invocation, echo_json, parse_date
from orchestration.cli.verdict import as_json, echo_verdict, exit_code, read_verdict


@click.command(name="status")
@click.option("--date", "date_text", help="Another night than the last.")
@click.option("--json", "as_program", is_flag=True, help="One JSON object.")
@click.option("--all", "show_all", is_flag=True, help="Every figure, with notes.")
@click.pass_obj
def command(invocation: Invocation, date_text: str | None, as_program: bool, show_all: bool) -> int:
    """Show the last night: which systems were read completely, which promises were met."""
    verdict = read_verdict(invocation.project(), parse_date(date_text))
    if as_program:
        echo_json(as_json(verdict))
        return exit_code(verdict)
    echo_verdict(verdict)
    if show_all:
        table = Table("Metric", "System", "Category", "Value", "Status", "Note")
        for m in verdict.metrics:
            value = "unknown" if m["value"] is None else f"{m['value']:,.6g}"
            table.add_row(
                m["name"], m["system"] or "all", m["category"] or "all", value, m["status"],
                m["note"] or "",
            )  # fmt: skip
        Console(width=max(140, Console().width), highlight=False).print(table)
    return exit_code(verdict)
