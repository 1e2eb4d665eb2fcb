"""The chain over `core.change`: whatever is done to a stored row shows, what is lawful does not."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from uuid import UUID

import pytest
from duckdb import DuckDBPyConnection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optout.address import Keyer
from optout.errors import WarehouseError
from optout.testing.facts import warehouse
from optout.trail import chain
from optout.trail.chain import chained
from optout.trail.heads import FILE, write_head
from optout.trail.verify import Verdict, verify
from optout.warehouse.connection import transaction

KEYER = Keyer(b"k" * 32, "k1")
NIGHT = date(2026, 11, 20)
NEXT = NIGHT + timedelta(days=1)
AT = datetime(2026, 11, 19, 12)  # noqa: DTZ001 - the warehouse stores naive UTC
_COLUMNS = [r[0] for r in warehouse().execute("DESCRIBE core.change").fetchall()]


def address(person: int) -> str:
    return f"person{person}@example.org"


def key(person: int, keyer: Keyer = KEYER) -> UUID:
    return UUID(bytes=keyer.key_of_normal(address(person)))


def insert(con: DuckDBPyConnection, person: int, night: date = NIGHT) -> None:
    """A change with every column filled, as a load would record it, but without its link."""
    con.execute(
        """
        INSERT INTO core.change BY NAME
        SELECT coalesce(max(change_seq), 0) + 1 AS change_seq,
               md5(concat($n, $k, max(change_seq)))::UUID AS change_id, $n::DATE AS night,
               'hub' AS system, 'history' AS feed,
               $k::UUID AS contact_key, 'r' AS record_id, 'contacts' AS store, 'news' AS category,
               'opted_in' AS old_state, 'opted_out' AS new_state, $at::TIMESTAMP AS occurred_at,
               $at::TIMESTAMP AS occurred_from, 'source' AS time_kind,
               $at::TIMESTAMP AS received_at, $at::TIMESTAMP AS effective_at,
               $at::TIMESTAMP AS recorded_at, 'manual' AS source, false AS is_explicit,
               'c' AS channel, 'agent' AS actor, 'asked' AS reason, '192.0.2.0' AS ip_truncated,
               'ua' AS user_agent, 'm1' AS campaign_id, 'e' AS evidence_ref, 0 AS position,
               'ip' AS missing, 'run' AS run_id
        FROM core.change_number
        """,
        {"k": str(key(person)), "n": str(night), "at": AT},
    )


def load(con: DuckDBPyConnection, people: list[int], night: date = NIGHT) -> None:
    """One change of each person, in one transaction with its links."""
    with transaction(con), chained(con):
        for person in people:
            values = {"k": key(person), "a": address(person), "n": night}
            con.execute(
                "INSERT INTO core.identity SELECT $k, $a, 'k1', $n WHERE NOT EXISTS"
                " (SELECT 1 FROM core.identity WHERE contact_key = $k)",
                values,
            )
            insert(con, person, night)


def publish(con: DuckDBPyConnection, folder: Path, night: date = NIGHT) -> None:
    """The night is over and its head written outside."""
    values = {"n": night, "at": AT + timedelta(days=1)}
    con.execute("INSERT OR REPLACE INTO core.night VALUES ($n, $at, 'run', NULL, $at)", values)
    write_head(folder, con)


def two_nights(folder: Path) -> DuckDBPyConnection:
    """Two published nights of three changes each."""
    con = warehouse()
    load(con, [1, 2, 3])
    publish(con, folder)
    load(con, [4, 1, 5], NEXT)
    publish(con, folder, NEXT)
    return con


@pytest.fixture
def con(tmp_path: Path) -> DuckDBPyConnection:
    return two_nights(tmp_path)


def check(con: DuckDBPyConnection, folder: Path, keyer: Keyer = KEYER) -> Verdict:
    return verify(con, folder, keyer)


@contextmanager
def undone(con: DuckDBPyConnection) -> Iterator[None]:
    """What is done within is taken back."""
    con.execute("BEGIN")
    try:
        yield
    finally:
        con.execute("ROLLBACK")


def test_an_untouched_trail_is_whole(con: DuckDBPyConnection, tmp_path: Path) -> None:
    """A verification that always cries, or counts nothing, proves nothing."""
    verdict = check(con, tmp_path)
    assert verdict.is_whole
    assert (verdict.changes, verdict.head.links, verdict.heads, verdict.unanchored) == (6, 6, 2, 0)


def _other(column: str, kind: str) -> str:
    """An expression for a value that differs least."""
    if kind == "VARCHAR":
        return f"left({column}, length({column}) - 1) || chr(ascii(right({column}, 1)) + 1)"
    if kind == "TIMESTAMP":
        return f"{column} + INTERVAL 1 MICROSECOND"
    if kind == "UUID":
        return f"(left({column}::VARCHAR, 35) || (right({column}::VARCHAR, 1) = '0')::INT)::UUID"
    return f"NOT {column}" if kind == "BOOLEAN" else f"{column} + 1"


def test_every_column_of_every_row_is_held(con: DuckDBPyConnection, tmp_path: Path) -> None:
    """A column that the canonical bytes forget could be rewritten, or emptied, unseen."""
    kinds = dict(r[:2] for r in con.execute("DESCRIBE core.change").fetchall())
    for column, kind in kinds.items():
        for value in (_other(column, kind), "NULL"):
            if value == "NULL" and column in _REQUIRED:
                continue
            with undone(con):
                con.execute(f"UPDATE core.change SET {column} = {value} WHERE change_seq = 4")
                faults = check(con, tmp_path).faults
            assert faults, (column, value)
            assert faults[0].change_seq in (4, 5), (column, value)
    assert check(con, tmp_path).is_whole


_REQUIRED = {
    row[0] for row in warehouse().execute("DESCRIBE core.change").fetchall() if row[2] == "NO"
}


@cache
def _shared() -> tuple[DuckDBPyConnection, Path]:
    import tempfile

    folder = Path(tempfile.mkdtemp())
    return two_nights(folder), folder


_DEEDS: dict[str, Callable[[DuckDBPyConnection, int, int], object]] = {
    "delete a row": lambda c, a, b: c.execute("DELETE FROM core.change WHERE change_seq = ?", [a]),
    "delete a row and its link": lambda c, a, b: (
        c.execute("DELETE FROM core.change WHERE change_seq = ?", [a]),
        c.execute("DELETE FROM core.change_commitment WHERE change_seq = ?", [a]),
    ),
    "delete a row and its salt": lambda c, a, b: (
        c.execute("DELETE FROM core.change WHERE change_seq = ?", [a]),
        c.execute("UPDATE core.change_commitment SET salt = NULL WHERE change_seq = ?", [a]),
    ),
    "truncate from a row on": lambda c, a, b: (
        c.execute("DELETE FROM core.change WHERE change_seq >= ?", [a]),
        c.execute("DELETE FROM core.change_commitment WHERE link_seq >= ?", [a]),
    ),
    "insert a row": lambda c, a, b: insert(c, a),
    "repeat a row": lambda c, a, b: c.execute(
        "INSERT INTO core.change SELECT * FROM core.change WHERE change_seq = ?", [a]
    ),
    "swap two rows": lambda c, a, b: c.execute(
        "UPDATE core.change SET change_seq = CASE change_seq WHEN $a THEN $b ELSE $a END"
        " WHERE change_seq IN ($a, $b)",
        {"a": a, "b": b},
    ),
    "swap two commitments": lambda c, a, b: c.execute(
        "UPDATE core.change_commitment AS k SET commitment = o.commitment, salt = o.salt"
        " FROM (SELECT CASE change_seq WHEN $a THEN $b ELSE $a END AS seq, commitment, salt"
        "       FROM core.change_commitment WHERE change_seq IN ($a, $b)) AS o"
        " WHERE o.seq = k.change_seq",
        {"a": a, "b": b},
    ),
    "alter a link": lambda c, a, b: c.execute(
        "UPDATE core.change_commitment SET link = unhex(sha256('x')) WHERE link_seq = ?", [a]
    ),
    "alter the night of a link": lambda c, a, b: c.execute(
        "UPDATE core.change_commitment SET night = night + 1 WHERE link_seq = ?", [a]
    ),
    "alter a salt": lambda c, a, b: c.execute(
        "UPDATE core.change_commitment SET salt = unhex(md5('x')) WHERE link_seq = ?", [a]
    ),
    "alter an address": lambda c, a, b: c.execute(
        "UPDATE core.identity SET address = 'x' || address WHERE contact_key ="
        " (SELECT contact_key FROM core.change WHERE change_seq = ?)",
        [a],
    ),
    "alter a row and its commitment": lambda c, a, b: (
        c.execute("UPDATE core.change SET reason = 'other' WHERE change_seq = ?", [a]),
        c.execute(
            "UPDATE core.change_commitment AS k SET commitment = unhex(sha256(k.salt || t.body))"
            " FROM trail_canonical AS t WHERE t.change_seq = k.change_seq AND k.change_seq = ?",
            [a],
        ),
    ),
    "alter a row and make the chain anew": lambda c, a, b: (
        c.execute("UPDATE core.change SET reason = 'other' WHERE change_seq = ?", [a]),
        c.execute("DELETE FROM core.change_commitment"),
        chain.extend(c, after=0),
    ),
    "exchange two people": lambda c, a, b: [
        c.execute(
            f"UPDATE {table} SET contact_key = CASE contact_key WHEN $a THEN $b ELSE $a END"
            " WHERE contact_key IN ($a, $b)",
            {"a": key(2), "b": key(3)},
        )
        for table in ("core.identity", "core.change")
    ],
}  # fmt: skip


_NO_PLACE = ("insert a row", "exchange two people", "alter an address",
             "alter a row and make the chain anew")  # fmt: skip
"""What shows at another row, or only in the head of a night."""


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(deed=st.sampled_from(sorted(_DEEDS)), place=st.integers(1, 6), turn=st.integers(1, 5))
def test_whatever_is_done_to_the_trail_shows(deed: str, place: int, turn: int) -> None:
    """An auditor is handed a history that somebody mended by hand."""
    con, folder = _shared()
    other = (place + turn - 1) % 6 + 1
    with undone(con):
        _DEEDS[deed](con, place, other)
        verdict = check(con, folder)
    assert not verdict.is_whole, deed
    if deed not in _NO_PLACE:
        assert verdict.faults[0].change_seq in (None, place, other), (deed, verdict.faults)
    assert check(con, folder).is_whole


def test_the_first_place_is_named(con: DuckDBPyConnection, tmp_path: Path) -> None:
    """A verdict without a place leaves millions of rows to be searched."""
    con.execute("UPDATE core.change SET new_state = 'opted_in' WHERE change_seq IN (2, 5)")
    first = check(con, tmp_path).faults[0]
    assert (first.what, first.where, first.change_seq, first.night) == ("altered", "row", 2, NIGHT)


def test_a_night_that_is_dropped_is_missed(con: DuckDBPyConnection, tmp_path: Path) -> None:
    """The end of a chain can be cut off without breaking a link: only the heads outside tell."""
    con.execute("DELETE FROM core.change WHERE night = $n", {"n": NEXT})
    con.execute("DELETE FROM core.change_commitment WHERE night = $n", {"n": NEXT})
    con.execute("DELETE FROM core.night WHERE night = $n", {"n": NEXT})
    con.execute("DELETE FROM core.chain_head WHERE night = $n", {"n": NEXT})
    first = check(con, tmp_path).faults[0]
    assert (first.what, first.where, first.change_seq, first.night) == ("removed", "head", 4, NEXT)


def test_heads_that_are_gone_are_missed(con: DuckDBPyConnection, tmp_path: Path) -> None:
    """Whoever cuts the chain would remove the witness as well."""
    (tmp_path / FILE).unlink()
    assert {f.where for f in check(con, tmp_path).faults} == {"head"}


def test_a_head_is_written_once_a_night(con: DuckDBPyConnection, tmp_path: Path) -> None:
    """A night that is published again must not look like two."""
    before = (tmp_path / FILE).read_bytes()
    publish(con, tmp_path, NEXT)
    assert (tmp_path / FILE).read_bytes() == before
    load(con, [6], NEXT)
    publish(con, tmp_path, NEXT)
    assert len((tmp_path / FILE).read_bytes().splitlines()) == 3
    assert check(con, tmp_path).is_whole


def test_a_torn_head_spoils_only_itself(con: DuckDBPyConnection, tmp_path: Path) -> None:
    """A crash while a head is written must not swallow the next night's."""
    file = tmp_path / FILE
    file.write_bytes(file.read_bytes() + b'{"night": "2026-')
    load(con, [6], NEXT + timedelta(days=1))
    publish(con, tmp_path, NEXT + timedelta(days=1))
    faults = check(con, tmp_path).faults
    assert [(f.what, f.where, f.link_seq) for f in faults] == [("altered", "head", 3)]


