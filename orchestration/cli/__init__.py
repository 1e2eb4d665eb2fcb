"""The command line: one file a command, imported only when it is called.

Exit codes, the highest that applies: 4 internal, 3 a source could not be read or was incomplete,
2 usage or configuration, 1 a promise missed, 0 none missed.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from pathlib import Path
from typing import Any

import click

from optout.errors import OptoutError
from orchestration.cli.common import (
    EXIT_INTERNAL,
    EXIT_USAGE,
    Invocation,
    configure_logging,
    exit_code_of,
)

COMMANDS = {
    "init": "Write a commented optout.toml.",
    "check": "Test configuration, credentials, scopes, fields and lists before the first night.",
    "run": "Run the nightly job headless: the same assets as Dagster's.",
    "status": "Show the last night: systems and promises.",
    "drift": "Show every cell that is not what is expected.",
    "violations": "Show every send after an opt-out, against its deadlines.",
    "consent": "Show what mail to each person could rest on, and until when.",
    "alerts": "See open alerts, take them on, silence them, test the channels.",
    "gaps": "Show every change whose own record is missing or incomplete.",
    "explain": "Show one person: every system's answer, the expected state, why, and the history.",
    "dashboard": "Build the pages of the last night and print where they are.",
    "verify": "Check that no recorded change was altered, removed or inserted.",
    "report": "Write a report: daily, weekly, monthly, quarterly, quality or touchpoints.",
    "erase": "Erase a person everywhere, and keep only the record that says not to mail them.",
    "rotate-key": "Make all contact keys anew with the key that is configured now.",
    "demo": "Run several nights over sandbox vendors and show what was found.",
}


class LazyGroup(click.Group):
    """Imports a command's module when it is used: `optout --help` must not load Dagster."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of a first week's use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command's `command` object."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"orchestration.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`, from the table above, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    default=lambda: Path(os.environ.get("OPTOUT_CONFIG", "optout.toml")),
    help="The configuration file (default: optout.toml, or OPTOUT_CONFIG).",
)
@click.option(
    "--now",
    default=lambda: os.environ.get("OPTOUT_NOW", ""),
    help="Replay at this moment (ISO 8601; default: OPTOUT_NOW, else the present).",
)
@click.option("-v", "--verbose", is_flag=True, help="Say more on standard error.")
@click.pass_context
def cli(ctx: click.Context, config: Path, now: str, verbose: bool) -> None:
    """optout: a nightly audit of e-mail opt-out preferences."""
    configure_logging(verbose)
    ctx.obj = Invocation(config, now)


def main(argv: list[str] | None = None) -> None:
    """The `optout` console script."""
    sys.exit(run(argv))


def run(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code and never shows a traceback for a user's mistake."""
    os.umask(0o077)
    try:
        result: Any = cli.main(args=argv, prog_name="optout", standalone_mode=False)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.Abort:
        click.echo("interrupted", err=True)
        return EXIT_USAGE
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except OptoutError as error:
        click.echo(f"optout: {error}", err=True)
        return exit_code_of(type(error))
    except BrokenPipeError:
        # The reader of a pipe has gone (`optout drift | head`): nobody is left to be told.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
        return 0
    except Exception as error:
        logging.getLogger(__name__).debug("internal error", exc_info=True)
        click.echo(
            f"optout: internal error ({type(error).__name__}). "
            "Run again with --verbose and report what it says",
            err=True,
        )
        return EXIT_INTERNAL
    return int(result or 0)
