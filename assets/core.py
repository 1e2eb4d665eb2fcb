"""`core/*`: what each system said of each cell, each change as an event, each send. Idempotent."""

from collections.abc import Iterator

import dagster as dg

from assets.common import OWNERS, ProjectOpener, night_of_run, table_metadata, told
from optout import nightly
from optout.settings import Settings

TABLES = {
    "identity": "The only table with plain addresses: contact key to address.",
    "observation": "What each store of each system said of each record: change-only.",
    "change": "Every preference change as an event; append-only.",
    "change_commitment": "The chain over the changes: what was recorded cannot be altered unseen.",
    "mail_event": "Who was sent what and when, and what came of it, from the vendors' own logs.",
    "campaign": "Each mailing and whether it identifies its sender and offers an opt-out.",
    "consent": "The governance fields of the hub's records.",
    "source_read": "The manifest of every stream of every night.",
}


def build_core(settings: Settings) -> dg.AssetsDefinition:
    """The core tables, loaded from all systems' raw night."""
    raw = [dg.AssetKey(["raw", config.name]) for config in settings.systems]
    specs = [
        dg.AssetSpec(
            ["core", name],
            deps=raw,
            description=text,
            group_name="core",
            kinds={"duckdb", "sql"},
            owners=OWNERS,
        )
        for name, text in TABLES.items()
    ]

    @dg.multi_asset(name="core", specs=specs)
    def core(
        context: dg.AssetExecutionContext, project: dg.ResourceParam[ProjectOpener]
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Load each system in a transaction of its own, then derive what no vendor told."""
        with told():
            opened = project.project()
            night = night_of_run(context, opened)
            with opened.warehouse.writer() as con:
                for config in opened.settings.systems:
                    nightly.load_core(opened, con, night, config.name)
                nightly.derive(opened, con, night)
                for name in TABLES:
                    metadata = table_metadata(con, f"core.{name}")
                    yield dg.MaterializeResult(asset_key=["core", name], metadata=metadata)

    return core