def test_a_row_put_there_between_loads_is_not_adopted(
    con: DuckDBPyConnection, tmp_path: Path
) -> None:
    """The next load would give its blessing to what somebody slipped in by hand."""
    insert(con, 1, NEXT)
    load(con, [6, 7], NEXT + timedelta(days=1))
    first = check(con, tmp_path).faults[0]
    assert (first.what, first.where, first.change_seq) == ("inserted", "row", 7)


def test_a_lawful_erasure_leaves_the_chain_whole(con: DuckDBPyConnection, tmp_path: Path) -> None:
    """The right to erasure and the evidence for everybody else must not exclude each other."""
    with transaction(con):
        assert chain.erase(con, [key(1)], night=NEXT) == 2
    with transaction(con):
        assert chain.erase(con, [key(1)], night=NEXT) == 0
    load(con, [1, 8], NEXT + timedelta(days=1))
    publish(con, tmp_path, NEXT + timedelta(days=1))
    verdict = check(con, tmp_path)
    assert verdict.is_whole
    assert (verdict.changes, verdict.erased, verdict.head.links) == (6, 2, 9)
    left = con.execute("SELECT count(*) FROM core.change_commitment WHERE salt IS NULL").fetchone()
    assert left == (2,)


def test_numbers_of_erased_changes_are_not_given_again(
    con: DuckDBPyConnection, tmp_path: Path
) -> None:
    """If the last change is erased, the next one must not take its number and its commitment."""
    with transaction(con):
        chain.erase(con, [key(5)], night=NEXT)
    load(con, [9], NEXT)
    assert con.execute("SELECT max(change_seq) FROM core.change").fetchone() == (7,)
    assert check(con, tmp_path).is_whole


