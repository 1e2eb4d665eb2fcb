"""The suppression record is an opt-out that nothing lifts: in the SQL and in the readable rules."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from duckdb import DuckDBPyConnection

from optout.explain import explain
from optout.rights import erase
from optout.rights.subject import Subject
from optout.rights.suppression import restore, suppress, write_outside
from optout.warehouse.connection import transaction
from optout.warehouse.reconcile import reconcile

_CHANGE = """
    INSERT INTO core.change (change_seq, change_id, night, system, feed, contact_key, category,
        new_state, occurred_at, occurred_from, time_kind, recorded_at, source, is_explicit)
    SELECT (SELECT max(change_seq) + 1 FROM core.change_number), uuid(), $night, $system, 'event',
        $key, $category, $state, $at, $at, 'source', $at, 'email_link', true
"""


def states(con: DuckDBPyConnection, key: UUID) -> dict[str, str]:
    rows = con.execute(
        "SELECT category, state FROM audit.expected WHERE contact_key = $k", {"k": key}
    ).fetchall()
    return dict(rows)


@pytest.mark.parametrize("scope", [None, ("promotional",)])
def test_the_persons_own_later_opt_in_does_not_lift_the_record(
    kept: Any, scope: tuple[str, ...] | None
) -> None:
    """Vendors send old opt-ins again, with new stamps: an erased person would be mailed."""
    project = kept.project
    categories = project.settings.categories
    with project.warehouse.writer() as con:
        night, cutoff = con.execute(
            "SELECT night, cutoff_at FROM core.night ORDER BY night DESC LIMIT 1"
        ).fetchone() or (None, None)
        address, key = con.execute(
            "SELECT address, contact_key FROM core.identity WHERE contact_key NOT IN"
            " (SELECT contact_key FROM core.change WHERE new_state = 'opted_out')"
            " AND contact_key NOT IN (SELECT contact_key FROM core.observation WHERE outs <> 0)"
            " ORDER BY address LIMIT 1"
        ).fetchone() or (None, None)
        subject = Subject.of(address, erase.keyers_of(project))
        with transaction(con):
            suppress(con, subject, scope, cutoff - timedelta(days=30))
            for category in (None, *categories):
                con.execute(
                    _CHANGE,
                    {"night": night, "system": project.settings.esp[0].name, "key": key,
                     "category": category, "state": "opted_in",
                     "at": cutoff - timedelta(days=1)},
                )  # fmt: skip
            reconcile(con, night, policy=project.reconcile_policy)
        found = states(con, key)
        person = explain(con, key, project.reconcile_policy)
        assert person is not None
        readable = {name: d.state.value for name, d in person.decisions.items()}
    out = set(categories) if scope is None else set(scope)
    assert {name for name, state in found.items() if state == "opted_out"} == out
    assert {name for name, state in readable.items() if state == "opted_out"} == out


def test_a_narrow_scope_keeps_what_was_opted_out_before(kept: Any) -> None:
    """ "Only promotional" must not give the other refusals back."""
    project = kept.project
    with project.warehouse.writer() as con, transaction(con):
        address, key = con.execute(
            "SELECT i.address, i.contact_key FROM audit.expected AS e JOIN core.identity AS i"
            " USING (contact_key) WHERE e.state = 'opted_out' AND e.category = 'events'"
            " ORDER BY ALL LIMIT 1"
        ).fetchone() or (None, None)
        subject = Subject.of(address, erase.keyers_of(project))
        suppress(con, subject, ("promotional",), project.now.replace(tzinfo=None))
        rows = con.execute(
            "SELECT category FROM core.suppression WHERE contact_key = $k", {"k": key}
        ).fetchall()
    assert {"events", "promotional"} <= {row[0] for row in rows}


def test_the_record_beside_the_database_is_read_back_exactly(kept: Any) -> None:
    """A restored database knows only what stood in it."""
    project = kept.project
    subject = Subject.of("ana@example.org", erase.keyers_of(project))
    with project.warehouse.writer() as con, transaction(con):
        suppress(con, subject, None, project.now.replace(tzinfo=None))
        before = con.execute("SELECT * FROM core.suppression").fetchall()
        write_outside(con, project.data_dir)
        con.execute("DELETE FROM core.suppression")
        assert restore(con, project.data_dir) == 1
        assert con.execute("SELECT * FROM core.suppression").fetchall() == before
        assert restore(con, project.data_dir) == 0
