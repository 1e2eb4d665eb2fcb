"""The hub's connector against its twin over real HTTP: every trap that could lose an opt-out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from optout.errors import (
    AuthenticationFailed,
    BrokenAnswer,
    PermissionMissing,
    SourceError,
    Transient,
    UnexpectedAnswer,
)
from optout.http.client import HttpClient
from optout.model import Categories, Source, State
from optout.records import Change, Consent, Finding, Reading
from optout.sandbox.acts import Act, Governance, HistoryFault, Person
from optout.sandbox.faults import Fault, FaultKind
from optout.sandbox.server import Sandbox
from optout.sandbox.zendesk_sell import store as native
from optout.sandbox.zendesk_sell.twin import ZendeskSellTwin
from optout.testing.outputs import Killed, MemoryOutput
from optout.vendors.base import Context, ReadRequest, Stream
from optout.vendors.zendesk_sell.connector import ZendeskSell
from optout.vendors.zendesk_sell.walk import window

CATEGORIES = Categories(("product_updates", "educational", "promotional", "events"))
PROMO = CATEGORIES.bit("promotional")
EVENTS = CATEGORIES.bit("events")
TOKEN = "s" * 64
NIGHT = date(2026, 3, 10)
CUTOFF = datetime(2026, 3, 10, 2, tzinfo=UTC)
BEFORE = CUTOFF - timedelta(days=30)
YESTERDAY = CUTOFF - timedelta(hours=20)


@dataclass
class Hub:
    """The twin behind HTTP, and connectors for it."""

    sandbox: Sandbox
    twin: ZendeskSellTwin

    def connector(self, **settings: Any) -> ZendeskSell:
        config = ZendeskSell.Config(
            name="hub",
            vendor="zendesk_sell",
            base_url=self.sandbox.base_url("zendesk_sell"),
            token_env="SELL_TOKEN",
            **settings,
        )
        token = settings.pop("token", TOKEN)
        options = replace(ZendeskSell.http_options(config, token), limits=())
        http = HttpClient(
            "hub", config.base_url, options, secrets=(token,), sleep=lambda seconds: None
        )
        return ZendeskSell(Context(config, token, CATEGORIES, http))

    def streams(self) -> tuple[Stream, ...]:
        connector = self.connector()
        return connector.streams(connector.config)

    def read(
        self,
        stream: str,
        *,
        out: MemoryOutput | None = None,
        nights: int = 0,
        since: datetime | None = None,
        state: Mapping[str, Any] | None = None,
        connector: ZendeskSell | None = None,
        **settings: Any,
    ) -> MemoryOutput:
        out = out or MemoryOutput()
        at = CUTOFF + timedelta(days=nights)
        request = ReadRequest(at.date(), at, since, state or {}, at)
        (connector or self.connector(**settings)).read(stream, request, out)
        return out

    def person(self, name: str, *, country: str | None = "DE") -> Person:
        return Person(0, f"{name}@example.org", name.title(), "Roy", country)

    def add(self, name: str, states: Mapping[str, State] | None = None, **more: Any) -> int:
        at = more.pop("at", BEFORE)
        country = more.pop("country", "DE")
        return self.twin.add_record(self.person(name, country=country), states or {}, at, **more)

    def put(self, record_id: int, values: Mapping[str, Any], kind: str = "contact") -> None:
        """Write fields as the vendor's UI would, past every validation."""
        record = self.twin.store.records[kind, record_id]
        self.twin.store.update(record, YESTERDAY, values=values)


@pytest.fixture
def hub() -> Iterator[Hub]:
    twin = ZendeskSellTwin(CATEGORIES.names, token=TOKEN, rng=Random(7))
    twin.now = CUTOFF
    with Sandbox([twin], limits_on=False) as sandbox:
        yield Hub(sandbox, twin)


def act(at: datetime = YESTERDAY, source: Source = Source.EMAIL_LINK, **more: Any) -> Act:
    return Act(at=at, source=source, **more)


def by_id(out: MemoryOutput) -> dict[str, Reading]:
    return {r.record_id: r for r in out.of(Reading)}


def only(out: MemoryOutput, record_id: int) -> Reading:
    return by_id(out)[str(record_id)]


def history_of(out: MemoryOutput, record_id: int) -> list[Change]:
    return [c for c in out.of(Change) if c.feed == "history" and c.record_id == str(record_id)]


# --- what a record says ---------------------------------------------------------------------------
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


