"""`optout explain ADDRESS`: one person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from duckdb import DuckDBPyConnection
from rich import box
from rich.console import Console
from rich.table import Table

from optout.address import BadAddress, normalise
from optout.errors import UsageError
from optout.explain import Person, explain
from optout.files import write_atomic
from optout.model import Categories
from optout.project import Project
from orchestration.cli.common import EXIT_MISSED, EXIT_OK, Invocation, echo_json, iso
from orchestration.cli.reveal import record_disclosure

_SHOWN_MAIL = 20


@click.command(name="explain")
@click.argument("address")
@click.option("--json", "as_program", is_flag=True, help="One JSON object.")
@click.option(
    "--pdf",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the answer to an access request into this file.",
)
@click.pass_obj
def command(invocation: Invocation, address: str, as_program: bool, pdf: Path | None) -> int:
    """Show one person: every system's answer, the expected state, why, and the history.

    Exit code 1 where drift is open. Looking somebody up is recorded.
    """
    project = invocation.project()
    try:
        key = UUID(bytes=project.key_only.keyer.key(address))
    except BadAddress:
        raise UsageError("this is no e-mail address", mend="Write it as name@example.org") from None
    record_disclosure(project, "explain", 1)
    with project.warehouse.reader() as con:
        person = explain(con, key, project.reconcile_policy)
        if person is None:
            raise UsageError("no night has ended yet", mend="Run `optout run` first")
        if pdf is not None:
            _write_pdf(con, project, address, person, pdf)
    if as_program:
        echo_json(as_json(person, project))
    else:
        _echo(person, project)
    return EXIT_MISSED if any(d["closed_night"] is None for d in person.drift) else EXIT_OK


def _write_pdf(
    con: DuckDBPyConnection, project: Project, address: str, person: Person, file: Path
) -> None:
    # Rendering brings libraries that the answer on the screen does not need.
    from optout.reports.access import explain_pdf

    normal = normalise(address, project.key_only.keyer.folding)
    write_atomic(file, explain_pdf(con, project, normal, person))
    click.echo(f"written: {file}", err=True)


def as_json(person: Person, project: Project) -> dict[str, Any]:
    """Times are ISO 8601 UTC; states and reasons are those of docs/naming.md."""
    categories = project.settings.category_masks
    return {
        "contact_key": str(person.contact_key),
        "night": person.night.isoformat(),
        "known": person.is_known,
        "expected": {
            name: {
                "state": d.state.value,
                "reason": d.reason.value,
                "decided_by": None
                if d.decided_by is None
                else {
                    "system": d.decided_by.system,
                    "occurred_at": iso(d.decided_by.occurred_at),
                    "source": d.decided_by.source,
                },
            }
            for name, d in person.decisions.items()
        },
        "systems": {
            system: {name: view.actual(categories.bit(name)).value for name in categories.names}
            for system, view in person.views.items()
        },
        "hub": _hub_words(person, project),
        "changes": [_plain(c) for c in person.changes],
        "drift": [_plain(d) for d in person.drift],
        "mail": [_plain(m) for m in person.mail],
    }


def _hub_words(person: Person, project: Project) -> dict[str, str]:
    categories = project.settings.category_masks
    view = person.views.get(project.settings.hub.name)
    words = {}
    for name in categories.names:
        bit = categories.bit(name)
        if view is None:
            words[name] = "absent"
        elif view.outs & bit:
            words[name] = "opted_out"
        else:
            words[name] = "opted_in" if view.ins & bit else "not_set"
    return words


def _plain(row: Any) -> dict[str, Any]:
    values = dict(row) if not hasattr(row, "__dataclass_fields__") else asdict(row)
    return {k: iso(v) if k.endswith(("_at", "_from")) else v for k, v in values.items()}


def _echo(person: Person, project: Project) -> None:
    console = Console(width=max(110, Console().width), highlight=False)
    console.print(f"Contact {person.contact_key}, as of the night {person.night} (times in UTC)")
    if not person.is_known:
        console.print("No system has ever told of this address.")
        return
    categories = project.settings.category_masks
    hub = project.settings.hub.name
    esps = [e.name for e in project.settings.esp]
    answers = _table("What is", "category", "expected", "why", f"{hub} (hub)", *esps)
    words = _hub_words(person, project)
    for name in categories.names:
        d = person.decisions[name]
        told = [
            person.views[e].actual(categories.bit(name)).value if e in person.views else "absent"
            for e in esps
        ]
        answers.add_row(name, d.state.value, d.reason.value, words[name], *told)
    console.print(answers)
    _echo_rows(console, "What happened", person.changes, categories, (
        "occurred_at", "system", "category", "new_state", "source", "feed", "time_kind", "reason",
    ))  # fmt: skip
    _echo_rows(console, "Drift", person.drift, categories, (
        "class", "system", "category", "expected", "actual", "reason", "opened_night",
        "closed_night",
    ))  # fmt: skip
    shown = person.mail[:_SHOWN_MAIL]
    _echo_rows(console, "Mail, newest first", shown, categories, (
        "occurred_at", "system", "kind", "campaign_id",
    ))  # fmt: skip


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    for name in columns:
        table.add_column(name.replace("_", " "), overflow="fold")
    return table


def _echo_rows(
    console: Console,
    title: str,
    rows: Sequence[Mapping[str, Any]],
    categories: Categories,
    columns: tuple[str, ...],
) -> None:
    """A table; rows that differ by category only are one."""
    if not rows:
        console.print(f"{title}: nothing.\n")
        return
    groups: dict[tuple[Any, ...], list[str | None]] = {}
    for row in rows:
        place = tuple(row[c] for c in columns if c != "category")
        groups.setdefault(place, []).append(row.get("category"))
    table = _table(title, *columns)
    for place, names in groups.items():
        values = iter(place)
        table.add_row(
            *(
                _scope(names, categories) if c == "category" else _cell(next(values))
                for c in columns
            )
        )
    console.print(table)


def _scope(names: Sequence[str | None], categories: Categories) -> str:
    if None in names:
        return "everything"
    told = [name for name in categories.names if name in names]
    return "each category" if len(told) == len(categories.names) else ", ".join(told)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else str(value)
