"""Random worlds of few people in which facts meet: what the nightly SQL is held against slow rules
with, against itself on another engine, and against itself night after night."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from optout.model import Categories
from optout.testing import facts
from optout.testing.facts import CUTOFF, NIGHT, Row
from optout.testing.slow_reading import World
from optout.warehouse.reconcile import ReconcilePolicy

CATEGORIES = Categories(("news", "offers", "events"))
POLICY = ReconcilePolicy(
    categories=CATEGORIES,
    hub="hub",
    systems={"mc": 7, "sg": 7, "kl": 3},
    window=timedelta(minutes=15),
)
SYSTEMS = ("hub", *POLICY.systems)
PEOPLE = 120


def random_world(seed: int) -> World:
    """People with few facts each, at moments that collide: equal, within the window, around the
    cut-off."""
    rng = Random(seed)  # noqa: S311
    return World(
        readings=_identified([r for p in range(PEOPLE) for r in readings_of(rng, p)]),
        changes=_numbered(rng, [c for p in range(PEOPLE) for c in changes_of(rng, p)]),
        cutoff=CUTOFF,
    )


def _identified(rows: Iterable[Row]) -> list[Row]:
    """A stream tells of a record of a store once: of two drawn rows the last one stays."""
    names = ("system", "stream", "store", "record_id", "night_to")
    return list({tuple(row[name] for name in names): row for row in rows}.values())


def _moment(rng: Random, cutoff: datetime) -> datetime:
    return cutoff + timedelta(minutes=rng.choice((-3000, -40, -30, -20, -15, -5, -1, 0, 1, 20)))


def _mask(rng: Random, chance: float = 0.5) -> int:
    return rng.randrange(8) if rng.random() < chance else 0


def readings_of(rng: Random, person: int, cutoff: datetime = CUTOFF) -> Iterator[Row]:
    """Rows of `core.observation`. Some people's records were all touched after the cut-off."""
    is_fresh = rng.random() < 0.3
    for system in SYSTEMS:
        for number in range(rng.choice((0, 1, 1, 1, 2, 3))):
            outs = _mask(rng)
            is_hub = system == "hub"
            weak = outs & _mask(rng, 0.4) if not is_hub else 0
            valid_from = cutoff + timedelta(minutes=5) if is_fresh else _moment(rng, cutoff)
            modified_at = cutoff + timedelta(minutes=2) if is_fresh else _moment(rng, cutoff)
            yield facts.reading(
                system,
                person,
                stream=rng.choice(("records", "feed")),
                store=rng.choice(("contacts", "leads") if is_hub else ("main", "other")),
                record_id=f"r{person}-{rng.choice((0, number))}",
                ins=_mask(rng),
                outs=outs,
                category_outs=outs & _mask(rng, 0.7),
                weak_outs=weak,
                sends=0 if is_hub else _mask(rng, 0.8),
                blocks=0 if is_hub else _mask(rng, 0.2),
                store_blocks=0 if is_hub else _mask(rng, 0.2),
                unclear=_mask(rng, 0.1),
                seen_in=_mask(rng, 0.4),
                present=rng.random() < 0.8,
                modified_at=rng.choice((None, modified_at, modified_at)),
                valid_from=valid_from,
                seen_after=rng.choice((None, valid_from - timedelta(minutes=rng.choice((1, 30))))),
                night_to=NIGHT if rng.random() < 0.1 else None,
            )


def changes_of(rng: Random, person: int, cutoff: datetime = CUTOFF) -> Iterator[Row]:
    """Rows of `core.change`. Of each person few systems, categories and moments, so that changes
    meet each other."""
    systems = rng.sample(SYSTEMS, rng.choice((1, 2, 4)))
    scopes = rng.sample((None, *CATEGORIES.names), rng.choice((1, 2, 4)))
    moments = [_moment(rng, cutoff) for _ in range(rng.choice((2, 4)))]
    share_estimated = rng.choice((0, 0.3, 0.8))
    for _ in range(rng.choice((0, 1, 2, 3, 5, 7))):
        at = rng.choice(moments)
        estimated = rng.random() < share_estimated
        start: datetime | None = at
        if estimated:
            start = rng.choice((None, *(m for m in moments if m <= at)))
        yield facts.change(
            rng.choice(systems),
            person,
            rng.choice(scopes),
            rng.choice(("opted_out", "opted_out", "opted_in", "opted_in", "not_set")),
            at,
            occurred_from=start,
            time_kind="estimated" if estimated else "source",
            is_explicit=rng.random() < 0.6,
        )


def _numbered(rng: Random, rows: Sequence[Row]) -> list[Row]:
    ids = rng.sample(range(10**6), len(rows))
    rows = [
        row | {"change_id": UUID(int=i), "change_seq": i} for row, i in zip(rows, ids, strict=True)
    ]
    rng.shuffle(rows)
    return rows
