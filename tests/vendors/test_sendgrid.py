"""SendGrid read through its twin: each trap of the vendor, and what the rows say of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest

from optout.errors import AuthenticationFailed, PermissionMissing, SourceError
from optout.http.client import HttpClient
from optout.http.retry import RetryPolicy
from optout.model import Categories, Source
from optout.records import Campaign, Change, Finding, MailEvent, Reading
from optout.sandbox.acts import Act, Mailing, Person
from optout.sandbox.faults import Fault, FaultKind
from optout.sandbox.sendgrid import SendGridTwin
from optout.sandbox.sendgrid_state import Group
from optout.sandbox.server import Sandbox
from optout.testing.outputs import Killed, MemoryOutput
from optout.vendors.base import Context, ReadRequest
from optout.vendors.sendgrid import SendGrid, SendGridConfig

AT = datetime(2026, 10, 1, 8, tzinfo=UTC)
NOW = AT + timedelta(hours=16)
CATEGORIES = Categories(("product_updates", "promotional", "events"))
MAPPED = ("product_updates", "promotional")
MAILING = Mailing("m1", "Autumn", "promotional", AT + timedelta(hours=1))


class Bench:
    """A twin, its server, and connectors for it."""

    def __init__(self, twin: SendGridTwin, sandbox: Sandbox) -> None:
        self.twin = twin
        self.sandbox = sandbox
        self.waits: list[float] = []

    def connector(self, token: str = "SG.test", **settings: Any) -> SendGrid:
        categories = {name: tuple(ids) for name, ids in self.twin.category_map().items()}
        url = self.sandbox.base_url("sendgrid")
        config = SendGridConfig(**{
            "name": "sendgrid", "vendor": "sendgrid", "base_url": url, "token_env": "SG_KEY",
            "categories": categories, **settings,
        })  # fmt: skip
        http = HttpClient(
            "sendgrid", url, SendGrid.http_options(config, token), secrets=(token,),
            retry=RetryPolicy(attempts=3, base=0.0), sleep=self.waits.append,
        )  # fmt: skip
        return SendGrid(Context(config, token, CATEGORIES, http), sleep=self.waits.append)

    def read(
        self,
        stream: str,
        out: MemoryOutput | None = None,
        *,
        since: datetime | None = None,
        **settings: Any,
    ) -> MemoryOutput:
        out = out or MemoryOutput()
        request = ReadRequest(date(2026, 10, 1), NOW, since, now=NOW)
        self.connector(**settings).read(stream, request, out)
        return out


@pytest.fixture
def bench() -> Iterator[Bench]:
    twin = SendGridTwin(MAPPED, token="SG.test", rng=Random(3))
    twin.now = NOW
    for number in range(1, 6):
        twin.add(Person(number, f"P{number}@Example.org", "Pat", "Doe"), {}, AT)
    with Sandbox([twin]) as sandbox:
        yield Bench(twin, sandbox)


def link(address_at: datetime = AT, **kwargs: Any) -> Act:
    return Act(address_at, Source.EMAIL_LINK, **kwargs)


def readings(out: MemoryOutput) -> dict[str | None, Reading]:
    return {row.address: row for row in out.of(Reading)}


# --- what the rows say ----------------------------------------------------------------------------
def test_a_global_unsubscribe_is_an_opt_out_of_everything_with_its_time(bench: Bench) -> None:
    """Also of the category that has no group: the list stops all mail."""
    bench.twin.opt_out("P1@example.org", None, link())
    out = bench.read("unsubscribes")
    [row] = out.of(Reading)
    assert (row.store, row.address, row.present) == ("global", "p1@example.org", False)
    assert row.outs == row.blocks == CATEGORIES.all
    assert row.global_out and not row.category_outs and not row.undeliverable
    assert "@" not in row.record_id + row.raw
    [change] = out.of(Change)
    assert (change.category, change.new, change.occurred_at) == (None, "opted_out", AT)
    assert (change.source, change.explicit, change.actor) == ("unknown", False, None)
    assert (out.status, out.read_total) == ("complete", 1)


def test_a_group_is_an_opt_out_of_its_category_dated_by_the_list_of_all(bench: Bench) -> None:
    """The group's own list has no stamps, the list of all groups has."""
    bench.twin.opt_out("p1@example.org", "promotional", link())
    out = bench.read("groups")
    [row] = out.of(Reading)
    mask = CATEGORIES.bit("promotional")
    assert (row.store, row.outs, row.category_outs, row.blocks) == ("group:20002", *3 * [mask])
    assert not row.global_out
    assert not row.present
    [change] = out.of(Change)
    assert (change.category, change.occurred_at, change.explicit) == ("promotional", AT, False)


