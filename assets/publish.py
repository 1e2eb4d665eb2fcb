"""`published/warehouse`: the read-only copy that people, pages and reports read."""

import dagster as dg

from assets.common import OWNERS, ProjectOpener, told
from optout import nightly


def build_published() -> list[dg.AssetsDefinition]:
    """What is replaced atomically after a good night."""

    @dg.asset(
        name="warehouse",
        key_prefix="published",
        deps=[dg.AssetKey(["mart", "metric_daily"])],
        group_name="published",
        kinds={"duckdb"},
        owners=OWNERS,
        description="Read-only copy of mart and audit; readers never meet the writer's lock.",
    )
    def warehouse(
        context: dg.AssetExecutionContext, project: dg.ResourceParam[ProjectOpener]
    ) -> dg.MaterializeResult[None]:
        with told():
            opened = project.project()
            with opened.warehouse.writer() as con:
                path = nightly.publish(opened, con)
            size = path.stat().st_size
            return dg.MaterializeResult(metadata={"size_bytes": dg.MetadataValue.int(size)})

    return [warehouse]
