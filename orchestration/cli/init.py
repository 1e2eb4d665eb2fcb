"""`optout init`: a commented optout.toml to start from."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from optout.errors import UsageError
from optout.files import write_atomic
from orchestration.cli.common import Invocation


@click.command(name="init")
@click.option("--force", is_flag=True, help="Replace an existing file.")
@click.pass_obj
def command(invocation: Invocation, force: bool) -> int:
    """Write a commented optout.toml (or the file named by --config)."""
    path: Path = invocation.config
    if path.exists() and not force:
        raise UsageError(f"{path} exists", mend="Edit it, or use --force to replace it")
    template = files("optout").joinpath("optout.template.toml").read_bytes()
    write_atomic(path, template)
    click.echo(f"{path} is written. Next: fill it in, set the environment variables that it names,")
    click.echo("and run `optout check`.")
    return 0
