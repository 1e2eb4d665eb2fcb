"""`optout rotate-key`: everybody gets a new contact key."""

from __future__ import annotations

import getpass

import click

from optout import nightly
from optout.errors import UsageError
from optout.lock import run_lock
from optout.rights import rotate
from optout.rights.pending import settle
from orchestration.cli.common import EXIT_OK, Invocation


@click.command(name="rotate-key")
@click.option("--resume", is_flag=True, help="Finish a rotation that was interrupted.")
@click.pass_obj
def command(invocation: Invocation, resume: bool) -> int:
    """Make all contact keys anew with the key that is configured now.

    Before: put the new secret into an environment variable of its own, name it in
    `identity.key_env`, give it a new `identity.key_id`, and add the present key to
    `identity.retired` (it stays there for good: it recognises erased people and names records).
    Afterwards the chain of changes verifies as before. Interrupted, it is finished by the next run.
    """
    project = invocation.project()
    if not project.warehouse.path.exists():
        raise UsageError("nothing is stored yet", mend="Just set the key and begin")
    with run_lock(project.data_dir, "optout rotate-key", project.now):
        finished = settle(project, nightly.publish)
        if finished is not None:
            click.echo("An interrupted task was finished.", err=True)
        if resume:
            return EXIT_OK
        task = rotate.begin(project, who=getpass.getuser())
        people = rotate.carry_out(project, task, nightly.publish)
    current = project.settings.identity.key_id
    click.echo(f"{people:,} people have new contact keys, made with '{current}'.")
    return EXIT_OK
