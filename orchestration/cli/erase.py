"""`optout erase ADDRESS`: a person's right to be forgotten, and to be left in peace."""

from __future__ import annotations

import getpass
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from optout import nightly
from optout.address import BadAddress
from optout.errors import UsageError
from optout.lock import run_lock
from optout.project import Project
from optout.rights import erase
from optout.rights.erase import Erased
from optout.rights.journal import Journal
from optout.rights.keys import check_key
from optout.rights.pending import settle
from optout.rights.subject import Subject
from optout.rights.suppression import withdraw, write_outside
from optout.warehouse.connection import transaction
from orchestration.cli.common import EXIT_INTERNAL, EXIT_OK, Invocation, echo_json

_SHOWN_FILES = 5


@click.command(name="erase")
@click.argument("address", required=False)
@click.option("--dry-run", is_flag=True, help="Tell what would be erased; change nothing.")
@click.option(
    "--category",
    "categories",
    multiple=True,
    help="Keep suppressed in this category only (repeatable; default: in all).",
)
@click.option("--resume", is_flag=True, help="Finish an erasure that was interrupted.")
@click.option(
    "--withdraw",
    "withdrawing",
    is_flag=True,
    help="Remove the suppression record: the person asks for mail again.",
)
@click.option("--json", "as_program", is_flag=True, help="One JSON object.")
@click.pass_obj
def command(
    invocation: Invocation, address: str | None, dry_run: bool, categories: tuple[str, ...],
    resume: bool, withdrawing: bool, as_program: bool,
) -> int:  # fmt: skip
    """Erase a person from every table, landing file, report and copy, and keep only the record that
    says not to mail them. Running it again is safe; an interrupted one is finished by the next run.

    It does not reach the vendors: the systems that still had the person are named. Their accounts
    have to forget the person, too, or the next night will tell of them again, as suppressed.
    """
    project = invocation.project()
    if not address and not resume:
        raise UsageError("whom?", mend="Give the address, or --resume")
    if not project.warehouse.path.exists():
        raise UsageError("nothing is stored yet", mend="There is nothing to erase")
    with run_lock(project.data_dir, "optout erase", project.now):
        found = settle(project, nightly.publish)
        if found is not None:
            is_done = Journal(project.data_dir).pending() is None
            word = "was finished" if is_done else "is still open: remove the files that it named"
            click.echo(f"An earlier task {word}.", err=True)
        if not address:
            return EXIT_OK if Journal(project.data_dir).pending() is None else EXIT_INTERNAL
        try:
            return _one(project, address, dry_run, categories, withdrawing, as_program)
        except BadAddress:
            raise UsageError(
                "this is no e-mail address", mend="Write it as name@example.org"
            ) from None


def _one(
    project: Project, address: str, dry_run: bool, categories: tuple[str, ...],
    withdrawing: bool, as_program: bool,
) -> int:  # fmt: skip
    with project.warehouse.writer() as con, transaction(con):
        check_key(con, project.key_only, project.now)
    if withdrawing:
        return _withdraw(project, address)
    task = erase.begin(project, address, who=getpass.getuser(), categories=categories)
    if dry_run or not erase.is_known(project, task):
        found = erase.look(project, task)
        if not found.is_known:
            raise UsageError(
                "nothing is held of this address", mend="Nothing was changed; check its spelling"
            )
        if not dry_run and found.counts:
            found = erase.carry_out(project, task, nightly.publish)
    else:
        found = erase.carry_out(project, task, nightly.publish)
    if as_program:
        echo_json(_as_json(found, dry_run))
    else:
        _echo(found, dry_run)
    return EXIT_INTERNAL if found.left else EXIT_OK


def _withdraw(project: Project, address: str) -> int:
    subject = Subject.of(address, erase.keyers_of(project))
    with project.warehouse.writer() as con, transaction(con):
        scopes = withdraw(con, subject)
    with project.warehouse.reader() as con:
        write_outside(con, project.data_dir)
    if not scopes:
        raise UsageError("no suppression record stands for this address", mend="Nothing changed")
    click.echo("The suppression record is removed. What vendors tell decides from tonight on.")
    return EXIT_OK


def _as_json(found: Erased, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "removed": {place: pair[0] for place, pair in found.counts.items()},
        "blanked": {place: pair[1] for place, pair in found.counts.items() if pair[1]},
        "was_suppressed": found.is_suppressed,
        "held_by": dict(found.holders),
        "left": [path.name for path in found.left],
    }


def _echo(found: Erased, dry_run: bool) -> None:
    console = Console(width=max(100, Console().width), highlight=False)
    if not found.counts:
        console.print("Erased before; nothing is held. The suppression record stands.")
        return
    verb = "Would remove" if dry_run else "Removed"
    table = Table("Where", verb, "Mentions in other rows", title_justify="left")
    for place, (removed, blanked) in found.counts.items():
        table.add_row(place, f"{removed:,}", f"{blanked:,}" if blanked else "")
    console.print(table)
    if found.left:
        names = ", ".join(path.name for path in found.left[:_SHOWN_FILES])
        console.print(
            f"NOT DONE: {len(found.left)} files in the data folder still name the person and are "
            f"not optout's ({names}). Remove them, then run: optout erase --resume"
        )
    elif not dry_run:
        console.print("The search at the end found nothing left. The suppression record stands.")
    if found.holders:
        told = ", ".join(f"{system} ({count} records)" for system, count in found.holders)
        console.print(f"Held at the last read by: {told}. Erase the person there, too.")
