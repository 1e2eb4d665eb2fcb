"""The scenarios of `benchmarks.detection`: worlds in control, and changes that should be caught."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.detection_worlds import (
    GROUP,
    HISTORY,
    RULES,
    World,
    best_possible,
    caught,
    fire,
    nights_to_detect,
    pages,
    world,
)
from optout.rules.detection import GUARD
from optout.rules.spikes import Nights, judge
from optout.warehouse.connection import migrate
from optout.warehouse.script import run

VOLUMES = (500, 5_000, 30_000, 100_000)
SPREADS = (0.0, 0.1, 0.2)
WEEK = np.array([1.25, 1.1, 1.0, 0.95, 0.9, 0.7, 1.1])
POWER_SERIES = 10_000
_PROMISED = 3
FEWER_SERIES = 4_000
"""Where nothing is promised; three nights each."""


class Control(NamedTuple):
    """Pages of each rule in a world in which nothing happens."""

    name: str
    nights: int
    ours: int
    three_sigma: int
    fixed: int


def control(name: str, seen: World) -> Control:
    """Judge a world in control."""
    fired = fire(seen)
    return Control(name, fired.ours.size, *(pages(part) for part in fired))


def controls(series: int = 480, nights: int = 300) -> Iterator[Control]:
    """In control: four volumes, nights that differ by chance alone, by 10 % and by 20 %; then mixed
    installations, a weekday pattern and mail at weekends only."""
    for number, volume in enumerate(VOLUMES):
        for spread in SPREADS:
            rng = np.random.default_rng([1, number, int(spread * 100)])
            name = f"{volume:,} a night, nights differ by {in_words(spread)}"
            yield control(name, world(rng, series, nights, volume, spread=spread))
    rng = np.random.default_rng(2)
    mixed = np.tile(np.array(VOLUMES, dtype=float), series // 4)[:, None]
    spreads = np.tile(np.repeat([0.0, 0.1, 0.2, 0.3], 5), series // GROUP)[:, None]
    yield control(
        "all volumes and spreads (0 to 30 %) in one installation",
        world(rng, series, nights, mixed, spread=spreads),
    )
    yield control(
        "5,000 a night, rates from -30 % to +25 % by weekday",
        world(rng, series, nights, 5_000, weekday=WEEK),
    )
    yield control(
        "5,000 a night, three in ten opt-outs arrive a night late",
        late(world(rng, series, nights, 5_000)),
    )
    yield control(
        "20,000 at weekends only, a fifth leaves the day after", weekends(rng, series, nights)
    )


def weekends(rng: np.random.Generator, series: int, nights: int, factor: float = 1.0) -> World:
    """Mail on the last two days of the week; one in five opt-outs comes the day after. The first
    judged night is a Saturday (column `HISTORY`)."""
    day = (np.arange(HISTORY + nights) - HISTORY) % 7
    sent = np.tile(np.where(day < 2, 20_000.0, 0.0), (series, 1))
    chance = np.full(sent.shape, 0.002)
    chance[:, HISTORY:] *= factor
    made = rng.binomial(sent.astype(np.int64), chance)
    late = rng.binomial(made, 0.2)
    counts = made - late
    counts[:, 1:] += late[:, :-1]
    return World(counts.astype(float), sent)


class Case(NamedTuple):
    """A change from the first judged night on."""

    name: str
    seen: World
    within: int
    best: float | None = None
    """What the likelihood ratio with known parameters reaches; None: not worked out."""


def steps() -> Iterator[Case]:
    """The chance of opting out is multiplied and stays so; the promised ones first."""
    wanted = (
        (30_000, 2.0, 1, 0.0), (10_000, 3.0, 1, 0.0), (5_000, 2.0, 4, 0.0),
        (5_000, 3.0, 1, 0.0), (10_000, 2.0, 4, 0.0), (100_000, 2.0, 1, 0.0),
        (500, 3.0, 14, 0.0), (30_000, 2.0, 1, 0.1), (30_000, 2.0, 1, 0.2),
        (10_000, 3.0, 1, 0.2), (5_000, 2.0, 4, 0.2),
    )  # fmt: skip
    for number, (volume, factor, within, spread) in enumerate(wanted):
        rng = np.random.default_rng([3, number])
        series = POWER_SERIES if number < _PROMISED else FEWER_SERIES
        seen = world(rng, series, max(within, 3), volume, spread=spread, factor=factor)
        best = None if spread else best_possible(np.full(within, factor), volume)
        name = f"×{factor:g} at {volume:,} a night"
        yield Case(
            name + (f", nights differ by {in_words(spread)}" if spread else ""), seen, within, best
        )


def ramps(series: int = FEWER_SERIES) -> Iterator[Case]:
    """+10 % every night."""
    for volume, within in ((5_000, 10), (30_000, 7)):
        rng = np.random.default_rng([4, volume])
        factors = 1.1 ** np.arange(1, 15)
        best = best_possible(factors[:within], volume)
        seen = world(rng, series, 14, volume, factor=factors)
        yield Case(f"+10 % a night at {volume:,}", seen, within, best)


def others(series: int = FEWER_SERIES) -> Iterator[Case]:
    """Mail at weekends, events that arrive late, one bad campaign of ten, as its system sees it."""
    rng = np.random.default_rng(5)
    yield Case("×2 at 20,000 at weekends only", weekends(rng, series, 3, 2.0), 3)
    yield Case(
        "×2 at 30,000, three in ten opt-outs arrive a night late",
        late(world(rng, series, 4, 30_000, factor=2.0)), 4,
    )  # fmt: skip
    yield Case(
        "one campaign of ten ×3, all 100,000 together",
        world(rng, series, 4, 100_000, factor=1.2), 4,
    )  # fmt: skip


def late(seen: World) -> World:
    """Three in ten opt-outs arrive only after their night was judged."""
    in_time = np.random.default_rng(6).binomial(seen.opt_outs.astype(np.int64), 0.7)
    return World(seen.opt_outs, seen.deliveries, in_time.astype(float))


def campaigns(series: int = POWER_SERIES, factor: float = 3.0) -> tuple[float, float]:
    """A campaign of 10,000 judged by 90 earlier ones: shares that fire of bad and usual ones."""
    rng = np.random.default_rng(7)
    shares = []
    for times in (factor, 1.0):
        columns = HISTORY + 1
        sent = np.full((series, columns), 10_000.0)
        sent[:, -1 - GUARD : -1] = 0.0
        chance = np.full(columns, 0.002)
        chance[-1] *= times
        counts = rng.binomial(sent.astype(np.int64), chance).astype(float)
        everywhere = np.ones(sent.shape, dtype=bool)
        weekday = np.zeros(sent.shape, dtype=np.int64)
        fires = 0
        for first in range(0, series, GROUP):
            part = slice(first, first + GROUP)
            nights = Nights(
                counts[part], sent[part], weekday[part], everywhere[part], everywhere[part]
            )
            fires += int(judge(nights, RULES).pages.sum())
        shares.append(fires / series)
    return shares[0], shares[1]


def dead_feeds(series: int = FEWER_SERIES) -> Iterator[tuple[str, float, str]]:
    """Mail goes out as ever and nobody leaves any more."""
    for volume in (5_000, 50_000):
        seen = world(np.random.default_rng([8, volume]), series, 5, volume, factor=0.0)
        fired = fire(seen).ours
        yield f"{volume:,} a night", caught(fired, 1), nights_to_detect(fired)


def duplicates(nights: int = 10_000) -> Control:
    """Feeds that repeat themselves: on one night in twenty every act is told two or three times.

    The acts go through the warehouse's own count; the simple rules see what was told.
    """
    rng = np.random.default_rng(9)
    plain = world(rng, 1, nights, 5_000)
    counts = plain.opt_outs[0].astype(np.int64)
    copies = np.where(rng.random(len(counts)) < 0.05, rng.integers(2, 4, len(counts)), 1)
    told = World((counts * copies)[None, :].astype(float), plain.deliveries)
    counted = World(_counted(counts, copies)[None, :], plain.deliveries)
    theirs = fire(told)
    return Control(
        "every act told up to three times on 5 % of nights",
        nights, pages(fire(counted).ours), pages(theirs.three_sigma), pages(theirs.fixed),
    )  # fmt: skip


def _counted(counts: np.ndarray, copies: np.ndarray) -> np.ndarray:
    """Opt-outs a night, as `sql/spike_counts.sql` counts them."""
    con = duckdb.connect(config={"threads": 1})
    con.execute("SET TimeZone = 'UTC'")
    migrate(con)
    first = date(1990, 1, 1)
    nights = [first + timedelta(days=int(n)) for n in range(len(counts))]
    cutoffs = [datetime(n.year, n.month, n.day, 2) for n in nights]  # noqa: DTZ001
    acts = np.repeat(np.arange(len(counts)), counts * copies)
    people = np.concatenate([np.tile(np.arange(c), k) for c, k in zip(counts, copies, strict=True)])
    calendar = pa.table({"night": nights, "cutoff_at": cutoffs})
    told = pa.table({"number": acts, "person": people})
    con.register("calendar", calendar)
    con.register("told", told)
    con.execute("INSERT INTO core.night (night, cutoff_at, kind) SELECT *, 'run' FROM calendar")
    con.execute("CREATE TEMP TABLE spk_category (category VARCHAR, bit INTEGER)")
    con.execute("CREATE TEMP TABLE spk_system (system VARCHAR, mask INTEGER)")
    con.execute(
        """
        CREATE OR REPLACE TABLE audit.opt_out AS
        SELECT uuid() AS opt_out_id, md5(person::VARCHAR)::UUID AS contact_key,
               NULL::VARCHAR AS category, 'esp' AS system, 'email_link' AS source,
               NULL::VARCHAR AS campaign_id, cutoff_at - INTERVAL 3 HOUR AS occurred_at,
               cutoff_at - INTERVAL 3 HOUR AS occurred_from, 'source' AS time_kind
        FROM (SELECT *, row_number() OVER (ORDER BY night) - 1 AS number FROM calendar)
        JOIN told USING (number)
        """
    )
    run(con, "spike_counts", night=nights[-1], from_night=first, hub="hub", named_from=50)
    rows = con.execute(
        "SELECT night, opt_outs FROM mart.opt_out_series WHERE dimension = 'system'"
    ).fetchall()
    con.close()
    found = dict(rows)
    return np.array([found.get(night, 0) for night in nights], dtype=float)


def in_words(spread: float) -> str:
    """How much nights differ."""
    return f"{spread:.0%}".replace("%", " %") if spread else "chance alone"
