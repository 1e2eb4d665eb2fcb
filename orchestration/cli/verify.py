"""`optout verify`: the hash chain over all recorded changes."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.table import Table

from optout.trail.verify import Fault, Verdict, verify
from orchestration.cli.common import EXIT_MISSED, EXIT_OK, Invocation, echo_json

_SHOWN_FAULTS = 20
_WHERE = {"row": "change", "link": "record of the chain", "head": "head outside the database"}


@click.command(name="verify")
@click.option("--json", "as_program", is_flag=True, help="One JSON object.")
@click.pass_obj
def command(invocation: Invocation, as_program: bool) -> int:
    """Recompute the chain over all recorded changes and compare it with the heads that were written
    outside the database. Exit code 1, and the first place, where anything was altered, removed or
    inserted."""
    project = invocation.project()
    with project.warehouse.reader() as con:
        verdict = verify(con, project.data_dir, project.key_only.keyer)
    if as_program:
        echo_json(as_json(verdict))
    else:
        _echo(verdict)
    return EXIT_OK if verdict.is_whole else EXIT_MISSED


def as_json(verdict: Verdict) -> dict[str, Any]:
    """The verdict as a program reads it."""
    return {
        "is_whole": verdict.is_whole,
        "changes": verdict.changes,
        "erased": verdict.erased,
        "links": verdict.head.links,
        "head": verdict.head.link.hex(),
        "night": _day(verdict.head.night),
        "heads_compared": verdict.heads,
        "links_after_last_head": verdict.unanchored,
        "faults": [_fault(each) for each in verdict.faults],
    }


def _fault(fault: Fault) -> dict[str, Any]:
    return {
        "what": fault.what,
        "where": fault.where,
        "change_seq": fault.change_seq,
        "night": _day(fault.night),
        "link_seq": fault.link_seq,
    }


def _day(night: Any) -> str | None:
    return None if night is None else night.isoformat()


def _echo(verdict: Verdict) -> None:
    console = Console(width=max(120, Console().width), highlight=False)
    console.print(
        f"{verdict.changes:,} changes and {verdict.erased:,} lawfully erased ones in"
        f" {verdict.head.links:,} links, compared with {verdict.heads:,} heads."
    )
    if verdict.unanchored:
        console.print(f"{verdict.unanchored:,} links belong to a night not published yet.")
    if verdict.is_whole:
        console.print(f"The chain is whole. Head: {verdict.head.link.hex()}")
        return
    console.print(f"The chain is broken in {len(verdict.faults):,} places. The first:")
    table = Table("What", "Where", "Change", "Night", "Link")
    for each in verdict.faults[:_SHOWN_FAULTS]:
        number = "" if each.change_seq is None else str(each.change_seq)
        place = "" if each.link_seq is None else str(each.link_seq)
        table.add_row(each.what, _WHERE[each.where], number, _day(each.night) or "", place)
    console.print(table)
