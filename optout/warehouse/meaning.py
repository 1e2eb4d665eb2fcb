"""What the stored bits mean: a category keeps its place in the configuration for good."""

from __future__ import annotations

from duckdb import DuckDBPyConnection

from optout.errors import ConfigurationError
from optout.settings import Settings


def keep_meaning(con: DuckDBPyConnection, settings: Settings) -> None:
    """Note the place of each category, in the caller's transaction; raises ConfigurationError where
    the configuration gives a stored place another meaning."""
    rows = con.execute("SELECT bit, category FROM core.category_meaning ORDER BY bit").fetchall()
    known = [category for _, category in rows]
    names = list(settings.categories)
    if names[: len(known)] != known:
        told = ", ".join(f'"{name}"' for name in known)
        raise ConfigurationError(
            f"the stored nights were read with [{told}], in this order",
            key="categories",
            file=settings.file,
            mend="Leave those where they are and add new ones at the end; a category that is no "
            "longer mailed is left out of the tables [esp.categories] instead",
        )
    fresh = [(bit, name) for bit, name in enumerate(names) if bit >= len(known)]
    if fresh:
        con.executemany("INSERT INTO core.category_meaning VALUES (?, ?)", fresh)
