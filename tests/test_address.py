"""One normal form for an address, and a key that tells nothing without its secret."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from optout.address import BadAddress, Folding, Keyer, normalise


@pytest.mark.parametrize(
    ("typed", "normal"),
    [
        ("  Ana@Example.ORG ", "ana@example.org"),
        ("ana+shop@example.org", "ana+shop@example.org"),
        ("a.na@example.org", "a.na@example.org"),
        ("jörg@müller.example.org", "jörg@xn--mller-kva.example.org"),
        (unicodedata.normalize("NFD", "jörg@müller.example.org"), "jörg@xn--mller-kva.example.org"),
        ("ana@example.org.", "ana@example.org"),
        ('"odd@local"@example.org', '"odd@local"@example.org'),
    ],
)
def test_spellings_of_one_address_become_one(typed: str, normal: str) -> None:
    """An opt-out given under another spelling would not be found."""
    assert normalise(typed) == normal


@pytest.mark.parametrize(
    "text", ["", "ana", "@example.org", "ana@", "a na@x.org", "a\n@x.org", "an\ufffd@x.org"]
)
def test_what_is_no_address_is_refused_without_being_repeated(text: str) -> None:
    """A broken value must not become a person, nor appear in a message."""
    with pytest.raises(BadAddress) as caught:
        normalise(text)
    assert not text or text not in str(caught.value)


def test_tags_and_dots_fold_only_by_policy() -> None:
    """Folding by default would opt out the wrong person."""
    folding = Folding(plus_tags=True, dots=True)
    assert normalise("a.na+shop@example.org", folding) == "ana@example.org"


@given(st.emails())
def test_normalising_twice_is_normalising_once(address: str) -> None:
    """A stored normal form must find itself again."""
    assert normalise(normalise(address)) == normalise(address)


def test_keys_depend_on_the_secret_and_hide_it() -> None:
    """A hash that anyone can recompute is no pseudonym."""
    one, two = Keyer(b"a" * 32, "k1"), Keyer(b"b" * 32, "k2")
    assert one.key("Ana@example.org") == one.key("ana@example.org ")
    assert one.key("ana@example.org") != two.key("ana@example.org")
    assert len(one.key("ana@example.org")) == 16
    assert "aaaa" not in repr(one)


@given(st.lists(st.one_of(st.none(), st.integers(), st.text(), st.emails()), max_size=8))
@example(["Ana@Example.org", "ana@example.org.", "a@b@example.org", "@x", "x@", "jörg@müller.org"])
@example(["ana@.", "a\x7f@x.org", "a @x.org", "a+b@x.org", '"a"@x.org', "ana@ex..org"])
@pytest.mark.parametrize("secret", [b"k" * 32, b"long" * 40])
def test_a_batch_has_the_keys_of_one_by_one(secret: bytes, addresses: list[object]) -> None:
    """A person whose key depends on who came along with them is found under neither."""
    for folding in (None, Folding(), Folding(plus_tags=True, dots=True)):
        keyer = Keyer(secret, "k1", folding)
        normals, keys = keyer.keyed(addresses)
        for address, normal, key in zip(addresses, normals, keys, strict=True):
            try:
                expected = normalise(address, folding) if isinstance(address, str) else None
            except BadAddress:
                expected = None
            assert normal == expected
            assert key == (None if expected is None else keyer.key_of_normal(expected))


@given(st.from_regex(r"\A[!-~]{1,12}\Z"))
@example("a@B.")
@example("A@b@c")
@example("A@..")
def test_what_looks_plain_is_normalised_as_anything_else(text: str) -> None:
    """A short cut that decides otherwise than the long way splits a person in two."""

    def outcome(address: str) -> str | None:
        try:
            return normalise(address)
        except BadAddress:
            return None

    assert outcome(text) == outcome(f" {text} ")
