"""`optout report`: the reports of a period, in every format."""

from __future__ import annotations

from pathlib import Path

import click

from optout.reports import archive
from optout.reports.build import GROUPS, KINDS, build
from optout.reports.source import open_published
from orchestration.cli.common import EXIT_OK, Invocation, parse_date

_WORDS = (*(k for k in KINDS if k not in GROUPS["quarterly"]), "quarterly", *GROUPS["quarterly"])


@click.command(name="report")
@click.argument("kind", type=click.Choice(_WORDS))
@click.option("--date", "date_text", help="A day in the period (default: the last night).")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False),
    help="Where to write (default: the folder `reports` of the data folder).",
)  # fmt: skip
@click.pass_obj
def command(invocation: Invocation, kind: str, date_text: str | None, out: Path | None) -> int:
    """Write a report as HTML, PDF, CSV and JSON, each from the same data.

    `quarterly` writes the compliance audit, the data-quality audit and the inventory of
    touchpoints. A report states its period, what was not measured, and the head of the chain.
    """
    project = invocation.project()
    day = parse_date(date_text)
    root = out or project.data_dir / archive.FOLDER
    with open_published(project) as con:
        for name in GROUPS.get(kind, (kind,)):
            folder = archive.write(build(project, con, name, day), root)
            click.echo(f"{folder}/report.html")
    return EXIT_OK
