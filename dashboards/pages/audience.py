"""Whom a category may be mailed to, and why the others may not: five groups that never overlap."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards import figures, lists, words
from dashboards.blocks import Block, Column, Empty, Section, Table
from dashboards.canvas import days, hatch_nights
from dashboards.data import Published
from dashboards.frame import Frame
from dashboards.page import (
    Page,
    Places,
    as_known,
    incomplete_nights,
    overall_facts,
    pivot,
    plot,
    section,
    since,
)
from dashboards.theme import LIGHT

NIGHTS = 90
STATUSES = {
    "mailable": LIGHT["series_1"],
    "never_asked": LIGHT["series_5"],
    "unengaged": LIGHT["series_4"],
    "opted_out": LIGHT["series_2"],
    "undeliverable": LIGHT["series_6"],
    "not_mailed": LIGHT["grid"],
}
STATES = {
    "opted_in": LIGHT["series_1"],
    "not_set": LIGHT["series_6"],
    "opted_out": LIGHT["series_2"],
    "unclear": LIGHT["series_7"],
}


def build(data: Published, places: Places) -> Sequence[Section]:
    """The sections of the page."""
    return [
        section(
            "groups",
            "Audience by category",
            lambda: _groups(data),
            lead="Opted out is a decision. Unengaged is none: no click, purchase or login for "
            "the configured time. Never asked: nobody knows what they want.",
        ),
        section(
            "lists",
            "Lists",
            lambda: _lists(data),
            lead="Contact keys with their group, one file a category, always of the newest night. "
            "Who may be mailed is in none of them. `optout explain ADDRESS` tells of one person.",
        ),
        section("nights", "Audience by night", lambda: _nights(data)),
        section("preferences", "What the hub says", lambda: _preferences(data)),
        section(
            "global",
            "Opt-outs of everything",
            lambda: overall_facts(
                data,
                {
                    "global_opt_outs": "Opted out of everything",
                    "sunset": "Reached by the company's own sunset rule",
                },
            ),
            lead="The sunset rule is the company's wish, apart from any law.",
        ),
    ]


def _groups(data: Published) -> list[Block]:
    frame = data.frame("audience")
    return _stacked(
        data,
        frame,
        "audience-groups",
        "People by category",
        "status",
        STATUSES,
        "No audience was counted tonight.",
    )


def _lists(data: Published) -> list[Block]:
    found = {(r["category"], r["status"]): r["people"] for r in data.frame("audience")}
    if not found:
        return [Empty("No audience was counted tonight.", "The lists are those of the last one.")]
    columns = [Column("category", "Category", "title")]
    columns += [Column(s, words.title(s), "count") for s in lists.STATUSES]
    columns.append(Column("file", "Who", "links"))
    rows = []
    for name in data.context.categories:
        file = lists.file_of(name)
        link = (f"../{lists.FOLDER}/{file}", file)
        rows.append((name, *(found.get((name, s), 0) for s in lists.STATUSES), [link]))
    frame = Frame.of([c.name for c in columns], rows)
    return [Table("audience-lists", f"{as_known(data)}People by group", columns, frame)]


def _preferences(data: Published) -> list[Block]:
    frame = data.frame("preferences")
    return _stacked(
        data,
        frame,
        "preference-states",
        "Preferences by category",
        "state",
        STATES,
        "The hub's preferences were not counted tonight.",
    )


def _stacked(
    data: Published,
    frame: Frame,
    name: str,
    title: str,
    by: str,
    colours: dict[str, str],
    empty: str,
) -> list[Block]:
    if not len(frame):
        return [Empty(empty, "A source was not read completely, or nobody is known yet.")]
    order = [s for s in colours if s in frame.column(by)]
    named = Frame.of(
        frame.columns, [(words.title(r["category"]), r[by], r["people"]) for r in frame]
    )
    table = pivot(named, index="category", column=by, value="people", order=order, missing=0)
    columns = [Column("category", "Category"), *(Column(s, words.title(s), "count") for s in order)]
    first = table.first() or {}
    shares = [f"{words.title(s).lower()} {words.count(first[s])}" for s in order]
    says = f"{as_known(data)}{first['category']}: {', '.join(shares)}."
    drawn = figures.bars(
        named,
        x="category",
        y="people",
        by=by,
        order=order,
        across=True,
        colours=colours,
        y_title="people",
    )
    return [plot(name, title, drawn, says, table, columns)]


def _nights(data: Published) -> list[Block]:
    frame = data.frame("audience_nights", first=since(data, NIGHTS))
    if not len(frame):
        return [Empty("No night was counted.", "It begins with the next complete night.")]
    order = [s for s in STATUSES if s in frame.column("status")]
    table = pivot(frame, index="night", column="status", value="people", order=order, missing=0)
    columns = [
        Column("night", "Night", "night"),
        *(Column(s, words.title(s), "count") for s in order),
    ]
    drawn = figures.bars(
        frame,
        x="night",
        y="people",
        by="status",
        order=order,
        colours=STATUSES,
        y_title="people × categories",
    )
    unknown = incomplete_nights(data, NIGHTS)
    hatch_nights(drawn, unknown)
    days(drawn, [*frame.column("night"), *unknown])
    says = f"{words.plural(len(table), 'night')}, all categories together."
    if unknown:
        says += f" {words.plural(len(unknown), 'night')} hatched: not every source was read."
    return [plot("audience-nights", "Groups by night", drawn, says, table, columns)]


PAGE = Page(
    "audience",
    "Audience",
    "Whom may each category be mailed to, and why not the others?",
    "Preferences",
    build,
    metrics=("global_opt_outs", "sunset"),
)
