"""Canaries in every field of every system: none sings where people look."""

from __future__ import annotations

import gzip
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import orjson
import pytest
from requests.adapters import HTTPAdapter

from optout.sandbox.world.world import Plan
from optout.testing.nights import Bench
from optout.testing.tamper import objects, tampered
from orchestration.cli import run

PLAN = Plan(people=40, seed=11, campaign_size=10)
_NAMES = (
    "first_name", "last_name", "firstname", "lastname", "line1", "address1", "phone", "mobile",
    "description", "unsubscribe_reason", "email_pref_update_reason", "method_detail",
    "consent_basis_ref", "user_agent", "response", "organization_name", "city",
)  # fmt: skip
_IPS = ("ip", "ip_opt", "ip_signup", "email_pref_consent_ip", "client_ip")
_BROKEN = ("email_pref_last_updated", "timestamp_opt", "last_updated", "createdAt", "received")
"""Dates: what stands there in their place may be repeated by an exception."""
PRIVATE = ("landing/", "optout.duckdb", "optout.duckdb.wal")
"""Where the addresses and the vendors' own records are kept, for the owner alone."""


class Aviary:
    """Plants canaries into answers, and remembers each."""

    def __init__(self) -> None:
        self._rng = Random(3)
        self.planted: set[str] = set()

    def __call__(self, value: Any) -> Any:
        """The answer, with a canary in every field of a person."""
        for each in list(objects(value)):
            for name in [n for n in each if n in _NAMES and isinstance(each[n], str | None)]:
                each[name] = self._canary("Canary Name")
            for name in [n for n in each if n in _IPS and isinstance(each[n], str | None)]:
                each[name] = self._address()
            for name in [n for n in each if n in _BROKEN and isinstance(each[n], str)]:
                if not self._rng.randrange(12):
                    each[name] = self._canary("Canary Date")
            if isinstance(each.get("email_pref_history"), str):
                each["email_pref_history"] = self._history(each["email_pref_history"])
            if "email" in each or "email_address" in each:
                each["note_to_self"] = self._canary("Canary Note")
        return value

    def _history(self, text: str) -> str:
        try:
            entries = orjson.loads(text)
        except orjson.JSONDecodeError:
            return self._canary("[{Canary History")
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict):
                entry |= {
                    "reason": self._canary("Canary Reason"), "ip": self._address(),
                    "user_agent": self._canary("Canary/1.0"),
                }  # fmt: skip
        return orjson.dumps(entries).decode()

    def _canary(self, what: str) -> str:
        self.planted.add(tag := f"tweet{self._rng.getrandbits(48):012x}")
        return f"{what} {tag}"

    def _address(self) -> str:
        self.planted.add(
            ip := f"2001:db8:{self._rng.getrandbits(16):x}:{self._rng.getrandbits(16):x}::77"
        )
        return ip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place of its own for everything that a run leaves: Dagster's store, temporary files."""
    for name in ("dagster", "tmp"):
        (tmp_path / name).mkdir(mode=0o700)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    before = os.umask(0o077)
    logger, levels = logging.getLogger(), logging.getLogger().level
    handlers = list(logger.handlers)
    yield tmp_path
    logger.handlers, logger.level = handlers, levels
    os.umask(before)


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore")
def test_no_canary_leaves_landing_and_the_warehouse(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A log is copied, a page is mailed, a metric is graphed: what stands there is public."""
    aviary = Aviary()
    send = HTTPAdapter.send
    monkeypatch.setattr(HTTPAdapter, "send", lambda *a, **k: tampered(send(*a, **k), aviary))
    with Bench(home / "house", PLAN) as bench:
        for name, value in bench.environ.items():
            monkeypatch.setenv(name, value)
        now = bench.world.night.read_at.isoformat()
        start = ["--verbose", "--config", str(bench.file), "--now", now]
        codes = [run([*start, *command]) for command in (
            ["run"], ["status", "--all"], ["drift"], ["drift", "--json"], ["gaps"],
            ["violations"], ["consent"], ["alerts", "list"], ["check"], ["verify"],
        )]  # fmt: skip
        assert codes[0] in (1, 3)
        addresses = {address for _, _, address in bench.world.truth().cells}
        secret = {*addresses, *bench.secrets, *aviary.planted}
    assert len(addresses) > 35
    assert len(aviary.planted) > 200
    out, err = capfd.readouterr()
    texts = {"standard output": out, "standard error": err} | dict(public(home))
    assert len(texts) > 10
    assert "house/data/published/optout.duckdb" in texts
    for place, text in texts.items():
        sung = sorted(each for each in secret if each in text or each in place)
        assert not sung, f"{place} tells {sung[:3]}"
    private = [p for p in (home / "house" / "data").rglob("*") if p.is_dir() or p.is_file()]
    for path in private:
        mode = path.stat().st_mode & 0o777
        assert mode == (0o700 if path.is_dir() else 0o600), f"{path.relative_to(home)}: {mode:o}"


def public(home: Path) -> Iterator[tuple[str, str]]:
    """Every file that a run left, but for the private ones, as text."""
    for path in sorted(p for p in home.rglob("*") if p.is_file()):
        name = path.relative_to(home).as_posix()
        if not name.startswith(tuple(f"house/data/{each}" for each in PRIVATE)):
            yield name, content(path)


def content(path: Path) -> str:
    """A file's text: of databases, every value of every table, compressed or not."""
    if path.suffix == ".duckdb":
        with closing(duckdb.connect(str(path), read_only=True)) as con:
            names = con.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
            rows = [con.execute(f'FROM "{s}"."{t}"').fetchall() for s, t in names]
        return repr(rows)
    data = path.read_bytes()
    if data.startswith(b"SQLite format 3"):
        with closing(sqlite3.connect(path)) as small:
            return "\n".join(small.iterdump()) + data.decode("utf-8", "replace")
    if data.startswith(b"\x1f\x8b"):
        data = gzip.decompress(data)
    return data.decode("utf-8", "replace")
