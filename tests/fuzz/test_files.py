"""Files that come from outside or from a crash: configuration, manifests, histories, addresses."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict
from importlib.resources import files
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optout.address import BadAddress, normalise
from optout.errors import ConfigurationError, LandingError
from optout.landing.manifest import MANIFEST, Manifest, Part, read_manifest
from optout.model import Categories
from optout.records import Change
from optout.settings import load_settings, parse_settings
from optout.testing.tamper import ODD, objects
from optout.vendors.zendesk_sell.history import HistoryReader, Place
from optout.vendors.zendesk_sell.values import Preferences, SellFields

COUNT = 3_000 if os.environ.get("OPTOUT_SURVIVE") == "full" else 150

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20)
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=12), inner, max_size=3)
    ),
    max_leaves=8,
)
KEYS = (
    "data_dir", "timezone", "categories", "identity", "schedule", "policy", "hub", "esp", "alerts",
)  # fmt: skip


def is_told(work: Callable[[], object]) -> None:
    """It works, or says in words what is wrong."""
    try:
        work()
    except ConfigurationError as error:
        assert error.mend
        assert "Traceback" not in str(error)


@settings(max_examples=COUNT, deadline=None)
@given(st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=8)), values, max_size=6))
def test_a_configuration_of_any_structure_is_told_in_words(table: dict[str, Any]) -> None:
    """Who writes a list where a table belongs gets a sentence, not a traceback."""
    is_told(lambda: parse_settings(table))


@settings(max_examples=COUNT, deadline=None)
@given(st.integers(min_value=0))
def test_the_template_with_a_few_odd_values_is_told_in_words(number: int) -> None:
    """Most mistakes are small ones in a file that was right."""
    rng = Random(number)
    table = deepcopy(TEMPLATE)
    places = [each for each in objects(table) if each]
    for _ in range(rng.randint(1, 3)):
        place = rng.choice(places)
        if place:
            name = rng.choice(sorted(place))
            odd = rng.choice(ODD)
            if rng.randrange(4):
                place[name] = odd
            else:
                del place[name]
    is_told(lambda: parse_settings(table))


def template() -> dict[str, Any]:
    """What `optout init` writes."""
    text = files("optout").joinpath("optout.template.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


TEMPLATE = template()


@settings(max_examples=COUNT, deadline=None)
@given(data=st.binary(max_size=200))
def test_a_configuration_file_of_any_bytes_is_told_in_words(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Editors and transfers spoil files."""
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(data)
    is_told(lambda: load_settings(path))


def manifest() -> dict[str, Any]:
    """A manifest as it lies on disk."""
    part = Part("reading-00001.parquet", "reading", 3, "0" * 64)
    at = "2026-09-01T02:00:00+00:00"
    whole = Manifest("hub", "contacts", "2026-09-01", at, at, parts=(part,), state={"since": at})
    found: dict[str, Any] = orjson.loads(orjson.dumps(asdict(whole)))
    return found


@settings(max_examples=COUNT, deadline=None)
@given(number=st.integers(min_value=0))
def test_a_manifest_of_any_shape_is_read_or_refused(
    number: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A manifest is the only proof of completeness: half of one proves nothing."""
    rng = Random(number)
    told = manifest()
    place = rng.choice(list(objects(told)))
    if place:
        name = rng.choice(sorted(place))
        place[name] = rng.choice(ODD)
        if not rng.randrange(4):
            del place[name]
    folder = tmp_path_factory.getbasetemp() / "night" / "hub" / "contacts"
    folder.mkdir(parents=True, exist_ok=True)
    data = orjson.dumps(told)
    (folder / MANIFEST).write_bytes(data[: rng.choice([len(data), rng.randrange(len(data))])])
    try:
        found = read_manifest(folder)
    except LandingError as error:
        assert MANIFEST in str(error)
        assert error.mend
    else:
        assert found is not None
        assert isinstance(found.is_complete, bool)
        assert all(
            isinstance(part.rows, int) and isinstance(part.file, str) for part in found.parts
        )
        assert all("/" not in part.file for part in found.parts)
        found.hash()


@settings(max_examples=COUNT, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_an_address_or_none(text: str) -> None:
    """One address that breaks the normaliser would break the night of everybody; a normal form
    that is not its own normal form would make two people of one."""
    try:
        normal = normalise(text)
    except BadAddress:
        return
    assert normalise(normal) == normal


PREFERENCES = Preferences.of(Categories(("events", "promotional")), SellFields(), {})
PLACE = Place("contacts", "7", "a@example.com")


@settings(max_examples=COUNT, deadline=None)
@given(number=st.integers(min_value=0), junk=values)
def test_a_history_of_any_shape_hides_no_entry(number: int, junk: Any) -> None:
    """The history is free text to the hub: an entry that cannot be read must be counted, and must
    not hide the entries beside it."""
    rng = Random(number)
    entry = {
        "at": "2026-09-01T02:00:00Z", "source": "email_link", "reason": None, "ip": "192.0.2.1",
        "changes": {"email_pref_events": {"old": "opted_in", "new": "opted_out"}},
        "user_agent": "x", "contact_id": 7, "email": "a@example.com",
    }  # fmt: skip
    entries: list[Any] = [deepcopy(entry) for _ in range(3)]
    place = rng.choice(list(objects(entries[1])))
    place[rng.choice(sorted(place))] = rng.choice([junk, *ODD])
    if not rng.randrange(5):
        entries[1] = junk
    text = json.dumps(entries)
    is_cut = not rng.randrange(4)
    text = text[: rng.randrange(1, len(text))] if is_cut else text
    rows = list(HistoryReader(PREFERENCES).rows(text, PLACE, {}))
    assert rows, "neither a change nor a finding"
    changes = [row for row in rows if isinstance(row, Change)]
    assert is_cut or len(changes) >= 2, "the entries beside it are gone"
    assert len({row.event_id for row in changes}) == len(changes)
