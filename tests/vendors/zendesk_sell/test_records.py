"""Sell's contacts and leads as rows: what a record says."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from optout.errors import UnexpectedAnswer
from optout.model import State
from optout.records import Consent, Finding, Reading
from optout.sandbox.acts import Governance
from optout.sandbox.faults import Fault, FaultKind
from optout.sandbox.zendesk_sell import store as native
from optout.testing.zendesk_sell import BEFORE, CATEGORIES, EVENTS, PROMO, YESTERDAY, Hub, act, only


def test_each_word_sets_its_bits(hub: Hub) -> None:
    """A mask built wrongly would turn one category's opt-out into another's."""
    states = {"promotional": State.OPTED_OUT, "events": State.OPTED_IN}
    id_ = hub.add("ana", states)
    reading = only(hub.read("contacts"), id_)
    assert (reading.outs, reading.category_outs, reading.ins) == (PROMO, PROMO, EVENTS)
    assert (reading.sends, reading.blocks, reading.unclear) == (0, 0, 0)
    assert reading.created_at == BEFORE


def test_the_global_flag_covers_every_category_and_is_told_apart(hub: Hub) -> None:
    """A global opt-out read as nothing, or as four category opt-outs, would be lifted wrongly."""
    id_ = hub.add("ana", {"promotional": State.OPTED_OUT}, global_out=True)
    reading = only(hub.read("contacts"), id_)
    assert reading.global_out
    assert reading.outs == CATEGORIES.all
    assert reading.category_outs == PROMO


@pytest.mark.parametrize("value", [None, "", "not_set", "  ", {"id": 3, "name": "not_set"}])
def test_what_was_never_set_is_neither_in_nor_out(hub: Hub, value: Any) -> None:
    """Null, empty, the word and an absent key all mean that nobody said anything."""
    id_ = hub.add("ana")
    hub.put(id_, {"email_pref_promotional": value, native.GLOBAL: None})
    reading = only(hub.read("contacts"), id_)
    assert (reading.ins, reading.outs, reading.unclear, reading.global_out) == (0, 0, 0, False)


@pytest.mark.parametrize(
    "value", ["opted_out", "Opted Out", " OPTED-OUT ", {"id": 7, "name": "opted_out"}]
)
def test_an_opt_out_is_seen_in_every_form_of_a_list_value(hub: Hub, value: Any) -> None:
    """The documents say `{id, name}`, two clients say the name: an unread form loses opt-outs."""
    id_ = hub.add("ana")
    hub.put(id_, {"email_pref_promotional": value})
    assert only(hub.read("contacts"), id_).outs == PROMO


@pytest.mark.parametrize("shape", ["name", "object"])
@pytest.mark.parametrize("unset", ["absent", "null", "mixed"])
def test_the_disputed_forms_give_the_same_readings(hub: Hub, shape: Any, unset: Any) -> None:
    """Whichever form Sell really has, the audit must say the same."""
    for i in range(6):
        hub.add(f"p{i}", {"promotional": State.OPTED_OUT if i % 2 else State.OPTED_IN})
    hub.twin.shapes.list_shape, hub.twin.shapes.unset = shape, unset
    readings = [r._replace(raw="") for r in hub.read("contacts").of(Reading)]
    assert [r.outs for r in readings] == [0, PROMO] * 3
    assert [r.ins for r in readings] == [PROMO, 0] * 3


@pytest.mark.parametrize(
    ("value", "is_out"),
    [(True, True), ("true", True), ("Yes", True), ("1", True), (1, True), ("opted_out", True),
     (False, False), ("false", False), ("no", False), ("0", False), (None, False)],
)  # fmt: skip
def test_the_global_flag_is_read_in_every_form(hub: Hub, value: Any, is_out: bool) -> None:
    """A checkbox or a dropdown may hold it; the dropdown alone can be filtered in Sell."""
    id_ = hub.add("ana")
    hub.put(id_, {native.GLOBAL: value})
    reading = only(hub.read("contacts"), id_)
    assert (reading.global_out, reading.unclear) == (is_out, 0)


def test_an_unknown_word_makes_the_cell_unclear_and_is_told(hub: Hub) -> None:
    """A new dropdown choice must not pass for `not_set`."""
    id_ = hub.add("ana")
    hub.put(id_, {"email_pref_promotional": "paused", native.GLOBAL: "perhaps"})
    out = hub.read("contacts")
    reading = only(out, id_)
    assert reading.unclear == CATEGORIES.all
    assert not reading.global_out
    found = {(f.code, f.field, f.detail, f.categories) for f in out.of(Finding)}
    assert ("unknown_value", "email_pref_promotional", "paused", PROMO) in found
    assert ("unknown_value", native.GLOBAL, "perhaps", CATEGORIES.all) in found


def test_an_address_typed_into_a_preference_is_not_told_in_the_finding(hub: Hub) -> None:
    """Findings are shown on pages; people type all kinds of things into fields."""
    id_ = hub.add("ana")
    hub.put(id_, {"email_pref_promotional": "ask ben@example.org"})
    (finding,) = hub.read("contacts").of(Finding)
    assert finding.detail == "str value"


def test_an_opt_out_without_an_address_is_a_finding_and_no_reading(hub: Hub) -> None:
    """It cannot be honoured anywhere, and must not vanish; a record without one is no matter."""
    id_ = hub.add("ana", {"promotional": State.OPTED_OUT})
    hub.put(id_, {})
    record = hub.twin.store.records["contact", id_]
    hub.twin.store.update(record, YESTERDAY, attributes={"email": None})
    out = hub.read("contacts")
    assert out.of(Reading) == []
    (finding,) = out.of(Finding)
    assert (finding.code, finding.record_id, finding.categories) == ("no_address", str(id_), PROMO)


def test_leads_are_read_as_contacts_are(hub: Hub) -> None:
    """A contact may be reached as a lead too: an audit over contacts alone misses it."""
    id_ = hub.add("ana", {"promotional": State.OPTED_OUT}, lead=True)
    assert hub.read("contacts").of(Reading) == []
    reading = only(hub.read("leads"), id_)
    assert (reading.store, reading.outs) == ("leads", PROMO)


def test_the_governance_fields_become_a_consent_row(hub: Hub) -> None:
    """The consent checks stand on these fields alone."""
    governance = Governance("implicit", "contract", date(2026, 12, 31), "C-17")
    id_ = hub.add("ana", governance=governance, country="Canada")
    hub.twin.opt_out("ana@example.org", "events", act(reason="too many", ip="203.0.113.9"))
    (row,) = hub.read("contacts").of(Consent)
    assert (row.record_id, row.country, row.method) == (str(id_), "Canada", "implicit")
    assert (row.basis, row.basis_date, row.basis_ref) == ("contract", date(2026, 12, 31), "C-17")
    assert (row.last_updated_at, row.update_source) == (YESTERDAY, "email_link")
    assert (row.update_reason, row.consent_ip) == ("too many", "203.0.113.9")


@pytest.mark.parametrize("value", ["12/31/2026", "12/31/2026 6:00", "2026-12-31T06:00:00Z"])
def test_a_date_is_read_in_the_vendors_forms(hub: Hub, value: str) -> None:
    """A contract's end read wrongly would make consent expire on the wrong day."""
    hub.put(hub.add("ana"), {native.BASIS_DATE: value})
    assert hub.read("contacts").of(Consent)[0].basis_date == date(2026, 12, 31)


