"""What stands on a page, as plain data: pages are made of these, one template draws them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from dashboards.frame import Frame

Kind = Literal[
    "text", "code", "count", "percent", "night", "moment", "status", "read", "class", "nights",
    "seconds",
    "hours", "title", "links", "long", "name",
]  # fmt: skip
"""How a cell is shown. `long` is a sentence with room for it and `code` in it, `name` a word that
does not break, `links` pairs of address and words (without an address: the words alone)."""


@dataclass(frozen=True)
class Column:
    """One column of a table: where it comes from, what it is called, how it is shown."""

    name: str
    label: str
    kind: Kind = "text"


@dataclass(frozen=True)
class Table:
    """Rows for people. `total` is how many there are, where more exist than are shown; `csv` names
    the file beside the page that holds all of them."""

    id: str
    caption: str
    columns: Sequence[Column]
    frame: Frame
    total: int | None = None
    csv: str | None = None
    filters: Sequence[str] = ()
    empty: str = "Nothing to list."
    kind: str = field(default="table", init=False)


@dataclass(frozen=True)
class Plot:
    """A figure, one sentence that says what it shows, and the same as a table."""

    id: str
    title: str
    figure: Any
    says: str
    table: Table
    kind: str = field(default="plot", init=False)

    @property
    def is_wide(self) -> bool:
        """Whether it has words in its cells, for which a phone is too narrow."""
        return any(trace.type == "heatmap" and trace.texttemplate for trace in self.figure.data)


@dataclass(frozen=True)
class Fact:
    """One figure of `mart.metric_daily`, or a plain number, in words."""

    label: str
    value: str
    status: str = "shown"
    of: str = ""
    note: str = ""
    href: str = ""
    row: dict[str, Any] | None = None
    """The row of mart that it shows: name, scope and exact value are written beside it."""


@dataclass(frozen=True)
class Facts:
    """Figures side by side."""

    items: Sequence[Fact]
    title: str = ""
    kind: str = field(default="facts", init=False)


@dataclass(frozen=True)
class Tile:
    """A promise: everything that one has to see of it without going further."""

    id: str
    title: str
    value: str
    status: str
    target: str
    of: str
    note: str
    href: str
    link: str
    spark: str
    """A finished SVG, drawn by `dashboards.spark`."""
    row: dict[str, Any] | None = None
    is_partly: bool = False
    """The figure over all is met, and some system misses it: the note says which."""


@dataclass(frozen=True)
class Tiles:
    """The promises."""

    items: Sequence[Tile]
    kind: str = field(default="tiles", init=False)


@dataclass(frozen=True)
class Step:
    """Something to do: in one line, with where to look and what to run."""

    text: str
    detail: str = ""
    href: str = ""
    command: str = ""
    status: str = "missed"


@dataclass(frozen=True)
class Steps:
    """What to do next, most urgent first."""

    items: Sequence[Step]
    empty: str
    kind: str = field(default="steps", init=False)


@dataclass(frozen=True)
class Empty:
    """Nothing to show, and why: not the same as nothing found."""

    what: str
    do: str
    command: str = ""
    is_unknown: bool = True
    """False where it was measured and there is nothing: that is good news."""
    kind: str = field(default="empty", init=False)


@dataclass(frozen=True)
class Prose:
    """Paragraphs that were rendered from the project's own documents."""

    html: str
    kind: str = field(default="prose", init=False)


@dataclass(frozen=True)
class Verdict:
    """The one sentence that has to be read first, which promises it is about, and the one thing to
    do before all others."""

    text: str
    status: str
    details: Sequence[tuple[str, str]] = ()
    first: Step | None = None
    kind: str = field(default="verdict", init=False)


Block = Verdict | Table | Plot | Facts | Tiles | Steps | Empty | Prose


@dataclass(frozen=True)
class Section:
    """A heading with an id that lasts, a lead, and blocks."""

    id: str
    title: str
    blocks: Sequence[Block]
    lead: str = ""
