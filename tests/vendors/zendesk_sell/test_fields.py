"""Sell's custom fields, renamed, lacking and configured."""

from __future__ import annotations

import pytest

from optout.model import State
from optout.records import Finding
from optout.sandbox.zendesk_sell import store as native
from optout.testing.zendesk_sell import PROMO, Hub, drained, only, rename


@pytest.mark.parametrize("stream", ["contacts", "sync"])
def test_a_renamed_preference_field_makes_the_night_incomplete(hub: Hub, stream: str) -> None:
    """Values are keyed by display name: after a renaming nobody would be opted out."""
    id_ = hub.add("ana", {"promotional": State.OPTED_OUT})
    state = hub.read(stream).state
    rename(hub, "email_pref_promotional", "Promotions")
    hub.put(id_, {"known_via": "fair"})
    out = hub.read(stream, nights=1, state=state)
    assert out.status == "incomplete"
    assert "'email_pref_promotional' of contacts does not exist" in (out.why or "")
    assert "it is now called 'Promotions'" in (out.why or "")
    assert only(out, id_).unclear == PROMO


def test_a_lacking_field_of_a_store_without_records_is_no_matter(hub: Hub) -> None:
    """Who keeps no leads need not prepare them."""
    hub.add("ana")
    rename(hub, "email_pref_promotional", "Promotions", "lead")
    assert hub.read("leads").status == "complete"
    assert drained(hub).status == "complete"


def test_a_lacking_governance_field_is_a_finding(hub: Hub) -> None:
    """The trail and the consent then show gaps; the finding says why."""
    hub.add("ana")
    rename(hub, native.HISTORY, "Log")
    out = hub.read("contacts")
    assert out.status == "complete"
    assert [(f.code, f.field) for f in out.of(Finding)] == [("missing_field", native.HISTORY)]


def test_names_and_own_fields_come_from_the_configuration(hub: Hub) -> None:
    """Custom fields are the deployment's own invention."""
    id_ = hub.add("ana", {"promotional": State.OPTED_OUT})
    rename(hub, "email_pref_promotional", "No ads, please")
    rename(hub, native.GLOBAL, "Do not mail")
    hub.put(id_, {"Do not mail": True})
    out = hub.read(
        "contacts",
        categories={"promotional": ("No ads, please",)},
        fields={"global_opt_out": "Do not mail"},
    )
    reading = only(out, id_)
    assert (out.status, reading.category_outs, reading.global_out) == ("complete", PROMO, True)


def test_a_field_that_the_company_does_not_keep_is_not_missed(hub: Hub) -> None:
    """An empty name says so."""
    hub.add("ana")
    rename(hub, native.BASIS_REF, "Gone")
    out = hub.read("contacts", fields={"consent_basis_ref": ""})
    assert out.of(Finding) == []
