"""`reports/*`: what compliance files away, written from the published copy."""

from datetime import timedelta

import dagster as dg

from assets.common import OWNERS, ProjectOpener, told
from optout.project import Project

PERIODS = {
    "weekly": "Opt-out rate by source and category of the week that ended.",
    "monthly": "Preference distribution of the month that ended.",
    "quarterly": "Compliance audit, data-quality audit and touchpoints of the quarter that ended.",
}


def build_reports() -> list[dg.AssetsDefinition]:
    """The daily one, which belongs to the night, and those of longer periods (group `reports`)."""

    @dg.asset(
        name="daily",
        key_prefix="reports",
        deps=[dg.AssetKey(["published", "warehouse"])],
        group_name="published",
        kinds={"pdf"},
        owners=OWNERS,
        description="Preference changes of the night, as page, PDF, CSV and JSON.",
    )
    def daily(project: dg.ResourceParam[ProjectOpener]) -> dg.MaterializeResult[None]:
        with told():
            return _write(project.project(), "daily", has_ended=False)

    return [daily, *(_periodic(name, text) for name, text in PERIODS.items())]


def _periodic(name: str, description: str) -> dg.AssetsDefinition:
    @dg.asset(
        name=name,
        key_prefix="reports",
        deps=[dg.AssetKey(["published", "warehouse"])],
        group_name="reports",
        kinds={"pdf"},
        owners=OWNERS,
        description=description,
    )
    def periodic(project: dg.ResourceParam[ProjectOpener]) -> dg.MaterializeResult[None]:
        with told():
            return _write(project.project(), name, has_ended=True)

    return periodic


def _write(project: Project, name: str, *, has_ended: bool) -> dg.MaterializeResult[None]:
    # Rendering brings libraries that no other step needs.
    from optout.reports import archive
    from optout.reports.build import GROUPS, build
    from optout.reports.source import open_published

    day = project.tonight - timedelta(days=1) if has_ended else None
    metadata: dict[str, dg.MetadataValue] = {}
    with open_published(project) as con:
        for kind in GROUPS.get(name, (name,)):
            report = build(project, con, kind, day)
            folder = archive.write(report, project.data_dir / archive.FOLDER)
            metadata[kind] = dg.MetadataValue.path(str(folder / "report.html"))
            metadata[f"{kind}_verdict"] = dg.MetadataValue.text(report.summary)
    return dg.MaterializeResult(metadata=metadata)