# --- history --------------------------------------------------------------------------------------
def test_history_gives_one_change_for_each_field_with_all_its_evidence(hub: Hub) -> None:
    """The trail is judged by these rows."""
    id_ = hub.add("ana", {"promotional": State.OPTED_IN})
    hub.twin.opt_out("ana@example.org", "promotional", act(reason="bored"))
    hub.twin.opt_out("ana@example.org", None, act(YESTERDAY + timedelta(hours=1), Source.FORM))
    first, second, third = history_of(hub.read("contacts"), id_)
    assert (first.old, first.new, first.source) == ("not_set", "opted_in", "import")
    assert not first.explicit
    assert (second.category, second.old, second.new) == ("promotional", "opted_in", "opted_out")
    assert (second.occurred_at, second.occurred_from) == (YESTERDAY, YESTERDAY)
    assert (second.source, second.explicit, second.actor) == ("email_link", True, "person")
    assert (second.position, second.missing, second.reason) == (1, None, "bored")
    assert (second.ip, second.user_agent) == ("198.51.100.7", "Mozilla/5.0 (sandbox)")
    assert (third.category, third.old, third.new) == (None, "opted_in", "opted_out")
    assert not third.explicit


@pytest.mark.parametrize(
    "field", ["at", "source", "ip", "user_agent", "contact_id", "email", "changes.old"]
)
def test_each_required_field_that_is_lacking_is_named(hub: Hub, field: str) -> None:
    """An incomplete entry that passes for complete is what an auditor looks for."""
    id_ = hub.add("ana", {"promotional": State.OPTED_IN})
    fault = HistoryFault("missing_required_field", field)
    hub.twin.set_preference("ana@example.org", "promotional", State.OPTED_OUT, act(), fault=fault)
    change = history_of(hub.read("contacts"), id_)[-1]
    assert change.missing == field
    assert change.new == "opted_out"


def test_a_lacking_new_value_is_what_the_chain_led_to(hub: Hub) -> None:
    """The change happened, whatever its entry forgot: it counts, as incomplete."""
    id_ = hub.add("ana", {"promotional": State.OPTED_IN})
    fault = HistoryFault("missing_required_field", "changes.new")
    hub.twin.set_preference("ana@example.org", "promotional", State.OPTED_OUT, act(), fault=fault)
    change = history_of(hub.read("contacts"), id_)[-1]
    assert (change.new, change.missing) == ("opted_out", "changes.new")
    before = change.event_id
    hub.twin.opt_in("ana@example.org", "promotional", act(YESTERDAY + timedelta(hours=1)))
    again = history_of(hub.read("contacts"), id_)
    assert again[1].new == "opted_out"
    assert again[1].event_id == before


def test_the_reason_is_not_required_and_a_source_can_be_relaxed(hub: Hub) -> None:
    """The policy says which fields; an import has no IP of a person."""
    id_ = hub.add("ana")
    bare = act(source=Source.IMPORT, ip=None, user_agent=None)
    hub.twin.opt_out("ana@example.org", "promotional", bare)
    assert history_of(hub.read("contacts"), id_)[0].missing == "ip,user_agent"
    relaxed = {"import": ("ip", "user_agent")}
    out = hub.read("contacts", history_relaxed=relaxed)
    assert history_of(out, id_)[0].missing is None
    out = hub.read("contacts", history_required=("at", "reason"))
    assert history_of(out, id_)[0].missing == "reason"


def test_an_unknown_part_of_an_entry_is_refused_in_the_configuration(hub: Hub) -> None:
    """A misspelt requirement would silently demand nothing."""
    with pytest.raises(ValidationError, match="userAgent"):
        hub.connector(history_required=("userAgent",))


def test_an_unparsable_entry_is_told_and_the_rest_kept(hub: Hub) -> None:
    """One bad entry must not hide the opt-out in the next."""
    id_ = hub.add("ana", {"promotional": State.OPTED_IN})
    hub.twin.set_preference(
        "ana@example.org", "events", State.OPTED_OUT, act(), fault=HistoryFault("unparsable")
    )
    hub.twin.opt_out("ana@example.org", "promotional", act(YESTERDAY + timedelta(hours=1)))
    out = hub.read("contacts")
    assert [c.position for c in history_of(out, id_)] == [0, 2]
    assert [f.code for f in out.of(Finding)] == ["unparsable"]


ENTRY = (
    '{"at": "2026-03-01T10:00:00+02:00", "changes": {"email_pref_promotional": {"old": "not_set",'
    ' "new": "opted_out"}}, "source": "Email Link", "ip": "192.0.2.1", "user_agent": "x",'
    ' "contact_id": 1, "email": "ana@example.org"}'
)


@pytest.mark.parametrize(
    ("text", "changes", "findings"),
    [
        (f"[{ENTRY}]", 1, 0),
        (ENTRY, 1, 0),
        (f"[{ENTRY}, {ENTRY[:90]}", 1, 1),
        (f"[null, 7, {ENTRY}]", 1, 2),
        ("", 0, 0),
        ("  ", 0, 0),
        ("[]", 0, 0),
        ("opted out by phone", 0, 1),
        ("7", 0, 1),
    ],
)
def test_history_is_read_as_far_as_it_can_be(
    hub: Hub, text: str, changes: int, findings: int
) -> None:
    """A text field that was cut off keeps its beginning; anything else is told, never raised."""
    id_ = hub.add("ana")
    hub.put(id_, {native.HISTORY: text})
    out = hub.read("contacts")
    found = history_of(out, id_)
    assert (len(found), len(out.of(Finding))) == (changes, findings)
    for change in found:
        assert change.occurred_at == datetime(2026, 3, 1, 8, tzinfo=UTC)
        assert (change.source, change.explicit, change.channel) == (
            "email_link", True, "Email Link"
        )  # fmt: skip


