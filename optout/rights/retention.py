"""Each layer forgets after its time (`[policy.retention]`, docs/processing-record.md), every night.

Counted from the last finished night, not from the clock: a wrong clock must not empty an archive.
Recorded changes are never forgotten here: an opt-out has no end date, nor has its proof.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path

import orjson
from duckdb import DuckDBPyConnection

from optout.files import sync_dir, write_atomic
from optout.policy.rights import RetentionTable
from optout.project import Project
from optout.reports import archive
from optout.warehouse.connection import transaction

DISCLOSURES = "disclosures.jsonl"
SITE = "site"
_FIGURES = (
    "mart.metric_daily", "mart.audience_daily", "mart.preference_daily", "mart.opt_out_rate",
    "mart.opt_out_series", "mart.trail_daily", "audit.cell_count", "audit.spike", "audit.move",
)  # fmt: skip
_DAYS_OF_MONTH = 31


def retain(project: Project, con: DuckDBPyConnection) -> Mapping[str, int]:
    """Forget what is over its time; returns what → how many rows, nights, reports or lines."""
    row = con.execute("SELECT max(night) FROM core.night WHERE finished_at IS NOT NULL").fetchone()
    base = row[0] if row else None
    if base is None:
        return {}
    policy = project.settings.policy.retention
    with transaction(con):
        counts = _rows(con, base, policy, _mail_days(project))
    counts["landing"] = _landing(project, con, base, policy.landing_days)
    counts["reports"] = _reports(project.data_dir, base, policy.report_days)
    counts["pages"] = _pages(project.published.parent, base, policy.report_days)
    counts["disclosures"] = _disclosures(project.data_dir, base, policy.disclosure_days)
    return {what: count for what, count in counts.items() if count}


def _rows(
    con: DuckDBPyConnection, base: date, policy: RetentionTable, mail_days: int | None
) -> dict[str, int]:
    counts = {}
    deletes = [
        (
            "core.mail_event", mail_days,
            "occurred_at < $limit AND event_key NOT IN (SELECT event_key FROM audit.violation)"
            " AND event_key NOT IN (SELECT event_key FROM audit.unconsented_send)",
        ),
        ("core.observation", policy.observation_days, "night_to < $limit"),
        ("audit.drift", policy.drift_days, "closed_night < $limit"),
        ("core.finding", policy.finding_days, "night < $limit"),
        *((name, policy.metric_days, "night < $limit") for name in _FIGURES),
    ]  # fmt: skip
    for table, days, where in deletes:
        if days is not None:
            found = con.execute(
                f"DELETE FROM {table} WHERE {where}",  # noqa: S608
                {"limit": base - timedelta(days=days)},
            ).fetchone()
            counts[table] = int(found[0]) if found else 0
    return counts


def _mail_days(project: Project) -> int | None:
    """No shorter than anything that is judged by mail."""
    policy = project.settings.policy
    months = policy.consent.sunset_after_months or 0
    needed = (policy.audience.unengaged_days, months * _DAYS_OF_MONTH)
    days = policy.retention.mail_days
    return None if days is None else max(days, *needed)


def _landing(project: Project, con: DuckDBPyConnection, base: date, days: int | None) -> int:
    """Whole nights, and only those that the warehouse holds."""
    if days is None:
        return 0
    rows = con.execute("SELECT night FROM core.night WHERE finished_at IS NOT NULL").fetchall()
    finished = {row[0] for row in rows}
    limit = base - timedelta(days=days)
    over = [n for n in project.landing.nights() if n < limit and n in finished]
    for night in over:
        shutil.rmtree(project.landing.root / night.isoformat())
    if over:
        sync_dir(project.landing.root)
    return len(over)


def _reports(data_dir: Path, base: date, days: int | None) -> int:
    if days is None:
        return 0
    limit = (base - timedelta(days=days)).isoformat()
    over = [f for f in archive.folders(data_dir) if archive.read(f).until < limit]
    for folder in over:
        shutil.rmtree(folder)
    return len(over)


def _pages(published: Path, base: date, days: int | None) -> int:
    """Nights of the static site, which lies beside the published copy."""
    if days is None:
        return 0
    limit = (base - timedelta(days=days)).isoformat()
    over = [p for p in (published / SITE).glob("????-??-??*") if p.name[:10] < limit]
    for path in over:
        if path.is_symlink():
            path.unlink()
        else:
            shutil.rmtree(path)
    return len(over)


def _disclosures(data_dir: Path, base: date, days: int | None) -> int:
    path = data_dir / DISCLOSURES
    if days is None or not path.exists():
        return 0
    limit = base - timedelta(days=days)
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if _day(line) is None or _day(line) >= limit]  # type: ignore[operator]
    if len(kept) < len(lines):
        write_atomic(path, b"".join(kept))
        sync_dir(data_dir)
    return len(lines) - len(kept)


def _day(line: bytes) -> date | None:
    """When it was; None for a line that cannot be read: that one stays."""
    try:
        return datetime.fromisoformat(orjson.loads(line)["at"]).date()
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None
