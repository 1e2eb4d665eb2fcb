"""How the words of several systems share one integer."""

from __future__ import annotations

import pytest

from optout.warehouse.words import Layout, megabytes_for


@pytest.mark.parametrize("categories", range(1, 13))
def test_words_lie_beside_each_other_and_leave_the_sign_alone(categories):
    """One shared bit would make one system's opt-out another one's mail."""
    systems = ["hub", *(f"esp{n}" for n in range(9))]
    layout = Layout.of(categories, systems)
    width = 5 * categories + 1
    seen = set()
    for slot, start in layout.places.values():
        bits = {(slot, start + n) for n in range(width)}
        assert not bits & seen and max(bit for _, bit in bits) < 63
        seen |= bits
    assert layout.esps == tuple(systems[1:])
    assert set(layout.slots) == {slot for slot, _ in layout.places.values()}
    assert layout.values["present"] == 1 << width - 1


def test_memory_is_linear_in_the_number_of_people():
    """What fits for a million would not for ten."""
    assert megabytes_for(1_000_000) <= 280
    assert megabytes_for(10_000_000) <= 2_900
