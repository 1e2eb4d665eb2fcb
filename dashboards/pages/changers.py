"""People who change their mind strikingly often: a fault, a shared mailbox, or abuse."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards import figures, words
from dashboards.blocks import Block, Column, Empty, Section, Table
from dashboards.data import Published
from dashboards.page import Page, Places, overall_facts, plot, section

_SHOWN_ROWS = 100


def build(data: Published, places: Places) -> Sequence[Section]:
    """The sections of the page."""
    return [
        section(
            "people",
            "Frequent changers",
            lambda: _people(data),
            lead="As many changes of their own as `[policy.clocks] frequent_changes` or more. "
            "Every opt-out among them is honoured all the same.",
        ),
        section("rows", "Who", lambda: _rows(data)),
    ]


def _people(data: Published) -> list[Block]:
    facts = overall_facts(data, {"frequent_changers": "People"})
    frame = data.frame("changer_counts")
    if not len(frame):
        return [*facts, Empty("Nobody changes strikingly often.", "Nothing to do.", "", False)]
    most = max(frame.column("changes"))
    people = words.plural(sum(frame.column("people")), "person", "people")
    says = f"{people}, at most {most:,} changes."
    columns = (Column("changes", "Changes", "count"), Column("people", "People", "count"))
    drawn = figures.bars(frame, x="changes", y="people", y_title="people")
    drawn.update_xaxes(title="changes", dtick=max(1, most // 12))
    return [
        *facts,
        plot("changer-counts", "People by number of changes", drawn, says, frame, columns),
    ]


def _rows(data: Published) -> list[Block]:
    columns = (
        Column("contact_key", "Contact key", "code"),
        Column("changes", "Changes", "count"),
        Column("first_at", "First", "moment"),
        Column("last_at", "Last", "moment"),
    )
    return [
        Table(
            "changers-table",
            "The most changes first",
            columns,
            data.frame("changers", limit=_SHOWN_ROWS),
            total=data.count("changers"),
            csv="changers.csv",
            empty="Nobody changes strikingly often.",
        )
    ]


PAGE = Page(
    "changers",
    "Frequent changers",
    "Does anybody change their mind strikingly often?",
    "Law",
    build,
    metrics=("frequent_changers",),
    exports={"changers.csv": "changers"},
)
