"""Landing: durable before anyone is told, resumable, never a torn file taken for a whole one."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from optout.address import Keyer
from optout.errors import LandingError
from optout.landing.batches import batch
from optout.landing.manifest import Manifest, read_manifest, verify_part
from optout.landing.store import Landing
from optout.landing.writer import StreamWriter
from optout.records import Change, Finding, Reading

NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
NIGHT = date(2026, 11, 23)


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path / "landing", Keyer(b"k" * 32, "k1"))


def begin(landing: Landing) -> StreamWriter:
    text = NOW.isoformat()
    return landing.open_stream(
        Manifest("mc", "members", NIGHT.isoformat(), text, text, is_snapshot=True)
    )


def rows_of(landing: Landing, kind: str = "reading") -> list[tuple[object, ...]]:
    folder = landing.folder(NIGHT, "mc", "members")
    manifest = read_manifest(folder)
    assert manifest is not None
    files = [str(verify_part(folder, p)) for p in manifest.parts if p.kind == kind]
    query = "SELECT record_id, address, contact_key FROM read_parquet($files) ORDER BY 1"
    return duckdb.execute(query, {"files": files}).fetchall() if files else []


def test_rows_are_keyed_and_typed_when_they_land(landing: Landing) -> None:
    """A join on plain text would be slow, and would spread addresses."""
    writer = begin(landing)
    writer.add(Reading("audience:1", "r1", " Ana@Example.org", modified_at=NOW))
    writer.complete(vendor_total=1, read_total=1)
    manifest = writer.finish(NOW, {"requests": 1})
    assert manifest.is_complete
    [(record, address, key)] = rows_of(landing)
    assert (record, address) == ("r1", "ana@example.org")
    assert key.bytes == Keyer(b"k" * 32, "k1").key("ana@example.org")  # type: ignore[attr-defined]


def test_a_killed_read_goes_on_at_its_cursor_and_torn_files_are_no_data(landing: Landing) -> None:
    """A half-written file counted as data would invent or lose people."""
    writer = begin(landing)
    writer.add(Reading("audience:1", "r1", "a@example.org"))
    writer.page_done({"offset": 1})
    writer.flush()
    writer.add(Reading("audience:1", "r2", "b@example.org"))
    writer.page_done({"offset": 2})
    folder = landing.folder(NIGHT, "mc", "members")
    (folder / "reading-00002.parquet").write_bytes(b"torn")
    (folder / "reading-00003.parquet.tmp").write_bytes(b"torn")
    assert landing.manifest(NIGHT, "mc", "members") is None

    again = begin(landing)
    assert again.cursor == {"offset": 1}
    again.add(Reading("audience:1", "r2", "b@example.org"))
    again.complete()
    again.finish(NOW, {})
    assert [r[0] for r in rows_of(landing)] == ["r1", "r2"]


def test_a_read_that_never_said_it_was_done_is_incomplete(landing: Landing) -> None:
    """A connector that returns early must not look like an empty vendor."""
    writer = begin(landing)
    manifest = writer.finish(NOW, {})
    assert not manifest.is_complete
    assert manifest.why_not


def test_a_total_that_differs_makes_the_read_incomplete(landing: Landing) -> None:
    """A partial read taken for a full one closes drift that is still there."""
    writer = begin(landing)
    writer.add(Reading("audience:1", "r1", "a@example.org"))
    writer.complete(vendor_total=2, read_total=1)
    manifest = writer.finish(NOW, {})
    assert not manifest.is_complete
    assert manifest.why_not == "the vendor tells 2 records, 1 were read"


def test_an_interrupted_read_keeps_its_place_and_an_unproven_one_begins_anew(
    landing: Landing,
) -> None:
    """Going on after a wrong total would repeat the same wrong total for ever."""
    writer = begin(landing)
    writer.page_done({"offset": 1})
    writer.interrupted("reset by peer")
    writer.finish(NOW, {})
    again = begin(landing)
    assert again.cursor == {"offset": 1}
    again.incomplete("the total differs")
    again.finish(NOW, {})
    assert begin(landing).cursor is None


def test_what_is_no_address_is_quarantined_and_counted(landing: Landing) -> None:
    """A record that cannot be keyed must not vanish silently."""
    writer = begin(landing)
    writer.add(Reading("audience:1", "r1", "not an address", outs=1))
    writer.add(Reading("audience:1", "r2", "b@example.org"))
    writer.add(Change("e", "report", "r1", "nope", None, None, "opted_out", NOW, NOW))
    writer.complete()
    manifest = writer.finish(NOW, {})
    kinds = {p.kind: p.rows for p in manifest.parts}
    assert kinds == {"reading": 1, "finding": 2}


def test_a_changed_file_is_noticed(landing: Landing) -> None:
    """Evidence that anyone can edit is none."""
    writer = begin(landing)
    writer.add(Reading("audience:1", "r1", "a@example.org"))
    writer.complete()
    manifest = writer.finish(NOW, {})
    folder = landing.folder(NIGHT, "mc", "members")
    part = folder / manifest.parts[0].file
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    with pytest.raises(LandingError, match="changed since"):
        verify_part(folder, manifest.parts[0])
    part.unlink()
    with pytest.raises(LandingError, match="is gone"):
        verify_part(folder, manifest.parts[0])


def test_a_damaged_manifest_is_told_by_place(landing: Landing) -> None:
    """A traceback from a JSON parser tells on-call nothing."""
    writer = begin(landing)
    writer.complete()
    writer.finish(NOW, {})
    (landing.folder(NIGHT, "mc", "members") / "manifest.json").write_text("{")
    with pytest.raises(LandingError, match=r"members/manifest\.json is damaged"):
        landing.manifest(NIGHT, "mc", "members")


def test_a_night_keeps_its_first_cut_off(landing: Landing) -> None:
    """A re-run hours later must judge the same moment."""
    assert landing.begin_night(NIGHT, NOW) == NOW
    assert landing.begin_night(NIGHT, NOW.replace(hour=9)) == NOW
    assert landing.nights() == [NIGHT]


def test_landing_is_readable_by_its_owner_alone(landing: Landing) -> None:
    """Landing holds plain addresses."""
    writer = begin(landing)
    writer.add(Reading("audience:1", "r1", "a@example.org"))
    writer.complete()
    writer.finish(NOW, {})
    folder = landing.folder(NIGHT, "mc", "members")
    assert {oct(p.stat().st_mode & 0o777) for p in folder.iterdir()} == {"0o600"}


def test_a_row_lands_the_same_wherever_batches_end(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person at the edge of a batch must be neither lost nor written twice, and one record that
    cannot be used must not take its neighbours along."""
    monkeypatch.setattr("optout.landing.writer.BATCH_ROWS", 3)
    writer = begin(landing)
    for number in range(10):
        address: Any = {4: "no address", 7: 7}.get(number, f"P{number}@Example.org")
        ins: Any = "many" if number == 5 else number % 2
        writer.add(Reading("audience:1", f"r{number}", address, ins=ins, modified_at=NOW))
        writer.add(Finding("unresolved", "audience:1", f"r{number}"))
        writer.page_done({"offset": number + 1})
    writer.complete()
    manifest = writer.finish(NOW, {})
    good = [n for n in range(10) if n not in (4, 5, 7)]
    assert [row[:2] for row in rows_of(landing)] == [(f"r{n}", f"p{n}@example.org") for n in good]
    assert {part.kind: part.rows for part in manifest.parts} == {"reading": 7, "finding": 13}
    found = [record for record, *_ in rows_of(landing, "finding")]
    assert found == sorted([f"r{n}" for n in range(10)] + ["r4", "r5", "r7"])


