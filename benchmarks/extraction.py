"""How fast records come in: HTTP, paging, typing, keying and durable landing, for a vendor that
answers at once. Run it with

    python -m benchmarks.extraction [--pages 1000]

The vendor is another process on this machine: pages of 100 records of about 750 bytes each, made
before the clock starts. Every figure is the median of three runs, each in a process of its own,
which reads two pages first: the first conversion to Arrow loads pandas, 0.3 s once a process, which
is no part of a rate (`--cold` leaves it in).
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import socketserver
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import orjson

from optout.address import Keyer
from optout.http.client import HttpClient
from optout.http.limits import Limit
from optout.http.options import HttpOptions
from optout.http.pagination import Call, Offset
from optout.landing.manifest import Manifest
from optout.landing.store import Landing
from optout.records import Reading

PER_PAGE = 100
RECORD_BYTES = 750
RUNS = 3
NIGHT = date(2026, 9, 1)
RATE = 200
"""Requests a second that the limited vendor allows."""


class Cost(NamedTuple):
    """One read of all pages."""

    wall: float
    cpu: float
    peak: float
    """Megabytes."""
    refused: int
    """Answers 429."""


def main(arguments: Sequence[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.extraction", description=__doc__)
    parser.add_argument("--pages", type=int, default=1_000)
    parser.add_argument("--cold", action="store_true", help="count the first loading, too")
    given = parser.parse_args(arguments)
    pages, records = given.pages, given.pages * PER_PAGE
    warm = not given.cold
    with vendor(pages) as url:
        free = median(partial(read, url, pages, workers=1, warm=warm))
        ahead = median(partial(read, url, pages, warm=warm))
        few = median(partial(read, url, pages // 10, workers=1, warm=warm))
    with vendor(pages, latency=0.1) as url:
        slow = median(partial(read, url, pages, workers=32))
        one_by_one = 0.1 * pages
    with vendor(pages, rate=RATE) as url:
        limited = median(partial(read, url, pages, rate=RATE))
    _say("| measure | figure | bound |\n| --- | --- | --- |")
    _say(f"| records a CPU-second, limits off | {records / free.cpu:,.0f} | 60,000 |")
    _say(f"| microseconds of CPU a record | {free.cpu / records * 1e6:.1f} | 16.7 |")
    _say(f"| the same with four threads that fetch ahead | {ahead.cpu / records * 1e6:.1f} | |")
    _say(f"| peak MB at {pages // 10:,} and {pages:,} pages | {few.peak:.0f} and {free.peak:.0f} "
         "| the same |")  # fmt: skip
    _say(f"| share of {RATE} requests a second used, answers 429 | "
         f"{pages / RATE / limited.wall:.1%}, {limited.refused} | 95 %, 0 |")  # fmt: skip
    _say(f"| seconds at 100 ms a request, and one by one | {slow.wall:.1f} and {one_by_one:.0f} "
         "| hidden |")  # fmt: skip
    return 0


def median(run: Callable[[], Cost]) -> Cost:
    """Each run in a process of its own, so that peaks do not add up."""
    context = multiprocessing.get_context("spawn")
    found = []
    for _ in range(RUNS):
        with context.Pool(1) as pool:
            found.append(pool.apply(run))
    return Cost(*(statistics.median(column) for column in zip(*found, strict=True)))


def read(
    url: str, pages: int, workers: int = 4, rate: int | None = None, warm: bool = False
) -> Cost:
    """Read all pages into landing as a connector does."""
    if warm:
        read(url, 2)
    limits = (Limit(requests=rate, seconds=1.0),) if rate else ()
    http = HttpClient("bench", url, HttpOptions(limits=limits))
    paging = Offset(items="items", size=PER_PAGE, total="total", workers=workers)
    with TemporaryDirectory(prefix="optout-extraction-") as folder:
        landing = Landing(Path(folder), Keyer(b"k" * 32, "k1"))
        landing.begin_night(NIGHT, datetime(2026, 9, 1, tzinfo=UTC))
        writer = landing.open_stream(_begun())
        call = Call("/contacts", {"until": pages * PER_PAGE}, template="/contacts")
        started, before = time.perf_counter(), time.process_time()
        count = 0
        for page in paging.pages(http, call, writer.cursor):
            for item in page.items:
                writer.add(_reading(item))
            count += len(page.items)
            writer.page_done(page.cursor)
        writer.complete(vendor_total=pages * PER_PAGE, read_total=count)
        writer.finish(datetime.now(UTC), {})
        wall, cpu = time.perf_counter() - started, time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Cost(wall, cpu, peak, int(http.stats.rate_limited))


def _reading(item: dict[str, Any]) -> Reading:
    """A contact with a status for each of four lists."""
    outs = ins = 0
    for place, status in enumerate(item["lists"]):
        if status == "unsubscribed":
            outs |= 1 << place
        elif status == "subscribed":
            ins |= 1 << place
    return Reading(
        "contacts", item["id"], item["email"], ins=ins, outs=outs, sends=ins, category_outs=outs,
        modified_at=datetime.fromisoformat(item["updated_at"]), raw=orjson.dumps(item).decode(),
    )  # fmt: skip


def _begun() -> Manifest:
    return Manifest(
        system="bench", stream="contacts", night=NIGHT.isoformat(),
        cutoff_at="2026-09-01T00:00:00+00:00", read_at="2026-09-01T00:00:00+00:00",
        is_full=True, is_snapshot=True, role="state",
    )  # fmt: skip


# --- the vendor -----------------------------------------------------------------------------------
@contextmanager
def vendor(pages: int, latency: float = 0.0, rate: int | None = None) -> Iterator[str]:
    """A process that serves the pages; yields its URL."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(pages, latency, rate, theirs), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def _serve(pages: int, latency: float, rate: int | None, told: Any) -> None:
    bodies = [_body(number, pages * PER_PAGE) for number in range(pages)]
    allowance = _Allowance(rate)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            rest = b""
            while chunk := self.request.recv(65536):
                rest += chunk
                while b"\r\n\r\n" in rest:
                    head, _, rest = rest.partition(b"\r\n\r\n")
                    self.request.sendall(self._answer(head))

        def _answer(self, head: bytes) -> bytes:
            if latency:
                time.sleep(latency)
            if not allowance.take():
                return b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\n{}"
            query = dict(pair.split(b"=") for pair in head.split()[1].split(b"?")[1].split(b"&"))
            last = int(query[b"until"])
            offset = int(query.get(b"offset", b"0"))
            if offset >= last:
                return _answer(b'{"total":%d,"items":[]}' % last)
            return bodies[offset // PER_PAGE].replace(b"TOTAL*****", b"%-10d" % last)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        told.send(server.server_address[1])
        server.serve_forever()


class _Allowance:
    """A window of one second."""

    def __init__(self, rate: int | None) -> None:
        self.rate = rate
        self.times: list[float] = []

    def take(self) -> bool:
        """Whether one more request is allowed now."""
        if self.rate is None:
            return True
        now = time.monotonic()
        self.times = [t for t in self.times if t > now - 1.0]
        if len(self.times) >= self.rate:
            return False
        self.times.append(now)
        return True


def _body(page: int, total: int) -> bytes:
    items = []
    for place in range(PER_PAGE):
        number = page * PER_PAGE + place
        item = {
            "id": f"{number:012}",
            "email": f"person.{number}@example{number % 997}.org",
            "lists": [("subscribed", "unsubscribed", "never")[(number + n) % 3] for n in range(4)],
            "updated_at": f"2026-08-31T12:{number // 60 % 60:02}:{number % 60:02}+00:00",
            "note": "",
        }
        item["note"] = "x" * (RECORD_BYTES - len(orjson.dumps(item)))
        items.append(item)
    return _answer(b'{"total":TOTAL*****,"items":' + orjson.dumps(items) + b"}")


def _answer(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
