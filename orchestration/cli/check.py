"""`optout check`: everything that can be wrong before the first night, all at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import click

from optout.errors import ConfigurationError, OptoutError, SourceError
from optout.extract import build_connector
from optout.project import Project
from optout.vendors.base import Problem, SystemConfig
from orchestration.cli.common import EXIT_OK, EXIT_SOURCE, EXIT_USAGE, Invocation, echo_json


@click.command(name="check")
@click.option("--json", "as_program", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def command(invocation: Invocation, as_program: bool) -> int:
    """Test the configuration against the vendors: credentials, scopes, custom fields, lists."""
    project = invocation.project()
    _ = project.secrets
    configs = project.settings.systems
    with ThreadPoolExecutor(max_workers=len(configs)) as pool:
        found = list(pool.map(lambda config: _ask(project, config), configs))
    unreachable = False
    fatal = False
    for config, (problems, is_unreachable) in zip(configs, found, strict=True):
        unreachable |= is_unreachable
        fatal |= any(p.fatal for p in problems)
        _tell(config, problems, as_program)
    fatal |= _lacks_engine(project, as_program)
    if unreachable:
        return EXIT_SOURCE
    return EXIT_USAGE if fatal else EXIT_OK


def _ask(project: Project, config: SystemConfig) -> tuple[list[Problem], bool]:
    """A system's problems, and whether it could not be asked at all."""
    where = "hub" if config is project.settings.hub else f"esp.{config.name}"
    problems: list[Problem] = []
    try:
        # One by one: what was found before the system stopped answering is kept.
        for problem in build_connector(project.settings, project.secrets, config).check():
            problems.append(problem)
    except SourceError as error:
        mend = error.mend or f"See whether {config.base_url} and {config.token_env} are right"
        problems.append(Problem(where, error.message, mend))
        return problems, True
    except OptoutError as error:
        problems.append(Problem(where, error.message, error.mend or "See the documentation"))
    return problems, False


def _lacks_engine(project: Project, as_program: bool) -> bool:
    """Whether the night could not reconcile; said only then, as the default needs nothing."""
    try:
        project.engine.check()
    except ConfigurationError as error:
        if as_program:
            problem = Problem(error.key, error.message, error.mend or "")
            echo_json({"system": None, **asdict(problem)})
        else:
            click.echo(f"✗ {error}")
        return True
    return False


def _tell(config: SystemConfig, problems: list[Problem], as_program: bool) -> None:
    if as_program:
        for problem in problems:
            echo_json({"system": config.name, **asdict(problem)})
        return
    fatal = sum(p.fatal for p in problems)
    click.echo(f"{config.name} ({config.vendor}): {'ok' if not fatal else f'{fatal} to mend'}")
    for problem in problems:
        mark = "✗" if problem.fatal else "·"
        click.echo(f"  {mark} {problem.key}: {problem.message}. {problem.mend}")
