"""SendGrid's traps: what looks like an answer and is none."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from optout.errors import SourceError
from optout.http.client import HttpClient
from optout.records import Campaign, Change, Finding, Reading
from optout.sandbox.faults import Fault, FaultKind
from optout.testing.outputs import Killed, MemoryOutput
from optout.testing.sendgrid import AT, MAILING, NOW, link, readings
from optout.testing.sendgrid import SendGridBench as Bench
from optout.vendors.base import ReadRequest


def test_a_mapped_group_that_is_gone_makes_the_night_incomplete(bench: Bench) -> None:
    """Its members are mailable again, and an empty answer would show them as never opted out."""
    bench.twin.opt_out("p1@example.org", "product_updates", link())
    del bench.twin.main.groups[20_002]
    out = bench.read("groups")
    assert out.status == "incomplete"
    assert out.why and "group 20002 does not exist" in out.why
    assert [row.store for row in out.of(Reading)] == ["group:20001"]


def test_a_group_that_lists_fewer_than_it_counts_is_incomplete(bench: Bench) -> None:
    """The list has no pages and no end mark: its count is the only proof."""
    bench.twin.opt_out("p1@example.org", "promotional", link())
    fault = Fault(FaultKind.MISSING_PAGE, "sendgrid", "{group_id}/suppressions", times=None)
    bench.sandbox.faults.plant(fault)
    out = bench.read("groups")
    assert out.status == "incomplete"
    assert out.why and "counts 1 suppressions and lists 0" in out.why


def test_an_empty_answer_is_asked_again_before_it_is_believed(bench: Bench) -> None:
    """One empty page would make everybody who unsubscribed mailable."""
    bench.twin.opt_out("p1@example.org", None, link())
    bench.sandbox.faults.plant(Fault(FaultKind.MISSING_PAGE, "sendgrid", "/unsubscribes"))
    out = bench.read("unsubscribes")
    assert (out.status, len(out.of(Reading))) == ("complete", 1)


def test_a_record_without_its_address_ends_the_reading(bench: Bench) -> None:
    """A missing consent field is a change of the vendor's, not a person without opt-out."""
    bench.twin.opt_out("p1@example.org", None, link())
    bench.sandbox.faults.plant(Fault(FaultKind.FIELD_ABSENT, "sendgrid", "/unsubscribes"))
    with pytest.raises(SourceError):
        bench.read("unsubscribes")


def test_an_entry_without_a_time_is_still_an_opt_out(bench: Bench) -> None:
    """What cannot be dated is a finding; the opt-out stands."""
    bench.twin.opt_out("p1@example.org", None, link())
    fault = Fault(FaultKind.FIELD_NULL, "sendgrid", "/unsubscribes", field="created", times=None)
    bench.sandbox.faults.plant(fault)
    out = bench.read("unsubscribes")
    assert [row.global_out for row in out.of(Reading)] == [True]
    assert [row.field for row in out.of(Finding)] == ["created"]
    assert out.of(Change) == []


@pytest.mark.parametrize("kind", [FaultKind.TRUNCATED, FaultKind.HTML, FaultKind.ERROR_IN_200,
                                  FaultKind.EMPTY, FaultKind.SERVER_ERROR, FaultKind.LIMITED,
                                  FaultKind.REPEATED_PAGE, FaultKind.DUPLICATE_PAGE])  # fmt: skip
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_wrong_answer_changes_nothing(bench: Bench, kind: FaultKind, nth: int) -> None:
    """Whichever page of a list goes wrong, and however: all opt-outs are read, each once."""
    for number in range(700):
        bench.twin.opt_out(f"u{number}@example.org", None, link(AT + timedelta(seconds=number)))
    bench.sandbox.faults.plant(Fault(kind, "sendgrid", "/unsubscribes", nth=nth))
    out = bench.read("unsubscribes")
    assert out.status == "complete"
    assert sorted(row.address or "" for row in out.of(Reading)) == sorted(
        f"u{number}@example.org" for number in range(700)
    )


def test_an_export_that_fails_or_expires_is_asked_for_again(bench: Bench) -> None:
    """Links live a few days only; a night that is resumed after them needs a new job."""
    bench.twin.export_failures = 1
    assert bench.read("contacts").status == "complete"
    assert len(bench.twin.main.exports) == 2
    out = MemoryOutput(kill_at=2)
    with pytest.raises(Killed):
        bench.read("contacts", out)
    bench.twin.now = NOW + timedelta(days=4)
    again = bench.read("contacts", out.resumed())
    assert (again.status, len(again.of(Reading))) == ("complete", 5)


