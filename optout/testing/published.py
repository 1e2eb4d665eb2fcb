"""A published copy of many nights, made in seconds: for pages, notebooks and the time they take.

Nothing was read and nobody exists: rows are drawn from a hash of their place, so that the same
arguments give the same copy. The tables are those of the migrations, and the copy is made by
`publish.sql` itself. Incidents are in it: nights that were not run, one that was backfilled,
sources that were not complete, promises missed here and there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from duckdb import DuckDBPyConnection

from optout.testing import facts
from optout.warehouse.script import run

LAST = date(2026, 11, 20)
CATEGORIES = ("product_updates", "educational", "promotional", "events", "surveys", "partners")
ESPS = ("mailchimp", "sendgrid", "klaviyo", "hubspot", "brevo", "mailgun", "iterable", "braze")
HUB = "zendesk_sell"


@dataclass(frozen=True)
class Shape:
    """How much of everything."""

    nights: int = 90
    systems: int = 4
    categories: int = 4
    drift: int = 1_500
    incomplete_tonight: bool = False

    @property
    def esps(self) -> Sequence[str]:
        """The first so many."""
        return ESPS[: self.systems]

    @property
    def names(self) -> Sequence[str]:
        """The first so many categories."""
        return CATEGORIES[: self.categories]

    @property
    def first(self) -> date:
        """The first night."""
        return LAST - timedelta(days=self.nights - 1)


def write_published(path: Path, shape: Shape | None = None) -> Path:
    """Fill an empty warehouse and publish it to `path`; returns the path."""
    shape = shape or Shape()
    con = facts.warehouse()
    try:
        fill(con, shape)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        quoted = str(path).replace("'", "''")
        con.execute(f"ATTACH '{quoted}' AS published")
        run(con, "publish")
        con.execute("DETACH published")
    finally:
        con.close()
    return path


def fill(con: DuckDBPyConnection, shape: Shape) -> None:
    """Nights, reads, drift, metrics, and what the law asks for."""
    values = {
        "first": shape.first,
        "last": LAST,
        "hub": HUB,
        "esps": list(shape.esps),
        "categories": list(shape.names),
        "drift": shape.drift,
        "is_incomplete": shape.incomplete_tonight,
    }
    for statement in _script():
        wanted = {name for name in values if f"${name}" in statement}
        con.execute(statement, {name: values[name] for name in sorted(wanted)})


def _script() -> Sequence[str]:
    text = Path(__file__).with_name("published.sql").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.strip().startswith("--")]
    return [part.strip() for part in "\n".join(lines).split(";\n") if part.strip(" ;\n")]
