"""What all assets share: owners, partitions, the night of a run, table metadata."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Protocol

import dagster as dg
from duckdb import DuckDBPyConnection

from optout.clock import night_of
from optout.errors import InternalError, OptoutError
from optout.project import Project
from optout.settings import Settings

OWNERS = ["team:data-engineering"]
_OURS = ("optout", "assets", "dashboards", "checks")
FIRST_NIGHT = "2020-01-01"
PARTITION_TAG = "dagster/partition"


class ProjectOpener(Protocol):
    """The resource under the key `project`."""

    def project(self) -> Project:
        """The installation."""


@contextmanager
def told() -> Iterator[None]:
    """Let only errors pass that are known to name nobody: Dagster keeps an error's text for good.

    An unforeseen one becomes an InternalError with its type and the place in our code.
    """
    try:
        yield
    except OptoutError:
        raise
    except Exception as error:
        raise InternalError(
            f"unforeseen {type(error).__name__} in {_place(error)}",
            mend="Report it with that place",
        ) from None


def _place(error: Exception) -> str:
    """The innermost line of ours that was at work."""
    place = "an unknown place"
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        name = frame.f_globals.get("__name__", "")
        if name.split(".")[0] in _OURS:
            place = f"{name}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return place


def nights(settings: Settings | None, ahead_days: int = 1) -> dg.DailyPartitionsDefinition:
    """A partition a night, named by its date in the configured zone; tonight included.

    `ahead_days` reaches into the future for a replay with `--now`.
    """
    zone = settings.timezone if settings else "UTC"
    return dg.DailyPartitionsDefinition(FIRST_NIGHT, timezone=zone, end_offset=ahead_days)


def night_of_run(context: dg.AssetExecutionContext, project: Project) -> date:
    """The night that this run is about: its partition, else the present one."""
    key = context.run.tags.get(PARTITION_TAG)
    return date.fromisoformat(key) if key else night_of(project.now, project.settings.zone)


def table_metadata(con: DuckDBPyConnection, table: str) -> Mapping[str, dg.MetadataValue]:
    """Row count and column schema of a table, as Dagster shows them."""
    count = con.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
    columns = con.execute(f"DESCRIBE {table}").fetchall()
    schema = dg.TableSchema([dg.TableColumn(name=c[0], type=c[1]) for c in columns])
    return {
        "dagster/row_count": dg.MetadataValue.int(count[0] if count else 0),
        "dagster/column_schema": dg.MetadataValue.table_schema(schema),
    }


def days_ahead(project_now: date, today: date) -> int:
    """How many partitions past yesterday are needed so that the run's night exists."""
    return max(1, (project_now - today + timedelta(days=1)).days)
