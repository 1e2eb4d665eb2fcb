"""What mail may rest on: who consented, how it is proven, and what lapses when."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards import figures, words
from dashboards.blocks import Block, Column, Empty, Section, Table
from dashboards.data import Published
from dashboards.frame import Frame
from dashboards.page import Page, Places, as_known, metric_facts, overall_facts, plot, section
from dashboards.theme import LIGHT

_SHOWN_ROWS = 100
STATUSES = {
    "ok": LIGHT["series_1"],
    "within_60": LIGHT["series_5"],
    "within_30": LIGHT["series_2"],
    "within_7": LIGHT["series_7"],
    "expired": LIGHT["missed"],
    "not_proven": LIGHT["series_6"],
}
_LABELS = {
    "consent_ending_7": "End within 7 days",
    "consent_ending_30": "End within 30 days",
    "consent_ending_60": "End within 60 days",
    "consent_expired": "Expired",
    "consent_not_proven": "Not proven",
}


def build(data: Published, places: Places) -> Sequence[Section]:
    """The sections of the page."""
    return [
        section(
            "status",
            "Consent tonight",
            lambda: _status(data),
            lead="People whose country asks for consent, or is unknown: then the strictest "
            "configured regime applies.",
        ),
        section("basis", "What it rests on", lambda: _basis(data)),
        section(
            "forecast",
            "What ends when",
            lambda: _forecast(data),
            lead="People by the week of their last safe day. Ask for express consent before it, "
            "while mail is still allowed; express consent and a contract in force do not end.",
        ),
        section("people", "Whom to ask, and who may not be mailed", lambda: _people(data)),
        section("sends", "Sends without proven consent", lambda: _sends(data)),
    ]


def _status(data: Published) -> list[Block]:
    blocks = overall_facts(data, _LABELS)
    frame = data.frame("consent_status")
    blocks += _bars(data, frame, "consent-status", "People by regime", "regime")
    return blocks


def _basis(data: Published) -> list[Block]:
    frame = data.frame("consent_basis")
    return _bars(data, frame, "consent-basis", "People by basis", "basis")


def _bars(data: Published, frame: Frame, name: str, title: str, by: str) -> list[Block]:
    if not len(frame):
        return [
            Empty(
                "Nobody is known whose country asks for consent.",
                "Where the country is not recorded the strictest regime applies: see "
                "Extraction whether the hub was read.",
            )
        ]
    order = [s for s in STATUSES if s in frame.column("status")]
    named = Frame.of(frame.columns, [(words.title(r[by]), r["status"], r["people"]) for r in frame])
    total = sum(frame.column("people"))
    bad = sum(r["people"] for r in frame if r["status"] in ("expired", "not_proven"))
    says = f"{as_known(data)}{total:,} people; {bad:,} without a consent that can be shown today."
    columns = (
        Column(by, words.title(by)),
        Column("status", "Status", "title"),
        Column("people", "People", "count"),
    )
    drawn = figures.bars(
        named,
        x=by,
        y="people",
        by="status",
        order=order,
        across=True,
        colours=STATUSES,
        y_title="people",
    )
    return [plot(name, title, drawn, says, named, columns)]


def _forecast(data: Published) -> list[Block]:
    frame = data.frame("consent_forecast")
    if not len(frame):
        return [Empty("No consent ends within a year.", "Nothing to ask for.", "", False)]
    order = frame.distinct("basis")
    soon = sorted(set(frame.column("week_from")))[:4]
    ends = sum(r["people"] for r in frame if r["week_from"] in soon)
    says = f"{ends:,} end in the next four weeks that have any, "
    says += f"{sum(frame.column('people')):,} within the year."
    columns = (
        Column("week_from", "Week from", "night"),
        Column("basis", "Basis", "title"),
        Column("people", "People", "count"),
    )
    drawn = figures.bars(
        frame, x="week_from", y="people", by="basis", order=order, y_title="people"
    )
    drawn.update_xaxes(type="date", tickformat="%-d %b %y")
    return [plot("consent-forecast", "Last safe day, by week", drawn, says, frame, columns)]


def _people(data: Published) -> list[Block]:
    columns = (
        Column("contact_key", "Contact key", "code"),
        Column("status", "Status", "title"),
        Column("basis", "Basis", "title"),
        Column("last_safe_day", "Last safe day", "night"),
        Column("days_left", "Days left", "count"),
        Column("jurisdiction", "Jurisdiction"),
        Column("regime", "Regime", "title"),
    )
    rows = data.frame("consent_rows", limit=_SHOWN_ROWS)
    return [
        Table(
            "consent-rows",
            "The soonest first",
            columns,
            rows,
            total=data.count("consent_rows"),
            csv="consent.csv",
            filters=("status", "basis", "regime"),
            empty="Every consent can be shown and none ends soon.",
        )
    ]


def _sends(data: Published) -> list[Block]:
    columns = (
        Column("sent_at", "Sent", "moment"),
        Column("system", "System"),
        Column("category", "Category", "title"),
        Column("status", "Consent was", "title"),
        Column("basis", "Basis", "title"),
        Column("expires_on", "Ended", "night"),
        Column("jurisdiction", "Jurisdiction"),
        Column("contact_key", "Contact key", "code"),
        Column("campaign_id", "Campaign", "code"),
    )
    return [
        *metric_facts(data, "sends_without_consent"),
        Table(
            "unconsented",
            "Newest first",
            columns,
            data.frame("unconsented", limit=_SHOWN_ROWS),
            total=data.count("unconsented"),
            csv="unconsented.csv",
            filters=("system", "category", "status"),
            empty="No such send is known from the send logs that were read.",
        ),
    ]


PAGE = Page(
    "consent",
    "Consent",
    "What may mail rest on, and what lapses when?",
    "Law",
    build,
    metrics=("sends_without_consent", *_LABELS),
    exports={"consent.csv": "consent_rows", "unconsented.csv": "unconsented"},
)
