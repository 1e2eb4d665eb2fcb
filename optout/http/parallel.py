"""Work ahead in threads, with the results in order and memory that does not grow."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ordered_map(
    fn: Callable[[T], R],
    items: Iterable[T],
    workers: int,
    *,
    ahead: int | None = None,
    name: str = "optout",
) -> Generator[R, None, None]:
    """`fn` of each item, in the order of the items, computed by `workers` threads.

    At most `ahead` items (default: twice the workers) are begun and not yet handed out, and
    `items` is drawn only as far. The first exception, in the order of the items, is raised in its
    place, after what has not begun was cancelled and what was running has ended; so no request
    goes out after the caller knows of the failure. The same happens when the caller stops early.
    Threads are called `<name>_0`, `<name>_1`, ...
    """
    if workers <= 1:
        yield from map(fn, items)
        return
    most = ahead or 2 * workers
    pending: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix=name)
    try:
        for item in items:
            pending.append(pool.submit(fn, item))
            if len(pending) >= most:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