def test_bounces_and_complaints_block_without_being_opt_outs(bench: Bench) -> None:
    """A bounce taken for an opt-out would be written to the hub as the person's wish."""
    bench.twin.bounce("p1@example.org", None, AT)
    bench.twin.complain("p2@example.org", "", AT)
    stamp = {"created": int(AT.timestamp()), "reason": "x"}
    for name in ("invalid_emails", "blocks"):
        bench.twin.main.lists[name]["p3@example.org"] = {"email": "p3@example.org", **stamp}
    bounced, invalid = bench.read("bounces").of(Reading)[0], bench.read("invalid").of(Reading)[0]
    complained = bench.read("spam_reports")
    blocked = bench.read("blocks").of(Reading)[0]
    for row in (bounced, invalid, *complained.of(Reading)):
        assert (row.outs, row.blocks, row.present) == (0, CATEGORIES.all, False)
    assert bounced.undeliverable
    assert invalid.undeliverable
    assert complained.of(Reading)[0].complained
    [event] = complained.of(MailEvent)
    assert (event.kind, event.at) == ("complained", AT)
    assert (blocked.blocks, blocked.undeliverable) == (0, False)  # mail is still attempted


def test_a_contact_is_mailable_for_mapped_categories_only(bench: Bench) -> None:
    """`events` has no group here: SendGrid is not asked to send it."""
    bench.twin.main.contacts["p1@example.org"]["alternate_emails"] = ["Other@example.org"]
    out = bench.read("contacts")
    rows = readings(out)
    assert len(rows) == 6
    row = rows["p1@example.org"]
    assert row.sends == CATEGORIES.mask(MAPPED)
    assert (row.store, row.ins, row.outs, row.present) == ("contacts", 0, 0, True)
    assert row.record_id == bench.twin.main.contacts["p1@example.org"]["id"]
    assert row.modified_at == AT + timedelta(seconds=29)
    other = rows["other@example.org"]
    assert (other.sends, other.present) == (0, True)  # known, and not mailed
    assert (out.vendor_total, out.read_total) == (5, 5)


def test_a_category_with_two_groups_is_blocked_only_where_both_hold_the_address(
    bench: Bench,
) -> None:
    """Mail of the category through the other group would still go out to who left one."""
    for email in ("p1@example.org", "p2@example.org"):
        bench.twin.main.suppress(20_001, email, AT)
    bench.twin.main.suppress(20_002, "p2@example.org", AT)
    mapped = {"promotional": ("20001", "20002")}
    rows = bench.read("groups", categories=mapped).of(Reading)
    mask = CATEGORIES.bit("promotional")
    assert {(r.address, r.store): (r.outs, r.blocks) for r in rows} == {
        ("p1@example.org", "group:20001"): (mask, 0),
        ("p2@example.org", "group:20001"): (mask, mask),
        ("p2@example.org", "group:20002"): (mask, mask),
    }