def test_an_unknown_basis_is_not_proven_and_told(hub: Hub) -> None:
    """A basis that no rule knows must not count as one."""
    hub.put(hub.add("ana"), {native.BASIS: "handshake", native.BASIS_DATE: "soon"})
    out = hub.read("contacts")
    assert (out.of(Consent)[0].basis, out.of(Consent)[0].basis_date) == (None, None)
    assert {f.code for f in out.of(Finding)} == {"unknown_value", "unparsable"}


@pytest.mark.parametrize("kind", [FaultKind.FIELD_ABSENT, FaultKind.FIELD_NULL])
def test_a_record_without_its_custom_fields_is_unclear(hub: Hub, kind: FaultKind) -> None:
    """Read as `nothing set`, a change of the vendor's would forget every opt-out at once."""
    id_ = hub.add("ana", {"promotional": State.OPTED_OUT})
    hub.sandbox.faults.plant(
        Fault(kind, "zendesk_sell", "/contacts", field="custom_fields", rows=9)
    )
    out = hub.read("contacts")
    assert only(out, id_).unclear == CATEGORIES.all
    assert out.of(Consent) == []
    assert ("missing_field", "custom_fields") in {(f.code, f.field) for f in out.of(Finding)}


def test_a_record_without_the_field_email_ends_the_walk(hub: Hub) -> None:
    """A lacking field is no empty one: the person would be closed as deleted."""
    hub.add("ana", {"promotional": State.OPTED_OUT})
    hub.sandbox.faults.plant(
        Fault(FaultKind.FIELD_ABSENT, "zendesk_sell", "/contacts", field="email", rows=9)
    )
    with pytest.raises(UnexpectedAnswer, match="email"):
        hub.read("contacts")