def test_a_record_of_erasure_cannot_be_widened(con: DuckDBPyConnection, tmp_path: Path) -> None:
    """An erasure is no licence to take another row away later."""
    with transaction(con):
        chain.erase(con, [key(4)], night=NEXT)
    con.execute(
        "UPDATE core.change_commitment SET content = '{\"changes\":[[2,4]]}' WHERE kind = 'erasure'"
    )
    con.execute("DELETE FROM core.change WHERE change_seq IN (2, 3)")
    con.execute("UPDATE core.change_commitment SET salt = NULL WHERE change_seq IN (2, 3)")
    assert "link" in {f.where for f in check(con, tmp_path).faults}


def test_a_rotation_of_keys_leaves_the_chain_whole(con: DuckDBPyConnection, tmp_path: Path) -> None:
    """New contact keys on every row are no alteration, as long as they are of the same people."""
    fresh = Keyer(b"n" * 32, "k2")
    for person in range(1, 6):
        for table in ("core.change", "core.identity"):
            con.execute(
                f"UPDATE {table} SET contact_key = $new WHERE contact_key = $old",
                {"new": key(person, fresh), "old": key(person)},
            )
    with transaction(con):
        chain.note(con, "rotation", {"from": "k1", "to": "k2"}, night=NEXT)
    assert check(con, tmp_path, fresh).is_whole
    assert not check(con, tmp_path).is_whole


def test_a_change_of_nobody_stops_the_load(con: DuckDBPyConnection) -> None:
    """Without an address the commitment would not say whose change it is."""
    with pytest.raises(WarehouseError, match="without an address"), transaction(con), chained(con):
        insert(con, 99)
    assert con.execute("SELECT count(*) FROM core.change").fetchone() == (6,)


def test_a_long_chain_is_linked_over_batches(
    con: DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The border between two batches must not drop or double a link."""
    monkeypatch.setattr(chain, "_BATCH", 7)
    load(con, [random.Random(1).randint(1, 5) for _ in range(30)], NEXT)
    verdict = check(con, tmp_path)
    assert verdict.is_whole
    assert (verdict.head.links, verdict.unanchored) == (36, 30)