def test_a_history_that_is_a_list_already_is_read(hub: Hub) -> None:
    """Some integrations give structured values back."""
    id_ = hub.add("ana")
    change = {"email_opt_out_global": {"old": None, "new": True}}
    hub.put(id_, {native.HISTORY: [{"at": "2026-03-01T10:00:00", "changes": change}]})
    (told,) = history_of(hub.read("contacts"), id_)
    assert (told.category, told.old, told.new) == (None, "not_set", "opted_out")
    assert told.occurred_at == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert told.missing == "source,ip,user_agent,contact_id,email"


def test_a_time_that_is_none_is_told_and_the_change_kept(hub: Hub) -> None:
    """An opt-out with a broken time is still an opt-out."""
    id_ = hub.add("ana")
    change = {"email_pref_events": {"old": "opted_in", "new": "OPTED_OUT"}}
    hub.put(id_, {native.HISTORY: [{"at": "yesterday", "changes": change}]})
    out = hub.read("contacts", history_required=("at",))
    (told,) = history_of(out, id_)
    assert (told.new, told.occurred_at, told.missing) == ("opted_out", None, "at")
    assert [f.code for f in out.of(Finding)] == ["unparsable"]


def test_event_ids_outlive_new_entries_and_tell_true_repeats_apart(hub: Hub) -> None:
    """An id by place would turn one change into two when an entry is put before it."""
    id_ = hub.add("ana")
    entry = {"at": "2026-03-01T10:00:00Z", "source": "api",
             "changes": {"email_pref_events": {"old": "opted_in", "new": "opted_out"}}}  # fmt: skip
    hub.put(id_, {native.HISTORY: [entry, entry]})
    first = [c.event_id for c in history_of(hub.read("contacts"), id_)]
    assert len(set(first)) == 2
    earlier = {**entry, "at": "2026-02-01T10:00:00Z"}
    respelt = {**entry, "at": "2026-03-01T12:00:00+02:00"}
    hub.put(id_, {native.HISTORY: [earlier, respelt, entry]})
    assert [c.event_id for c in history_of(hub.read("contacts"), id_)][1:] == first
    assert not any("example.org" in event_id for event_id in first)


def test_history_belongs_to_the_records_present_address(hub: Hub) -> None:
    """An address is edited; the record's trail goes with it."""
    id_ = hub.add("ana", {"promotional": State.OPTED_IN})
    hub.twin.opt_out("ana@example.org", "promotional", act())
    hub.twin.change_address("ana@example.org", "new@example.org", YESTERDAY)
    assert {c.address for c in history_of(hub.read("contacts"), id_)} == {"new@example.org"}


# --- the walk -------------------------------------------------------------------------------------
def fill(hub: Hub, number: int) -> list[int]:
    states = (State.OPTED_IN, State.OPTED_OUT, State.NOT_SET)
    return [hub.add(f"p{i}", {"promotional": states[i % 3]}) for i in range(number)]


def test_the_walk_reads_every_page_and_ends(hub: Hub) -> None:
    """The default page has 25 records and no total is told."""
    ids = fill(hub, 345)
    out = hub.read("contacts")
    assert [int(r.record_id) for r in out.of(Reading)] == ids
    assert (out.status, out.is_full, out.read_total) == ("complete", True, 346)


def test_windows_always_overlap_and_seldom_waste() -> None:
    """The proof of the walk: a window begins before the end of the one before it."""
    read, asked = 0, 0
    while read < 20_000:
        page, size = window(read)
        assert 1 <= size <= 100
        start, end = (page - 1) * size, page * size
        assert start < read or read == 0
        assert end > read
        read, asked = end, asked + 1
    assert asked < 20_000 / 100 * 1.2


@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_deletion_during_the_walk_hides_nobody(hub: Hub, page: int) -> None:
    """Records move forward over the border of two pages when an earlier one goes."""
    ids = fill(hub, 345)
    connector = hub.connector()
    asked = connector.api.http.get
    calls = 0

    def get(path: str, *args: Any, **more: Any) -> Any:
        nonlocal calls
        answer = asked(path, *args, **more)
        calls += path == "/v2/contacts"
        if path == "/v2/contacts" and calls == page:
            for i in range(5):
                hub.twin.delete(f"p{i}@example.org", CUTOFF)
        return answer

    connector.api.http.get = get  # type: ignore[method-assign]
    out = hub.read("contacts", connector=connector)
    assert out.status == "complete"
    assert {int(r.record_id) for r in out.of(Reading)} >= set(ids[5:])
    assert len(out.of(Reading)) == len(set(by_id(out)))


