"""`audit/*` and `mart/*`: what should be, where it is not, and every promise against its target."""

from collections.abc import Iterator

import dagster as dg

from assets.common import OWNERS, ProjectOpener, night_of_run, table_metadata, told
from optout import nightly

_CORE = [dg.AssetKey(["core", n]) for n in ("observation", "change", "consent", "source_read")]
_AUDIT = {
    "expected": "What each person's preference should be, with the change that decided it.",
    "trail_change": "Each change of a field, and whether its system's own record is complete.",
    "trail_gap": "What is wrong with the record of a change, one row a fault.",
    "drift": "Every cell that is not what is expected, with the night it opened and closed.",
}


def build_audit() -> list[dg.AssetsDefinition]:
    """The audit tables and the metrics."""

    @dg.multi_asset(
        name="audit",
        specs=[
            dg.AssetSpec(
                ["audit", name],
                deps=_CORE,
                description=text,
                group_name="audit",
                kinds={"duckdb", "sql"},
                owners=OWNERS,
            )
            for name, text in _AUDIT.items()
        ],
    )
    def audit(
        context: dg.AssetExecutionContext, project: dg.ResourceParam[ProjectOpener]
    ) -> Iterator[dg.MaterializeResult[None]]:
        """An incomplete source makes dependent figures unknown and closes nothing."""
        with told():
            opened = project.project()
            with opened.warehouse.writer() as con:
                nightly.audit(opened, con, night_of_run(context, opened))
                for name in _AUDIT:
                    metadata = table_metadata(con, f"audit.{name}")
                    yield dg.MaterializeResult(asset_key=["audit", name], metadata=metadata)

    @dg.asset(
        key_prefix="mart",
        deps=[dg.AssetKey(["audit", name]) for name in _AUDIT],
        group_name="mart",
        kinds={"duckdb", "sql"},
        owners=OWNERS,
        description="Every promise, every night: value, numerator, denominator, not comparable.",
    )
    def metric_daily(
        context: dg.AssetExecutionContext, project: dg.ResourceParam[ProjectOpener]
    ) -> dg.MaterializeResult[None]:
        with told():
            opened = project.project()
            night = night_of_run(context, opened)
            with opened.warehouse.writer() as con:
                nightly.metrics(opened, con, night)
                counts = con.execute(
                    "SELECT status, count(*) FROM mart.metric_daily WHERE night = $night"
                    " GROUP BY status",
                    {"night": night},
                ).fetchall()
                metadata = dict(table_metadata(con, "mart.metric_daily"))
            metadata |= {f"promises_{status}": dg.MetadataValue.int(n) for status, n in counts}
            return dg.MaterializeResult(metadata=metadata)

    return [audit, metric_daily]