def test_large_records_are_durable_sooner(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted by rows alone, records of ten kilobytes would take ten times the memory."""
    monkeypatch.setattr("optout.landing.writer.BATCH_ROWS", 2)
    monkeypatch.setattr("optout.landing.writer.FILE_BYTES", 10_000)
    writer = begin(landing)
    for number in range(4):
        writer.add(Reading("audience:1", f"r{number}", "a@example.org", raw="x" * 4_000))
        writer.page_done(number)
        assert writer.cursor == (3 if number == 3 else None)
    writer.complete()


def test_a_column_of_one_value_lands_as_it_was(landing: Landing) -> None:
    """A default written for all rows where one row says otherwise would lose what it says."""
    writer = begin(landing)
    for number, outs in enumerate((0, 4, 0)):
        writer.add(Reading("audience:1", f"r{number}", None, outs=outs, deleted=True, in_at=NOW))
    writer.complete()
    [part] = writer.finish(NOW, {}).parts
    file = str(landing.folder(NIGHT, "mc", "members") / part.file)
    query = "SELECT record_id, outs, deleted, present, in_at, created_at, address, contact_key FROM"
    found = duckdb.execute(f"{query} read_parquet($file)", {"file": file}).fetchall()
    rest = (True, True, NOW.replace(tzinfo=None), None, None, None)
    assert found == [("r0", 0, *rest), ("r1", 4, *rest), ("r2", 0, *rest)]


def test_times_of_any_zone_land_as_the_same_moment(landing: Landing) -> None:
    """An hour's shift moves a change across a deadline."""
    zone = timezone(timedelta(hours=5, minutes=30))
    told = [datetime(2026, 3, 1, 12, 0, 0, 123457, zone), None, datetime(1960, 1, 1, tzinfo=UTC)]
    mixed = [*told, NOW.replace(tzinfo=None)]
    for values in (told, mixed):
        rows = [Reading("audience:1", "r", "a@example.org", modified_at=value) for value in values]
        table, findings = batch("reading", rows, Keyer(b"k" * 32, "k1"))
        assert table["modified_at"].equals(pa.array(values, type=pa.timestamp("us")))
        assert not findings
    rows = [Reading("audience:1", "r", "a@example.org", modified_at=v) for v in (NOW, "noon", NOW)]  # type: ignore[arg-type]
    table, [finding] = batch("reading", rows, Keyer(b"k" * 32, "k1"))
    assert (table.num_rows, finding.field, finding.detail) == (2, "modified_at", "str")
