"""No address and no credential leaves landing and `identity`: for every vendor, fault or none."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from optout.errors import SourceError
from optout.sandbox.faults import Fault, FaultKind
from optout.testing.contract import PLAN, Reading, read_once
from optout.testing.nights import Bench

Read = Callable[..., Reading]
_HEX = re.compile(r"[0-9a-f]{32,}")


def personal(bench: Bench) -> frozenset[str]:
    """Every address of the world, the credentials, and what can be computed from an address."""
    from optout.sandbox.mailchimp.state import subscriber_hash

    addresses = {address for _, _, address in bench.world.truth().cells}
    assert len(addresses) > 10
    return frozenset(addresses | bench.secrets | {subscriber_hash(each) for each in addresses})


def told(caplog: pytest.LogCaptureFixture) -> Iterator[str]:
    """Everything that any handler could write of the captured records."""
    formatter = logging.Formatter("%(message)s %(name)s")
    for record in caplog.records:
        yield formatter.format(record)


FAULTS = sorted(set(FaultKind) - {FaultKind.SLOW, FaultKind.SKEW})


def test_no_log_line_error_or_manifest_tells_who(
    vendor: str, seed: int, is_full: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Logs are kept for years, copied and searched by people who may not know the addresses."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "urllib3")
    rng = Random(f"{seed} {vendor} secrets")
    kinds = FAULTS if is_full else rng.sample(FAULTS, 3)
    for number, kind in enumerate([None, *kinds]):
        with Bench(tmp_path / str(number), PLAN) as bench:
            if kind is not None:
                nth = rng.randint(1, 12)
                bench.sandbox.faults.plant(Fault(kind, vendor, nth=nth, times=None, rows=9))
            reading = read_once(bench, vendor)
            secrets = personal(bench)
        lines = list(told(caplog))
        lines += [text for m in reading.manifests.values() for text in (m.why_not, m.note) if text]
        assert lines or kind is None
        for line in lines:
            assert not [each for each in secrets if each in line.lower()], kind
            assert "@" not in line, (kind, line)
        caplog.clear()


def test_no_request_that_fails_tells_whom_it_was_about(
    vendor: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Some paths hold an address, or the hash by which the vendor knows it."""
    caplog.set_level(logging.DEBUG)
    with Bench(tmp_path, PLAN) as bench:
        # Every request but the repeated ones.
        faults = [Fault(FaultKind.SERVER_ERROR, vendor, nth=2 * n + 1) for n in range(150)]
        bench.sandbox.faults.plant(*faults)
        read_once(bench, vendor)
        secrets = personal(bench)
    lines = list(told(caplog))
    assert sum("the vendor failed" in line for line in lines) > 8
    for line in lines:
        assert "@" not in line
        assert not [each for each in secrets if each in line.lower()]


def test_findings_and_ids_tell_nobody(vendor: str, read: Read) -> None:
    """`core` keeps them for good: an unkeyed hash of an address is the address to who guesses."""
    reading = read(vendor, Fault(FaultKind.UNKNOWN_ENUM, vendor, times=None, rows=9))
    secrets = personal(reading.bench)
    for rows in reading.rows.values():
        for row in rows:
            for name, value in row.fields:
                if name in ("record_id", "event_id", "detail", "evidence_ref", "message_id"):
                    assert not [each for each in secrets if each in str(value)], (row.kind, name)
                    assert "@" not in str(value), (row.kind, name)


def test_ids_made_of_addresses_change_with_the_key(vendor: str, tmp_path: Path) -> None:
    """What is the same under two keys was not made with the key, so anybody could make it."""
    ids: list[set[str]] = []
    for number in range(2):
        with Bench(tmp_path / str(number), PLAN) as bench:
            if number:
                bench.environ = {**bench.environ, "OPTOUT_KEY": "another key" * 8}
            reading = read_once(bench, vendor)
        ids.append({
            word
            for rows in reading.rows.values()
            for row in rows
            for name, value in row.fields
            if name in ("record_id", "event_id")
            for word in _HEX.findall(str(value))
        })  # fmt: skip
    assert not (ids[0] & ids[1] & computable(reading.bench))


def computable(bench: Bench) -> set[str]:
    """Hashes of addresses that anybody can compute, as long as ours and shorter."""
    import hashlib

    addresses = [address for _, _, address in bench.world.truth().cells]
    found = set()
    for name in ("md5", "sha1", "sha256", "blake2b"):
        for address in addresses:
            digest = hashlib.new(name, address.encode()).hexdigest()
            found |= {digest, digest[:32], digest[:20]}
    return found


def test_landing_is_for_its_owner_alone_and_names_nobody(vendor: str, read: Read) -> None:
    """Landing holds the plain addresses: other users of the machine may not even list them."""
    reading = read(vendor)
    secrets = personal(reading.bench)
    root = reading.bench.project().landing.root
    paths = [root, *root.rglob("*")]
    assert len(paths) > 8
    for path in paths:
        mode = path.stat().st_mode & 0o777
        assert mode == (0o700 if path.is_dir() else 0o600), path.name
        assert not [each for each in secrets if each in str(path.relative_to(root))]


def test_an_error_shown_to_people_names_nobody(vendor: str, tmp_path: Path) -> None:
    """`optout check` prints it, mails carry it, and tickets quote it."""
    with Bench(tmp_path, PLAN) as bench:
        secrets = personal(bench)
        for status in (400, 401, 403, 404, 409, 500):
            bench.sandbox.faults.clear()
            fault = Fault(FaultKind.UNAVAILABLE, vendor, status=status, times=None)
            bench.sandbox.faults.plant(fault)
            lines = []
            try:
                for problem in bench.connector(vendor).check():
                    lines.append(f"{problem.key} {problem.message} {problem.mend}")
            except SourceError as error:
                lines.append(f"{error} {error!r} {error.args}")
            assert lines
            assert not [each for each in secrets for line in lines if each in line]
