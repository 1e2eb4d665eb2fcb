"""Found against planted: open drift cell by cell, and what the readable rules make of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from duckdb import DuckDBPyConnection

from optout.explain import Person, explain
from optout.model import DriftClass
from optout.project import Project
from optout.rules.drift import Cell, classify
from optout.sandbox.truth.shapes import Truth

DriftCell = tuple[str, str, str, str]
"""Class, system, category, address."""


def planted(truth: Truth) -> set[DriftCell]:
    """What a perfect reader finds."""
    return {(r.drift_class.value, r.system, r.category, r.address) for r in truth.drift}


def found(con: DuckDBPyConnection, project: Project) -> set[DriftCell]:
    """Open drift; a row of all categories counts once for each that the system holds."""
    held: Mapping[str, tuple[str, ...]] = {
        project.settings.hub.name: project.settings.categories,
        **{esp.name: tuple(esp.categories) for esp in project.settings.esp},
    }
    rows = con.execute(
        "SELECT class, system, category, address FROM audit.drift"
        " JOIN core.identity USING (contact_key) WHERE closed_night IS NULL"
    ).fetchall()
    return {
        (name, system, each, address)
        for name, system, category, address in rows
        for each in ([category] if category else held[system])
    }


def disagreements(
    con: DuckDBPyConnection, project: Project, key: UUID
) -> Iterator[tuple[str, str, Any, Any]]:
    """Where `optout explain` and `optout drift` say different things of a person: system,
    category, what follows from the explanation, what the night found."""
    person = explain(con, key, project.reconcile_policy)
    if person is None:
        yield "", "", None, "no night"
        return
    rows = [d for d in person.drift if d["closed_night"] is None]
    rows = [d for d in rows if d["class"] != DriftClass.CONFLICTING_DUPLICATES]
    for esp in project.settings.esp:
        for category in esp.categories:
            told = [
                (d["class"], d["expected"])
                for d in rows
                if d["system"] == esp.name and d["category"] in (category, None)
            ]
            explained = _explained(person, project, esp.name, category)
            if told != explained:
                yield esp.name, category, explained, told


def _explained(
    person: Person, project: Project, system: str, category: str
) -> list[tuple[str, str | None]]:
    """The class of one cell, by the readable rules from what is explained of the person."""
    bit = project.settings.category_masks.bit(category)
    here, hub = person.views.get(system), person.views.get(project.settings.hub.name)
    decision = person.decisions[category]
    verdict = classify(
        Cell(
            decision,
            mailable=here is not None and bool(here.mailable & bit),
            holds_out=here is not None and bool(here.outs & bit),
            present=here is not None and here.present,
            unclear=here is not None and bool(here.unclear & bit),
            known=hub is not None,
            hub_out=hub is not None and bool(hub.outs & bit),
            hub_unclear=hub is not None and bool(hub.unclear & bit),
        )
    )
    if verdict is None:
        return []
    # Whoever is missing somewhere is, whatever the state that is expected.
    is_stateless = verdict[0] is DriftClass.MISSING_HERE
    return [(verdict[0].value, None if is_stateless else decision.state.value)]
