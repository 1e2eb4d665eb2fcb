"""Open alerts as rows, from the alerts' own file: counts and systems, nobody's data."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

from dashboards import words
from dashboards.data import NotMeasured
from dashboards.frame import Frame

_COLUMNS = ("severity", "headline", "since", "state", "next_step", "rule", "key")
_URGENCY = {"page": 0, "ticket": 1, "digest": 2}


def open_alerts(file: Path | None, night: date) -> Frame:
    """Alerts that are not resolved, the most urgent first; NotMeasured where nobody judges."""
    if file is None or not file.exists():
        raise NotMeasured("no alert was ever judged here")
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as con:
        rows = con.execute(
            "SELECT dedup_key, rule, state, severity, facts, opened_night FROM alert"
            " WHERE state <> 'resolved' AND opened_night <= ? ORDER BY opened_at, dedup_key",
            (night.isoformat(),),
        ).fetchall()
    found = []
    for key, rule, state, severity, facts, opened in rows:
        told = json.loads(facts)
        since = date.fromisoformat(told.get("since") or opened)
        found.append(
            (
                severity,
                words.plain(told.get("headline") or words.title(rule)),
                since,
                state,
                words.plain(told.get("next_step") or ""),
                rule,
                key,
            )
        )
    found.sort(key=lambda row: (_URGENCY.get(row[0], 3), row[2]))
    return Frame.of(_COLUMNS, found)