def test_most_records_deleted_during_the_walk_still_ends(hub: Hub) -> None:
    """The walk steps back to its own track, however far that is."""
    ids = fill(hub, 450)
    with pytest.raises(Killed):
        hub.read("contacts", out=(out := MemoryOutput(kill_at=5)))
    for i in range(380):
        hub.twin.delete(f"p{i}@example.org", CUTOFF)
    again = hub.read("contacts", out=out.resumed())
    assert again.status == "complete"
    assert {int(r.record_id) for r in again.of(Reading)} >= set(ids[380:])


@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("durable_pages", [1, 2])
def test_a_walk_killed_at_any_page_gives_the_same_rows(
    hub: Hub, is_after: bool, durable_pages: int
) -> None:
    """A crash must neither lose nor double a record."""
    fill(hub, 345)
    whole = hub.read("contacts")
    for k in range(1, len(whole.calls) + 1):
        out = MemoryOutput(kill_at=k, kill_after=is_after, durable_pages=durable_pages)
        with pytest.raises(Killed):
            hub.read("contacts", out=out)
        again = hub.read("contacts", out=out.resumed())
        assert again.rows == whole.rows, k
        assert (again.status, again.read_total) == ("complete", whole.read_total)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.REPEATED_PAGE, BrokenAnswer),
        (FaultKind.MISSING_PAGE, BrokenAnswer),
        (FaultKind.DUPLICATE_PAGE, BrokenAnswer),
        (FaultKind.UNAUTHORIZED, AuthenticationFailed),
        (FaultKind.TRUNCATED, BrokenAnswer),
        (FaultKind.ERROR_IN_200, BrokenAnswer),
        (FaultKind.EMPTY, BrokenAnswer),
    ],
)
def test_a_wrong_page_never_ends_as_a_complete_walk(
    hub: Hub, kind: FaultKind, error: type[SourceError]
) -> None:
    """A repeated, emptied or doubled page must not look like the end, or like success."""
    fill(hub, 345)
    hub.sandbox.faults.plant(Fault(kind, "zendesk_sell", "/contacts", nth=2, times=None))
    out = MemoryOutput()
    with pytest.raises(error) as caught:
        hub.read("contacts", out=out)
    assert out.status is None
    assert "example.org" not in str(caught.value)


@pytest.mark.parametrize(
    "kind",
    [FaultKind.REPEATED_PAGE, FaultKind.MISSING_PAGE, FaultKind.SERVER_ERROR, FaultKind.RESET,
     FaultKind.LIMITED, FaultKind.HTML, FaultKind.REPEATED_CURSOR, FaultKind.DUPLICATE_PAGE],
)  # fmt: skip
def test_a_passing_fault_is_survived_by_reading_on(hub: Hub, kind: FaultKind) -> None:
    """One bad answer may cost a request, never a record."""
    ids = fill(hub, 345)
    hub.sandbox.faults.plant(Fault(kind, "zendesk_sell", "/contacts", nth=3))
    out = MemoryOutput()
    for _ in range(3):
        try:
            hub.read("contacts", out=out)
            break
        except SourceError as error:
            assert isinstance(error, Transient)
            out = out.resumed()
    assert out.status == "complete"
    assert [int(r.record_id) for r in out.of(Reading)] == ids


@pytest.mark.parametrize(("stream", "endpoint"), [("contacts", "/contacts"), ("sync", "/queues")])
def test_rows_lost_from_the_only_page_are_missed(hub: Hub, stream: str, endpoint: str) -> None:
    """An emptied page without a next one looks like an empty account, but for its count."""
    fill(hub, 5)
    hub.sandbox.faults.plant(Fault(FaultKind.MISSING_PAGE, "zendesk_sell", endpoint))
    out = MemoryOutput()
    with pytest.raises(BrokenAnswer, match="0 items where the page says"):
        hub.read(stream, out=out)
    again = hub.read(stream, out=out.resumed())
    assert (again.status, len(by_id(again))) == ("complete", 5 + (stream == "sync"))


