"""Reading the marketing contacts: an export job, then its files, then the count.

There is no list of contacts to page through (the vendor shows fifty). The job's number is in the
cursor, so a read that was interrupted goes on with the same files and the same row. The files'
links expire; then a new export is asked for and the read begins anew.
"""

from __future__ import annotations

import csv
import gzip
import io
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from optout.errors import (
    BrokenAnswer,
    Gone,
    NotFound,
    PermissionMissing,
    RequestRefused,
    UnexpectedAnswer,
    Unreachable,
)
from optout.http.client import HttpClient
from optout.http.urls import quote_segment
from optout.vendors.sendgrid.rows import Account, Book, rows_of_contact
from optout.vendors.sendgrid.steps import Result, Sink, StartOver

ROWS_TO_A_PAGE = 5_000
LONGEST_PAUSE = 30.0
_EXPORTS = "/v3/marketing/contacts/exports"
_EXPORT = "/v3/marketing/contacts/exports/{id}"
_COUNT = "/v3/marketing/contacts/count"
_FILE = "{export file}"
_GZIP = b"\x1f\x8b"
_EXPIRED = (PermissionMissing, NotFound, Gone, RequestRefused)
"""How a file store refuses a link whose signature is no longer valid."""


@dataclass
class Place:
    """How far an export is read; as JSON it is the cursor."""

    job: str
    counted: int
    """Contacts before the export was asked for."""
    file: int = 0
    row: int = 0
    """Rows of this file that are read."""
    read: int = 0
    unaddressed: int = 0
    """Contacts without an address: known by phone number or an id of the company's."""


def count_contacts(http: HttpClient, account: Account) -> int:
    """The vendor's own count."""
    data = http.get(_COUNT, headers=account.headers).data
    count = data.get("contact_count") if isinstance(data, dict) else None
    if not isinstance(count, int):
        raise UnexpectedAnswer("no count of contacts", system=http.system, request=f"GET {_COUNT}")
    return count


@dataclass(frozen=True)
class Export:
    """How one account's contacts are read."""

    http: HttpClient
    book: Book
    account: Account
    timeout: float
    """Seconds that a job may stay pending."""
    sleep: Callable[[float], None] = time.sleep

    def read(self, sink: Sink) -> Result:
        """All contacts, from the cursor on."""
        place = Place(**sink.cursor) if sink.cursor else self._begin()
        sink.page_done(asdict(place))
        sink.flush()
        job = self._ready(place)
        for url in (job.get("urls") or [])[place.file :]:
            self._read_file(str(url), place, sink)
        notes = []
        if place.unaddressed:
            notes.append(f"{place.unaddressed} contacts have no address")
        total = self._total(job, place)
        if place.read < total:
            raise StartOver(f"the vendor tells {total} contacts, its export holds {place.read}")
        return Result(place.read, total, notes=notes)

    def _begin(self) -> Place:
        counted = count_contacts(self.http, self.account)
        body = {"file_type": "csv", "notifications": {"email": False}}
        data = self.http.post(_EXPORTS, body, headers=self.account.headers).data
        if not isinstance(data, dict) or not isinstance(data.get("id"), str):
            raise self._broken("an export without a number")
        return Place(data["id"], counted)

    def _ready(self, place: Place) -> Mapping[str, Any]:
        """The job once its files are there."""
        path = f"{_EXPORTS}/{quote_segment(place.job)}"
        waited, pause = 0.0, 1.0
        while True:
            try:
                # A job that is not ready is answered with 202 by some of the vendor's servers.
                asked = self.http.get(
                    path, template=_EXPORT, headers=self.account.headers, ok=(200, 202)
                )
            except (NotFound, Gone):
                raise StartOver("the export was forgotten by the vendor") from None
            job = asked.data if isinstance(asked.data, dict) else {}
            status = job.get("status")
            if status == "ready":
                return job
            if status == "failure":
                raise StartOver("the vendor's export failed")
            if status != "pending":
                raise self._broken("an export in a state that is not documented")
            if waited >= self.timeout:
                raise Unreachable(
                    f"the export is still pending after {waited:.0f} s",
                    system=self.http.system, request=f"GET {_EXPORT}",
                    mend="Raise export_timeout_seconds; the next try goes on with the same export.",
                )  # fmt: skip
            self.sleep(pause)
            waited += pause
            pause = min(LONGEST_PAUSE, pause * 2)

    def _read_file(self, url: str, place: Place, sink: Sink) -> None:
        """The rows of one file behind those that are read already."""
        for number, fields in enumerate(self._records(url)):
            if number < place.row:
                continue
            if fields["EMAIL"]:
                for row in rows_of_contact(self.book, self.account, fields):
                    sink.add(row)
            else:
                place.unaddressed += 1
            place.row += 1
            place.read += 1
            if place.row % ROWS_TO_A_PAGE == 0:
                sink.page_done(asdict(place))
        place.file, place.row = place.file + 1, 0
        sink.page_done(asdict(place))

    def _records(self, url: str) -> Iterator[dict[str, str]]:
        """The rows of a file by upper-case column name; a file that is cut off raises."""
        try:
            chunks = self.http.download(url, template=_FILE)
        except _EXPIRED:
            raise StartOver("the links to the export's files have expired") from None
        try:
            yield from self._parse(_text(chunks))
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise self._torn("the file is cut off") from None
        except (UnicodeDecodeError, csv.Error):
            raise self._torn("the file is no CSV") from None

    def _parse(self, text: Iterator[str]) -> Iterator[dict[str, str]]:
        lines = csv.reader(text, strict=True)
        head = [name.strip().upper() for name in next(lines, [])]
        if head and ("EMAIL" not in head or not {"CONTACT_ID", "ID"} & set(head)):
            raise self._torn("the export lacks the columns EMAIL or CONTACT_ID")
        for line in lines:
            if len(line) != len(head):
                raise self._torn("a row of the export with more or fewer columns than its head")
            yield dict(zip(head, line, strict=True))

    def _total(self, job: Mapping[str, Any], place: Place) -> int:
        """The job's own count; else the contacts before or after, if what was read lies between
        (contacts come and go meanwhile)."""
        told = job.get("contact_count")
        if isinstance(told, int):
            return told
        after = count_contacts(self.http, self.account)
        low, high = sorted((place.counted, after))
        return place.read if low <= place.read <= high else after

    def _torn(self, why: str) -> BrokenAnswer:
        """A file that is not what was exported: a proxy's page, or half of it. It lies elsewhere
        than the API, and may come whole the next time."""
        return BrokenAnswer(why, system=self.http.system, request=f"GET {_FILE}")

    def _broken(self, why: str) -> UnexpectedAnswer:
        return UnexpectedAnswer(why, system=self.http.system, request=f"GET {_EXPORT}")


class _Chunks(io.RawIOBase):
    """A download as a readable stream."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what is next; 0 at the end."""
        if not self._rest:
            self._rest = next(self._chunks, b"")
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def _text(chunks: Iterator[bytes]) -> Iterator[str]:
    """The lines of a file, compressed or not: the vendor's links do not say which."""
    raw = io.BufferedReader(_Chunks(chunks))
    stream: Any = gzip.GzipFile(fileobj=raw) if raw.peek(2)[:2] == _GZIP else raw
    return io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