def test_a_link_in_a_message_is_the_persons_own_act(bench: Bench) -> None:
    """Only these changes may lift an opt-out: with time, machine, browser and campaign."""
    bench.twin.send(MAILING, ["p1@example.org", "p2@example.org"])
    act = link(AT + timedelta(hours=2), campaign_id="m1")
    bench.twin.opt_out("p1@example.org", "promotional", act)
    bench.twin.opt_in("p1@example.org", "promotional", link(AT + timedelta(hours=3)))
    bench.twin.opt_out("p2@example.org", None, act)
    out = bench.read("messages")
    told = {(c.address, c.new): c for c in out.of(Change)}
    assert set(told) == {
        ("p1@example.org", "opted_out"), ("p1@example.org", "opted_in"),
        ("p2@example.org", "opted_out"),
    }  # fmt: skip
    change = told["p1@example.org", "opted_out"]
    assert (change.category, change.source, change.explicit) == ("promotional", "email_link", True)
    assert (change.ip, change.user_agent) == (act.ip, act.user_agent)
    assert told["p1@example.org", "opted_in"].explicit
    assert told["p2@example.org", "opted_out"].category is None
    [campaign] = bench.read("campaigns").of(Campaign)
    assert change.campaign_id == campaign.campaign_id


def test_what_was_sent_is_told_with_its_category_and_bypass(bench: Bench) -> None:
    """A send to a suppressed address is only possible by a bypass, which is what to show."""
    bench.twin.opt_out("p1@example.org", None, link())
    bench.twin.send(MAILING, ["p1@example.org", "p2@example.org"])
    bench.twin.drop(MAILING, "p3@example.org")
    sent = {(e.address, e.kind): e for e in bench.read("messages").of(MailEvent)}
    mask = CATEGORIES.bit("promotional")
    for address in ("p1@example.org", "p2@example.org"):
        for kind in ("sent", "delivered"):
            assert sent[address, kind].categories == mask
    assert sent["p1@example.org", "sent"].bypass
    assert not sent["p2@example.org", "sent"].bypass
    assert ("p3@example.org", "sent") not in sent
    assert ("p3@example.org", "dropped") in sent


def test_transactional_mail_is_told_apart(bench: Bench) -> None:
    """An order confirmation after an opt-out is no violation."""
    bench.twin.send(Mailing("t", "Order", None, AT), ["p1@example.org"])
    assert all(e.transactional and not e.categories for e in bench.read("messages").of(MailEvent))


def test_a_single_send_without_a_way_out_is_told(bench: Bench) -> None:
    """It has neither group nor own page nor tag: its readers cannot leave."""
    bench.twin.send(MAILING, ["p1@example.org"])
    bare = Mailing("m2", "Bare", "promotional", AT, has_unsubscribe=False, has_postal_address=False)
    bench.twin.send(bare, ["p1@example.org"])
    good, bad = sorted(bench.read("campaigns").of(Campaign), key=lambda c: c.name or "")
    assert (good.has_unsubscribe, good.has_postal_address) == (True, True)
    assert (good.from_address, good.reply_to) == ("news@shop.example.org", "help@shop.example.org")
    assert (bad.has_unsubscribe, bad.has_postal_address) == (False, False)
    assert good.categories == bad.categories == CATEGORIES.bit("promotional")


# --- traps ----------------------------------------------------------------------------------------
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
    """Missing contacts would be taken for deleted ones."""
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
    assert again.status == "incomplete"


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
    assert (again.status, again.vendor_total, again.read_total) == ("incomplete", 5, 4)


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


# --- subusers and regions -------------------------------------------------------------------------
def test_a_suppression_blocks_only_in_its_own_account(bench: Bench) -> None:
    """Unsubscribed in the main account, a contact of the subuser: that mail still goes out."""
    shop = bench.twin.add_subuser("shop")
    shop.put_contact("p1@example.org", "c-1", AT)
    bench.twin.opt_out("p1@example.org", None, link())
    [row] = bench.read("unsubscribes").of(Reading)
    assert (row.store, row.blocks, row.store_blocks) == ("account:main", 0, CATEGORIES.all)
    contacts = [r for r in bench.read("contacts").of(Reading) if r.address == "p1@example.org"]
    stores = {r.store: r.sends for r in contacts}
    assert stores == dict.fromkeys(("account:main", "subuser:shop"), CATEGORIES.mask(MAPPED))


