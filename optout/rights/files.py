"""Everything in the data folder that is neither landing nor warehouse: what names the person there.

Files are found, not listed: the dashboard's pages and CSV, reports, the alerts' store, whatever a
later part of the product puts there. Pages and tables lose rows, reports are rendered again, texts
in the alerts' store are blanked. A file of another kind, which somebody else put there, is not
touched but named: the erasure stays open until it is gone.
"""

from __future__ import annotations

import gzip
import re
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

from optout.errors import LandingError
from optout.files import sync_dir, write_atomic
from optout.reports import archive
from optout.rights import journal, landing, suppression
from optout.rights.subject import ERASED, Subject

_LINES = frozenset({".csv", ".jsonl", ".tsv", ".ndjson", ".log"})
_SQLITE = frozenset({".sqlite", ".db"})
_DATABASE = ".duckdb"
_OWN = (journal.FILE, suppression.FILE, "run.lock")
"""Files that have to go on naming the person, by key or until the end."""
_TEXTS = frozenset({".html", ".csv"})
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TORN = (".tmp", ".new", ".fresh", ".wal")
_ROW = re.compile(r"<tr\b.*?</tr>", re.DOTALL | re.IGNORECASE)


def sweep(data_dir: Path, subject: Subject) -> dict[str, tuple[int, int]]:
    """Clean every file outside landing and warehouse; kind → (files or rows removed, blanked)."""
    counts: dict[str, list[int]] = {}

    def count(kind: str, removed: int, blanked: int) -> None:
        pair = counts.setdefault(kind, [0, 0])
        pair[0] += removed
        pair[1] += blanked

    for folder in archive.folders(data_dir):
        rows = archive.forget(folder, lambda text: is_about(text, subject))
        count("reports", 0, rows)
    for path in sorted(_others(data_dir)):
        if path.suffix in _SQLITE:
            count("stores", 0, _clean_sqlite(path, subject))
        elif path.suffix in _LINES:
            count("lines", _clean_lines(path, subject), 0)
        elif shows(path, subject):
            count("files", *_clean_file(path, subject))
    return {kind: (pair[0], pair[1]) for kind, pair in counts.items() if any(pair)}


def rename_keys(data_dir: Path, fresh: Mapping[str, str]) -> int:
    """Give contact keys in pages and tables of earlier nights their new names; returns in how many
    files."""
    count = 0
    for path in sorted(_others(data_dir)):
        if path.suffix in _TEXTS:
            text = path.read_text(encoding="utf-8")
            after = _UUID.sub(lambda m: fresh.get(m[0], m[0]), text)
            if after != text:
                write_atomic(path, after.encode())
                sync_dir(path.parent)
                count += 1
    return count


def remains(data_dir: Path, subject: Subject, keep: Path) -> list[Path]:
    """Files that still name the person, but for `keep` (the warehouse with its suppression record)
    and the journal. Compressed files are decoded, databases read as bytes. Raises LandingError if
    it is landing: that is ours to clean."""
    root = data_dir / "landing"
    if any(landing.count(root, landing.eraser(subject, ()))):
        raise LandingError(
            "landing still names the person after its rewriting", mend="Run `optout erase --resume`"
        )
    found = []
    for path in sorted(p for p in data_dir.rglob("*") if p.is_file()):
        if path.name.startswith(_OWN):
            continue
        if path.is_relative_to(root) and path.suffix == ".parquet":
            continue
        if path == keep:
            if any(form.encode() in path.read_bytes().lower() for form in subject.spellings):
                found.append(path)
        elif shows(path, subject):
            found.append(path)
    return found


def naming(data_dir: Path, subject: Subject) -> int:
    """How many files outside landing and warehouse name the person, reports included."""
    reports = [p for f in archive.folders(data_dir) for p in f.iterdir() if p.is_file()]
    return sum(shows(path, subject) for path in (*_others(data_dir), *reports))


def _others(data_dir: Path) -> Iterator[Path]:
    landing = data_dir / "landing"
    reports = data_dir / archive.FOLDER
    for path in data_dir.rglob("*"):
        if not path.is_file() or path.is_relative_to(landing) or path.is_relative_to(reports):
            continue
        if path.name.startswith(_OWN) or path.suffix == _DATABASE:
            continue
        yield path


def is_about(text: str, subject: Subject) -> bool:
    """Whether a text names the person or holds a contact key of theirs."""
    return subject.shows_key(text) or subject.names(text)


def shows(path: Path, subject: Subject) -> bool:
    """Whether a file names the person, by address or key; gzip is decoded."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    if any(key in data for key in subject.stored):
        return True
    return is_about(data.decode("utf-8", "replace"), subject)


def _clean_file(path: Path, subject: Subject) -> tuple[int, int]:
    """Pages of past nights are evidence: they lose the table rows that are about the person. What a
    crash left half written goes whole. What is not ours stays, and is named in the end."""
    if path.suffix == ".html":
        page = path.read_text(encoding="utf-8")
        rest = _ROW.sub(lambda m: "" if is_about(m[0], subject) else m[0], page)
        for key in subject.keys.values():
            rest = rest.replace(str(key), ERASED)
        if not is_about(rest, subject):
            write_atomic(path, rest.encode())
            sync_dir(path.parent)
            return 0, 1
    if not path.name.endswith(_TORN):
        return 0, 0
    path.unlink()
    sync_dir(path.parent)
    return 1, 0


def _clean_lines(path: Path, subject: Subject) -> int:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not is_about(line, subject)]
    if len(kept) < len(lines):
        write_atomic(path, "".join(kept).encode())
        sync_dir(path.parent)
    return len(lines) - len(kept)


def _clean_sqlite(path: Path, subject: Subject) -> int:
    """Blank texts that name the person, then write the file anew (its free pages hold them)."""
    con = sqlite3.connect(path, isolation_level=None)
    try:
        listed = con.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        count = sum(_clean_table(con, name, subject) for (name,) in listed)
        if count:
            con.execute("VACUUM")
    finally:
        con.close()
    return count


def _clean_table(con: sqlite3.Connection, table: str, subject: Subject) -> int:
    if table.startswith("sqlite_"):
        return 0
    columns = [row[1] for row in con.execute(f"PRAGMA table_info({table})")]
    count = 0
    for column in columns:
        rows = con.execute(f'SELECT DISTINCT "{column}" FROM {table}').fetchall()  # noqa: S608
        for (value,) in rows:
            if isinstance(value, str) and is_about(value, subject):
                con.execute(
                    f'UPDATE {table} SET "{column}" = ? WHERE "{column}" = ?',  # noqa: S608
                    (ERASED, value),
                )
                count += 1
    return count
