"""What the commands share: the invocation, exit codes, output, the published copy."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click
import duckdb
import orjson
from duckdb import DuckDBPyConnection

from optout.clock import parse_now
from optout.errors import (
    InternalError,
    LandingError,
    OptoutError,
    SourceError,
    StorageError,
    UsageError,
    WarehouseError,
)
from optout.http.redact import RedactingFilter
from optout.project import Project

EXIT_OK = 0
EXIT_MISSED = 1
EXIT_USAGE = 2
EXIT_SOURCE = 3
EXIT_INTERNAL = 4


@dataclass(frozen=True)
class Invocation:
    """The options before the command."""

    config: Path
    now_text: str

    @property
    def now(self) -> datetime:
        """The run's clock; raises UsageError."""
        return parse_now(self.now_text)

    def project(self) -> Project:
        """The installation; raises ConfigurationError."""
        return Project.open(self.config, now=self.now, environ=os.environ)


def configure_logging(verbose: bool) -> None:
    """Logs go to standard error, redacted; standard output is for answers."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(RedactingFilter())
    # On the handler too: libraries set levels of their own loggers.
    handler.setLevel(logging.DEBUG if verbose else logging.ERROR)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.ERROR, handlers=[handler], force=True
    )
    for noisy in ("urllib3", "asyncio", "dagster", "great_expectations"):
        logging.getLogger(noisy).setLevel(logging.ERROR)


def exit_code_of(kind: type[OptoutError]) -> int:
    """The exit code of an error of ours."""
    if issubclass(kind, SourceError | LandingError):
        return EXIT_SOURCE
    is_internal = issubclass(kind, WarehouseError | StorageError | InternalError)
    return EXIT_INTERNAL if is_internal else EXIT_USAGE


@contextmanager
def published(project: Project) -> Iterator[DuckDBPyConnection]:
    """The read-only copy of the last good night; raises UsageError where there is none yet."""
    if not project.published.exists():
        raise UsageError("no night was published yet", mend="Run `optout run` first")
    try:
        con = duckdb.connect(str(project.published), read_only=True)
    except duckdb.Error as error:
        raise WarehouseError(
            f"the published copy cannot be opened ({type(error).__name__})",
            mend="Run `optout run` to write it again; nothing is lost",
        ) from None
    try:
        con.execute("SET TimeZone = 'UTC'")
        yield con
    finally:
        con.close()


def echo_json(value: Mapping[str, Any]) -> None:
    """One object on one line."""
    click.echo(orjson.dumps(value, default=_plain).decode())


def iso(moment: datetime | None) -> str | None:
    """A stored (naive UTC) time as ISO 8601 with its zone."""
    return None if moment is None else moment.isoformat(timespec="seconds") + "Z"


def parse_date(text: str | None) -> date | None:
    """A `--date`; raises UsageError."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"'{text}' is no date", mend="Write it as 2026-11-23") from None


def _plain(value: object) -> str:
    return str(value)