def test_a_group_may_belong_to_a_subuser(bench: Bench) -> None:
    """Mapped groups are looked for in all accounts before one is called missing."""
    shop = bench.twin.add_subuser("shop")
    shop.groups[20_002] = bench.twin.main.groups.pop(20_002)
    shop.suppress(20_002, "p1@example.org", AT)
    out = bench.read("groups")
    assert out.status == "complete"
    assert [row.store for row in out.of(Reading)] == ["subuser:shop"]


def test_accounts_that_are_not_read_are_named(bench: Bench) -> None:
    """An audit that leaves a region out and does not say so is worse than none."""
    bench.twin.add_subuser("europe", region="eu")
    bench.twin.add_subuser("asleep", disabled=True)
    note = bench.read("unsubscribes").note
    assert note and "europe is in another region" in note and "asleep is disabled" in note
    out = bench.read("unsubscribes", subusers=("typo",))
    assert (out.status, out.why) == ("incomplete", "there is no subuser typo")
    bench.twin.scopes.discard("subusers.read")
    note = bench.read("unsubscribes").note
    assert note and "may not list subusers" in note
    assert bench.read("unsubscribes", subusers=()).note is None


def test_the_messages_of_a_subuser_are_its_own(bench: Bench) -> None:
    """The Email Logs name the subuser by number, not by the header."""
    shop = bench.twin.add_subuser("shop")
    bench.twin.send(MAILING, ["p1@example.org"])
    for message in bench.twin.main.messages.values():
        shop.keep(message)
    bench.twin.main.messages.clear()
    assert {e.kind for e in bench.read("messages").of(MailEvent)} == {"sent", "delivered"}


# --- credentials, secrets, check ------------------------------------------------------------------
def test_a_refused_key_is_an_error_and_never_an_empty_list(bench: Bench) -> None:
    """401 and 403 end the reading; nothing is written as complete."""
    out = MemoryOutput()
    with pytest.raises(AuthenticationFailed):
        bench.read("unsubscribes", out, token="SG.other", subusers=())
    bench.twin.scopes.discard("suppression.unsubscribes.read")
    with pytest.raises(PermissionMissing):
        bench.read("unsubscribes", out)
    assert (out.status, out.rows) == (None, [])


def test_no_log_line_or_error_holds_an_address_or_the_key(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Logs are read by people who may not read addresses."""
    caplog.set_level(logging.DEBUG)
    bench.twin.opt_out("p1@example.org", "promotional", link())
    bench.twin.send(MAILING, ["p1@example.org"])
    for endpoint in ("/unsubscribes", "/logs/{id}", "/exports"):
        bench.sandbox.faults.plant(Fault(FaultKind.SERVER_ERROR, "sendgrid", endpoint, times=None))
    texts = []
    for stream in ("unsubscribes", "groups", "contacts", "messages"):
        try:
            bench.read(stream)
        except SourceError as error:
            texts.append(str(error))
    assert len(texts) == 3
    shown = caplog.text + "".join(texts)
    assert "example.org" not in shown
    assert "SG.test" not in shown


def test_check_is_silent_about_a_good_account(bench: Bench) -> None:
    """Only the category that SendGrid does not send is mentioned."""
    problems = list(bench.connector().check())
    assert [(p.key, p.fatal) for p in problems] == [("esp.sendgrid.categories.events", False)]


def test_check_names_everything_at_once(bench: Bench) -> None:
    """One round of mending before the first night, not one a day."""
    twin = bench.twin
    twin.scopes -= {"suppression.bounces.read", "marketing.read"}
    twin.main.groups[777] = Group(777, "Other", "", is_default=True)
    del twin.main.groups[20_002]
    twin.logs_on = False
    twin.add_subuser("europe", region="eu")
    told = "\n".join(f"{p.key}: {p.message} {p.mend}" for p in bench.connector().check())
    for part in (
        "permission suppression.bounces.read", "permission marketing.read",
        "no unsubscribe group 20002", "default group 777", "sends after an opt-out cannot",
        "europe belongs to another region", "https://api.eu.sendgrid.com",
    ):  # fmt: skip
        assert part in told
    with pytest.raises(AuthenticationFailed):
        list(bench.connector(token="SG.other").check())