def test_a_server_that_ignores_the_order_is_refused(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the order by id no walk by page number can be proven."""
    fill(hub, 30)
    connector = hub.connector()
    asked = connector.api.http.get

    def get(path: str, params: Any = None, **more: Any) -> Any:
        params = {**params, "sort_by": "id:desc"} if params else params
        return asked(path, params, **more)

    monkeypatch.setattr(connector.api.http, "get", get)
    with pytest.raises(UnexpectedAnswer, match="order"):
        hub.read("contacts", connector=connector)


# --- Sync -----------------------------------------------------------------------------------------
def drained(hub: Hub, nights: int = 0, state: Any = None, **more: Any) -> MemoryOutput:
    return hub.read("sync", nights=nights, state=state, **more)


def acked(hub: Hub) -> set[tuple[str, int]]:
    (device,) = hub.twin.desk._devices.values()
    return set(device.acked)


def test_sync_brings_what_changed_and_takes_every_type_from_the_queue(hub: Hub) -> None:
    """Users, deals and tags come through the same queue, and return for ever if not taken."""
    ids = fill(hub, 130)
    lead = hub.add("lea", lead=True)
    first = drained(hub)
    assert first.status == "complete"
    assert {int(r.record_id) for r in first.of(Reading) if not r.deleted} == {*ids, lead}
    assert {kind for kind, _ in acked(hub)} == {"contact", "lead", "user", "deal", "tag"}
    second = drained(hub, 1, first.state)
    assert (second.status, second.rows) == ("complete", [])
    hub.twin.opt_out("p5@example.org", "events", act())
    (reading,) = drained(hub, 2, second.state).of(Reading)
    assert (reading.store, reading.record_id) == ("contacts", str(ids[5]))
    assert reading.outs & EVENTS


def test_nothing_is_acknowledged_before_it_is_durable(hub: Hub) -> None:
    """An item that was acknowledged and then lost by a crash never comes again."""
    fill(hub, 130)
    out = MemoryOutput(kill_at=3)
    with pytest.raises(Killed):
        drained(hub, out=out)
    assert out.calls[-1] == "flush"
    assert acked(hub) == set()


@pytest.mark.parametrize("is_after", [False, True])
def test_a_drain_killed_at_any_call_gives_the_same_rows(
    hub: Hub, is_after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between writing and acknowledging gives duplicates only."""
    monkeypatch.setattr("optout.vendors.zendesk_sell.sync.ACK_AFTER", 100)
    fill(hub, 345)
    whole = drained(hub, device_uuid="device-0000")
    for k in range(1, len(whole.calls) + 1):
        device = f"device-{k:04}"
        out = MemoryOutput(kill_at=k, kill_after=is_after)
        with pytest.raises(Killed):
            drained(hub, out=out, device_uuid=device)
        again = drained(hub, out=out.resumed(), device_uuid=device)
        assert again.status == "complete"
        assert set(again.rows) == set(whole.rows), k


def test_the_later_state_speaks_whatever_the_order(hub: Hub) -> None:
    """Availability is preferred over order: an older yes must not overwrite a newer no."""
    ids = fill(hub, 40)
    for i in range(40):
        hub.twin.opt_out(f"p{i}@example.org", "events", act())
    hub.twin.desk.stale_copies = True
    newest: dict[str, Reading] = {}
    for reading in drained(hub).of(Reading):
        if not reading.deleted:
            newest[reading.record_id] = reading
    assert len(newest) == len(ids)
    assert all(reading.outs & EVENTS for reading in newest.values())


def test_a_deletion_tells_only_the_id(hub: Hub) -> None:
    """A deleted record must end; its address is not told any more."""
    ids = fill(hub, 3)
    state = drained(hub).state
    hub.twin.delete("p1@example.org", CUTOFF)
    (reading,) = drained(hub, 1, state).of(Reading)
    assert (reading.record_id, reading.deleted, reading.address) == (str(ids[1]), True, None)


def test_a_record_that_lost_its_address_is_gone_as_in_the_walk(hub: Hub) -> None:
    """Else its last reading would speak of the person for ever."""
    id_ = hub.add("ana")
    state = drained(hub).state
    record = hub.twin.store.records["contact", id_]
    hub.twin.store.update(record, CUTOFF, attributes={"email": None})
    (reading,) = drained(hub, 1, state).of(Reading)
    assert (reading.record_id, reading.deleted) == (str(id_), True)


def test_an_item_with_no_more_than_an_id_is_looked_up(hub: Hub) -> None:
    """The event's type is a hint: an update without data is no deletion."""
    ids = fill(hub, 3)
    hub.sandbox.faults.plant(
        Fault(FaultKind.FIELD_ABSENT, "zendesk_sell", "/queues", field="email", rows=9)
    )
    out = drained(hub)
    assert {r.record_id for r in out.of(Reading) if not r.deleted} == {str(i) for i in ids}


def test_failed_objects_are_fetched_by_their_id(hub: Hub) -> None:
    """What should have been in the page and was not is lost in silence otherwise."""
    ids = fill(hub, 5)
    hub.twin.desk.withheld = {("contact", ids[2]), ("deal", 1)}
    out = drained(hub)
    assert out.status == "complete"
    assert only(out, ids[2]).address == "p2@example.org"


def test_a_failed_object_that_cannot_be_fetched_leaves_the_stream_open(hub: Hub) -> None:
    """An error is not an empty answer."""
    ids = fill(hub, 5)
    hub.twin.desk.withheld = {("contact", ids[2])}
    hub.sandbox.faults.plant(
        Fault(FaultKind.SERVER_ERROR, "zendesk_sell", "/contacts/{id}", times=None)
    )
    out = MemoryOutput()
    with pytest.raises(SourceError):
        drained(hub, out=out)
    assert out.status is None


@pytest.mark.parametrize("kind", [FaultKind.TRUNCATED, FaultKind.RESET, FaultKind.EMPTY])
def test_a_batch_lost_on_its_way_is_not_missed(hub: Hub, kind: FaultKind) -> None:
    """The session goes on behind it; only the next one brings it again."""
    ids = fill(hub, 230)
    hub.sandbox.faults.plant(Fault(kind, "zendesk_sell", "/queues/main", nth=2))
    out = drained(hub)
    assert out.status == "complete"
    assert set(by_id(out)) >= {str(i) for i in ids}


def test_a_queue_that_repeats_itself_is_no_end(hub: Hub) -> None:
    """The official client would spin for ever here."""
    fill(hub, 130)
    hub.sandbox.faults.plant(
        Fault(FaultKind.REPEATED_PAGE, "zendesk_sell", "/queues/main", nth=2, times=None)
    )
    with pytest.raises(BrokenAnswer):
        drained(hub)


def test_without_the_scope_or_plan_the_walk_runs_every_night(hub: Hub) -> None:
    """No queue must not mean that nothing changed."""
    fill(hub, 5)
    hub.twin.sync_enabled = False
    connector = hub.connector()
    out = drained(hub, connector=connector)
    assert (out.status, "no Sync" in (out.why or "")) == ("skipped", True)
    out = hub.read("contacts", since=BEFORE, connector=connector)
    assert (len(out.of(Reading)), out.is_full) == (5, True)
    with pytest.raises(PermissionMissing):
        drained(hub, sync="on")
    assert drained(hub, sync="off").status == "skipped"


def test_between_full_reads_the_queue_stands_in_for_the_walk(hub: Hub) -> None:
    """And says so: absence from such a night is no deletion."""
    fill(hub, 5)
    first = drained(hub)
    connector = hub.connector()
    drained(hub, 1, first.state, connector=connector)
    out = hub.read("contacts", nights=1, since=BEFORE, connector=connector)
    assert (out.status, out.rows, out.is_full) == ("complete", [], False)
    assert out.note
    full = hub.read("contacts", nights=1, since=None, connector=connector)
    assert (len(full.of(Reading)), full.is_full) == (5, True)


@pytest.mark.parametrize("broken", ["a night between", "a first night", "another process"])
def test_a_broken_row_of_nights_is_walked(hub: Hub, broken: str) -> None:
    """What an incomplete night acknowledged does not come again: only a walk finds it."""
    fill(hub, 5)
    first = drained(hub)
    connector = hub.connector()
    nights = 2 if broken == "a night between" else 1
    state = None if broken == "a first night" else first.state
    drained(hub, nights, state, connector=connector)
    if broken == "another process":
        connector = hub.connector()
    out = hub.read("contacts", nights=nights, since=BEFORE, connector=connector)
    assert (len(out.of(Reading)), out.is_full) == (5, True)


def test_a_backfill_leaves_the_queue_alone(hub: Hub) -> None:
    """It would spend today's states on a night that is over."""
    fill(hub, 5)
    late = CUTOFF + timedelta(days=3)
    out = MemoryOutput()
    hub.connector().read("sync", ReadRequest(NIGHT, CUTOFF, None, {}, late), out)
    assert out.status == "skipped"
    assert hub.twin.desk._devices == {}


def test_the_device_is_the_same_every_night_and_ones_own(hub: Hub) -> None:
    """Another UUID means everything anew; a shared one steals another's changes."""
    assert hub.connector().device == hub.connector().device
    assert hub.connector(device_uuid="0000-1111").device == "0000-1111"
    assert TOKEN not in hub.connector().device


# --- Firehose -------------------------------------------------------------------------------------
def hose(hub: Hub, nights: int = 0, state: Any = None, **more: Any) -> MemoryOutput:
    return hub.read("firehose", nights=nights, state=state, **more)


@pytest.mark.parametrize("shape", ["full", "changed"])
@pytest.mark.parametrize("values", ["name", "object"])
def test_a_changed_field_is_a_change_with_its_own_source(hub: Hub, shape: Any, values: Any) -> None:
    """The Firehose is the only field history that Sell itself keeps."""
    hub.twin.shapes.previous_shape, hub.twin.shapes.list_shape = shape, values
    id_ = hub.add("ana", {"promotional": State.OPTED_IN, "events": State.OPTED_IN}, at=YESTERDAY)
    acted = YESTERDAY + timedelta(hours=1)
    recorded = acted + timedelta(minutes=2)
    hub.twin.set_preference(
        "ana@example.org", "promotional", State.OPTED_OUT, act(acted), at_recorded=recorded
    )
    (change,) = hose(hub).of(Change)
    assert (change.feed, change.store, change.record_id) == ("firehose", "contacts", str(id_))
    assert (change.category, change.old, change.new) == ("promotional", "opted_in", "opted_out")
    assert (change.occurred_at, change.received_at) == (acted, recorded)
    assert (change.source, change.explicit, change.actor) == ("email_link", True, "person")
    assert change.address == "ana@example.org"


def test_a_bulk_edit_does_not_borrow_the_person_of_an_earlier_change(hub: Hub) -> None:
    """Rule 3: an integration that writes a yes back lifts nothing, whatever the source says."""
    hub.add("ana", {"promotional": State.OPTED_IN}, at=YESTERDAY)
    hub.twin.opt_out("ana@example.org", "promotional", act(YESTERDAY + timedelta(hours=1)))
    at = YESTERDAY + timedelta(hours=2)
    hub.twin.restore("ana@example.org", "promotional", State.OPTED_IN, at)
    change = hose(hub).of(Change)[-1]
    assert (change.old, change.new) == ("opted_out", "opted_in")
    assert (change.source, change.explicit, change.actor) == ("unknown", False, None)
    assert change.occurred_at == at


def test_the_global_flag_and_leads_come_too(hub: Hub) -> None:
    """Both streams are read, and the flag is of everything."""
    hub.add("ana", lead=True, at=YESTERDAY)
    hub.twin.opt_out("ana@example.org", None, act())
    (change,) = hose(hub).of(Change)
    assert (change.store, change.category, change.new) == ("leads", None, "opted_out")


def test_creation_other_edits_and_an_explicit_false_are_no_changes(hub: Hub) -> None:
    """What is no change of a preference would be counted as a gap of the trail."""
    id_ = hub.add("ana", {"promotional": State.OPTED_OUT}, at=YESTERDAY)
    hub.twin.change_address("ana@example.org", "new@example.org", YESTERDAY)
    hub.put(id_, {"known_via": "fair", native.GLOBAL: False})
    hub.twin.delete("new@example.org", YESTERDAY)
    out = hose(hub)
    assert (out.status, out.rows) == ("complete", [])


def changes_of_many(hub: Hub, number: int) -> None:
    for i in range(number):
        hub.add(f"p{i}", {"promotional": State.OPTED_IN}, at=YESTERDAY)
    for i in range(number):
        at = YESTERDAY + timedelta(minutes=i)
        hub.twin.opt_out(f"p{i}@example.org", "promotional", act(at))


def test_empty_pages_and_repeated_events_neither_end_nor_double_it(hub: Hub) -> None:
    """Looping on the item count would stop at the first empty page and lose the rest."""
    hub.twin.empty_page_every = 2
    changes_of_many(hub, 180)
    out = hose(hub)
    assert out.status == "complete"
    assert len(out.of(Change)) == 180
    assert len({c.event_id for c in out.of(Change)}) == 180


def test_the_next_night_goes_on_at_the_position(hub: Hub) -> None:
    """Nothing left out; what the vendor delivers twice has the same id."""
    changes_of_many(hub, 3)
    first = hose(hub)
    known = {c.event_id for c in first.of(Change)}
    hub.twin.now = CUTOFF + timedelta(days=1)
    hub.twin.opt_in("p1@example.org", "promotional", act(CUTOFF + timedelta(hours=1)))
    second = hose(hub, 1, first.state)
    fresh = [c for c in second.of(Change) if c.event_id not in known]
    assert [(c.old, c.new) for c in fresh] == [("opted_out", "opted_in")]
    assert len(second.of(Change)) <= 2
    assert second.note is None


def test_an_expired_position_begins_at_the_tail_and_says_what_is_lost(hub: Hub) -> None:
    """72 hours are kept: a longer pause leaves a gap that must not look like silence."""
    changes_of_many(hub, 3)
    first = hose(hub)
    hub.twin.now = CUTOFF + timedelta(days=4)
    hub.twin.opt_in("p1@example.org", "promotional", act(CUTOFF + timedelta(days=3)))
    out = hose(hub, 4, first.state)
    assert (out.status, len(out.of(Change))) == ("complete", 1)
    assert "only from comparing nights" in (out.note or "")


def test_a_firehose_killed_at_any_page_gives_the_same_changes(hub: Hub) -> None:
    """A crash must not cost a page of events: they are gone after three days."""
    changes_of_many(hub, 150)
    hub.add("lea", lead=True, at=YESTERDAY)
    hub.twin.opt_out("lea@example.org", "events", act())
    hub.twin.empty_page_every = 10**6
    whole = {c.event_id for c in hose(hub).of(Change)}
    for k in range(1, len(hose(hub).calls) + 1):
        for is_after in (False, True):
            out = MemoryOutput(kill_at=k, kill_after=is_after)
            with pytest.raises(Killed):
                hose(hub, out=out)
            again = hose(hub, out=out.resumed())
            assert {c.event_id for c in again.of(Change)} == whole, k


def test_a_stream_that_stands_still_is_no_end(hub: Hub) -> None:
    """Neither an endless loop nor a quiet success."""
    changes_of_many(hub, 150)
    hub.twin.empty_page_every = 10**6
    hub.sandbox.faults.plant(
        Fault(FaultKind.REPEATED_CURSOR, "zendesk_sell", "/stream", nth=2, times=None)
    )
    with pytest.raises(BrokenAnswer):
        hose(hub)


def test_no_firehose_on_the_plan_is_said(hub: Hub) -> None:
    """It is optional, unless the configuration demands it."""
    hub.twin.firehose_enabled = False
    assert "no Firehose" in (hose(hub).why or "")
    assert hose(hub, firehose="off").status == "skipped"
    with pytest.raises(PermissionMissing):
        hose(hub, firehose="on")


# --- custom fields --------------------------------------------------------------------------------
def rename(hub: Hub, name: str, to: str, kind: str = "contact") -> None:
    hub.twin.store.definition(kind, name).name = to


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


# --- check ----------------------------------------------------------------------------------------
def problems(hub: Hub, **settings: Any) -> dict[str, Any]:
    return {p.key: p for p in hub.connector(**settings).check()}


def test_a_good_account_has_no_problem(hub: Hub) -> None:
    """A check that always complains is not read."""
    assert problems(hub) == {}


def test_a_wrong_token_is_the_only_problem(hub: Hub) -> None:
    """Nothing more can be asked."""
    hub.twin.token = "another"
    (found,) = hub.connector().check()
    assert (found.key, found.fatal) == ("hub.token_env", True)
    assert TOKEN not in found.message + found.mend


def test_each_lacking_or_wrong_field_is_named_with_its_mend(hub: Hub) -> None:
    """The API cannot create custom fields: a person must, and must know where."""
    rename(hub, "email_pref_events", "Events")
    rename(hub, native.HISTORY, "Log", "lead")
    hub.twin.store.definition("contact", native.GLOBAL).type = "number"
    hub.twin.store.definition("lead", "email_pref_promotional").choices = ("opted_in", "no mail")
    found = problems(hub)
    assert set(found) == {
        "hub.categories.events",
        "hub.fields.history",
        "hub.fields.global_opt_out",
        "hub.categories.promotional",
    }
    assert "the API cannot" in found["hub.categories.events"].mend
    assert "leads" in found["hub.fields.history"].message
    assert "opted_out" in found["hub.categories.promotional"].message


def test_lacking_scopes_and_plans_are_told_once_each(hub: Hub) -> None:
    """Optional APIs are a hint, demanded ones an error."""
    hub.twin.scopes = {"read"}
    hub.twin.firehose_enabled = False
    found = problems(hub)
    assert {(key, p.fatal) for key, p in found.items()} == {
        ("hub.token_env", False),
        ("hub.sync", False),
        ("hub.firehose", False),
    }
    assert problems(hub, sync="on")["hub.sync"].fatal
    assert "hub.sync" not in problems(hub, sync="off")
    hub.twin.scopes = {"profile", "sync"}
    assert problems(hub)["hub.token_env"].fatal


def test_a_category_that_the_company_does_not_have_is_told(hub: Hub) -> None:
    """A misspelt one would be read from the default field."""
    assert set(problems(hub, categories={"promotionl": ("x",)})) == {"hub.categories.promotionl"}


def test_an_owner_who_is_no_administrator_is_told(hub: Hub) -> None:
    """Hidden contacts cannot be told from absent ones."""
    hub.twin.user_role = "user"
    found = problems(hub)["hub.token_env"]
    assert (found.fatal, "administrator" in found.mend) == (False, True)


def test_check_opens_no_session(hub: Hub) -> None:
    """Sessions are limited to 100, and a check may run every minute."""
    fill(hub, 3)
    problems(hub)
    assert hub.twin.desk.sessions == {}


# --- the whole ------------------------------------------------------------------------------------
def test_no_address_or_token_in_logs_and_errors(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    """Logs are kept by people who may not see addresses."""
    caplog.set_level(logging.DEBUG)
    fill(hub, 120)
    for i, endpoint in enumerate(("/contacts", "/sync", "/stream", "/custom_fields")):
        fault = Fault(FaultKind.SERVER_ERROR, "zendesk_sell", endpoint, nth=1 + i % 2)
        hub.sandbox.faults.plant(fault)
    for stream in hub.streams():
        assert hub.read(stream.name).status == "complete"
    hub.sandbox.faults.plant(Fault(FaultKind.TRUNCATED, "zendesk_sell", times=None))
    for stream in hub.streams():
        with pytest.raises(SourceError) as caught:
            hub.read(stream.name)
        assert "example.org" not in str(caught.value)
        assert TOKEN not in str(caught.value)
    assert "hub" in caplog.text
    assert "example.org" not in caplog.text
    assert TOKEN not in caplog.text


def test_every_snapshot_stream_names_the_stores_that_it_closes(hub: Hub) -> None:
    """The loader closes what is absent from a full read of these stores only."""
    fill(hub, 2)
    hub.add("lea", lead=True)
    for stream in hub.streams():
        stores = {r.store for r in hub.read(stream.name).of(Reading)}
        assert not stream.snapshot or stores == set(stream.stores)
