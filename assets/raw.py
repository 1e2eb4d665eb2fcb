"""`raw/<system>`: the last night's landing, typed, in DuckDB. One asset a system, by factory."""

import dagster as dg

from assets.common import OWNERS, ProjectOpener, night_of_run, told
from optout.settings import Settings
from optout.vendors.base import SystemConfig
from optout.warehouse.load import load_raw


def build_raw(settings: Settings) -> list[dg.AssetsDefinition]:
    """One raw asset for each configured system."""
    return [_raw_asset(config) for config in settings.systems]


def _raw_asset(config: SystemConfig) -> dg.AssetsDefinition:
    landing = dg.AssetDep(["landing", config.name], partition_mapping=dg.LastPartitionMapping())

    @dg.asset(
        name=config.name,
        key_prefix="raw",
        deps=[landing],
        group_name="raw",
        kinds={"duckdb", "sql"},
        owners=OWNERS,
        description=f"The last night of {config.name}, typed; replaced whole with every load.",
    )
    def raw(
        context: dg.AssetExecutionContext, project: dg.ResourceParam[ProjectOpener]
    ) -> dg.MaterializeResult[None]:
        with told():
            opened = project.project()
            with opened.warehouse.writer() as con:
                load_raw(con, opened.landing, night_of_run(context, opened), config.name)
                rows = con.execute(
                    "SELECT coalesce(sum(row_count), 0), coalesce(sum(finding_count), 0)"
                    " FROM raw.manifest WHERE system = $system",
                    {"system": config.name},
                ).fetchone()
            count, findings = rows or (0, 0)
            return dg.MaterializeResult(
                metadata={"dagster/row_count": int(count), "findings": int(findings)}
            )

    return raw
