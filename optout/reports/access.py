"""The answer to a person's access request (GDPR Art. 15): everything stored about them, as one PDF.

It is the only document with an address in it: the person's own. The caller records that somebody
was looked up, and puts the file where only its owner can read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from duckdb import DuckDBPyConnection

from optout.explain import Person
from optout.model import Categories
from optout.project import Project
from optout.reports import words
from optout.reports.document import Column, Row, Section, Table, columns
from optout.reports.paper import Paper
from optout.reports.render_pdf import draw

MOST_MAIL = 2_000
CHANGES = columns(
    ("occurred_at", "When (UTC)", "time"), ("time_kind", "Known by", "word"), "system",
    ("category", "Category", "word"), ("old_state", "From", "word"), ("new_state", "To", "word"),
    ("source", "How", "word"), ("feed", "Told by", "word"), ("reason", "Reason"),
    ("recorded_at", "Recorded (UTC)", "time"), ("evidence_ref", "Evidence"),
)  # fmt: skip
RECORDS = columns(
    "system", "store", ("record_id", "Record"), ("says", "Says"),
    ("valid_from", "Since (UTC)", "time"),
)  # fmt: skip
DEADLINES = columns(
    ("occurred_at", "Opted out (UTC)", "time"), ("category", "Category", "word"),
    ("system", "In"), ("source", "How", "word"), "jurisdiction",
    ("strict_deadline", "To be honoured by", "date"), ("honoured_at", "Honoured (UTC)", "time"),
    ("open_systems", "Still open in"),
)  # fmt: skip
MAIL = columns(
    ("occurred_at", "When (UTC)", "time"), "system", ("kind", "What", "word"),
    ("campaign_id", "Campaign"),
)  # fmt: skip
DRIFT = columns(
    ("class", "What", "word"), "system", ("category", "Category", "word"),
    ("expected", "Should be", "word"), ("actual", "Was", "word"),
    ("opened_night", "From", "date"), ("closed_night", "Until", "date"),
)  # fmt: skip
VIOLATIONS = columns(
    ("grade", "Grade", "word"), "system", ("category", "Category", "word"),
    ("opted_out_at", "Opted out (UTC)", "time"), ("sent_at", "Mailed (UTC)", "time"),
    ("campaign_id", "Campaign"),
)  # fmt: skip
CONSENT = columns(
    ("system", "System"), "store", ("record_id", "Record"), "country", "method", "basis",
    ("basis_date", "Date of it", "date"), ("basis_ref", "Document"),
    ("last_updated_at", "Last updated (UTC)", "time"), ("update_source", "By", "word"),
    ("update_reason", "Reason"),
)  # fmt: skip
HELD = columns(("place", "Where"), ("held", "Rows", "count"))
SUPPRESSIONS = columns(
    ("since", "Since (UTC)", "time"), ("category", "Category", "word"), ("reason", "Why", "word"),
    ("ground", "Ground"),
)  # fmt: skip


def explain_pdf(con: DuckDBPyConnection, project: Project, address: str, person: Person) -> bytes:
    """The document. `con` reads the warehouse; `address` is the normalised one of the person."""
    made = f"{project.now:%Y-%m-%d %H:%M} UTC"
    paper = Paper("What is stored about you", made, landscape=True)
    paper.heading("What is stored about you", 18)
    paper.note(f"About {address}, as of the night {person.night}, made {made}.", muted=False)
    draw(paper, _sections(con, project, person))
    return bytes(paper.output())


def _sections(con: DuckDBPyConnection, project: Project, person: Person) -> Sequence[Section]:
    categories = project.settings.category_masks
    key = person.contact_key
    return (
        _who(person),
        Section("now", "Your preferences", "", (), (_preferences(project, person),)),
        Section(
            "records", "Where they are held", "", (),
            (
                Table("records", "Records in the systems", RECORDS, _records(person, categories),
                      empty="No system holds a record of you."),
                _asked(con, "consent", "Consent", CONSENT, "core.consent", key,
                       "Nothing is recorded."),
            ),
        ),
        Section(
            "history", "What happened", "", (),
            (
                Table("changes", "Changes of your preferences", CHANGES,
                      tuple(_plain(c) for c in person.changes),
                      empty="No change is recorded."),
                _asked(con, "deadlines", "Opt-outs and their deadlines", DEADLINES,
                       "audit.opt_out", key, "No opt-out is recorded."),
                Table("drift", "Where systems disagreed", DRIFT,
                      tuple(_plain(d) for d in person.drift),
                      empty="They never disagreed."),
                _asked(con, "violations", "Mail that was sent after an opt-out", VIOLATIONS,
                       "audit.violation", key, "None is known."),
                _asked(con, "mail", "Mail and what became of it", MAIL, "core.mail_event", key,
                       "None is recorded.", order="occurred_at DESC", limit=MOST_MAIL),
            ),
        ),
        _about(con, project, key),
    )  # fmt: skip


def _who(person: Person) -> Section:
    return Section(
        "who", "How you are stored", "",
        (
            "Your address stands in one table and in the copies of what the systems told. "
            "Everywhere else you are named by a keyed hash of it, which nobody can turn back "
            f"without the company's key: {person.contact_key}.",
        ),
    )  # fmt: skip


def _preferences(project: Project, person: Person) -> Table:
    categories = project.settings.category_masks
    esps = [esp.name for esp in project.settings.esp]
    named = columns(
        ("category", "Category", "word"), ("state", "Should be", "word"), ("why", "Why", "word"),
        ("decided", "Decided by"), *((esp, esp, "word") for esp in esps),
    )  # fmt: skip
    rows = []
    for name in categories.names:
        decision = person.decisions[name]
        by = decision.decided_by
        told = "" if by is None else f"{by.system}, {by.occurred_at:%Y-%m-%d %H:%M}"
        actual = {
            esp: person.views[esp].actual(categories.bit(name)).value
            if esp in person.views
            else "absent"
            for esp in esps
        }
        rows.append(
            {"category": name, "state": decision.state.value, "why": decision.reason.value,
             "decided": told, **actual}
        )  # fmt: skip
    return Table("preferences", "By category, and what each system would do", named, tuple(rows))


def _records(person: Person, categories: Categories) -> tuple[Row, ...]:
    rows = []
    for system, records in person.stores.items():
        for record in records:
            parts = [
                f"{label}: {', '.join(words.words(n) for n in categories.of(record[mask]))}"
                for label, mask in (("opted in", "ins"), ("opted out", "outs"), ("mails", "sends"))
                if record[mask]
            ]
            parts += [f for f in ("undeliverable", "complained") if record[f]]
            rows.append({**_plain(record), "system": system, "says": "; ".join(parts)})
    return tuple(rows)


def _asked(
    con: DuckDBPyConnection, id: str, title: str, named: tuple[Column, ...], table: str, key: UUID,
    empty: str, *, order: str = "ALL", limit: int = 1_000,
) -> Table:  # fmt: skip
    wanted = ", ".join(f'"{column.name}"' for column in named)
    cursor = con.execute(
        f"SELECT {wanted} FROM {table} WHERE contact_key = $key"  # noqa: S608
        f" ORDER BY {order} LIMIT {limit + 1}",
        {"key": key},
    )
    rows = [dict(zip([c.name for c in named], row, strict=True)) for row in cursor.fetchall()]
    lead = f"The newest {limit:,}." if len(rows) > limit else ""
    shown = tuple(_plain(row) for row in rows[:limit])
    return Table(id, title, named, shown, lead=lead, empty=empty)


def _about(con: DuckDBPyConnection, project: Project, key: UUID) -> Section:
    """Purpose, sources, recipients, times and rights, and how many rows stand where."""
    from optout.rights.tables import tables

    held = []
    for table in tables(con):
        if "contact_key" in table.columns:
            row = con.execute(
                f"SELECT count(*) FROM {table.name} WHERE contact_key = $key",  # noqa: S608
                {"key": key},
            ).fetchone()
            if row and row[0]:
                held.append({"place": table.name, "held": row[0]})
    systems = ", ".join(system.name for system in project.settings.systems)
    days = project.settings.policy.retention
    texts = (
        "Purpose: to make sure and to prove that your wish not to get mail is kept in every "
        "system. Ground: the duty to honour and to show it (GDPR Art. 5(2), 6(1)(c), 7(1), 21(3)).",
        f"Sources: {systems}. Recipients: none; the data stays in this installation.",
        f"Kept for: what systems said {_days(days.landing_days)}; mail {_days(days.mail_days)}; "
        f"former states {_days(days.observation_days)}; recorded changes of preferences as long "
        "as they may have to be proven. Internet addresses are stored without their last part.",
        "You may ask for correction, restriction and erasure, and complain to a supervisory "
        "authority. After an erasure a keyed hash stays, for the one purpose not to mail you.",
    )
    return Section(
        "about", "Why, from where, for how long", "", texts,
        (
            _asked(con, "suppressions", "That you must not be mailed", SUPPRESSIONS,
                   "core.suppression", key, "No such record stands."),
            Table("held", "How much is stored, table by table", HELD, tuple(held)),
        ),
    )  # fmt: skip


def _days(days: int | None) -> str:
    return "without end" if days is None else f"{days:,} days"


def _plain(row: Any) -> dict[str, Any]:
    """Values as a document takes them; a category that is not told is everything."""
    plain: dict[str, Any] = {}
    for name, value in dict(row).items():
        if isinstance(value, datetime):
            plain[name] = value.isoformat(timespec="seconds")
        elif isinstance(value, date | UUID):
            plain[name] = str(value)
        else:
            plain[name] = value
    if "category" in plain and plain["category"] is None:
        plain["category"] = "everything"
    return plain
