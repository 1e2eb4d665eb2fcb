"""`published/dashboard`: the static site of the night, built from the published copy."""

import dagster as dg

from assets.common import OWNERS, ProjectOpener, told


def build_dashboard() -> dg.AssetsDefinition:
    """What compliance opens in the morning; each night's pages stay as evidence."""

    @dg.asset(
        name="dashboard",
        key_prefix="published",
        deps=[dg.AssetKey(["published", "warehouse"])],
        group_name="published",
        kinds={"plotly"},
        owners=OWNERS,
        description="Static pages of the night: every promise, what is wrong, how it is measured.",
    )
    def dashboard(project: dg.ResourceParam[ProjectOpener]) -> dg.MaterializeResult[None]:
        with told():
            # The location is loaded far more often than pages are built.
            from dashboards.build import build_site

            built = build_site(project.project())
            return dg.MaterializeResult(
                metadata={
                    "index": dg.MetadataValue.path(str(built.index)),
                    "night": dg.MetadataValue.text(built.night.isoformat()),
                    "pages": dg.MetadataValue.int(built.pages),
                    "size_bytes": dg.MetadataValue.int(built.bytes),
                }
            )

    return dashboard