def test_an_export_that_stays_pending_is_given_up_with_its_job_kept(bench: Bench) -> None:
    """The next try goes on with the same export instead of queueing another."""
    bench.twin.export_polls = 10_000
    out = MemoryOutput()
    with pytest.raises(SourceError, match="still pending"):
        bench.read("contacts", out, export_timeout_seconds=60)
    assert 60 <= sum(bench.waits) <= 120
    bench.twin.main.exports[next(iter(bench.twin.main.exports))].polls_left = 0
    assert bench.read("contacts", out.resumed()).status == "complete"
    assert len(bench.twin.main.exports) == 1


@pytest.mark.parametrize("packed", [True, False])
def test_a_file_that_is_cut_off_is_no_complete_export(bench: Bench, packed: bool) -> None:
    """Missing contacts would be taken for deleted ones: another export is asked for, or the same
    one once more."""
    bench.twin.export_gzip = packed
    bench.twin.export_parts = 1
    connector = bench.connector()
    out = MemoryOutput(kill_at=2)
    with pytest.raises(Killed):
        bench.read("contacts", out)
    job = next(iter(bench.twin.main.exports.values()))
    job.parts[0] = job.parts[0][:-150] if not packed else job.parts[0][:-20]
    again = out.resumed()
    request = ReadRequest(date(2026, 10, 1), NOW, None, now=NOW)
    try:
        connector.read("contacts", request, again)
    except SourceError:
        return
    assert (again.status, len(again.of(Reading))) == ("complete", 5)
    assert len(bench.twin.main.exports) == 2


def test_without_a_count_in_the_job_the_contacts_are_counted(bench: Bench) -> None:
    """The job's own count is optional in the vendor's specification."""
    bench.twin.tells_count = False
    out = bench.read("contacts")
    assert (out.status, out.vendor_total) == ("complete", 5)
    bench.twin.export_parts = 5
    out = MemoryOutput(kill_at=2)
    with pytest.raises(Killed):
        bench.read("contacts", out)
    list(bench.twin.main.exports.values())[-1].parts.pop()
    again = bench.read("contacts", out.resumed())
    assert (again.status, again.vendor_total, again.read_total) == ("complete", 5, 5)
    assert len(bench.twin.main.exports) == 3, "a file that was lost was not noticed"


def test_an_export_that_stays_short_is_no_complete_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is in the count and never in a file may be mailable, and nobody would see it."""
    monkeypatch.setattr("optout.vendors.sendgrid.contacts.count_contacts", lambda *_: 6)
    bench.twin.tells_count = False
    out = bench.read("contacts")
    assert out.status == "incomplete"
    assert out.why and "6 contacts, its export holds 5" in out.why


def test_who_leaves_a_group_while_it_is_read_is_not_missed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dated list comes after the group's own: what only it has is an opt-out too."""
    bench.twin.opt_out("p1@example.org", "promotional", link())
    get = HttpClient.get

    def slow(self: HttpClient, path: str, *args: Any, **kwargs: Any) -> Any:
        if path == "/v3/asm/suppressions":
            bench.twin.opt_out("p2@example.org", "promotional", link())
        return get(self, path, *args, **kwargs)

    monkeypatch.setattr(HttpClient, "get", slow)
    assert set(readings(bench.read("groups"))) == {"p1@example.org", "p2@example.org"}


def test_only_campaigns_that_are_new_are_read_again(bench: Bench) -> None:
    """Each costs a request: years of single sends are not fetched every night."""
    bench.twin.send(MAILING, ["p1@example.org"])
    assert len(bench.read("campaigns", since=MAILING.sent_at).of(Campaign)) == 1
    later = MAILING.sent_at + timedelta(seconds=1)
    assert bench.read("campaigns", since=later).of(Campaign) == []


def test_dates_that_came_empty_are_asked_for_again(bench: Bench) -> None:
    """That list proves no end: one lost page, and nobody could say who opted out when."""
    bench.twin.opt_out("p1@example.org", "promotional", link())
    bench.sandbox.faults.plant(Fault(FaultKind.MISSING_PAGE, "sendgrid", "/v3/asm/suppressions"))
    assert [change.occurred_at for change in bench.read("groups").of(Change)] == [AT]
