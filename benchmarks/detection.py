"""How often detection pages in vain, what it catches, and what any test could: the tables of
docs/detection.md. Run it with

    python -m benchmarks.detection [--write]

Fixed seeds; every baseline is learnt from 90 nights. `--write` puts the tables into the document.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import chi2

from benchmarks import detection_scenarios as scenarios
from benchmarks.detection_scenarios import POWER_SERIES, Case, Control
from benchmarks.detection_worlds import (
    BUDGET,
    best_possible,
    bound,
    caught,
    fire,
    nights_to_detect,
)

DOCUMENT = Path(__file__).parents[1] / "docs" / "detection.md"
Row = Sequence[str]


def interval(count: int) -> tuple[float, float]:
    """The exact 95 % interval of a Poisson count."""
    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    return float(low), float(chi2.ppf(0.975, 2 * count + 2) / 2)


def control_rows(found: Sequence[Control]) -> Iterator[Row]:
    """Lines of the table of false pages, the total last."""
    total = Control("**all**", *(sum(part) for part in list(zip(*found, strict=True))[1:]))
    for row in (*found, total):
        unit = 1.0 / (row.nights * BUDGET)
        low, high = (edge * unit for edge in interval(row.ours))
        yield (
            row.name, f"{row.nights:,}", f"{row.ours * unit:.2f} ({low:.2f} to {high:.2f})",
            f"{row.three_sigma * unit:.1f}", f"{row.fixed * unit:.1f}",
        )  # fmt: skip


def case_row(case: Case) -> Row:
    """A line of the table of power."""
    fired = fire(case.seen)
    when = "first night" if case.within == 1 else f"{case.within} nights"
    best = "–" if case.best is None else _share(case.best)
    return (
        case.name, when, _share(caught(fired.ours, case.within)), best,
        nights_to_detect(fired.ours), _share(caught(fired.three_sigma, case.within)),
        _share(caught(fired.fixed, case.within)),
    )  # fmt: skip


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"


def table(head: Row, rows: Iterator[Row] | Sequence[Row]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def report() -> str:
    """All tables."""
    found = [*scenarios.controls(), scenarios.duplicates()]
    control = table(("in control", "series-nights", "false pages a year (95 % interval)",
                     "three sigma", "fixed"), control_rows(found))  # fmt: skip
    print(control, file=sys.stderr, flush=True)
    bad, usual = scenarios.campaigns()
    kinds = (scenarios.steps(), scenarios.ramps(), scenarios.others())
    power = [case_row(case) for cases in kinds for case in cases]
    power.append(
        ("one campaign of ten ×3, as a series of its own (10,000)", "first night", _share(bad),
         _share(best_possible(np.array([3.0]), 10_000)), "1", "–", "–")
    )  # fmt: skip
    limit = _share(bound(2.0, 5_000, 4))
    dead = [(name, _share(share), nights) for name, share, nights in scenarios.dead_feeds()]
    return "\n\n".join(
        (
            control,
            f"Of {POWER_SERIES:,} usual campaigns of 10,000, {usual:.2%} fired.",
            table(("change", "within", "caught", "best possible", "median nights", "three sigma",
                   "fixed"), power),
            f"No test at all can exceed {limit} for ×2 at 5,000 within 4 nights.",
            table(("dead feed", "caught the first night", "median nights"), dead),
        )
    )  # fmt: skip


def main() -> None:
    """Print the tables; put them into the document if asked to."""
    start = time.monotonic()
    text = report()
    print(text)
    print(f"\n{time.monotonic() - start:.0f} seconds", file=sys.stderr)
    if "--write" in sys.argv[1:]:
        begin, end = "<!-- benchmark -->", "<!-- end of benchmark -->"
        before, rest = DOCUMENT.read_text(encoding="utf-8").split(begin)
        after = rest.split(end)[1]
        DOCUMENT.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
