"""`landing/<system>`: what each vendor said tonight. One step reads all systems at once in
threads, so that a night does not pay the start-up of every step; each is an asset of its own and
can be selected alone."""

from collections.abc import Iterator

import dagster as dg

from assets.common import OWNERS, ProjectOpener, night_of_run, told
from optout import nightly
from optout.extract import PROGRESS
from optout.landing.manifest import Manifest
from optout.settings import Settings
from optout.vendors import VENDORS


def build_landing(
    settings: Settings, partitions: dg.DailyPartitionsDefinition
) -> dg.AssetsDefinition:
    """The landing assets of the configured systems."""
    specs = [
        dg.AssetSpec(
            ["landing", config.name],
            description=f"What {config.vendor} said each night: Parquet and a manifest a stream, "
            "written before anything is acknowledged.",
            group_name="landing",
            kinds={"python", "parquet"},
            owners=OWNERS,
            metadata={
                "vendor": config.vendor,
                "api_revision": VENDORS[config.vendor].revision or "unversioned",
            },
        )
        for config in settings.systems
    ]

    @dg.multi_asset(name="extract", specs=specs, can_subset=True, partitions_def=partitions)
    def extract(
        context: dg.AssetExecutionContext, project: dg.ResourceParam[ProjectOpener]
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Read the selected systems concurrently. A system that fails is recorded as incomplete
        and does not stop the others; the completeness check says so."""
        with told():
            opened = project.project()
            keys = sorted(context.selected_asset_keys)

            def tell(line: str) -> None:
                context.log.info(line)
                PROGRESS.info(line)

            manifests = nightly.extract(
                opened,
                night_of_run(context, opened),
                systems=[key.path[-1] for key in keys],
                progress=tell,
                run_id=context.run_id,
            )
            for key in keys:
                own = [m for m in manifests if m.system == key.path[-1]]
                yield dg.MaterializeResult(asset_key=key, metadata=_metadata(own))

    return extract


def _metadata(manifests: list[Manifest]) -> dict[str, dg.MetadataValue]:
    records = [
        dg.TableRecord(
            {
                "stream": m.stream,
                "complete": m.is_complete,
                "full": m.is_full,
                "rows": m.rows,
                "requests": int(m.http.get("requests", 0)),
                "retries": int(m.http.get("retries", 0)),
                "why_not": m.why_not or "",
            }
        )
        for m in manifests
    ]
    table = dg.MetadataValue.table(records) if records else dg.MetadataValue.text("no stream")
    return {
        "is_complete": dg.MetadataValue.bool(
            bool(manifests) and all(m.is_complete for m in manifests)
        ),
        "dagster/row_count": dg.MetadataValue.int(sum(m.rows for m in manifests)),
        "streams": table,
    }
